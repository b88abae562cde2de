# SPDX-License-Identifier: GPL-3.0-or-later
"""What one of nerfstudio's fields becomes: a signed distance and colours on a grid, as a grid's training leaves them.

A mesh asks for no more than that, at no finer steps, and a stored result can be read where nerfstudio is not installed.
Imported on use: it brings torch. Must not know how the field was learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...core.errors import Unable
from ...core.job import Job, Span
from . import grid_field
from .grid_field import Grid
from .grid_model import Model, near_surface
from .grid_space import Lattice, ViewTensors, hull, redistanced

_COARSE = 4  # cells along a side of those in which matter is excluded
_BATCH = 1 << 17  # points that are asked for at once
_SHARPNESS = 3.0  # of the surface in pictures, per cell
_NEAR = 2.0  # cells from the surface within which distances are believed


class Solid(Protocol):
    """A learned field in a space of its own: value (N, 3) -> (N,), larger inside; colours along directions (N, 3)."""

    def value(self, points: Tensor) -> Tensor: ...

    def colours(self, points: Tensor, direction: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Asked:
    """A learned field with the level of exp(value) at its surface, and its place in the capture's world: `middle` (3,)
    is its origin, `half` as long as its unit."""

    solid: Solid
    level: float
    middle: Tensor
    half: float

    @torch.no_grad()
    def outside(self, points: Tensor) -> Tensor:
        """(N,) for points (N, 3) of the world: negative inside, zero on the surface."""
        return math.log(self.level) - self.solid.value((points - self.middle) / self.half)

    @torch.no_grad()
    def colours(self, points: Tensor, direction: Tensor) -> Tensor:
        """(N, 3) sRGB of points (N, 3) of the world along unit directions (N, 3)."""
        return self.solid.colours((points - self.middle) / self.half, direction)


def sampled(asked: Asked, views: Sequence[ViewTensors], bounds: np.ndarray, cells: int, job: Job | Span) -> Model:
    """The field on a lattice over bounds (2, 3) with about so many cells along the longest side.

    Where outlines exclude matter there is none. job: hears each batch of points. Raises Unable where all is empty.
    """
    device = views[0].position.device
    coarse = Lattice.over(bounds, max(1, round(cells / _COARSE)))
    lattice = Lattice(coarse.low, coarse.spacing / _COARSE, tuple(_COARSE * n for n in coarse.cells))
    possible = hull(views, coarse).repeat_interleave(_COARSE, 0)
    possible = possible.repeat_interleave(_COARSE, 1).repeat_interleave(_COARSE, 2)
    asked_for = _corners_of(possible).view(-1).nonzero()[:, 0]
    corners = lattice.corners(device)
    values = torch.full((len(corners),), torch.inf, device=device)
    values[asked_for] = _batched(asked.outside, (corners[asked_for],), job.span(0.0, 0.7))
    distance = _in_cells(values.view(lattice.samples))
    values = torch.from_numpy(distance).to(device)
    grid = Grid.of(near_surface(values), lattice.origin(device), lattice.spacing)
    x, y, z = (grid.places - 1).unbind(1)  # the grid has a layer more
    inwards = functional.normalize(-_slope(values)[x, y, z], dim=1)
    tints = _batched(asked.colours, (grid.points, inwards), job.span(0.7, 1.0))
    colours = tints.new_zeros(len(tints), grid_field.COLOURS)
    colours[:, ::4] = tints - grid_field.coloured(colours[:1], inwards[:1])  # the constants, from that of all zeros on
    return Model(lattice, grid, values[x, y, z][:, None].contiguous(), colours, distance, _SHARPNESS, None)


def _batched(ask: Callable[..., Tensor], of: tuple[Tensor, ...], job: Job | Span) -> Tensor:
    """A function's answers for rows of tensors, batch by batch, with a cancel heard between them."""
    answers, total = [], len(of[0])
    for start in range(0, total, _BATCH):
        job.report(start / total, "taking the shape out")
        answers.append(ask(*(rows[start : start + _BATCH] for rows in of)))
    return torch.cat(answers)


def _in_cells(values: Tensor) -> np.ndarray:
    """(X, Y, Z) float32 signed distance in cells from values of any slope that are infinite where nothing can be."""
    steps = [torch.diff(values, dim=axis) for axis in range(3)]
    crossing = [torch.diff(values.sign(), dim=axis) != 0 for axis in range(3)]
    heights = torch.cat([step[there & step.isfinite()].abs() for step, there in zip(steps, crossing)])
    if not len(heights) or not bool((values < 0.0).any()):
        raise Unable("no surface was found in the pictures: learn for longer, or check the poses and the masks")
    slope = float(heights.median().clamp(min=1e-9))
    return redistanced((values / slope).clamp(-_NEAR, _NEAR).cpu().numpy(), _NEAR)


def _corners_of(cells: Tensor) -> Tensor:
    """(X + 1, Y + 1, Z + 1) bool: the corners of cells (X, Y, Z)."""
    return functional.max_pool3d(cells[None, None].float(), 2, 1, 1)[0, 0] > 0


def _slope(values: Tensor) -> Tensor:
    """(X, Y, Z, 3) in which direction values (X, Y, Z) grow."""
    return torch.stack(torch.gradient(values), 3)
