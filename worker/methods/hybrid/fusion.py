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

THIN, FOLLOWED = 0.3, 1 / 40
"""Half sides of thickness up to which the back follows another front, and of the window's side over which it is evened
out: detail does not go through. On 20 views of YCB with the true front the back was off by .098 half sides without, by
.093 with half to twice of both; up to 3 % of a thing lay inside out, and none does now."""

THINNEST = 0.012  # half sides: front and back do not come nearer

_HELD = 1e-6  # of a slope's weight: where nobody says how deep it is, so that the system has one solution
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
        slope.append(steps[both])
    a, b, wanted = map(np.concatenate, (left, right, slope))
    count = int(number.max()) + 1
    edges = sparse.coo_array((np.repeat([-1.0, 1.0], len(a)), (np.tile(np.arange(len(a)), 2), np.concatenate([a, b]))))
    edges = sparse.csr_array(edges, shape=(len(a), count))
    held = np.where(where[inside], (LARGE * size) ** -2.0, _HELD)
    found = spsolve((edges.T @ edges + sparse.diags_array(held)).tocsc(), edges.T @ wanted + held * large[inside])
    result = large.astype(np.float32).copy()
    result[inside] = found
    return result


def behind(front: np.ndarray, own: np.ndarray, back: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The back (S, S) of a thing whose front (S, S) is another than the one, own, that the back was made for. inside:
    (S, S) bool, within the outline.

    The generator says where the back is, and how thick the thing is; both cannot be kept. Where it is thin, the
    thickness is what it knows better: there the back follows what the fronts differ by on the whole.
    """
    sigma = FOLLOWED * len(front)
    share = np.maximum(ndimage.gaussian_filter(inside.astype(np.float64), sigma), 1e-6)
    differs = ndimage.gaussian_filter(np.where(inside, front - own, 0.0), sigma) / share
    return back + np.exp(-((np.maximum(back - own, 0.0) / THIN) ** 2)) * differs


def apart(front: np.ndarray, back: np.ndarray, where: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Front and back (S, S) without what lies inside out: where the front is known, (S, S) bool, the back gives way,
    else the front does."""
    front = np.where(inside & ~where, np.minimum(front, back - THINNEST), front)
    return front, np.maximum(back, front + THINNEST)


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
