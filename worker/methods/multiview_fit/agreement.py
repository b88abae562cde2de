# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a surface to where photos agree on it: what neither outlines nor hollows of one thickness tell.

Small patches of the surface are moved along their normals, and at each step it is asked how alike they look in the
photos that see them (normalised cross-correlation between pairs of photos, as in Vogiatzis et al. 2007): flat sides
that no photo sees edgewise, lids that are set in, the inside of a bowl. Neighbouring patches share what they found;
the surface then goes, smoothly, where it is found clearly, and stays elsewhere. It never leaves the visual hull, and
no wall is made thinner than the lattice can hold.

Imported on use: it brings torch. Points are in the capture's world; distances are in cells, positive outside. Must not
know outlines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from ...core.job import Job, Span
from ...core.view import View
from .grid_space import Lattice, ViewTensors, at, depth_within, redistanced, tensors_of
from .hollows import THINNEST, sides

_PIXELS = 400  # longest side of the photos
_POINTS = 112  # along the longest side: patches lie about so densely
_ROUNDS, _REACH, _STEP = 2, 3.0, 0.5  # how often patches are moved, how far and how finely, in the points' distances
_SIDE, _APART = 5, 0.7  # samples along a patch's side, and their distance
_PHOTOS, _LEAST = 6, 3  # that look at a patch most squarely are compared; with fewer than the least it stays
_FLAT = 0.7  # by how much, of the points' distance, a patch may leave the surface: else a bowl's rim was torn
_FACING = 0.2  # cosine between a patch's normal and where it is seen from
_NOISE = 1.5 / 255.0  # of brightness: weaker contrast is none
_CHUNK = 2048  # patches at once
_AROUND, _NEAR = 12, 1.5  # neighbours of a point, and the distance over which they matter
_SHARED = 3  # times that patches share what they found with their neighbours
_PULL = (0.0, 0.02, 0.05, 0.1)  # towards what neighbours found, growing
_BETTER, _WELL = 0.1, 0.5
"""By how much the best place must agree better than the mean of all, and how well, for a patch to be believed at all.
With .03 and .1 a plain bottle got dents (clay 24.4 to 22.3 dB), and the insides of a mug and a cup bumps (skin 2.6 to
3.4 degrees and 1.8 to 2.5)."""

_STAYING = 0.06
"""By how much another place must agree better than the hull's. Of colours that change slowly every place agrees nearly
as well, and hulls got dents of a cell."""

_SURE, _AGREED = 0.12, 0.3  # beyond these, believed wholly
_STIFF, _KEPT = 3.0, 0.03  # weights of being as neighbours are, and of staying: 1 and 3 are alike on a bowl and a can
_THIN = 8.0  # cells that a wall has at most
_BAND, _BAND_CHUNK = 9.0, 1 << 16  # cells around the surface in which distances are moved with it, so many at once


@torch.no_grad()
def agreed(
    views: Sequence[View], distance: np.ndarray, hull: np.ndarray, lattice: Lattice, job: Job | Span
) -> np.ndarray:
    """The signed distance (X + 1, Y + 1, Z + 1) float32 of the surface moved to where photos agree, inside the hull.

    hull: the signed distance that it is to stay within. job: hears each round.
    """
    seen, kept = tensors_of(views, _PIXELS, torch.device("cpu")), _walls(distance, hull)
    for number in range(_ROUNDS):
        patches = _Patches.of(distance, lattice)
        told = _agreement(patches, seen, lambda share, n=number: job.report((n + share) / _ROUNDS, "comparing photos"))
        moves = torch.minimum(_moves(patches, *told), patches.room())
        distance = redistanced(np.minimum(np.maximum(_moved(distance, lattice, patches, moves), hull), kept))
    return distance


@dataclass(frozen=True, eq=False)
class _Patches:
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
    def of(cls, distance: np.ndarray, lattice: Lattice) -> _Patches:
        step = max(1, round(max(lattice.cells) / _POINTS))
        few = np.zeros(distance.shape, bool)
        few[step:-1:step, step:-1:step, step:-1:step] = True
        corners = np.argwhere(few & (np.abs(distance) < 0.55 * step))
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
        as the other side may come as near."""
        deepest = 2.0 * _REACH * self.apart / self.lattice.spacing + THINNEST
        thick = torch.full((len(self.place),), deepest)
        for deep in torch.arange(1.0, deepest, 0.5).flip(0):
            beyond = at(self.distance, self.lattice, self.place - self.normal * (deep * self.lattice.spacing)) > 0.0
            thick[beyond] = deep
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
        normal = self.normal[some]
        other = torch.where(normal[:, 2:].abs() < 0.9, torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]))
        across = functional.normalize(torch.linalg.cross(other, normal), dim=1)
        along = torch.linalg.cross(normal, across)
        steps = (torch.arange(_SIDE) - (_SIDE - 1) / 2) * (_APART * self.apart)
        row, column = (grid.reshape(-1, 1) for grid in torch.meshgrid(steps, steps, indexing="ij"))
        flat = across[:, None] * row + along[:, None] * column
        inwards = normal[:, None] * (offsets * self.apart)[:, None]
        return self.place[some, None, None] - inwards[:, :, None] + flat[:, None]


def _walls(distance: np.ndarray, hull: np.ndarray) -> np.ndarray:
    """(X, Y, Z) signed distance of what stays of a hollow's walls, whatever photos say; infinite elsewhere."""
    solid = distance < 0.0
    deep = depth_within(solid) > _THIN / 2.0
    thin = solid & (depth_within(~deep) > _THIN / 2.0)
    if (distance == hull).all() or not thin.any():
        return np.full_like(hull, np.inf)
    shell = np.maximum(hull, -sides(hull) - THINNEST)
    return np.where(ndimage.binary_dilation(thin, iterations=3), shell, np.inf)


def _slopes(distance: np.ndarray) -> np.ndarray:
    """(X, Y, Z, 3) float32 gradient of distances that are evened out."""
    return np.stack(np.gradient(ndimage.gaussian_filter(distance, 1.0)), -1).astype(np.float32)


def _agreement(patches: _Patches, views: Sequence[ViewTensors], tell: Callable[[float], None]) -> tuple[Tensor, Tensor]:
    """(N, K) how well photos agree on each patch at each offset, 1 at most, and whether enough photos see it (N,): all
    of it, as what hangs over an edge is seen best from where it no longer does."""
    cosines = torch.stack([patches.cosines(view) for view in views])
    best, which = cosines.topk(min(_PHOTOS, len(views)), 0)
    told, enough = [], []
    for some in torch.arange(len(patches.place)).split(_CHUNK):
        tell(int(some[0]) / len(patches.place))
        points, shown = patches.samples(some, _offsets()), best[:, some] > 0.0
        looks = torch.zeros(len(best), *points.shape[:-1])
        for number, view in enumerate(views):
            rank, here = ((which[:, some] == number) & shown).nonzero(as_tuple=True)
            looks[rank, here] = _seen(view, view.colour.mean(2), points[here])
            shown[rank, here] = (_seen(view, view.mask, points[here, len(_offsets()) // 2]) > 0.5).all(1)
        told.append(_correlated(looks, shown))
        enough.append(shown.sum(0) >= _LEAST)
    return torch.cat(told), torch.cat(enough) & patches.flat()


def _offsets() -> Tensor:
    """(K,) by how much patches are moved inwards."""
    return torch.arange(-_REACH, _REACH + _STEP / 2.0, _STEP)


def _seen(view: ViewTensors, picture: Tensor, points: Tensor) -> Tensor:
    """What a view's picture (H, W) has at points (..., 3), 0 where that is beside it."""
    own = (points.reshape(-1, 3) - view.position) @ view.rotation.T
    camera, depth = view.camera, own[:, 2].clamp(min=1e-6)
    column = (own[:, 0] / depth * camera.fx + camera.cx) / camera.width * 2.0 - 1.0
    row = (own[:, 1] / depth * camera.fy + camera.cy) / camera.height * 2.0 - 1.0
    grid = torch.stack([column, row], 1)[None, None]
    return functional.grid_sample(picture[None, None], grid, align_corners=False).view(points.shape[:-1])


def _correlated(looks: Tensor, shown: Tensor) -> Tensor:
    """(n, K) mean correlation of the better half of all pairs of looks (P, n, K, S), of those that are shown (P, n)."""
    looks = looks - looks.mean(3, keepdim=True)
    strength = (looks.square().mean(3) + _NOISE**2).sqrt()
    pairs = [
        torch.where((shown[i] & shown[j])[:, None], (looks[i] * looks[j]).mean(2) / (strength[i] * strength[j]), -2.0)
        for i in range(len(looks))
        for j in range(i)
    ]
    pairs = torch.stack(pairs).sort(0, descending=True).values
    half = ((pairs > -2.0).sum(0) + 1) // 2
    better = torch.arange(len(pairs))[:, None, None] < half
    return torch.where(better, pairs, 0.0).sum(0) / half.clamp(min=1)


def _moves(patches: _Patches, told: Tensor, enough: Tensor) -> Tensor:
    """(N,) by how much the surface goes inwards at each patch, in `apart`: smooth, and near what is found clearly."""
    offsets = _offsets()
    for _ in range(_SHARED):
        told = 0.5 * (told + patches.around(told))
    told = torch.where(offsets == 0.0, told + _STAYING, told)
    mean, moves = told.mean(1), torch.zeros(len(told))
    for pull in _PULL:
        pulled = told - pull * (offsets - moves[:, None]).square()
        best, where = pulled.max(1)
        before, after = (pulled.gather(1, (where + k).clamp(0, len(offsets) - 1)[:, None])[:, 0] for k in (-1, 1))
        inner = (where > 0) & (where < len(offsets) - 1)
        peak = (0.5 * (before - after) / (before - 2.0 * best + after).clamp(max=-1e-3)).clamp(-0.5, 0.5)
        found, level = offsets[where] + peak * _STEP, told.gather(1, where[:, None])[:, 0]
        trust = ((level - mean - _BETTER) / _SURE).clamp(0.0, 1.0) * ((level - _WELL) / _AGREED).clamp(0.0, 1.0)
        trust = trust * (inner & enough) * torch.exp(-(((found - moves) / _NEAR) ** 2) if pull else torch.zeros(()))
        for _ in range(_AROUND):
            around = patches.around(moves[:, None])[:, 0]
            moves = (trust * found + _STIFF * around) / (trust + _STIFF + _KEPT)
    return moves


def _moved(distance: np.ndarray, lattice: Lattice, patches: _Patches, moves: Tensor) -> np.ndarray:
    """The distances as the patches near them were moved: those of the same side of a wall."""
    tree, slopes, moved = cKDTree(patches.place.numpy()), _slopes(distance), distance.copy()
    every = np.flatnonzero(np.abs(distance) < _BAND)
    for some in np.array_split(every, max(1, len(every) // _BAND_CHUNK)):
        near = np.stack(np.unravel_index(some, distance.shape), 1)
        slope = slopes[tuple(near.T)]
        slope /= np.linalg.norm(slope, axis=1, keepdims=True) + 1e-6
        far, index = tree.query(np.array(lattice.low) + near * lattice.spacing, _AROUND)
        alike = (patches.normal.numpy()[index] * slope[:, None]).sum(2).clip(1e-3)
        closer = np.square(far / patches.apart)
        weight = alike * np.exp(closer[:, :1] - closer)
        move = (moves.numpy()[index] * weight).sum(1) / weight.sum(1) * (patches.apart / lattice.spacing)
        moved.flat[some] += move.astype(np.float32)
    return moved
