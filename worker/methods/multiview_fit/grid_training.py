# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits a radiance field on a grid to posed pictures, and makes it a field with a surface.

The stages of a plan follow each other, each with a finer grid: first as densities, which find the shape from nothing
(or from the outlines, where the pictures are cut out); then as signed distances, begun from what the cameras see in
that density, because a surface that light does not pass is what a mesh needs. Imported on use: it brings torch.
Knows captures and `networks.grid_field`; must not know requests, meshes or files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...cameras.capture import Capture
from ...core.job import Job, Span
from ..runtime import devices
from . import grid_field
from .grid_field import Rays
from .grid_model import SOFT, Model, finer, haze, surface
from .grid_result import arrays_of, field, picture
from .grid_space import Lattice, Photo, grown, photos_of

__all__ = ["PRESETS", "Plan", "Stage", "Trained", "field", "picture", "train"]

PREVIEW_SECONDS, PREVIEW_PIXELS = 4.0, 128
_PREVIEW_SHARE = 0.05  # of the time, at most
_POOL = 3_000_000  # pixels that are learned at most, some hundred bytes each: more are thinned out by chance
_MARGIN = 0.05  # how much of a picture's size around the thing is learned as well
_SHARP = 3.0  # sharpness of surfaces per cell after four fifths of a stage
_RATES = {"density": (0.1, 0.05), "surface": (0.06, 0.06)}  # of learning, for shapes and colours
_EXPOSURE = 0.03  # rate at which the photos' exposures are learned
_MATTE = 0.1  # weight of opacities' errors beside colours'
_PLAIN = 0.02  # share by which colours depend less on the direction after each step, lest that explains wrong shapes
_SMOOTH, _EVEN, _SPOTS = 0.03, 0.01, 0.03  # weights of a surface's roughness beside the error of colours
_SELDOM = 4  # steps between those that touch all colours, which takes as long as all else
_REGULARISED = 8192  # places at which that is looked at in each step


@dataclass(frozen=True)
class Stage:
    """cells: along the box's longest side. steps: of the optimisation."""

    kind: Literal["density", "surface"]
    cells: int
    steps: int


@dataclass(frozen=True)
class Plan:
    """pixels: longest side of the pictures that are learned. rays: per step. stride: between samples, in cells."""

    pixels: int
    rays: int
    stages: tuple[Stage, ...]
    stride: float = 0.75
    seed: int = 0


PRESETS = {
    "fast": Plan(200, 4096, (Stage("density", 64, 200), Stage("surface", 128, 400))),
    "balanced": Plan(400, 4096, (Stage("density", 80, 300), Stage("surface", 128, 400), Stage("surface", 192, 600))),
    "high": Plan(800, 8192, (Stage("density", 128, 1500), Stage("surface", 192, 1500), Stage("surface", 320, 3000))),
}


@dataclass(frozen=True, eq=False)
class Trained:
    """What was learned. arrays: what `field` needs. psnr: of the learned pictures in dB, over the last steps.
    steps: how many were done. stopped: whether before the plan's end."""

    arrays: dict[str, np.ndarray]
    psnr: float
    steps: int
    stopped: bool


@dataclass(frozen=True, eq=False)
class Pool:
    """Pixels to learn from: rays ready for a grid, origins (R, 3), colours (R, 3) times matte, mattes (R,), and which
    photo each is of (R,) int64."""

    rays: Rays
    origin: Tensor
    colour: Tensor
    matte: Tensor
    photo: Tensor


def train(
    capture: Capture,
    plan: Plan,
    job: Job | Span,
    on_preview: Callable[[np.ndarray], None] = lambda picture: None,
    stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
) -> Trained:
    """Learns the capture. The same capture, plan and device give the same result, but
    for the rounding of sums on several threads.

    job.report hears every step, and may raise to cancel. on_preview: hears pictures (h, w, 3) uint8 of what is learned,
    from the first shot's place, every few seconds. stop: asked every step; True ends the learning, and what there is
    then becomes the result. Raises Unable where there are too few pictures or nothing to see in them.
    """
    chosen = devices.pick(device)
    with devices.memory_guard(chosen):
        run = _Run(photos_of(capture.shots, plan.pixels, chosen), capture.bounds, plan, job, on_preview, stop)
        return run.result()


class _Run:
    """One training."""

    def __init__(
        self,
        photos: list[Photo],
        bounds: np.ndarray,
        plan: Plan,
        job: Job | Span,
        on_preview: Callable[[np.ndarray], None],
        stop: Callable[[], bool],
    ) -> None:
        self._photos, self._bounds, self._plan, self._job, self._stop = photos, bounds, plan, job, stop
        self._on_preview, self._small = on_preview, photos[0].resized(PREVIEW_PIXELS)
        self._due = time.monotonic() + PREVIEW_SECONDS
        self._device = photos[0].position.device
        self._random = torch.Generator(self._device).manual_seed(plan.seed)
        self._step, self._error, self._stopped = 0, math.nan, False
        self._total = sum(stage.steps for stage in plan.stages)
        self._pixels = sum(photo.colour[..., 0].numel() for photo in photos)
        pixels = zip(*(_pixels(photo, number) for number, photo in enumerate(photos)))
        chosen = [torch.cat(values) for values in pixels]
        count = len(chosen[0])
        if count > _POOL:
            some = torch.randperm(count, generator=self._random, device=self._device)[:_POOL]
            chosen, self._pixels = [values[some] for values in chosen], self._pixels * _POOL // count
        self._origin, self._direction, self._colour, self._matte, self._photo = chosen
        self._exposure = torch.zeros(len(photos), 3, device=self._device, requires_grad=True)

    def result(self) -> Trained:
        model: Model | None = None
        for stage in self._plan.stages:
            if self._stopped and model is not None and model.distance is not None:
                break
            self._job.report(self._step / self._total, "preparing the grid")
            model = self._begun(stage, model)
            model = self._learned(stage, model)
        psnr = -10.0 * math.log10(self._error) if self._error > 0.0 else math.nan
        arrays = {**arrays_of(model), "gains": self._gains().detach().cpu().numpy()}
        return Trained(arrays, psnr, self._step, self._stopped)

    def _gains(self) -> Tensor:
        """(P, 3) how much brighter each photo is than what is learned, in each colour; one on the (geometric) mean."""
        return torch.exp(self._exposure - self._exposure.mean(0))

    def _begun(self, stage: Stage, before: Model | None) -> Model:
        lattice = Lattice.over(self._bounds, stage.cells)
        if stage.kind == "surface":
            return surface(self._photos, lattice, before, self._plan.stride)
        return haze(self._photos, lattice) if before is None else finer(before, lattice)

    def _learned(self, stage: Stage, model: Model) -> Model:
        pool, length = self._pool(model)
        optimizer = _optimizer(stage, model)
        optimizer.add_param_group({"params": [self._exposure], "lr": _EXPOSURE})
        fade = 0.1 ** (1.0 / max(stage.steps, 1)) if stage.kind == "surface" else 1.0
        neighbours = model.neighbours() if stage.kind == "surface" else None
        for number in range(stage.steps):
            self._stopped = self._stopped or self._stop()
            if self._stopped:
                break
            model = replace(model, sharpness=_sharpness(stage, number))
            loss = self._loss(model, pool, length)
            now_and_then = number % _SELDOM == 0
            if neighbours is not None:
                loss = loss + self._roughness(model, neighbours)
            if neighbours is not None and now_and_then:
                loss = loss + self._spots(model, neighbours)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if now_and_then:
                with torch.no_grad():
                    model.colours.view(-1, 3, 4)[:, :, 1:] *= (1.0 - _PLAIN) ** _SELDOM
            for group in optimizer.param_groups:
                group["lr"] *= fade
            self._tell(model, float(loss.detach()), length)
        return _settled(model)

    def _pool(self, model: Model) -> tuple[Pool, float]:
        """The rays to learn from, and the distance between their samples.

        What misses the grid of a thing that is cut out misses all later ones, too, and is right as it is.
        """
        length = self._plan.stride * model.lattice.spacing
        rays = grid_field.cast(model.grid, self._origin, self._direction, length)
        if model.around is None:
            hit = rays.segments.any(1).nonzero()[:, 0]
            rays, self._origin, self._direction = rays[hit], self._origin[hit], self._direction[hit]
            self._colour, self._matte, self._photo = self._colour[hit], self._matte[hit], self._photo[hit]
        return Pool(rays, self._origin, self._colour, self._matte, self._photo), length

    def _loss(self, model: Model, pool: Pool, length: float) -> Tensor:
        count = self._plan.rays
        some = torch.randint(len(pool.matte), (count,), generator=self._random, device=self._device)
        shift = torch.rand(count, generator=self._random, device=self._device)
        rays, matte = pool.rays[some], pool.matte[some]
        if model.around is None:  # any background will do, and a random one can be confused with nothing
            behind = torch.rand(count, 3, generator=self._random, device=self._device)
        else:
            behind = model.around.seen(pool.origin[some], rays.direction, shift)
        seen, _, _ = model.seen(rays, length, shift)
        gain = self._gains()[pool.photo[some]]
        true = pool.colour[some] + (1.0 - matte[:, None]) * (behind * gain)
        error = ((seen.colour + (1.0 - seen.opacity[:, None]) * behind) * gain - true).square().mean()
        whole = float(error.detach()) * len(pool.matte) / self._pixels  # the other rays are right
        self._error = whole if math.isnan(self._error) else 0.95 * self._error + 0.05 * whole
        return error if model.around else error + _MATTE * (seen.opacity - matte).square().mean()

    def _roughness(self, model: Model, neighbours: Tensor) -> Tensor:
        """How far a signed distance's slope is from one, and from its neighbours' mean, at some places."""
        cells = model.grid.rows[self._some(len(model.grid.rows))]
        corners = model.shape[:, 0][cells].view(-1, 2, 2, 2)
        slope = torch.stack([corners.diff(dim=axis).mean((1, 2, 3)) for axis in (1, 2, 3)], 1)
        around = neighbours[self._some(len(neighbours))]
        bend = _beside(model.shape, around).square().mean()
        return _EVEN * (slope.norm(dim=1) - 1.0).square().mean() + _SMOOTH * bend

    def _spots(self, model: Model, neighbours: Tensor) -> Tensor:
        """How far colours are from their neighbours' mean at some places: else what no picture shows well is noise."""
        around = neighbours[self._some(len(neighbours))[: _REGULARISED // 2]]
        return _SELDOM * _SPOTS * _beside(model.colours, around).square().mean()

    def _some(self, count: int) -> Tensor:
        return torch.randint(count, (_REGULARISED,), generator=self._random, device=self._device)

    def _tell(self, model: Model, loss: float, length: float) -> None:
        self._step += 1
        psnr = -10.0 * math.log10(max(self._error, 1e-10))
        said = f"step {self._step} of {self._total}, loss {loss:.4f}, {psnr:.1f} dB"
        self._job.report(self._step / self._total, "learning the shape", said)
        start = time.monotonic()
        if start >= self._due:
            colours = model.views(self._small, length)[0].view(self._small.colour.shape)
            self._on_preview((colours.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).cpu().numpy())
            end = time.monotonic()
            self._due = end + max(PREVIEW_SECONDS, (end - start) / _PREVIEW_SHARE)


def _pixels(photo: Photo, number: int) -> tuple[Tensor, ...]:
    """A photo's rays' origins and directions, colours, mattes and its number; around the thing, where that is known."""
    matte = torch.ones_like(photo.colour[..., 0]) if photo.matte is None else photo.matte
    near = grown(matte > 0.02, math.ceil(_MARGIN * max(matte.shape))).view(-1)
    origin, direction = photo.rays()
    which = torch.full_like(matte, number, dtype=torch.long).view(-1)
    return origin[near], direction[near], photo.colour.view(-1, 3)[near], matte.view(-1)[near], which[near]


def _beside(table: Tensor, around: Tensor) -> Tensor:
    """(M, C) how far the neighbours' mean is from a corner's own numbers; around: (M, 7) rows, the corner's first."""
    rows = table.index_select(0, around.view(-1)).view(len(around), 7, -1)
    return rows[:, 1:].mean(1) - rows[:, 0]


def _optimizer(stage: Stage, model: Model) -> torch.optim.Optimizer:
    """Of all the model's numbers, which learn from here on."""
    rates = _RATES[stage.kind]
    tables = [model.shape, model.colours]
    if model.around is not None:
        tables += [model.around.shape, model.around.colours]
    groups = [{"params": [table.requires_grad_()], "lr": rate} for table, rate in zip(tables, rates * 2)]
    return torch.optim.Adam(groups, betas=(0.9, 0.99), fused=tables[0].device.type != "mps")


def _settled(model: Model) -> Model:
    around = model.around
    if around is not None:
        around = replace(around, shape=around.shape.detach(), colours=around.colours.detach())
    return replace(model, shape=model.shape.detach(), colours=model.colours.detach(), around=around)


def _sharpness(stage: Stage, number: int) -> float:
    if stage.kind == "density":
        return 0.0
    return SOFT * (_SHARP / SOFT) ** min(1.0, number / (0.8 * stage.steps))
