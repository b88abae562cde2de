# SPDX-License-Identifier: GPL-3.0-or-later
"""What a grid field's training holds in its hands: numbers on a grid, begun as haze, made finer, made a surface.

Imported on use: it brings torch. Points and distances are in the capture's world. Must not know how it is optimised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from . import grid_field
from .grid_field import Grid, Rays, Rendered, Samples
from .grid_space import Lattice, ViewTensors, at, fused_distance, hull, redistanced
from .grid_surroundings import Surroundings

BAND = 3.5  # cells around a surface in which a signed distance is optimised
COLOUR_BAND = 2.0  # the same where only colours are: what is farther out hides less than .3 % of what is behind it
SOFT = 1.0  # sharpness with which a surface begins
_UNIT = 1.0 / 128.0  # of the world: the length to which numbers of a density refer
_HAZE, _THIN_HAZE = -2.0, -4.5  # where densities begin: light passes some ten cells of an outlined thing, or the box
_NOTHING = 0.01  # cells with less optical depth than this are left out of the next grid
AROUND = 40  # cells of the surroundings along each side
_CHUNK = 8192  # rays that are rendered at once without gradients


@dataclass(frozen=True, eq=False)
class Model:
    """Numbers on a grid. shape: (V, 1) raw densities, or signed distances in cells. colours: (V, 12).

    distance: for a surface, the same distances on all corners of the lattice, as they were when the stage began.
    sharpness: how suddenly a surface is opaque, per cell; 0 for a density. around: what is behind, None where pictures
    are cut out.
    """

    lattice: Lattice
    grid: Grid
    shape: Tensor
    colours: Tensor
    distance: np.ndarray | None
    sharpness: float
    around: Surroundings | None

    def depth(self, samples: Samples, step: float) -> Tensor:
        """(N,) optical depths of samples that are `step` apart."""
        raw = grid_field.interpolated(self.shape, samples.rows, samples.weights)[:, 0]
        if self.distance is None:
            return grid_field.density_depth(raw, step / _UNIT)
        return grid_field.surface_depth(raw, self.sharpness, samples)

    def seen(self, rays: Rays, step: float, shift: Tensor | None = None) -> tuple[Rendered, Samples, Tensor]:
        """What rays see, with their samples and the samples' optical depths; without what is around."""
        samples = grid_field.sampled(self.grid, rays, step, shift)
        depth = self.depth(samples, step)
        return grid_field.rendered(depth, self.colours, samples, rays.direction), samples, depth

    @torch.no_grad()
    def views(self, view: ViewTensors, step: float, background: float = 1.0) -> tuple[Tensor, Tensor]:
        """From a view's place: colours (H W, 3), not clipped, and distances (H W,), infinite where nothing is."""
        colours, distances = [], []
        origins, directions = view.rays()
        rays = grid_field.cast(self.grid, origins, directions, step)
        for some in torch.arange(len(rays), device=origins.device).split(_CHUNK):
            origin, direction = origins[some], directions[some]
            seen, samples, depth = self.seen(rays[some], step)
            behind = background if self.around is None else self.around.seen(origin, direction)
            colours.append(seen.colour + (1.0 - seen.opacity[:, None]) * behind)
            distances.append(grid_field.first_distance(depth, samples))
        return torch.cat(colours), torch.cat(distances)

    def detached(self) -> Model:
        """The same numbers, which learn no more."""
        around = self.around
        if around is not None:
            around = replace(around, shape=around.shape.detach(), colours=around.colours.detach())
        return replace(self, shape=self.shape.detach(), colours=self.colours.detach(), around=around)

    def neighbours(self) -> Tensor:
        """(M, 7) int32 rows of corners that have all six neighbours in the grid: their own first."""
        places, shape = self.grid.places, [n + 3 for n in self.grid.cell.shape]
        row = torch.full(shape, -1, dtype=torch.int32, device=places.device)
        x, y, z = (places + 1).unbind(1)
        row[x, y, z] = torch.arange(len(places), dtype=torch.int32, device=places.device)
        moves = ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
        around = torch.stack([row[x + i, y + j, z + k] for i, j, k in moves], 1)
        return around[(around >= 0).all(1)]

    def whole(self) -> np.ndarray:
        """A surface's distances in cells on all corners: as optimised in its band, elsewhere to what came out there.

        On the band's edge the sign cannot change, or a surface would begin where the band ends.
        """
        whole, grid = self.distance.copy(), self.grid
        x, y, z = (grid.places.cpu().numpy() - 1).T
        before, after = whole[x, y, z], self.shape.detach()[:, 0].cpu().numpy()
        edge = np.ones(len(x), bool)
        edge[self.neighbours()[:, 0].cpu().numpy()] = False
        whole[x, y, z] = np.where(edge & (after * before <= 0.0), np.copysign(0.5, before), after)
        return redistanced(whole)


def haze(views: list[ViewTensors], lattice: Lattice) -> Model:
    """A thin grey haze wherever matter can be, and around it where pictures show more than the thing."""
    low = lattice.origin(views[0].position.device)
    grid = Grid.of(hull(views, lattice), low, lattice.spacing)
    around, start = None, _HAZE
    if views[0].mask is None:
        high = low + torch.tensor(lattice.cells, device=low.device) * lattice.spacing
        around, start = Surroundings.around(low, high, AROUND), _THIN_HAZE
    shape = torch.full((len(grid.places), 1), start, device=low.device)
    return Model(lattice, grid, shape, shape.new_zeros(len(shape), grid_field.COLOURS), None, 0.0, around)


def finer(before: Model, lattice: Lattice) -> Model:
    """The same density on another lattice, only where there is something."""
    low = before.grid.low
    raw = before.grid.at(before.shape, lattice.centres(low.device), -20.0)[:, 0]
    something = grid_field.density_depth(raw, lattice.spacing / _UNIT).view(lattice.cells) > _NOTHING
    grid = Grid.of(grid_field.dilated(something, 1), lattice.origin(low.device), lattice.spacing)
    shape, colours = (
        before.grid.at(table, grid.points, out) for table, out in ((before.shape, -6.0), (before.colours, 0.0))
    )
    return Model(lattice, grid, shape, colours, None, 0.0, before.around)


def surface(views: list[ViewTensors], lattice: Lattice, before: Model, stride: float) -> Model:
    """Signed distances, begun from a density as its cameras see it, or from a coarser surface."""
    if before.distance is None:
        small = [view.resized(2 * max(before.lattice.cells)) for view in views]
        seen = [before.views(view, stride * before.lattice.spacing)[1] for view in small]
        distance = fused_distance(small, seen, lattice)
    else:
        distance = _resampled(before, lattice)
    colours = partial(before.grid.at, before.colours, elsewhere=0.0)
    return replace(from_distance(distance, lattice, before.grid.low.device, colours), around=before.around)


def from_distance(
    distance: np.ndarray,
    lattice: Lattice,
    device: torch.device,
    colours: Callable[[Tensor], Tensor] = lambda points: points.new_zeros(len(points), grid_field.COLOURS),
    known: np.ndarray | None = None,
    band: float = BAND,
) -> Model:
    """The surface of signed distances (X + 1, Y + 1, Z + 1) in cells. colours: (V, 12) numbers at points (V, 3).

    known: bool like the distances, where they are, if that is of a place: it is seen only there, before what is around.
    """
    values = torch.from_numpy(distance).to(device)
    low = lattice.origin(device)
    occupied = near_surface(values, band)
    if known is not None:
        occupied &= functional.max_pool3d(torch.from_numpy(known).to(device)[None, None].float(), 2, 1)[0, 0] > 0
    grid = Grid.of(occupied, low, lattice.spacing)
    x, y, z = (grid.places - 1).unbind(1)  # the grid has a layer more
    shape = values[x, y, z][:, None].contiguous()
    size = torch.tensor(lattice.cells, device=device) * lattice.spacing
    around = None if known is None else Surroundings.around(low, low + size, AROUND)
    return Model(lattice, grid, shape, colours(grid.points), distance, SOFT, around)


def near_surface(distance: Tensor, band: float = BAND) -> Tensor:
    """(X, Y, Z) bool: the cells in the band around the zero of distances (X + 1, Y + 1, Z + 1), in cells."""
    return functional.max_pool3d((distance.abs() < band)[None, None].float(), 2, 1)[0, 0] > 0


def _resampled(model: Model, lattice: Lattice) -> np.ndarray:
    """A surface's distances at another lattice's corners, in its cells."""
    whole = torch.from_numpy(model.whole())
    points = lattice.corners(torch.device("cpu"))
    found = at(whole, model.lattice, points) * (model.lattice.spacing / lattice.spacing)
    return redistanced(found.view(lattice.samples).numpy())
