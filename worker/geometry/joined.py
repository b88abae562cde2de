# SPDX-License-Identifier: GPL-3.0-or-later
"""A drawn outline that holds together where the one it is drawn from does.

Ropes, necks and masts thinner than a cell cover no cell by half, so that what hangs on them comes apart. Must not know
photos, networks or cameras.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra, laplacian
from scipy.sparse.linalg import spsolve

HALF = 1.25
"""Cells: half the width of what joins two parts."""

_FOUND = 0.75  # cells: what reaches deeper is found by marching cubes wherever they lie
_NEAR = 2.5  # cells: what is so near to what is found hangs on it
_CRUMB = 1 / 500  # of the largest part of a region, in cells: smaller ones are left alone
_OWN = 0.05  # weight of what the layers say of a cell of a way beside its neighbours: evens out over 1 / sqrt(it) cells
_STEP = 1e-3  # a cell's cost where the way is free: the shortest of all free ways is taken
_ASTRAY = 100.0  # a cell's cost where the region does not reach: never, unless there is no other way


def ways(inside: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """(N, N) bool, the cells too thin to be found that join the parts of each region, where it is thinnest least.

    inside: (N, N) float, the distance to the outline in cells, positive inside, in which parts may have come apart.
    regions: (K, N, N), how much of each cell each part covers that is truly one.
    """
    return np.any([_way(inside, region > 0.0) for region in regions], axis=0)


def widened(inside: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The distance (N, N) with the cells of the way (N, N) bool filled, and those beside them."""
    return np.maximum(inside, HALF - ndimage.distance_transform_edt(~way)) if way.any() else inside


def straightened(values: np.ndarray, inside: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Values (N, N) that pass evenly along the way (N, N) bool, and beside it, from those of one part to the next's.

    inside: as for `ways`."""
    if not way.any():
        return values
    here, solid = np.flatnonzero(way), (inside > _FOUND).ravel() & ~way.ravel()
    graph = _graph(np.ones(way.shape))[here]
    own, ends = graph[:, here], graph[:, solid]
    held = ends.sum(axis=1) + _OWN
    system = laplacian(own) + coo_array((held, (np.arange(len(here)),) * 2))
    straight = values.copy()
    straight.ravel()[here] = spsolve(system.tocsc(), ends @ values.ravel()[solid] + _OWN * values.ravel()[here])
    far, nearest = ndimage.distance_transform_edt(~way, return_indices=True)
    return np.where((far <= HALF + 1.0) & (inside <= _FOUND), straight[tuple(nearest)], values)


def _way(inside: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(N, N) bool, the cells on the ways from the deepest one to all that is thin in a region (N, N) bool."""
    inside = np.where(region, inside, np.minimum(inside, 0.0))
    way, ends = np.zeros(inside.size, bool), _ends(inside)
    if not len(ends):
        return way.reshape(inside.shape)
    cost = np.where(region, np.maximum(HALF - inside, 0.0), _ASTRAY) + _STEP
    before = dijkstra(_graph(cost), directed=False, indices=int(inside.argmax()), return_predecessors=True)[1]
    for here in ends:
        while here >= 0 and not way[here]:
            way[here], here = True, before[here]
    return way.reshape(inside.shape) & (inside < HALF)


def _ends(inside: np.ndarray) -> np.ndarray:
    """Which cells (N, N) a way has to lead to: the middle lines of what is too thin to be found, and the deepest cell
    of each part, but for crumbs."""
    label, count = ndimage.label(inside > 0.0)
    sizes = np.bincount(label.ravel(), minlength=count + 1)
    sizes[0] = 0
    meant = (sizes >= _CRUMB * sizes.max())[label] & (label > 0)
    found = inside > _FOUND
    near = ndimage.distance_transform_edt(~found) <= _NEAR if found.any() else found
    middle = meant & ~near & (inside >= ndimage.maximum_filter(inside, 3))
    core, parts = ndimage.label(found & meant)
    deepest = ndimage.maximum_position(inside, core, range(1, parts + 1)) if parts > 1 else []
    return np.append(np.flatnonzero(middle), [row * len(inside) + column for row, column in deepest]).astype(int)


def _graph(cost: np.ndarray) -> coo_array:
    """(N * N, N * N) what a step costs from each cell to those above, below and beside it."""
    number = np.arange(cost.size).reshape(cost.shape)
    pairs = ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:]))
    a, b = (np.concatenate([pair[end].ravel() for pair in pairs]) for end in (0, 1))
    step = (cost.ravel()[a] + cost.ravel()[b]) / 2.0
    return coo_array((np.tile(step, 2), (np.append(a, b), np.append(b, a))), shape=(cost.size,) * 2).tocsr()
