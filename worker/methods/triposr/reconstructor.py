# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs TripoSR on one cut-out thing, and asks its field. Imported by the NeRF backend on use: it brings torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import Field
from ...core.view import PinholeCamera, View, Window
from ...pictures.crop import square_crop
from ...pictures.load import Picture
from ...pictures.silhouette import solid_part
from ..matting import matte
from ..runtime import devices
from ..runtime import hooks as running
from . import network as triposr

BATCH = {"cpu": 8192, "cuda": 1 << 18, "mps": 1 << 16}
"""Points that are asked for at once. On a CPU what lies between two layers should stay in its cache."""

TO_GLTF = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
"""From the field's axes (x to the viewer, y right, z up) to glTF's (+Y up, the front faces +Z)."""

FACING = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
"""The rotation of the camera that took the picture: it stands on the field's x axis and looks along -x."""

_DAMAGED = "remove that folder and download again"


@dataclass(frozen=True)
class Reconstructor:
    """A loaded network on its device. half: in half precision, but for sums and normalisations."""

    network: triposr.TripoSR
    folder: Path
    device: torch.device
    half: bool

    def __call__(self, picture: Picture, fill: float, job: Job | Span) -> dict[str, np.ndarray]:
        """What `field` makes the field of a picture with an alpha of. fill: how much of its square the subject spans.

        Raises Unable where the alpha shows no thing, or the network gives nothing finite.
        """
        alpha = solid_part(picture.alpha)
        crop = square_crop(picture.rgb, alpha, fill)
        image = triposr.prepared(torch.from_numpy(crop.on_grey(triposr.GREY)), self.network.config.image_size)
        code, network = self._code(image, job), self.network
        if self.half and not code.isfinite().all():  # too large for half precision somewhere
            full = load(self.folder, str(self.device), half=False)
            code, network = full._code(image, job), full.network
        scene = network.scene(code)
        if not all(values.isfinite().all() for values in (scene.code, *itertools.chain(*scene.layers))):
            raise Unable(f"the weights in {self.folder} give numbers that are not finite: {_DAMAGED}")
        return {**_arrays(scene, _view(crop.window, picture.rgb.shape)), "subject": alpha}

    def _code(self, image: Tensor, job: Job | Span) -> Tensor:
        precision = torch.autocast(self.device.type, torch.float16, enabled=self.half)
        with devices.memory_guard(self.device), torch.inference_mode(), precision, _told(self.network, job):
            return self.network(image.to(self.device)).float()


def load(folder: Path, device: str, half: bool | None = None) -> Reconstructor:
    """The network in `folder`; half: as suits the device. Raises Unable, one sentence, if it cannot be loaded."""
    chosen = devices.pick(device)
    half = chosen.type == "cuda" if half is None else half
    try:
        network = triposr.load(folder)
    except (OSError, ValueError) as error:
        raise Unable(f"the weights in {folder} cannot be loaded: {error}; {_DAMAGED}") from None
    with devices.memory_guard(chosen):
        if half:
            for part in (network.image_tokenizer, network.backbone):
                running.halve(part, chosen)
        return Reconstructor(network.to(chosen), folder, chosen, half)


def _told(network: triposr.TripoSR, job: Job | Span) -> AbstractContextManager[None]:
    """Reports progress, and so hears a cancel, after each layer of the network's two transformers."""
    vit, blocks = network.image_tokenizer["model"].encoder["layer"], network.backbone.transformer_blocks
    weights = [(layer, 1) for layer in vit] + [(block, 8) for block in blocks]  # about the time that each takes
    total, done = sum(weight for _, weight in weights), itertools.accumulate(weight for _, weight in weights)

    def told(*_: object) -> None:
        job.report(next(done) / total, "imagining the object")

    return running.told_after((module for module, _ in weights), told)


def _view(window: Window, shape: tuple[int, ...]) -> View:
    """The camera that took the whole picture, where the one that sees the window is the one of TripoSR's training."""
    camera = window.camera(shape[1], shape[0], triposr.FOV)
    return View(camera, FACING, np.array([triposr.DISTANCE, 0.0, 0.0]))


def _arrays(scene: triposr.Scene, view: View) -> dict[str, np.ndarray]:
    arrays = {"code": scene.code, **{f"weight{i}": weight for i, (weight, _) in enumerate(scene.layers)}}
    arrays |= {f"bias{i}": bias for i, (_, bias) in enumerate(scene.layers)}
    plain = {name: values.cpu().numpy() for name, values in arrays.items()}
    numbers = np.array([scene.radius, scene.density_bias])
    posed = {"camera": view.camera.to_array(), "rotation": view.rotation, "position": view.position}
    return {**plain, "numbers": numbers, **posed}


def field(arrays: Mapping[str, np.ndarray], device: torch.device, threshold: float) -> Field:
    """The field that a Reconstructor's arrays describe, its surface where the density is `threshold`."""
    count = sum(name.startswith("weight") for name in arrays)

    def moved(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(arrays[name])).to(device)

    layers = [(moved(f"weight{i}"), moved(f"bias{i}")) for i in range(count)]
    radius, density_bias = map(float, arrays["numbers"])
    scene, level = triposr.Scene(moved("code"), layers, radius, density_bias), math.log(threshold)
    camera = PinholeCamera.from_array(arrays["camera"])
    batch = BATCH.get(device.type, BATCH["cpu"])
    return Field(
        value=devices.for_arrays(lambda points: scene.log_density(points) - level, device, batch),
        colour=devices.for_arrays(scene.colour, device, batch),
        bounds=np.array([[-radius] * 3, [radius] * 3]),
        to_gltf=TO_GLTF,
        arrays=arrays,
        pictures=(View(None, arrays["subject"], View(camera, arrays["rotation"], arrays["position"]), False),),
        notes=matte.remarks(arrays["subject"]),
    )
