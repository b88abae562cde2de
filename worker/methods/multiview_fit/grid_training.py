# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits a radiance field on a grid to views, and makes it a surface.

A thing that is cut out of its pictures has the shape that its outlines tell, with its hollows, moved to where photos
agree, and only colours are learned: of a mug and an apple, learned shapes were rougher (by 14 degrees) and no nearer to
the scans (F within 2 %).

The shape of a place is what its photos see in common (`stereo`), and only colours are learned, too.

The shape of what neither tells is learned. The stages of a plan follow each other, each with a finer grid: first
as densities, which find the shape from nothing; then as signed distances, begun from what the cameras see in that
density, because a surface that light does not pass is what a mesh needs. Imported on use: it brings torch. Knows
captures and grids; must not know requests, meshes or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...cameras.capture import Capture
from ...core.job import Job, Span
from ..runtime import memory
from . import grid_field, stereo
from .grid_field import Rays
from .grid_model import COLOUR_BAND, SOFT, Model, finer, from_distance, haze, surface
from .grid_result import rounded
from .grid_space import Lattice, tensors_of
from .outlined import outlined_shape, told
from .pixel_pool import Drawn, PixelPool
from .training import PREVIEW_PIXELS, Teller, Trained, as_picture

_MOST_PIXELS = 3_000_000
"""Are learned, some hundred bytes each with their rays, and no more than will be drawn: others are thinned out by
chance."""
_SHARP = 3.0  # sharpness of surfaces per cell after four fifths of a stage, NeuS's 1 / s: nine tenths within a cell
_RATES = {
    "density": (0.1, 0.05),
    "surface": (0.06, 0.06),
    "colours": (0.0, 0.06),
}  # of learning, for shapes and colours (DVGO: 0.1)
_EXPOSURE = 0.03  # rate at which the views' exposures are learned

_MASK = 0.1
"""Weight of opacities' errors beside colours', as NeuS's mask loss (0.1)."""

_EIKONAL = 0.01
"""Weight of a signed distance's squared difference of slope from one (NeuS: 0.1)."""

_LAPLACIAN = 0.03
"""Weight of a signed distance's squared Laplacian: of its difference from its six neighbours' mean, in cells."""

_COLOUR_LAPLACIAN = 0.03
"""The same of colours, where DVGO has total variation: else what no picture shows well is noise."""

_DIRECTIONAL_DECAY = 0.02
"""Share by which colours depend less on the direction after each step, lest that explains wrong shapes."""

_SURFACE = 90_000
"""Bytes while it is learned, with gradients and what Adam keeps, for each cell of the finest grid that a side of a cube
as large as what the first grid fills would have, squared: what is learned last is a band around a surface. Measured on
the processor, for the sugar box of 32 photos: 66,000, 90,000 and 75,000 with the three presets (294, 848 and 1803 MB).
Too small fails later, too large refuses what works."""

_COLOURED = 800
"""The same for each corner of the band around a surface of which only the colours are learned."""

_SWEPT, _SHAPED = 0.4, 0.6  # of the time, before what photos of a place see is joined, and before colours are learned
_LEAST_SEEN = 0.05  # of all pixels: photos that have less in common tell no shape
_SELDOM = 4  # steps between those that touch all colours, which takes as long as all else
_REGULARISED = 8192  # places at which the distance is looked at in each step


@dataclass(frozen=True)
class Stage:
    """cells: along the box's longest side. steps: of the optimisation. kind: what is learned beside the colours: a
    density, a signed distance, or nothing where outlines tell the shape."""

    kind: Literal["density", "surface", "colours"]
    cells: int
    steps: int


@dataclass(frozen=True)
class Plan:
    """pixels: longest side of the pictures that are learned. rays: per step. outlined, placed: the one stage for what
    is cut out, and for a place whose shape its photos tell; None: as others. stride: between samples, in cells."""

    pixels: int
    rays: int
    stages: tuple[Stage, ...]
    outlined: Stage | None = None
    placed: Stage | None = None
    stride: float = 0.75
    seed: int = 0


PRESETS = {
    "fast": Plan(
        200,
        4096,
        (Stage("density", 64, 200), Stage("surface", 128, 400)),
        Stage("colours", 128, 200),
        Stage("colours", 128, 300),
    ),
    "balanced": Plan(
        400,
        4096,
        (Stage("density", 80, 300), Stage("surface", 128, 400), Stage("surface", 192, 600)),
        Stage("colours", 192, 300),
        Stage("colours", 192, 500),
    ),
    "high": Plan(
        800,
        8192,
        (Stage("density", 128, 1500), Stage("surface", 192, 1500), Stage("surface", 320, 3000)),
        Stage("colours", 256, 600),
        Stage("colours", 288, 1000),
    ),
}


def train(
    capture: Capture,
    plan: Plan,
    job: Job | Span,
    device: torch.device,
    on_preview: Callable[[np.ndarray], None] = lambda picture: None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Learns the capture. The same capture, plan and device give the same result, but for the rounding of sums on
    several threads.

    job.report hears every step, and may raise to cancel. on_preview: hears pictures (h, w, 3) uint8 of what is learned,
    from the first view's place, every few seconds. stop: asked every step; True ends the learning, and what there is
    then becomes the result. Raises Unable where there are too few pictures or nothing to see in them.
    """
    return _Training(capture, plan, job, device, on_preview, stop).result()


def placed_shape(
    capture: Capture, pixels: int, lattice: Lattice, job: Job | Span
) -> tuple[np.ndarray, np.ndarray] | None:
    """Signed distances (X + 1, Y + 1, Z + 1) in cells of what photos of a place see in common, and where they are known
    (bool); None where that is hardly anything. pixels, job: as of `outlined_shape`,
    up to the share that colours leave."""
    views = tensors_of(capture.views, pixels, torch.device("cpu"))
    seen = stereo.distances(views, capture.points, capture.bounds, told(job.span(0.0, _SWEPT)))
    if float(torch.cat(seen).isfinite().float().mean()) < _LEAST_SEEN:
        return None
    joining = job.span(_SWEPT, _SHAPED)
    distance, known = stereo.fused(views, seen, lattice, lambda share: joining.report(share, "joining what photos see"))
    return (distance, known) if (known & (np.abs(distance) < 1.0)).any() else None


class _Training:
    """One training."""

    def __init__(
        self,
        capture: Capture,
        plan: Plan,
        job: Job | Span,
        device: torch.device,
        on_preview: Callable[[np.ndarray], None],
        stop: Callable[[], bool],
    ) -> None:
        self._capture, self._plan, self._job, self._stop, self._stopped = capture, plan, job, stop, False
        self._views = tensors_of(capture.views, plan.pixels, device)
        outlined = plan.outlined is not None and self._views[0].mask is not None
        self._placed = None
        if plan.placed is not None and self._views[0].mask is None:
            self._placed = placed_shape(capture, plan.pixels, Lattice.over(capture.bounds, plan.placed.cells), job)
        only = plan.outlined if outlined else plan.placed if self._placed else None
        self._stages = plan.stages if only is None else (only,)
        self._small = self._views[0].resized(PREVIEW_PIXELS)
        self._random = torch.Generator().manual_seed(plan.seed)  # on the CPU, so that a seed means the same everywhere
        box = torch.tensor(capture.bounds, dtype=torch.float32, device=device)
        drawn = plan.rays * sum(stage.steps for stage in self._stages)
        self._pool = PixelPool.of(self._views, box, min(_MOST_PIXELS, drawn), self._random)
        self._exposure = torch.zeros(len(self._views), 3, device=device, requires_grad=True)
        learning = job if only is None else job.span(_SHAPED, 1.0)
        self._teller = Teller(learning, sum(stage.steps for stage in self._stages), on_preview)

    def result(self) -> Trained:
        model: Model | None = None
        for stage in self._stages:
            if self._stopped and model is not None and model.distance is not None:
                break
            self._teller.tell("preparing the grid")
            begun = self._begun(stage, model)
            if model is None:
                _require_memory(begun, stage, self._plan, self._exposure.device)
            model = self._learned(stage, begun)
        gains = self._gains().detach().cpu().numpy()
        return Trained(rounded(model), gains, self._teller.psnr, self._teller.steps, self._stopped)

    def _gains(self) -> Tensor:
        """(V, 3) how much brighter each view is than what is learned, in each colour; one on the (geometric) mean."""
        return torch.exp(self._exposure - self._exposure.mean(0))

    def _begun(self, stage: Stage, before: Model | None) -> Model:
        lattice = Lattice.over(self._capture.bounds, stage.cells)
        if stage.kind == "colours" and self._placed is not None:
            distance, known = self._placed
            return from_distance(distance, lattice, self._exposure.device, known=known, band=COLOUR_BAND)
        if stage.kind == "colours":
            _, distance = outlined_shape(self._capture, self._plan.pixels, lattice, self._job.span(0.0, _SHAPED))
            return from_distance(distance, lattice, self._exposure.device, band=COLOUR_BAND)
        if stage.kind == "surface":
            return surface(self._views, lattice, before, self._plan.stride)
        return haze(self._views, lattice) if before is None else finer(before, lattice)

    def _learned(self, stage: Stage, model: Model) -> Model:
        length = self._plan.stride * model.lattice.spacing
        rays, optimizer = self._cast(model, length), _optimizer(stage, model, self._exposure)
        fade = 1.0 if stage.kind == "density" else 0.1 ** (1.0 / max(stage.steps, 1))
        neighbours = None if stage.kind == "density" else model.neighbours()
        memory.release()
        for number in range(stage.steps):
            self._stopped = self._stopped or self._stop()
            if self._stopped:
                break
            model, seldom = replace(model, sharpness=_sharpness(stage, number)), number % _SELDOM == 0
            loss, error = self._loss(model, rays, length)
            if neighbours is not None:
                loss = loss + self._roughness(model, neighbours, seldom)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if seldom:
                with torch.no_grad():
                    model.colours.view(-1, 3, 4)[:, :, 1:] *= (1.0 - _DIRECTIONAL_DECAY) ** _SELDOM
            for group in optimizer.param_groups:
                group["lr"] *= fade
            self._teller.step(error, lambda model=model: self._preview(model, length))
        return model.detached()

    def _cast(self, model: Model, length: float) -> Rays:
        """The rays of all pixels, to be sampled every `length`.

        What misses the grid of a thing that is cut out misses all later ones, too, and is right as it is.
        """
        rays = grid_field.cast(model.grid, *self._pool.rays(slice(None)), length)
        if model.around is not None:
            return rays
        hit = rays.segments.any(1).nonzero()[:, 0]
        self._pool = self._pool.kept(hit)
        return rays[hit]

    def _loss(self, model: Model, rays: Rays, length: float) -> tuple[Tensor, float]:
        """The error of some pixels, to be made smaller, and the mean square error of all pictures' colours."""
        some = self._pool.chance(self._plan.rays, self._random)
        shift = torch.rand(len(some), generator=self._random).to(some.device)
        drawn, cast = self._pool.drawn(some), rays[some]
        behind = self._behind(model, drawn, shift)
        seen, _, _ = model.seen(cast, length, shift)
        gain = self._gains()[drawn.view]
        true = drawn.colour + (1.0 - drawn.mask[:, None]) * (behind * gain)
        error = ((seen.colour + (1.0 - seen.opacity[:, None]) * behind) * gain - true).square().mean()
        whole = float(error.detach()) * self._pool.share  # the other rays are right
        loss = error if model.around else error + _MASK * (seen.opacity - drawn.mask).square().mean()
        return loss, whole

    def _behind(self, model: Model, drawn: Drawn, shift: Tensor) -> Tensor:
        """(R, 3) what is seen behind the grid."""
        if model.around is not None:
            return model.around.seen(drawn.origin, drawn.direction, shift)
        # any background will do, and a random one can be confused with nothing
        return torch.rand(drawn.colour.shape, generator=self._random).to(shift.device)

    def _roughness(self, model: Model, neighbours: Tensor, colours_too: bool) -> Tensor | float:
        """The eikonal and Laplacian terms of a signed distance at some places, where it learns, and now and then those
        of colours."""
        rough = self._shape_roughness(model, neighbours) if model.shape.requires_grad else 0.0
        if not colours_too:
            return rough
        around = neighbours[self._some(len(neighbours))[: _REGULARISED // 2]]
        return rough + _SELDOM * _COLOUR_LAPLACIAN * _laplacian(model.colours, around).square().mean()

    def _shape_roughness(self, model: Model, neighbours: Tensor) -> Tensor:
        cells = model.grid.rows[self._some(len(model.grid.rows))]
        corners = model.shape[:, 0][cells].view(-1, 2, 2, 2)
        slope = torch.stack([corners.diff(dim=axis).mean((1, 2, 3)) for axis in (1, 2, 3)], 1)
        around = neighbours[self._some(len(neighbours))]
        bend = _laplacian(model.shape, around).square().mean()
        return _EIKONAL * (slope.norm(dim=1) - 1.0).square().mean() + _LAPLACIAN * bend

    def _some(self, count: int) -> Tensor:
        return torch.randint(count, (_REGULARISED,), generator=self._random).to(self._exposure.device)

    def _preview(self, model: Model, length: float) -> np.ndarray:
        camera = self._small.camera
        return as_picture(model.views(self._small, length)[0], camera.height, camera.width)


def _require_memory(first: Model, stage: Stage, plan: Plan, device: torch.device) -> None:
    """Raises OutOfMemory where the plan's finest grid will not fit, told by how much of its box the first one fills."""

    def needed(other: Plan) -> int:
        only = other.placed if first.around else other.outlined
        if stage.kind == "colours" and only:
            return round(_COLOURED * len(first.shape) * (only.cells / stage.cells) ** 2)
        finest = max(each.cells for each in other.stages)
        return round(_SURFACE * (len(first.shape) ** (1 / 3) * finest / stage.cells) ** 2)

    memory.require(device, needed(plan), {name: needed(other) for name, other in PRESETS.items()})


def _laplacian(table: Tensor, around: Tensor) -> Tensor:
    """(M, C) how far the neighbours' mean is from a corner's own numbers; around: (M, 7) rows, the corner's first."""
    rows = table.index_select(0, around.view(-1).long()).view(len(around), 7, -1)
    return rows[:, 1:].mean(1) - rows[:, 0]


def _optimizer(stage: Stage, model: Model, exposure: Tensor) -> torch.optim.Optimizer:
    """Of all the model's numbers that the stage learns, which learn from here on, and of the exposures."""
    tables = [(model.shape, model.colours)]
    if model.around is not None:
        tables.append((model.around.shape, model.around.colours))
    around = _RATES["surface" if stage.kind == "colours" else stage.kind]
    rates = zip((table for pair in tables for table in pair), _RATES[stage.kind] + around)
    groups = [{"params": [table.requires_grad_()], "lr": rate} for table, rate in rates if rate]
    groups.append({"params": [exposure], "lr": _EXPOSURE})
    return torch.optim.Adam(groups, betas=(0.9, 0.99), fused=exposure.device.type != "mps")


def _sharpness(stage: Stage, number: int) -> float:
    if stage.kind != "surface":
        return 0.0 if stage.kind == "density" else _SHARP
    return SOFT * (_SHARP / SOFT) ** min(1.0, number / (0.8 * stage.steps))
