# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of a surface: which of them are beside each other, how far each may move along its normal, and the surface
that follows them.

Imported on use: it brings torch. Points are in the capture's world, a lattice's distances in cells, positive outside.
Must not know photos' colours or outlines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from .grid_space import Lattice, ViewTensors, at
from .hollows import THINNEST

REACH = 3.0  # how far patches are moved at most, in `apart`
_POINTS = 112  # along the longest side: patches lie about so densely
_SIDE, _APART = 5, 0.7  # samples along a patch's side, and their distance
_FLAT = 0.7  # by how much, of the points' distance, a patch may leave the surface: else a bowl's rim was torn
_FACING = 0.2  # cosine between a patch's normal and where it is seen from
_AROUND, _NEAR = 12, 1.5  # neighbours of a point, and the distance over which they matter
_DEEP_AROUND = 7  # cells along a cube around a patch: at an edge of what is thick, it reaches deep enough
_BAND, _BAND_CHUNK = 9.0, 1 << 16  # cells around the surface in which distances are moved with it, so many at once


@dataclass(frozen=True, eq=False)
class Patches:
    """place, normal: (N, 3) of points on a surface. apart: about how far from each other they are. distance, lattice:
    the surface's. index, weight: (N, M) each point's neighbours, and how much they matter."""

    place: Tensor
    normal: Tensor
    apart: float
    distance: Tensor
    lattice: Lattice
    index: Tensor
    weight: Tensor

    @classmethod
    def of(cls, distance: np.ndarray, lattice: Lattice) -> Patches | None:
        """Of the surface of distances; None where that is too small for patches to have neighbours."""
        step = max(1, round(max(lattice.cells) / _POINTS))
        few = np.zeros(distance.shape, bool)
        few[step:-1:step, step:-1:step, step:-1:step] = True
        corners = np.argwhere(few & (np.abs(distance) < 0.55 * step))
        if len(corners) <= _AROUND:
            return None
        slopes, whole = _slopes(distance)[tuple(corners.T)], torch.from_numpy(distance)
        normal = functional.normalize(torch.from_numpy(slopes), dim=1)
        place = lattice.origin(normal.device) + torch.from_numpy(corners) * lattice.spacing
        for _ in range(2):
            place = place - normal * (at(whole, lattice, place) * lattice.spacing)[:, None]
        apart = step * lattice.spacing
        far, index = cKDTree(place.numpy()).query(place.numpy(), _AROUND + 1)
        index = torch.from_numpy(index[:, 1:])
        weight = torch.exp(-((torch.from_numpy(far[:, 1:]).float() / (_NEAR * apart)) ** 2))
        weight = weight * (normal[index] * normal[:, None]).sum(2).clamp(min=0.0) ** 4
        return cls(place, normal, apart, whole, lattice, index, weight)

    def around(self, values: Tensor) -> Tensor:
        """(N, K) the mean of values (N, K) over each point's neighbours."""
        return (values[self.index] * self.weight[..., None]).sum(1) / (self.weight.sum(1) + 1e-6)[:, None]

    def room(self) -> Tensor:
        """(N,) how far each may move inwards, as a share of `apart`: half of what is thicker than the thinnest wall,
        as the other side may come as near. None where all around is thinner, as normals there are no one side's."""
        deepest = 2.0 * REACH * self.apart / self.lattice.spacing + THINNEST
        thick = torch.full((len(self.place),), deepest)
        for deep in torch.arange(1.0, deepest, 0.5).flip(0):
            beyond = at(self.distance, self.lattice, self.place - self.normal * (deep * self.lattice.spacing)) > 0.0
            thick[beyond] = deep
        deep = torch.from_numpy(ndimage.maximum_filter(-self.distance.numpy(), _DEEP_AROUND))
        thick[at(deep, self.lattice, self.place) < THINNEST / 2.0] = 0.0
        return (thick - THINNEST).clamp(min=0.0) * 0.5 * self.lattice.spacing / self.apart

    def flat(self) -> Tensor:
        """(N,) bool: patches that lie on the surface with all their samples, not over its edge."""
        corners = self.samples(torch.arange(len(self.place)), torch.zeros(1)).view(-1, 3)
        away = at(self.distance, self.lattice, corners).abs().view(len(self.place), -1).amax(1)
        return away * self.lattice.spacing < _FLAT * self.apart

    def cosines(self, view: ViewTensors) -> Tensor:
        """(N,) cosine between each normal and where the view sees it from, 0 where it does not."""
        lattice, low = self.lattice, self.lattice.origin(self.place.device)
        high = low + torch.tensor(lattice.cells) * lattice.spacing
        start = self.place + self.normal * lattice.spacing  # or the surface would hide itself
        ray = functional.normalize(view.position - start, dim=1)
        cosine, seen = (ray * self.normal).sum(1), view.seen(self.place)[1]
        cosine = torch.where(seen & (cosine > _FACING), cosine, 0.0)
        active, away = (cosine > 0.0).nonzero()[:, 0], torch.full_like(cosine, 0.5)
        while len(active):
            place = start[active] + ray[active] * (away[active, None] * lattice.spacing)
            free = at(self.distance, lattice, place)
            cosine[active[free <= 0.0]] = 0.0
            away[active] += free.clamp(min=0.5)
            active = active[(free > 0.0) & ((place > low) & (place < high)).all(1)]
        return cosine

    def samples(self, some: Tensor, offsets: Tensor) -> Tensor:
        """(n, K, S, 3) the samples of some patches at offsets inwards, in `apart`."""
        across, along = self.tangents(some)
        steps = (torch.arange(_SIDE) - (_SIDE - 1) / 2) * (_APART * self.apart)
        row, column = (grid.reshape(-1, 1) for grid in torch.meshgrid(steps, steps, indexing="ij"))
        flat = across[:, None] * row + along[:, None] * column
        inwards = self.normal[some, None] * (offsets * self.apart)[:, None]
        return self.place[some, None, None] - inwards[:, :, None] + flat[:, None]

    def tangents(self, some: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3) and (n, 3): unit vectors along some patches, across each other."""
        normal = self.normal[some]
        other = torch.where(normal[:, 2:].abs() < 0.9, torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]))
        across = functional.normalize(torch.linalg.cross(other, normal), dim=1)
        return across, torch.linalg.cross(normal, across)

    def moved(self, moves: Tensor) -> np.ndarray:
        """(X + 1, Y + 1, Z + 1) the distances with patches moved inwards by moves (N,), in `apart`: near the surface
        each is moved as the patches beside it are, those of the same side of a wall."""
        distance, lattice = self.distance.numpy(), self.lattice
        tree, slopes, moved = cKDTree(self.place.numpy()), _slopes(distance), distance.copy()
        every = np.flatnonzero(np.abs(distance) < _BAND)
        for some in np.array_split(every, max(1, len(every) // _BAND_CHUNK)):
            near = np.stack(np.unravel_index(some, distance.shape), 1)
            slope = slopes[tuple(near.T)]
            slope /= np.linalg.norm(slope, axis=1, keepdims=True) + 1e-6
            far, index = tree.query(np.array(lattice.low) + near * lattice.spacing, _AROUND)
            alike = (self.normal.numpy()[index] * slope[:, None]).sum(2).clip(1e-3)
            closer = np.square(far / self.apart)
            weight = alike * np.exp(closer[:, :1] - closer)
            move = (moves.numpy()[index] * weight).sum(1) / weight.sum(1) * (self.apart / lattice.spacing)
            moved.flat[some] += move.astype(np.float32)
        return moved


def _slopes(distance: np.ndarray) -> np.ndarray:
    """(X, Y, Z, 3) float32 gradient of distances that are evened out."""
    return np.stack(np.gradient(ndimage.gaussian_filter(distance, 1.0)), -1).astype(np.float32)
