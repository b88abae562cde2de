# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs TripoSR on one thing, and asks its field: the runner of the method (see ..method). Brings torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...core.job import Job, Span
from ...core.representations import Field
from ...core.view import Window
from ...pictures.crop import square_crop
from ...pictures.load import Picture
from ...pictures.silhouette import solid_part
from ..matting import matte
from ..method import Network, Task
from ..runtime import devices, hooks, memory
from ..runtime.checkpoint import check_finite
from ..runtime.loading import loading
from . import network as triposr

BATCH = {"cpu": 8192, "cuda": 1 << 18, "mps": 1 << 16}
"""Points that are asked for at once. On a CPU what lies between two layers should stay in its cache."""

TO_GLTF = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
"""From the field's axes (x to the viewer, y right, z up) to glTF's (+Y up, the front faces +Z)."""

FACING = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
"""The rotation of the camera that took the picture: it stands on the field's x axis and looks along -x."""


_TAKEN = 150  # per cent of the weights' bytes that a run takes, measured on the CPU in single precision
_HALVED = 60  # per cent of that where linear layers are halved, which most of it is


def load(network: Network, folder: Path, device: str, half: bool | None = None) -> Reconstructor:
    """The network in `folder`; half: as suits the device. Raises Unable, one sentence, if it cannot be loaded."""
    chosen = devices.pick(device)
    half = chosen.type == "cuda" if half is None else half
    with loading(folder):
        memory.require(chosen, _needed(folder, half), {})
        module = triposr.load(folder)
    with memory.guard(chosen):
        if half:
            for part in (module.image_tokenizer, module.backbone):
                hooks.halve(part, chosen)
        return Reconstructor(module.to(chosen), folder, chosen, half)


def _needed(folder: Path, half: bool) -> int:
    """Bytes of the device's memory that a run takes about."""
    weights = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return weights * _TAKEN // 100 * (_HALVED if half else 100) // 100


def run(task: Task, reconstructor: Reconstructor, job: Job | Span) -> Field:
    """The field of the thing in the task's picture."""
    job.report(0.1, "cutting the object out")
    picture = matte.without_background(task.picture, task.weights, task.network.name)
    scene, window = reconstructor(picture, task.options.fill, job.span(0.2, 1.0))
    return _field(scene, solid_part(picture.alpha), window, task, reconstructor.device)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Field:
    device = devices.pick(task.device)
    window = Window(*map(int, arrays["window"]))
    return _field(_scene(arrays, device), arrays["subject"], window, task, device)


@dataclass(frozen=True)
class Reconstructor:
    """A loaded network on its device. half: in half precision, but for sums and normalisations."""

    network: triposr.TripoSR
    folder: Path
    device: torch.device
    half: bool

    def __call__(self, picture: Picture, fill: float, job: Job | Span) -> tuple[triposr.Scene, Window]:
        """What a picture with an alpha shows, and the part of it that was seen. fill: how much of it the subject spans.

        Raises Unable where the alpha shows no thing, or the network gives nothing finite.
        """
        alpha = solid_part(picture.alpha)
        crop = square_crop(picture.rgb, alpha, fill)
        image = triposr.prepared(torch.from_numpy(crop.on_grey(triposr.GREY)), self.network.config.image_size)
        code, network = self._code(image, job), self.network
        if self.half and not code.isfinite().all():  # too large for half precision somewhere
            full = replace(self, network=triposr.load(self.folder).to(self.device), half=False)
            code, network = full._code(image, job), full.network
        scene = network.scene(code)
        for values in (scene.code, *itertools.chain(*scene.layers)):
            check_finite(values, self.folder)
        return scene, crop.window

    def _code(self, image: Tensor, job: Job | Span) -> Tensor:
        precision = torch.autocast(self.device.type, torch.float16, enabled=self.half)
        with memory.guard(self.device), torch.inference_mode(), precision, _reporting(self.network, job):
            return self.network(image.to(self.device)).float()


def _reporting(network: triposr.TripoSR, job: Job | Span) -> AbstractContextManager[None]:
    """Reports progress, and so hears a cancel, after each layer of the network's two transformers."""
    vit, blocks = network.image_tokenizer["model"].encoder["layer"], network.backbone.transformer_blocks
    weights = [(layer, 1) for layer in vit] + [(block, 8) for block in blocks]  # about the time that each takes
    total, done = sum(weight for _, weight in weights), itertools.accumulate(weight for _, weight in weights)

    def report(*_: object) -> None:
        job.report(next(done) / total, "imagining the object")

    return hooks.after_each((module for module, _ in weights), report)


def _field(scene: triposr.Scene, subject: np.ndarray, window: Window, task: Task, device: torch.device) -> Field:
    """The scene's field, its surface where the density is the threshold. subject: (H, W) uint8, the thing's mask."""
    level, batch = math.log(task.options.threshold), BATCH.get(device.type, BATCH["cpu"])
    # the camera that sees the window is the one of TripoSR's training
    camera = window.camera(subject.shape[1], subject.shape[0], triposr.FOV)
    pose = {"rotation": FACING, "position": np.array([triposr.DISTANCE, 0.0, 0.0]), "exact": False}
    return Field(
        value=devices.for_arrays(lambda points: scene.log_density(points) - level, device, batch),
        colour=devices.for_arrays(scene.colour, device, batch),
        bounds=np.array([[-scene.radius] * 3, [scene.radius] * 3]),
        to_gltf=TO_GLTF,
        arrays=lambda: {**_arrays(scene), "window": np.array(astuple(window)), "subject": subject},
        views=(matte.thing_view(task.picture, subject, camera, **pose),),
        notes=matte.remarks(subject),
    )


def _arrays(scene: triposr.Scene) -> dict[str, np.ndarray]:
    arrays = {"code": scene.code, **{f"weight{i}": weight for i, (weight, _) in enumerate(scene.layers)}}
    arrays |= {f"bias{i}": bias for i, (_, bias) in enumerate(scene.layers)}
    plain = {name: values.cpu().numpy() for name, values in arrays.items()}
    return {**plain, "radius": np.array(scene.radius), "density_bias": np.array(scene.density_bias)}


def _scene(arrays: Mapping[str, np.ndarray], device: torch.device) -> triposr.Scene:
    """The scene whose `_arrays` these are."""

    def moved(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(arrays[name])).to(device)

    count = sum(name.startswith("weight") for name in arrays)
    layers = [(moved(f"weight{i}"), moved(f"bias{i}")) for i in range(count)]
    return triposr.Scene(moved("code"), layers, float(arrays["radius"]), float(arrays["density_bias"]))
