# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits nerfstudio's nerfacto or neus-facto to views, as `grid_training` fits a grid: the same way in and out.

The loop, the rays and what is told meanwhile are ours; fields, samplers, renderers and losses are nerfstudio's (see
`nerfstudio_fields`). What was learned becomes a grid's model, so that a stored result needs no nerfstudio. Imported on
use, where nerfstudio is installed; it brings torch. Knows captures and the networks; must not know requests, meshes or
files.
"""

from __future__ import annotations

import math
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
from . import grid_field
from .grid_model import Model
from .grid_result import rounded
from .grid_space import ViewTensors, blank_tensors, tensors_of
from .nerfstudio_fields import FAR, Bundle, Nerfacto, NeusFacto, Sizes
from .nerfstudio_result import Asked, sampled
from .pixel_pool import PixelPool
from .training import PREVIEW_PIXELS, Teller, Trained, as_picture

Engine = Literal["nerfacto", "neus-facto"]
_ENGINES = {"nerfacto": Nerfacto, "neus-facto": NeusFacto}
_MASK = 0.1  # weight of opacities' errors beside colours', as NeuS's mask loss
_LAST = 0.1  # what is left of the rate of learning at the end
_ROOM = 0.05  # of the box's longest side around it: a ray that begins inside of matter sees no surface of a distance
_NEAR = 0.05  # of half the box: what is nearer to a camera is not looked for
_CHUNK = 4096  # rays that are rendered at once without gradients
_MOST_PIXELS = 40_000_000  # are learned, twelve bytes each
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
    device: torch.device,
    on_preview: Callable[[np.ndarray], None] = lambda picture: None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Learns the capture; the arguments, what is told and the result are those of `grid_training.train`."""
    learner = Learner(capture, engine, plan, device)
    teller = Teller(job.span(0.0, 0.95), plan.steps, on_preview)
    stopped = learner.learn(teller, stop, job.check)
    model = rounded(learner.model(job.span(0.95, 1.0)))
    return Trained(model, np.ones((len(capture.views), 3), np.float32), teller.psnr, teller.steps, stopped)


class Learner:
    """One training."""

    def __init__(self, capture: Capture, engine: Engine, plan: Plan, device: torch.device) -> None:
        torch.manual_seed(plan.seed)
        self._random = torch.Generator().manual_seed(plan.seed)  # on the CPU: the same everywhere
        self._plan, self._device, self._views = plan, device, tensors_of(capture.views, plan.pixels, device)
        self._small = self._views[0].resized(PREVIEW_PIXELS // (1 if device.type == "cuda" else 3))
        self._bounds, longest = capture.bounds, float(np.ptp(capture.bounds, axis=0).max())
        box = torch.tensor(capture.bounds, dtype=torch.float32, device=device)
        self._box = box + _ROOM * longest * torch.tensor([[-1.0], [1.0]], device=device)
        self._middle, self._half = box.mean(0), (0.5 + _ROOM) * longest
        self._around = self._views[0].mask is None
        away = torch.stack([(view.position - self._middle).norm() for view in self._views]).median()
        self._distance = float(away) / self._half + 1.0
        solid = _ENGINES[engine](plan.sizes, len(self._views), self._around, self._distance)
        self._solid, self._steps = solid.to(device), 0
        self._pool = PixelPool.of(self._views, self._box, _MOST_PIXELS, self._random)
        self._optimizer = torch.optim.Adam(self._solid.groups(), eps=1e-15)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)

    def learn(self, teller: Teller, stop: Callable[[], bool], check: Callable[[], None]) -> bool:
        """All the plan's steps. Returns whether it was stopped before them. check: raises Cancelled."""
        while self._steps < self._plan.steps:
            teller.step(self._step(), lambda: self._picture(self._small, check))
            if stop():
                return True
        return False

    def picture(self, view: View) -> np.ndarray:
        """(H, W, 3) uint8 sRGB: what a camera in the capture's world sees of what was learned, before white."""
        return self._picture(blank_tensors(view, self._device), lambda: None)

    def model(self, job: Job | Span) -> Model:
        """What was learned, on a grid."""
        self._solid.eval()
        parts = [self._pool.drawn(self._pool.chance(_LEVEL_RAYS, self._random)) for _ in range(_LEVEL_PARTS)]
        parts = [self._cast(part.origin, part.direction, part.view) for part in parts]
        level = float(np.median([self._solid.level(part) for part in parts]))
        asked = Asked(self._solid, level, self._middle, self._half)
        return sampled(asked, self._views, self._bounds, self._plan.cells, job)

    def _step(self) -> float:
        """The mean square error of all pictures' colours."""
        self._solid.train()
        self._solid.begin(self._steps, self._steps / self._plan.steps)
        drawn = self._pool.drawn(self._pool.chance(self._plan.rays, self._random))
        seen = self._solid.seen(self._cast(drawn.origin, drawn.direction, drawn.view))
        found, wanted = seen.colour, drawn.colour
        if not self._around:  # any background will do, and a random one can be confused with nothing
            behind = torch.rand(wanted.shape, generator=self._random).to(wanted)
            found = found + (1.0 - seen.opacity[:, None]) * behind
            wanted = wanted + (1.0 - drawn.mask[:, None]) * behind
        loss = self._solid.colour_error(found, wanted) + seen.penalty
        if not self._around:
            loss = loss + _MASK * (seen.opacity - drawn.mask).square().mean()
        if not math.isfinite(loss.item()):
            raise Unable("the learning went astray (its numbers are no longer finite): choose the network photos")
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        self._steps += 1
        return float((found.detach() - wanted).square().mean()) * self._pool.share  # the other pixels are right

    def _rate(self, step: int) -> float:
        share = step / self._plan.steps
        warm = self._solid.warm
        return (min(1.0, (share + 0.1 * warm) / warm) if warm else 1.0) * _LAST ** min(1.0, share)

    def _cast(self, origin: Tensor, direction: Tensor, picture: Tensor) -> Bundle:
        """The capture's rays in the model's space."""
        near, far = (values / self._half for values in grid_field.crossing(*self._box, origin, direction))
        if self._around and self._solid.looks_to_infinity:
            near, far = torch.full_like(near, _NEAR), torch.full_like(far, FAR * self._distance)
        return Bundle((origin - self._middle) / self._half, direction, near, far, picture)

    @torch.no_grad()
    def _picture(self, view: ViewTensors, check: Callable[[], None]) -> np.ndarray:
        self._solid.eval()
        origin, direction = view.rays()
        rays = self._cast(origin, direction, torch.zeros(len(origin), dtype=torch.long, device=self._device))
        colour = torch.ones_like(origin)
        asked = torch.arange(len(rays), device=self._device)
        if not self._around:
            asked = (rays.far > rays.near).nonzero()[:, 0]
        for part in asked.split(_CHUNK):
            check()
            seen = self._solid.seen(rays[part])
            colour[part] = seen.colour + (0.0 if self._around else 1.0 - seen.opacity[:, None])
        return as_picture(colour, view.camera.height, view.camera.width)
