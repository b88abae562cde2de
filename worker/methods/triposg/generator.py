# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs TripoSG on one thing, and asks its field: the runner of the method (see ..method). Brings torch.

Only one of the three networks is in memory at a time. Where the weights lie in single precision they stay in their
file, mapped into memory, so that on a CPU loading takes no time and no second copy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...core.job import Job, Span
from ...core.representations import Field
from ...core.view import Window
from ...pictures.load import Picture
from ...pictures.padded import padded_on_white, resized_middle
from ...pictures.silhouette import solid_part
from ..matting import matte
from ..method import Network, Task
from ..runtime import devices, hooks, memory
from ..runtime.checkpoint import check_finite
from ..runtime.loading import loading
from . import files as triposg_files
from . import network as triposg

BATCH = {"cpu": 2048, "cuda": 1 << 14, "mps": 1 << 14}
"""Points that are asked for at once."""

FOV, DISTANCE = 30.0, 4.3
"""Where the camera that took the picture is looked for: on the z axis, with that vertical field of view in degrees
over the square picture. The published files do not say what the training's was."""

TURNS = tuple((up, sideways) for up in (0.0, 25.0) for sideways in (-60.0, -30.0, 0.0, 30.0, 60.0) if up or sideways)
"""Where else: shapes stand upright and face the z axis, from wherever the photo saw them."""

NO_COLOUR = "TripoSG gives shapes without colour: the photo is laid onto what it shows"

_FACING = np.diag([1.0, -1.0, -1.0])  # the camera on the z axis that looks along -z, y up
_BUFFERS = 28  # as many arrays of all tokens of one width a block of the flow holds at most, with its four wide ones
_SHARES = (0.02, 0.95)  # of the time: until the picture is seen, until the shape is there
_END = "end."

Module = TypeVar("Module", bound=nn.Module)


def load(network: Network, folder: Path, device: str, half: bool | None = None) -> Generator:
    """What is in `folder`; half: as suits the device. Quick: reads sizes only.

    Raises Unable, one sentence, if a file is missing, damaged or of another network.
    """
    chosen = devices.pick(device)
    with loading(folder):
        config = triposg_files.read_config(folder)
    return Generator(folder, config, chosen, chosen.type != "cpu" if half is None else half)


def run(task: Task, generator: Generator, job: Job | Span) -> Field:
    """The field of the thing in the task's picture."""
    memory.require(generator.device, generator.needed(), {})  # nothing is held between runs; all presets need the same
    job.report(0.0, "cutting the object out")
    picture, options = matte.without_background(task.picture, task.weights, task.network.name), task.options
    arrays = generator(picture, options.seed, options.steps, options.guidance, job.span(0.1, 1.0))
    return _field(arrays, task)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Field:
    return _field(arrays, task)


@dataclass(frozen=True)
class Generator:
    """TripoSG's networks in a folder, of which nothing is loaded yet. half: whether the two large ones are to run in
    half precision, but for sums and normalisations."""

    folder: Path
    config: triposg_files.TripoSGConfig
    device: torch.device
    half: bool

    def needed(self) -> int:
        """Bytes of the device's memory that a run takes about, without the surface that is made of it afterwards."""
        config, size = self.config, 2 if self.half else 4
        encoder = size * _parameters(lambda: triposg.PictureEncoder(config.encoder))
        flow = size * _parameters(lambda: triposg.Flow(config.flow)) + self._activations()
        points = _BUFFERS * BATCH.get(self.device.type, BATCH["cpu"]) * config.shape.width * 4
        coder = 4 * _parameters(lambda: triposg.ShapeDecoder(config.shape)) + points
        return max(encoder, flow, coder)

    def _activations(self) -> int:
        """Bytes that the flow takes for one velocity beside its weights."""
        kept = self.config.flow.layers // 2 + _BUFFERS
        return kept * (1 + triposg.TOKENS) * self.config.flow.width * 4

    def __call__(
        self, picture: Picture, seed: int, steps: int, guidance: float, job: Job | Span
    ) -> dict[str, np.ndarray]:
        """What `_field` makes the field of a picture with an alpha of. The same seed gives the same shape.

        Raises Unable where the alpha shows no thing, or the networks give nothing finite; OutOfMemory.
        """
        alpha = solid_part(picture.alpha)
        white, window = padded_on_white(picture.rgb, alpha, triposg.MARGIN)
        preparation = self.config.preparation
        pixels = torch.from_numpy(resized_middle(white, preparation.resize, preparation.crop).copy())
        image = preparation.normalised(pixels)
        start = triposg.noise(seed, triposg.TOKENS, self.config.flow.channels)
        latents = self._latents(image, start, steps, guidance, job.span(0.0, _SHARES[1]))
        if self.half and not latents.isfinite().all():  # too large for half precision somewhere
            full = replace(self, half=False)
            memory.require(self.device, full.needed(), {})
            latents = full._latents(image, start, steps, guidance, job.span(0.0, _SHARES[1]))
        check_finite(latents, self.folder / triposg_files.FLOW)
        found = self._decoded(latents, job.span(_SHARES[1], 1.0))
        return {**found, "window": np.array(astuple(window)), "subject": alpha}

    def _latents(self, image: Tensor, start: Tensor, steps: int, guidance: float, job: Span) -> Tensor:
        """The shape's tokens (1, N, channels) float32, on the CPU; not finite where half precision is too small."""
        embeds = self._embedded(image, job.span(0.0, _SHARES[0]))
        job.report(_SHARES[0], "loading the network")
        with self._running(triposg_files.load_flow, self.half) as flow:
            together = self.device.type != "cpu" and (memory.free(self.device) or 0) >= 2 * self._activations()
            calls, span = steps * (1 if together else 2), job.span(_SHARES[0], 1.0)
            with _reporting(flow.blocks, calls, lambda share: _denoising(share, steps, span)):
                latents = start.to(self.device)
                for after in triposg.sampled(flow, latents, embeds, steps, guidance, together):
                    latents = after
                    if not latents.isfinite().all():
                        break
            return latents.cpu()

    def _embedded(self, image: Tensor, job: Span) -> Tensor:
        """The picture's tokens (1, M, C) float32, on the device."""
        job.report(0.0, "looking at the picture")
        with self._running(triposg_files.load_encoder, self.half) as encoder:
            embeds = encoder(image.to(self.device)).float()
        if self.half and not embeds.isfinite().all():
            return replace(self, half=False)._embedded(image, job)
        check_finite(embeds, self.folder / triposg_files.ENCODER)
        return embeds

    def _decoded(self, latents: Tensor, job: Span) -> dict[str, np.ndarray]:
        """The arrays of the field: tokens, and the weights that points meet."""
        job.report(0.0, "decoding the shape")
        with self._running(triposg_files.load_coder, half=False) as coder:
            with _reporting(coder.decoder.blocks[:-1], 1, lambda share: job.report(share, "decoding the shape")):
                tokens = coder(latents.to(self.device))
            end = coder.decoder.end()
            for values in (tokens, *end.parameters()):
                check_finite(values, self.folder / triposg_files.CODER)
            weights = {_END + name: values.cpu().numpy() for name, values in end.state_dict().items()}
        numbers = np.array([self.config.shape.heads, self.config.shape.frequencies])
        return {"tokens": tokens.cpu().numpy(), "numbers": numbers, **weights}

    @contextmanager
    def _running(self, load: Callable[[Path, triposg_files.TripoSGConfig], Module], half: bool) -> Iterator[Module]:
        """The network on the device, where the one before makes room for it."""
        if self.device.type != "cpu":
            memory.release()
        with loading(self.folder):
            network = load(self.folder, self.config)
        precision = torch.autocast(self.device.type, torch.float16, enabled=half)
        with memory.guard(self.device), torch.inference_mode(), precision:
            if half:
                hooks.halve(network, self.device)
            yield network.to(self.device)


def _field(arrays: Mapping[str, np.ndarray], task: Task) -> Field:
    """The field that a Generator's arrays describe."""
    device, subject = devices.pick(task.device), arrays["subject"]
    surface, window = _surface(arrays, device), Window(*map(int, arrays["window"]))
    camera = window.camera(subject.shape[1], subject.shape[0], FOV)
    pose = {"rotation": _FACING, "position": np.array([0.0, 0.0, DISTANCE]), "exact": False, "turns": TURNS}
    return Field(
        value=devices.for_arrays(surface.value, device, BATCH.get(device.type, BATCH["cpu"])),
        colour=None,
        bounds=np.array([[-triposg.EXTENT] * 3, [triposg.EXTENT] * 3]),
        to_gltf=np.eye(3),
        arrays=lambda: arrays,
        views=(matte.thing_view(task.picture, subject, camera, **pose),),
        notes=(*matte.remarks(subject), NO_COLOUR),
    )


def _surface(arrays: Mapping[str, np.ndarray], device: torch.device) -> triposg.Surface:
    tokens = torch.from_numpy(np.asarray(arrays["tokens"]))
    heads, frequencies = map(int, arrays["numbers"])
    sizes = triposg.ShapeConfig(width=tokens.shape[-1], layers=0, heads=heads, frequencies=frequencies)
    with torch.device("meta"):
        end = triposg.ShapeDecoder(sizes)
    weights = {name: torch.from_numpy(np.asarray(arrays[_END + name])) for name in end.state_dict()}
    end.load_state_dict(weights, assign=True)
    with memory.guard(device), torch.inference_mode():
        return triposg.Surface(tokens.to(device), end.eval().requires_grad_(False).to(device))


def _reporting(blocks: nn.ModuleList, calls: int, tell: Callable[[float], None]) -> AbstractContextManager[None]:
    """Tells the share of the work that is done, and so hears a cancel, after each block; they are run `calls` times."""
    total, done = calls * len(blocks), itertools.count(1)
    return hooks.after_each(blocks, lambda _: tell(next(done) / total))


def _denoising(share: float, steps: int, job: Span) -> None:
    job.report(share, "denoising", f"step {min(int(share * steps) + 1, steps)} of {steps}")


def _parameters(make: Callable[[], nn.Module]) -> int:
    """How many numbers the network has that would be made."""
    with torch.device("meta"):
        return sum(values.numel() for values in make().parameters())
