# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface where a field is zero, as triangles, from as few samples of the field as possible.

A coarse grid is sampled whole; then, level by level, only the cells that the surface may cross are split in eight. A
cell is split unless its corners are on average farther from zero than the field can fall on the way from them to any
point of the cell, judged by the steepest slope measured around it. At the last level the surface is followed wherever
it leaves what is known, so that it is closed, whatever the field. Marching cubes (`marching`) makes the triangles.

What that guarantees: the mesh is a closed manifold; of a surface that was found anywhere, nothing is missing. A part is
found surely if a coarse sample lies inside it, or if the field's slope around it is nowhere steeper than the samples of
the coarse cells around show (as with distances, however thin the part is). So what is lost can only be a whole part
that is smaller than a coarse cell and that the field does not announce at a coarse cell's distance: the coarse grid
must be as fine as the field's own detail, which does not depend on the resolution of the mesh.

Must not know networks, devices or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from .bricks import Bricks
from .triangulate import triangulated

_REACH = 1.15 * (3.0 + 3.0 * 2.0**0.5 + 3.0**0.5) / 8.0
"""How far from the eight corners of a unit cell a point of it is on average at most, which is where the point is one of
them; and some more, since the slope is only measured."""
_CAP = 1e-3  # what counts as inside on the box's border gets this share of its value, turned to outside
_COARSEST = 8  # how many cells of the mesh a coarse cell spans at most


@dataclass(frozen=True, eq=False)
class Isosurface:
    """vertices: (V, 3) float64 in the field's axes. faces: (F, 3) int32, counter-clockwise seen from outside; every
    edge has two faces. spacing: the grid's cell in the field's unit. queries: how many points were asked for."""

    vertices: np.ndarray
    faces: np.ndarray
    spacing: float
    queries: int


def isosurface(
    value: Callable[[np.ndarray], np.ndarray],
    bounds: np.ndarray,
    resolution: int,
    report: Callable[[float, str], None],
    batch: int = 1 << 17,
    coarse: int = 48,
) -> Isosurface:
    """The zero surface of a field in a box, closed where it meets the box's border.

    value: points (N, 3) float32 -> (N,) float32, positive inside. bounds: (2, 3). resolution: cells along the box's
    longest side, rounded up to a multiple of the coarse step. report: hears the share done and a message before each
    batch; may raise to cancel. batch: the largest N. coarse: cells along the longest side that the first grid has at
    least (the mesh's resolution where that is less). Raises ValueError for a field that is nowhere or everywhere
    inside, and for values that are not finite.
    """
    if resolution < 2 or coarse < 1 or batch < 1:
        raise ValueError(
            f"a surface needs 2 or more cells per side and batches of 1 or more, not {resolution}, {batch}"
        )
    step = 1
    while step < _COARSEST and resolution / (2 * step) >= coarse:
        step *= 2
    sampler = _Sampler(value, np.asarray(bounds, np.float64), step * -(-resolution // step), step, report, batch)
    bricks = _refined(sampler, step)
    _follow(bricks, sampler)
    sampler.message(0.98, "making triangles")
    positions, faces = triangulated(bricks)
    if not len(faces):
        raise ValueError("the field is nowhere inside: there is no surface to make; use another picture or seed")
    return Isosurface(sampler.placed(positions), faces, sampler.spacing, sampler.queries)


class _Sampler:
    """Asks a field for values at grid positions. shape: samples of the coarse grid along each axis."""

    def __init__(
        self,
        value: Callable[[np.ndarray], np.ndarray],
        bounds: np.ndarray,
        resolution: int,
        step: int,
        report: Callable[[float, str], None],
        batch: int,
    ) -> None:
        extent = bounds[1] - bounds[0]
        if not (np.isfinite(bounds).all() and (extent > 0.0).all()):
            raise ValueError(f"the field's box from {bounds[0]} to {bounds[1]} has no volume")
        self._value, self._bounds, self.message, self._batch = value, bounds, report, batch
        self.spacing = float(extent.max()) / resolution
        cells = np.ceil(extent / (self.spacing * step) - 1e-6).astype(int)
        self.shape = tuple(int(n) + 1 for n in cells)
        self.low = bounds.mean(axis=0) - cells * step * self.spacing / 2.0
        self.queries = 0

    def __call__(self, positions: np.ndarray, start: float, end: float) -> np.ndarray:
        """(N,) float32 values at grid positions (N, 3); outside on and beyond the box's border.

        start, end: the share of the work that is done before and after.
        """
        found = np.empty(len(positions), np.float32)
        for first in range(0, len(positions), self._batch):
            self.message(start + (end - start) * first / len(positions), f"asking the field at {len(positions)} points")
            chosen = slice(first, first + self._batch)
            found[chosen] = self._asked(self.low + positions[chosen] * self.spacing)
        self.queries += len(positions)
        return found

    def placed(self, positions: np.ndarray) -> np.ndarray:
        """(V, 3) float64 in the field's axes, within the box, of vertices in cells of the grid."""
        return np.clip(self.low + positions * self.spacing, *self._bounds)

    def _asked(self, points: np.ndarray) -> np.ndarray:
        low, high = self._bounds
        values = self._value(np.clip(points, low, high).astype(np.float32))
        if values.shape != (len(points),):
            raise ValueError(f"the field answered {len(points)} points with values of shape {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError("the field has values that are not finite: the weights or the precision do not fit")
        margin = 1e-6 * self.spacing
        inside = np.flatnonzero(values > 0.0)
        border = ((points[inside] < low + margin) | (points[inside] > high - margin)).any(axis=1)
        values = values.astype(np.float32)  # a copy
        values[inside[border]] *= -_CAP
        return values


def _refined(sampler: _Sampler, step: int) -> Bricks:
    """The grid, sampled wherever the surface may be, in bricks of one coarse cell each."""
    levels = step.bit_length()
    done = [0.0, *(0.95 * 4.0 ** (level + 1 - levels) for level in range(levels))]
    coarse = sampler(np.argwhere(np.ones(sampler.shape, bool)) * step, *done[:2]).reshape(sampler.shape)
    inner = coarse[1:-1, 1:-1, 1:-1]
    if inner.size and (inner > 0.0).all():
        raise ValueError("the field is inside everywhere: it has no surface; raise the density that counts as solid")
    slope, near = np.zeros(coarse.shape), np.zeros(coarse.shape, bool)
    slope[:-1, :-1, :-1] = _steepness(coarse) / step
    reach = _REACH * step * maximum_filter(slope, 3)[:-1, :-1, :-1]
    near[:-1, :-1, :-1] = np.abs(_over_corners(np.add, coarse[None])[0]) <= 8.0 * reach
    bricks = Bricks(coarse, step)
    bricks.add(_with_next(near))
    for level in range(1, levels):
        _split(bricks, slope, step >> level - 1, sampler, done[level], done[level + 1])
    return bricks


def _split(bricks: Bricks, slope: np.ndarray, step: int, sampler: _Sampler, start: float, end: float) -> None:
    """Samples half a step apart in all cells that the surface may cross. slope: per brick, sharpened in passing."""
    every = np.arange(len(bricks.places))
    at = tuple(bricks.places.T)
    for some in bricks.chunks(every):
        place = tuple(bricks.places[some].T)
        slope[place] = np.maximum(slope[place], _steepest(bricks.gathered(some, step)) / step)
    reach = (8.0 * _REACH * step * maximum_filter(slope, 3)[at]).astype(np.float32)[:, None, None, None]
    wanted = bricks.mask()
    for some in bricks.chunks(every):
        total = _over_corners(np.add, bricks.gathered(some, step))  # NaN where a corner is not known: never near
        bricks.scatter(_halved(np.abs(total) <= reach[some]), some, wanted)
    _sample(bricks, wanted, sampler, start, end)


def _follow(bricks: Bricks, sampler: _Sampler) -> None:
    """Samples the missing corners of cells that the surface crosses, until there is none."""
    missing = True
    while missing:
        missing, places = False, bricks.no_places()
        wanted = bricks.mask()
        for some in bricks.chunks(bricks.mixed()):
            corners = bricks.gathered(some)
            unknown, inside = np.isnan(corners), corners > 0.0
            outside = ~(unknown | inside)
            crossed = _over_corners(np.logical_or, inside) & _over_corners(np.logical_or, outside)
            cells = crossed & _over_corners(np.logical_or, unknown)
            bricks.mark_before(inside, outside, some, places)
            if cells.any():
                missing = True
                bricks.mark_beyond(_to_corners(cells), some, places)
                bricks.scatter(_to_corners(cells), some, wanted)
        _sample(bricks, wanted, sampler, 0.96, 0.96)
        missing = bricks.add(places) or missing  # what lies in a new brick is sampled the next time


def _sample(bricks: Bricks, mask: np.ndarray, sampler: _Sampler, start: float, end: float) -> None:
    """Ask for those samples of the mask that are not known yet."""
    missing = np.flatnonzero(mask & np.isnan(bricks.values))
    bricks.values.reshape(-1)[missing] = sampler(bricks.positions(missing), start, end)


def _steepness(samples: np.ndarray) -> np.ndarray:
    """Per cell of a grid (a, b, c), the length of a gradient made of the largest differences along each axis."""
    square = np.zeros(np.subtract(samples.shape, 1), np.float32)
    for axis in range(3):
        largest = np.abs(np.diff(samples, axis=axis))
        for other in {0, 1, 2} - {axis}:
            moved = largest.swapaxes(0, other)
            largest = np.maximum(moved[1:], moved[:-1]).swapaxes(0, other)
        square += largest * largest
    return np.sqrt(square)


def _steepest(corners: np.ndarray) -> np.ndarray:
    """(k,) the same for whole blocks (k, m, m, m), in which samples may be unknown."""
    square = np.zeros(len(corners), np.float32)
    for axis in (1, 2, 3):
        difference = np.abs(np.diff(corners, axis=axis)).reshape(len(corners), -1)
        square += np.fmax.reduce(difference, axis=1, initial=0.0) ** 2
    return np.sqrt(square)


def _over_corners(combine: np.ufunc, corners: np.ndarray) -> np.ndarray:
    """(k, m, m, m) what the eight corners of each cell make together, of samples (k, m + 1, m + 1, m + 1)."""
    a = combine(corners[:, 1:], corners[:, :-1])
    a = combine(a[:, :, 1:], a[:, :, :-1])
    return combine(a[:, :, :, 1:], a[:, :, :, :-1])


def _to_corners(cells: np.ndarray) -> np.ndarray:
    """(k, m + 1, m + 1, m + 1) the corners of the cells of a mask (k, m, m, m)."""
    for axis in (1, 2, 3):
        longer = np.zeros([n + (a == axis) for a, n in enumerate(cells.shape)], bool).swapaxes(1, axis)
        longer[:, :-1] = cells.swapaxes(1, axis)
        longer[:, 1:] |= cells.swapaxes(1, axis)
        cells = longer.swapaxes(1, axis)
    return cells


def _halved(cells: np.ndarray) -> np.ndarray:
    """(k, 2m + 1, 2m + 1, 2m + 1) the corners of the halved cells of a mask (k, m, m, m)."""
    return _to_corners(cells.repeat(2, 1).repeat(2, 2).repeat(2, 3))


def _with_next(mask: np.ndarray) -> np.ndarray:
    """The mask and the seven places next to the far sides of each of its own."""
    for axis in range(3):
        mask = mask.copy()
        mask.swapaxes(0, axis)[1:] |= mask.swapaxes(0, axis)[:-1].copy()
    return mask
