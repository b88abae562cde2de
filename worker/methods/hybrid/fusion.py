# SPDX-License-Identifier: GPL-3.0-or-later
"""Two fronts of one thing become one: the large shape of one and the detail of the other.

In the gradient domain (Perez et al. 2003, "Poisson image editing"): the front is looked for whose slopes are those of
whoever is sure of the detail, and which on the whole does not leave the large shape (screened Poisson: Bhat et al.
2008). Arrays alone; must not know networks, meshes or files.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

LARGE = 1 / 8
"""Of the window's side: what is larger is the large shape's. The generator's flow samples as coarsely."""

_HELD = 1e-6  # of a slope's weight: where nobody says how deep it is, so that the system has one solution
_STEEPEST = 8.0  # cells of depth per cell: a larger step is where one part stands in front of another
_EVEN = 1.0  # cells over which what is continued is evened out
_BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]) / 16.0


def fused(large: np.ndarray, detail: np.ndarray, sure: np.ndarray, where: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The front (S, S) inside of the outline (S, S) bool: slopes of `detail` as far as they are `sure` (S, S) in
    [0, 1], else of `large`, which `where` (S, S) bool says how deep it is on the whole. Beyond the outline: `large`."""
    size = len(large)
    number = np.full(large.shape, -1)
    number[inside] = np.arange(np.count_nonzero(inside))
    left, right, slope = [], [], []
    for axis in (0, 1):
        here, there = (slice(None, -1), slice(None)), (slice(1, None), slice(None))
        here, there = (here, there) if axis == 0 else (here[::-1], there[::-1])
        both = inside[here] & inside[there]
        share = np.minimum(sure[here], sure[there])
        steps = share * (detail[there] - detail[here]) + (1.0 - share) * (large[there] - large[here])
        left.append(number[here][both])
        right.append(number[there][both])
        slope.append(np.clip(steps[both], -2 * _STEEPEST / size, 2 * _STEEPEST / size))
    a, b, wanted = map(np.concatenate, (left, right, slope))
    count = int(number.max()) + 1
    edges = sparse.coo_array((np.repeat([-1.0, 1.0], len(a)), (np.tile(np.arange(len(a)), 2), np.concatenate([a, b]))))
    edges = sparse.csr_array(edges, shape=(len(a), count))
    held = np.where(where[inside], (LARGE * size) ** -2.0, _HELD)
    found = spsolve((edges.T @ edges + sparse.diags_array(held)).tocsc(), edges.T @ wanted + held * large[inside])
    result = large.astype(np.float32).copy()
    result[inside] = found
    return result


def continued(front: np.ndarray, where: np.ndarray) -> np.ndarray:
    """A front (S, S) continued as it leans, from where it is known, (S, S) bool, to the outline: by what is nearest,
    mirrored there, and evened out."""
    nearest = ndimage.distance_transform_edt(~where, return_distances=False, return_indices=True)
    mirrored = np.clip(2 * nearest - np.indices(where.shape), 0, len(where) - 1)
    rim = front[tuple(nearest)]
    beyond = np.where(where[tuple(mirrored)], 2.0 * rim - front[tuple(mirrored)], rim)
    return np.where(where, front, ndimage.gaussian_filter(np.where(where, front, beyond), _EVEN))


def enlarged(front: np.ndarray, back: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Both layers (s, s) at (size, size) cells, without what goes up and down from pixel to pixel. Half-way depth and
    the square of half the thickness are what is straight where a round thing meets its outline (geometry.between)."""
    at = (np.arange(size) + 0.5) * len(front) / size - 0.5
    places = np.meshgrid(at, at, indexing="ij")

    def larger(values: np.ndarray) -> np.ndarray:
        smooth = ndimage.convolve(values.astype(np.float64), _BINOMIAL, mode="nearest")
        return ndimage.map_coordinates(smooth, places, order=3, mode="nearest")

    middle, half = larger((front + back) / 2.0), np.sqrt(np.maximum(larger(((back - front) / 2.0) ** 2), 0.0))
    return (middle - half).astype(np.float32), (middle + half).astype(np.float32)
