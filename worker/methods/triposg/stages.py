# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs of TripoSG and of DetailGen3D are made of: a picture or a surface to tokens, the flow, the field. Brings
torch.

Only one of the networks is in memory at a time, but where the flow is guided. Where the weights lie in single precision
they stay in their file, mapped into memory, so that on a CPU loading takes no time and no second copy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...core.job import Span
from ...pictures.padded import resized_middle
from ..runtime import devices, hooks, memory
from ..runtime.checkpoint import check_finite
from ..runtime.loading import loading
from . import files as triposg_files
from . import network as triposg
from .observed import Guide, Observed

BATCH = {"cpu": 2048, "cuda": 1 << 14, "mps": 1 << 14}
"""Points that are asked for at once."""

_BUFFERS = 28  # as many arrays of all tokens of one width a block of the flow holds at most, with its four wide ones
_LOOKED_UP = 8  # as many arrays of all points of the encoder's width are held at most while they are looked at
_SEEN = 0.02  # of the time, until the picture is seen
_END = "end."

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Stages:
    """The networks in a folder, of which nothing is loaded yet. half: whether the two large ones are to run in half
    precision, but for sums and normalisations."""

    folder: Path
    config: triposg_files.TripoSGConfig
    device: torch.device
    half: bool

    def needed(self, points: int = 0, guided: bool = False) -> int:
        """Bytes of the device's memory that a run takes about, without the surface that is made of it afterwards.

        points: of a surface that is encoded, 0 where none is. guided: whether observations guide the flow.
        """
        config, size = self.config, 2 if self.half else 4
        encoder = size * _parameters(lambda: triposg.PictureEncoder(config.encoder))
        flow = size * _parameters(lambda: config.layout.flow(config.flow)) + self._activations()
        asked = _BUFFERS * BATCH.get(self.device.type, BATCH["cpu"]) * config.shape.width * 4
        coder = 4 * _parameters(lambda: triposg.ShapeDecoder(config.shape)) + asked
        if guided:  # the decoder beside the flow, and what all its blocks were given, and two blocks' own
            kept = config.shape.layers + 2 * _BUFFERS
            flow += coder + kept * triposg.TOKENS * config.shape.width * 4
        surface = 4 * _parameters(lambda: triposg.ShapeEncoder(config.shape))
        surface += _LOOKED_UP * points * config.shape.encoder_width * 4
        return max(encoder, flow, coder, surface if points else 0)

    def _activations(self) -> int:
        """Bytes that the flow takes for one velocity beside its weights."""
        kept = self.config.flow.layers // 2 + _BUFFERS
        return kept * (1 + triposg.TOKENS) * self.config.flow.width * 4

    def seen(self, white: np.ndarray, job: Span) -> Tensor:
        """The tokens (1, M, C) float32, on the device, of a picture (H, W, 3) uint8 sRGB."""
        job.report(0.0, "looking at the picture")
        preparation = self.config.preparation
        pixels = torch.from_numpy(resized_middle(white, preparation.resize, preparation.crop).copy())
        with self._running(triposg_files.load_encoder, self.half) as encoder:
            embeds = encoder(preparation.normalised(pixels).to(self.device)).float()
        if self.half and not embeds.isfinite().all():
            return replace(self, half=False).seen(white, job)
        check_finite(embeds, self.folder / self.config.layout.encoder)
        return embeds

    def encoded(self, surface: np.ndarray, seed: int, job: Span) -> Tensor:
        """The latents (1, TOKENS, channels) float32, on the CPU, of points of a surface with normals (N, 6) float32 in
        the networks' box, in an order without meaning. seed: of which points become tokens."""
        job.report(0.0, "encoding the coarse shape")
        random = torch.Generator().manual_seed(seed)
        candidates = torch.randperm(len(surface), generator=random)[: triposg.CANDIDATES * triposg.TOKENS]
        points = torch.from_numpy(surface)
        chosen = candidates[triposg.spread(points[candidates, :3], triposg.TOKENS)]
        with self._running(triposg_files.load_coder, half=False) as coder, ExitStack() as held:
            told = "encoding the coarse shape"
            held.enter_context(_reporting(coder.encoder.blocks, 1, lambda share: job.report(share, told)))
            latents = coder.encoded(points[None].to(self.device), chosen[None].to(self.device)).mean
        check_finite(latents, self.folder / triposg_files.CODER)
        return latents.cpu()

    def followed(
        self,
        start: Tensor,
        embeds: Tensor,
        levels: Tensor,
        guidance: float,
        job: Span,
        observed: Observed | None = None,
    ) -> Tensor:
        """Where the flow leads the latents `start` (1, N, channels) along the levels: float32, on the CPU. Again in
        single precision where half is too small. Raises Unable where that gives nothing finite; OutOfMemory."""
        wanted = embeds, levels, guidance, job, observed
        latents = self._followed(start, *wanted)
        if self.half and not latents.isfinite().all():  # too large for half precision somewhere
            full = replace(self, half=False)
            memory.require(self.device, full.needed(guided=observed is not None), {})
            latents = full._followed(start, *wanted)
        check_finite(latents, self.folder / triposg_files.FLOW)
        return latents

    def _followed(
        self, latents: Tensor, embeds: Tensor, levels: Tensor, guidance: float, job: Span, observed: Observed | None
    ) -> Tensor:
        job.report(0.0, "loading the network")
        steps = len(levels) - 1
        with ExitStack() as held:
            flow = held.enter_context(self._running(triposg_files.load_flow, self.half))
            guide = held.enter_context(self._guide(observed, levels, job)) if observed else None
            free = 0 if self.device.type == "cpu" else memory.free(self.device) or 0
            together = free >= 2 * self._activations()
            calls = steps * (1 if together or guidance == 1.0 else 2)
            held.enter_context(_reporting(flow.blocks, calls, lambda share: _denoising(share, steps, job)))
            latents, embeds = latents.to(self.device), embeds.to(self.device)
            for after in triposg.sampled(flow, latents, embeds, levels, guidance, together, guide):
                latents = after
                if not latents.isfinite().all():
                    break
        return latents.cpu()

    @contextmanager
    def _guide(self, observed: Observed, levels: Tensor, job: Span) -> Iterator[Guide]:
        def tell(number: int, total: int) -> None:
            job.report(0.0, "guiding", f"look {number} of {total} at what was seen")  # progress is told by the steps

        with loading(self.folder):
            coder = triposg_files.load_coder(self.folder, self.config)
        del coder.encoder
        yield Guide(coder.to(self.device), observed, levels, tell)

    def decoded(self, latents: Tensor, job: Span) -> dict[str, np.ndarray]:
        """The arrays of the field, for `surface`: tokens, and the weights that points meet."""
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
        with memory.guard(self.device), torch.no_grad(), precision:
            if half:
                hooks.halve(network, self.device)
            yield network.to(self.device)


def surface(arrays: Mapping[str, np.ndarray], device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    """The field that Stages.decoded gave the arrays of: points (N, 3) float32 within EXTENT -> (N,) float32."""
    tokens = torch.from_numpy(np.asarray(arrays["tokens"]))
    heads, frequencies = map(int, arrays["numbers"])
    sizes = triposg.ShapeConfig(width=tokens.shape[-1], layers=0, heads=heads, frequencies=frequencies)
    with torch.device("meta"):
        end = triposg.ShapeDecoder(sizes)
    weights = {name: torch.from_numpy(np.asarray(arrays[_END + name])) for name in end.state_dict()}
    end.load_state_dict(weights, assign=True)
    with memory.guard(device), torch.inference_mode():
        shape = triposg.Surface(tokens.to(device), end.eval().requires_grad_(False).to(device))
    return devices.for_arrays(shape.value, device, BATCH.get(device.type, BATCH["cpu"]))


def _reporting(blocks: nn.ModuleList, calls: int, tell: Callable[[float], None]) -> AbstractContextManager[None]:
    """Tells the share of the work that is done, and so hears a cancel, after each block; they are run `calls` times."""
    total, done = max(calls * len(blocks), 1), itertools.count(1)
    return hooks.after_each(blocks, lambda _: tell(next(done) / total))


def _denoising(share: float, steps: int, job: Span) -> None:
    job.report(share, "denoising", f"step {min(int(share * steps) + 1, steps)} of {steps}")


def _parameters(make: Callable[[], nn.Module]) -> int:
    """How many numbers the network has that would be made."""
    with torch.device("meta"):
        return sum(values.numel() for values in make().parameters())
