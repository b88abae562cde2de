# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies around the box of a scene, out to infinity, as a coarse grid in contracted space.

With the box brought to [-1, 1] along each axis, a point x beyond it lies at (2 - 1 / m) x / m, m the largest of |x|
(mip-NeRF 360, arXiv:2111.12077, with the largest norm), so that all of space fits into [-2, 2]. Every ray ends in it:
its last sample is opaque. What lies between a camera and the box is not told from the box. Must not know pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .grid_field import COLOURS, Grid, Samples, crossing, density_depth, interpolated, rendered

SAMPLES = 24  # per ray
_OPAQUE = 20.0
_THICKNESS = 4.0  # of all samples of a ray together, in the unit of the numbers


@dataclass(frozen=True, eq=False)
class Surroundings:
    """grid: in contracted space. shape: (V, 1) raw densities. colours: (V, 12). low, high: (3,) the box's corners."""

    grid: Grid
    shape: Tensor
    colours: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def around(cls, low: Tensor, high: Tensor, cells: int) -> Surroundings:
        """Grey haze around a box, with an even number of cells along each side."""
        occupied = torch.ones(cells, cells, cells, dtype=torch.bool, device=low.device)
        inner = slice(cells // 4 + 1, cells - cells // 4 - 1)
        occupied[inner, inner, inner] = False
        grid = Grid.of(occupied, torch.full((3,), -2.0, device=low.device), 4.0 / cells)
        shape = torch.zeros(len(grid.places), 1, device=low.device)
        return cls(grid, shape, shape.new_zeros(len(shape), COLOURS), low, high)

    def seen(self, origin: Tensor, direction: Tensor, shift: Tensor | float = 0.5) -> Tensor:
        """(R, 3) colours, not clipped, in which rays from origins (R, 3) along unit directions (R, 3) end.

        shift: (R,) where in its stretch each sample lies, 0 to 1.
        """
        samples = self._samples(origin, direction, shift)
        raw = interpolated(self.shape, samples.rows, samples.weights)[:, 0]
        last = samples.rank == SAMPLES - 1
        depth = density_depth(raw, _THICKNESS / SAMPLES).masked_fill(last, _OPAQUE)
        return rendered(depth, self.colours, samples, direction).colour

    def _samples(self, origin: Tensor, direction: Tensor, shift: Tensor | float) -> Samples:
        rays, device = len(origin), origin.device
        middle, size = (self.low + self.high) / 2.0, (self.high - self.low) / 2.0
        near, far = crossing(self.low, self.high, origin, direction)
        beside = (origin - middle).norm(dim=1)  # where rays that miss the box begin: about as far as it is
        begin = torch.where(far > near, far, beside)
        rank = torch.arange(SAMPLES, device=device).expand(rays, SAMPLES)
        share = (rank + (shift[:, None] if isinstance(shift, Tensor) else shift)) / SAMPLES
        distance = begin[:, None] + size.max() * share / (1.0 - share).clamp(min=1e-3)
        place = (origin[:, None] + direction[:, None] * distance[..., None] - middle) / size
        largest = place.abs().amax(2, keepdim=True).clamp(min=1.0)
        place = (place / largest * (2.0 - 1.0 / largest)).view(-1, 3)
        place = (place - self.grid.low) / self.grid.spacing
        cell = self.grid.occupying(place).clamp(min=0)
        ray = torch.arange(rays, device=device).repeat_interleave(SAMPLES)
        rank = rank.reshape(-1)
        return Samples(ray, rank, rank, distance.view(-1), *self.grid.corners(cell, place), rays)
