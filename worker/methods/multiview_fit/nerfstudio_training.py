# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits nerfstudio's nerfacto or neus-facto to posed pictures, as `grid_training` fits a grid: the same way in and out.

The loop, the rays and what is told meanwhile are ours; fields, samplers, renderers and losses are nerfstudio's (see
`networks.nerfstudio_fields`). What was learned becomes the same arrays as a grid's, so that a stored result needs no
nerfstudio. Imported on use, where nerfstudio is installed; it brings torch. Knows captures and the networks; must not
know requests, meshes or files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...cameras.capture import Capture
from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.view import View
from ..runtime import devices
from . import grid_field
from .grid_result import arrays_of
from .grid_space import Photo, photos_of
from .grid_training import PREVIEW_PIXELS, PREVIEW_SECONDS, Trained
from .nerfstudio_fields import FAR, Bundle, Nerfacto, NeusFacto, Sizes
from .nerfstudio_result import Asked, sampled
from .pixel_pool import PixelPool

__all__ = ["PLANS", "Learner", "Plan", "train"]

Engine = Literal["nerfacto", "neus-facto"]
_ENGINES = {"nerfacto": Nerfacto, "neus-facto": NeusFacto}
_MATTE = 0.1  # weight of opacities' errors beside colours'
_LAST = 0.1  # what is left of the rate of learning at the end
_ROOM = 0.05  # of the box's longest side around it: a ray that begins inside of matter sees no surface of a distance
_NEAR = 0.05  # of half the box: what is nearer to a camera is not looked for
_CHUNK = 4096  # rays that are rendered at once without gradients
_SPARE = 20.0  # previews take no more than one part in so many of the time
_LEVEL_RAYS, _LEVEL_PARTS = 2048, 4  # after which the level of a density is chosen


@dataclass(frozen=True)
class Plan:
    """pixels: longest side of the pictures that are learned. rays: per step. cells: along the box's longest side, of
    the result."""

    pixels: int
    rays: int
    steps: int
    cells: int
    sizes: Sizes = Sizes()
    seed: int = 0


PLANS: dict[str, Plan] = {
    "fast": Plan(400, 4096, 5_000, 192),
    "balanced": Plan(800, 4096, 15_000, 256),
    "high": Plan(800, 2048, 20_000, 320),
}


def train(
    capture: Capture,
    engine: Engine,
    plan: Plan,
    job: Job | Span,
    on_preview: Callable[[np.ndarray], None] = lambda picture: None,
    stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
) -> Trained:
    """Learns the capture; the arguments, what is told and the result are those of `grid_training.train`."""
    chosen = devices.pick(device)
    with devices.memory_guard(chosen):
        learner = Learner(capture, engine, plan, chosen)
        stopped = learner.learn(job.span(0.0, 0.95), on_preview, stop)
        arrays = learner.arrays(job.span(0.95, 1.0))
        return Trained(arrays, learner.psnr, learner.steps, stopped)


class Learner:
    """One training. steps: how many were done. psnr: of the learned pictures in dB, over the last steps."""

    def __init__(self, capture: Capture, engine: Engine, plan: Plan, device: torch.device) -> None:
        torch.manual_seed(plan.seed)
        self._plan, self._device, self._photos = plan, device, photos_of(capture.shots, plan.pixels, device)
        self._small = self._photos[0].resized(PREVIEW_PIXELS // (1 if device.type == "cuda" else 3))
        self._bounds, longest = capture.bounds, float(np.ptp(capture.bounds, axis=0).max())
        box = torch.tensor(capture.bounds, dtype=torch.float32, device=device)
        self._box = box + _ROOM * longest * torch.tensor([[-1.0], [1.0]], device=device)
        self._middle, self._half = box.mean(0), (0.5 + _ROOM) * longest
        self._around = self._photos[0].matte is None
        away = torch.stack([(photo.position - self._middle).norm() for photo in self._photos]).median()
        self._distance = float(away) / self._half + 1.0
        model = _ENGINES[engine](plan.sizes, len(self._photos), self._around, self._distance)
        self._model, self.steps, self._error = model.to(device), 0, math.nan
        self._pool = PixelPool(self._photos, self._box)
        self._optimizer = torch.optim.Adam(self._model.groups(), eps=1e-15)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)

    @property
    def psnr(self) -> float:
        return -10.0 * math.log10(max(self._error, 1e-10)) if self._error > 0.0 else math.nan

    def learn(self, job: Job | Span, on_preview: Callable[[np.ndarray], None], stop: Callable[[], bool]) -> bool:
        """All the plan's steps. Returns whether it was stopped before them."""
        pause, shown = PREVIEW_SECONDS, time.monotonic()
        while self.steps < self._plan.steps:
            loss = self._step()
            said = f"step {self.steps} of {self._plan.steps}, loss {loss:.4f}, {self.psnr:.1f} dB"
            job.report(self.steps / self._plan.steps, "learning the shape", said)
            if stop():
                return True
            if time.monotonic() - shown > pause:
                start = time.monotonic()
                on_preview(self._picture(self._small, job.check))
                shown = time.monotonic()
                pause = max(PREVIEW_SECONDS, _SPARE * (shown - start))
        return False

    def picture(self, view: View) -> np.ndarray:
        """(H, W, 3) uint8 sRGB: what a camera in the capture's world sees of what was learned, before white."""
        rotation, position = (
            torch.tensor(values, dtype=torch.float32, device=self._device) for values in (view.rotation, view.position)
        )
        blank = torch.zeros(view.camera.height, view.camera.width, 3, device=self._device)
        return self._picture(Photo(blank, None, view.camera, rotation, position), lambda: None)

    def arrays(self, job: Job | Span) -> dict[str, np.ndarray]:
        """What `grid_result.field` makes the field of."""
        self._model.eval()
        parts = [self._pool.drawn(_LEVEL_RAYS) for _ in range(_LEVEL_PARTS)]
        parts = [self._cast(part.origin, part.direction, part.photo) for part in parts]
        level = float(np.median([self._model.level(part) for part in parts]))
        asked = Asked(self._model, level, self._middle, self._half)
        return arrays_of(sampled(asked, self._photos, self._bounds, self._plan.cells, job))

    def _step(self) -> float:
        self._model.train()
        self._model.begin(self.steps, self.steps / self._plan.steps)
        drawn = self._pool.drawn(self._plan.rays)
        seen = self._model.seen(self._cast(drawn.origin, drawn.direction, drawn.photo))
        found, wanted = seen.colour, drawn.colour
        if not self._around:  # any background will do, and a random one can be confused with nothing
            behind = torch.rand_like(wanted)
            found = found + (1.0 - seen.opacity[:, None]) * behind
            wanted = wanted + (1.0 - drawn.matte[:, None]) * behind
        loss = self._model.colour_error(found, wanted) + seen.penalty
        if not self._around:
            loss = loss + _MATTE * (seen.opacity - drawn.matte).square().mean()
        told = loss.item()
        if not math.isfinite(told):
            raise Unable("the learning went astray (its numbers are no longer finite): choose the engine grid")
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        self._remember(float((found.detach() - wanted).square().mean()))
        self.steps += 1
        return told

    def _remember(self, error: float) -> None:
        whole = error * self._pool.share  # the other pixels are right
        self._error = whole if math.isnan(self._error) else 0.95 * self._error + 0.05 * whole

    def _rate(self, step: int) -> float:
        share = step / self._plan.steps
        warm = self._model.warm
        return (min(1.0, (share + 0.1 * warm) / warm) if warm else 1.0) * _LAST ** min(1.0, share)

    def _cast(self, origin: Tensor, direction: Tensor, picture: Tensor) -> Bundle:
        """The capture's rays in the model's space."""
        near, far = (values / self._half for values in grid_field.crossing(*self._box, origin, direction))
        if self._around and isinstance(self._model, Nerfacto):
            near, far = torch.full_like(near, _NEAR), torch.full_like(far, FAR * self._distance)
        return Bundle((origin - self._middle) / self._half, direction, near, far, picture)

    @torch.no_grad()
    def _picture(self, photo: Photo, check: Callable[[], None]) -> np.ndarray:
        self._model.eval()
        origin, direction = photo.rays()
        rays = self._cast(origin, direction, torch.zeros(len(origin), dtype=torch.long, device=self._device))
        colour = torch.ones_like(origin)
        asked = torch.arange(len(rays), device=self._device)
        if not self._around:
            asked = (rays.far > rays.near).nonzero()[:, 0]
        for part in asked.split(_CHUNK):
            check()
            seen = self._model.seen(rays[part])
            colour[part] = seen.colour + (0.0 if self._around else 1.0 - seen.opacity[:, None])
        whole = colour.view(photo.camera.height, photo.camera.width, 3).clamp(0.0, 1.0)
        return (whole * 255.0).round().to(torch.uint8).cpu().numpy()
