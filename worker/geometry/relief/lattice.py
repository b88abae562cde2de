# SPDX-License-Identifier: GPL-3.0-or-later
"""A regular lattice of vertices over the picture, and where its surface is torn.

Depth is sampled at lattice vertices that span the picture from edge to edge, and every lattice edge is asked whether
the surface goes on across it. All of it works on inverse depth, because a plane in space is linear in inverse depth
over the picture: a floor seen at a grazing angle then predicts itself, and only true jumps are left over.

Must not know meshes, cameras or photos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..fill import nearest_filled

_SAME_SURFACE = 0.03  # neighbouring depth samples that differ by less than this ratio may be averaged
_STRONG = 3.0  # a jump of this many thresholds is a silhouette on its own
_LONG = 0.12  # a line of smaller jumps is one if it is longer than this share of the lattice
_STRIP = 3  # vertices; strips between two tears that are no wider are the rest of a smeared silhouette
_CROSSING_SAMPLES = 8  # depth samples along a torn edge that say where the tear lies


@dataclass(frozen=True)
class Lattice:
    """inverse: (R, C) float32 1 / z at the vertices, NaN where there is no surface; row 0 on top.

    cut_x (R, C-1), cut_y (R-1, C): True where the surface is torn, or ends, between horizontal, vertical neighbours.
    """

    inverse: np.ndarray
    cut_x: np.ndarray
    cut_y: np.ndarray


def lattice_shape(height: int, width: int, longer_side: int) -> tuple[int, int]:
    """Rows and columns of vertices for a picture of this size, with nearly square cells, at least 2 by 2."""
    cells = max(1, longer_side - 1)
    scale = cells / max(height, width)
    return max(1, round(height * scale)) + 1, max(1, round(width * scale)) + 1


def build(inverse: np.ndarray, shape: tuple[int, int], threshold: float, speck: int) -> Lattice:
    """The lattice of `shape` for a map of inverse depth.

    inverse: (H, W) float32, NaN where there is no surface. threshold: relative jump of depth that tears the surface.
    speck: connected pieces of fewer vertices take their neighbours' depth, or vanish where they have none.
    """
    values = sample(inverse, shape)
    cut_x, cut_y = _cuts(values, threshold)
    for last in (False, False, True):
        loose = _specks(values, cut_x, cut_y, speck)
        if not last:
            loose |= _between(values, cut_x) | _between(values.T, cut_y.T).T
        if not loose.any():
            break
        values = _refilled(values, loose, drop=last)
        cut_x, cut_y = _cuts(values, threshold)
    return Lattice(values, cut_x, cut_y)


def sample(inverse: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(R, C) float32: inverse depth (H, W) at the vertices of a lattice that spans the picture from edge to edge.

    Bilinear, and extrapolated by half a pixel at the outline, where the four nearest pixels are one surface; else the
    nearest pixel's value, so that no depth between two surfaces is invented.
    """
    rows, row_fraction = _positions(inverse.shape[0], shape[0])
    columns, column_fraction = _positions(inverse.shape[1], shape[1])
    below = np.minimum(rows + 1, inverse.shape[0] - 1)
    right = np.minimum(columns + 1, inverse.shape[1] - 1)
    upper, lower = inverse[rows], inverse[below]
    corners = np.stack([upper[:, columns], upper[:, right], lower[:, columns], lower[:, right]])
    fy, fx = row_fraction[:, None], column_fraction[None, :]
    weights = np.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
    mean = (corners * weights).sum(axis=0)
    smooth = corners.max(axis=0) <= corners.min(axis=0) * (1.0 + _SAME_SURFACE)  # False where any is NaN
    rough = np.flatnonzero(~smooth)
    weights = np.clip(weights.reshape(4, -1)[:, rough], 0.0, 1.0)
    corners = corners.reshape(4, -1)[:, rough]
    weights[np.isnan(corners)] = 0.0
    nearest = corners[weights.argmax(axis=0), np.arange(len(rough))]
    nearest[weights.sum(axis=0) < 0.25 - 1e-6] = np.nan  # 0.25: a single pixel keeps its own four corners
    mean.ravel()[rough] = nearest
    return mean.astype(np.float32)


def _positions(pixels: int, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the pixel before each vertex, and the fraction (-0.5 to 1.5) of the way to the next pixel's centre."""
    centre = np.linspace(0.0, pixels, vertices) - 0.5
    index = np.clip(np.floor(centre), 0, max(pixels - 2, 0)).astype(np.int64)
    fraction = centre - index if pixels > 1 else np.zeros(vertices)
    return index, fraction.astype(np.float32)


def _cuts(values: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Torn horizontal (R, C-1) and vertical (R-1, C) edges.

    With hysteresis, like Canny's edges: a line of small jumps is a silhouette if it is long or a large jump belongs to
    it; alone and short it is the unrest of a depth map, and a hole would be torn into a face for it.
    """
    jump_x, jump_y = _jumps(values), _jumps(values.T).T
    torn_x, torn_y = (np.isinf(jump) | (jump > threshold) for jump in (jump_x, jump_y))
    rows, columns = values.shape
    lines = np.zeros((2 * rows - 1, 2 * columns - 1), bool)  # edges on mixed places, the cells between them on odd ones
    lines[::2, 1::2], lines[1::2, ::2] = torn_x, torn_y
    lines[1::2, 1::2] = torn_x[:-1] | torn_x[1:] | torn_y[:, :-1] | torn_y[:, 1:]
    label = ndimage.label(lines)[0]
    label_x, label_y = label[::2, 1::2], label[1::2, ::2]
    kept = np.bincount(label.ravel()) >= 2 * _LONG * max(values.shape)
    for jump, number in ((jump_x, label_x), (jump_y, label_y)):
        kept[number[np.isinf(jump) | (jump > _STRONG * threshold)]] = True
    return torn_x & kept[label_x], torn_y & kept[label_y]


def _jumps(values: np.ndarray) -> np.ndarray:
    """(R, C-1) relative jump of depth between neighbours that no surface explains; inf where just one of them has any.

    The step between two vertices is compared with the steps before and after it: a slanted surface goes on as it came
    from at least one side, a silhouette does so from neither. A ramp of less than three steps is a smeared silhouette.
    """
    step = np.diff(values, axis=1)
    farther = np.fmin(values[:, 1:], values[:, :-1])
    with np.errstate(invalid="ignore"):
        suspect = ~(np.abs(step) <= _SAME_SURFACE * farther) & ~np.isnan(farther)
    row, column = np.nonzero(suspect)
    jump = np.zeros(step.shape, np.float32)
    here = step[row, column]
    unexplained = np.full(len(here), np.inf, step.dtype)
    for direction in (-1, 1):
        predicted = _steady_step(step, row, column, direction)
        unexplained = np.minimum(unexplained, np.abs(here - predicted))
    jump[row, column] = np.nan_to_num(unexplained / farther[row, column], nan=np.inf)
    return jump


def _steady_step(step: np.ndarray, row: np.ndarray, column: np.ndarray, direction: int) -> np.ndarray:
    """The step that the next three steps in a direction agree on: the smallest of them, 0 if they disagree in sign."""
    runs = []
    for distance in (1, 2, 3):
        other = column + direction * distance
        inside = (other >= 0) & (other < step.shape[1])
        runs.append(np.where(inside, step[row, np.clip(other, 0, step.shape[1] - 1)], 0.0))
    runs = np.nan_to_num(np.stack(runs))
    low, high = runs.min(axis=0), runs.max(axis=0)
    return np.where(low > 0, low, np.where(high < 0, high, 0.0))


def _specks(values: np.ndarray, cut_x: np.ndarray, cut_y: np.ndarray, smallest: int) -> np.ndarray:
    """(R, C) bool: vertices in connected pieces of fewer than `smallest` vertices."""
    rows, columns = values.shape
    pixels = np.zeros((2 * rows - 1, 2 * columns - 1), bool)  # vertices on even places, the edges between them on odd
    valid = ~np.isnan(values)
    pixels[::2, ::2], pixels[::2, 1::2], pixels[1::2, ::2] = valid, valid[:, 1:] & ~cut_x, valid[1:] & ~cut_y
    labels = ndimage.label(pixels)[0][::2, ::2]
    count = np.bincount(labels.ravel())
    count[0] = smallest
    return count[labels] < smallest


def _between(values: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """(R, C) bool: vertices of narrow strips with a nearer surface on one side and a farther one on the other.

    They are what a smeared silhouette leaves behind. A thin thing, which is nearer than both its sides, is none.
    """
    descent = np.where(cut, np.nan_to_num(np.sign(np.diff(values, axis=1))), 0.0)
    found = np.zeros(values.shape, bool)
    for width in range(1, _STRIP + 1):
        both = (descent[:, :-width] == descent[:, width:]) & (descent[:, width:] != 0.0)
        for place in range(1, width + 1):
            found[:, place : place + both.shape[1]] |= both
    return found


def _refilled(values: np.ndarray, small: np.ndarray, drop: bool) -> np.ndarray:
    """Values with small pieces taken from the nearest larger piece (or emptied)."""
    values = values.copy()
    source = ~small & ~np.isnan(values)
    if drop or not source.any():
        values[small] = np.nan
        return values
    values[small] = nearest_filled(values, source)[small]
    return values


def crossings(
    inverse: np.ndarray, lattice: Lattice, row: np.ndarray, column: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where torn edges are torn: (n,) fraction from the first to the second vertex, and (n,) its uncertainty.

    inverse: the (H, W) map the lattice was built from. row, column: the edges' first vertices. axis: 1 for edges to the
    right neighbour, 0 for edges to the one below. The map is read along each edge; the uncertainty is half a pixel.
    """
    size, vertices = inverse.shape, lattice.inverse.shape
    along = (np.arange(_CROSSING_SAMPLES) + 0.5) / _CROSSING_SAMPLES
    y = row[:, None] + (along if axis == 0 else 0.0)
    x = column[:, None] + (along if axis == 1 else 0.0)
    y_pixel = np.clip(y * size[0] / (vertices[0] - 1), 0, size[0] - 1).astype(np.int64)
    x_pixel = np.clip(x * size[1] / (vertices[1] - 1), 0, size[1] - 1).astype(np.int64)
    found = inverse[y_pixel, x_pixel]
    first = lattice.inverse[row, column][:, None]
    second = lattice.inverse[row + (axis == 0), column + (axis == 1)][:, None]
    own = _distance(found, first) <= _distance(found, second)
    pixel = (vertices[axis] - 1) / size[axis]
    return own.mean(axis=1), np.full(len(row), 0.5 * pixel + 0.5 / _CROSSING_SAMPLES)


def _distance(found: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """How far values are from a reference; none (NaN) is next to none and far from any."""
    none = np.isnan(found)
    with np.errstate(invalid="ignore"):
        distance = np.abs(found - reference)
    return np.where(none | np.isnan(reference), np.where(none & np.isnan(reference), 0.0, np.inf), distance)
