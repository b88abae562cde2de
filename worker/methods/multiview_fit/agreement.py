# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a surface to where photos agree on it: what neither outlines nor hollows of one thickness tell.

Small patches of the surface are moved along their normals, and at each step it is asked how alike they look in the
photos that see them (normalised cross-correlation between pairs of photos, as in Vogiatzis et al. 2007): flat sides
that no photo sees edgewise, lids that are set in, the inside of a bowl. Neighbouring patches share what they found;
the surface then goes where it is found clearly, reaches its outlines elsewhere, and between bends as little as it can.
It never leaves the visual hull, and no wall is made thinner than the lattice can hold.

Imported on use: it brings torch. Points are in the capture's world; distances are in cells, positive outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from ...core.job import Job, Span
from ...core.view import View
from .fairing import FREE, Plate
from .grid_space import ViewTensors, depth_within, redistanced, tensors_of
from .hollows import THINNEST, sides
from .outlines import Hull
from .patches import REACH, Patches

_DOING = "comparing photos"
_PIXELS = 400  # longest side of the photos
_ROUNDS, _STEP = 2, 0.5  # how often patches are moved, and how finely, in the points' distances
_PHOTOS, _LEAST = 6, 3  # that look at a patch most squarely are compared; with fewer than the least it stays
_NOISE = 1.5 / 255.0  # of brightness: weaker contrast is none
_CHUNK = 2048  # patches at once
_SHARED = 3  # times that patches share what they found with their neighbours
_PULL = (0.0, 0.02, 0.05, 0.1)  # towards what neighbours found, growing
_NEAR = 1.5  # how far from that a place is hardly believed, in the points' distances
_BETTER, _WELL = 0.1, 0.5
"""By how much the best place must agree better than the mean of all, and how well, for a patch to be believed at all.
With .03 and .1 a plain bottle got dents (clay 24.4 to 22.3 dB), and the insides of a mug and a cup bumps (skin 2.6 to
3.4 degrees and 1.8 to 2.5)."""

_STAYING = 0.06
"""By how much another place must agree better than the one it has. Of colours that change slowly every place agrees
nearly as well, and hulls got dents of a cell."""

_SURE, _AGREED = 0.12, 0.3  # beyond these, believed wholly
_STIFF, _KEPT = 3.0, 0.03  # weights of being as neighbours are, and of staying: 1 and 3 are alike on a bowl and a can
_TRUSTED, _DISPUTED = 0.1, 0.5
"""Weight of what photos tell beside that of bending, 1, and by how much they must have moved a membrane, in the points'
distances, for outlines to hold it a quarter as much. With .3 a can is nearer (F within 1 % .756 instead of .749) and an
airplane rougher (clay 23.0 dB instead of 24.0), with .03 a can farther (.735); 1.5 instead of .5 is as good."""

_SETTLING = 12  # times that patches go where both pull them
_THIN = 8.0  # cells that a wall has at most


@torch.no_grad()
def agreed(
    views: Sequence[View], distance: np.ndarray, closed: np.ndarray, hull: Hull, job: Job | Span, staying: float = FREE
) -> np.ndarray:
    """The signed distance (X + 1, Y + 1, Z + 1) float32 of the surface moved to where photos agree, inside the hull.

    closed: the same as distance without hollows. job: hears each round. staying: weight of staying where it is beside
    that of bending, 1.
    """
    seen, kept = tensors_of(views, _PIXELS, torch.device("cpu")), _walls(distance, closed)
    for number in range(_ROUNDS):
        patches = Patches.of(distance, hull.lattice)
        if patches is None:
            break
        comparing = job.span(number / _ROUNDS, (number + 0.8) / _ROUNDS)
        told, enough = _agreement(patches, seen, lambda share, part=comparing: part.report(share, _DOING))
        for _ in range(_SHARED):
            told = 0.5 * (told + patches.around(told))
        moves, found, trust = _moves(patches, told, enough)
        held = (1.0 + (moves / _DISPUTED).square()) ** -2
        bending = job.span((number + 0.8) / _ROUNDS, (number + 1) / _ROUNDS)
        moves = Plate.of(patches, hull).bent(found, _TRUSTED * trust, held, bending, staying)
        moves = torch.minimum(moves, patches.room())
        distance = redistanced(np.minimum(np.maximum(patches.moved(moves), hull.distance), kept))
    return distance


def _walls(distance: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """(X, Y, Z) signed distance of what stays of a hollow's walls, whatever photos say; infinite elsewhere."""
    solid = distance < 0.0
    deep = depth_within(solid) > _THIN / 2.0
    thin = solid & (depth_within(~deep) > _THIN / 2.0)
    if (distance == closed).all() or not thin.any():
        return np.full_like(closed, np.inf)
    shell = np.maximum(closed, -sides(closed) - THINNEST)
    return np.where(ndimage.binary_dilation(thin, iterations=3), shell, np.inf)


def _agreement(patches: Patches, views: Sequence[ViewTensors], tell: Callable[[float], None]) -> tuple[Tensor, Tensor]:
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
    return torch.arange(-REACH, REACH + _STEP / 2.0, _STEP)


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


def _moves(patches: Patches, told: Tensor, enough: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(N,) by how much the surface goes inwards at each patch, in `apart`: as a membrane, near what is found clearly;
    what is found, and how much it is believed, 1 at most."""
    offsets = _offsets()
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
        for _ in range(_SETTLING):
            around = patches.around(moves[:, None])[:, 0]
            moves = (trust * found + _STIFF * around) / (trust + _STIFF + _KEPT)
    return moves, found, trust
