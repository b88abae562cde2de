# SPDX-License-Identifier: GPL-3.0-or-later
"""Marching cubes over the bricks of a sparse grid, all cells at once.

Every edge of the grid that the surface crosses gets one vertex, whichever cells and bricks share it, so that nothing
has to be welded afterwards. Must not know fields.
"""

from __future__ import annotations

import numpy as np

from .bricks import Bricks
from .marching import AMBIGUOUS, CENTRE, CORNERS, EDGES, FACES, triangles

_ENDS = 1e-3  # vertices keep this share of an edge away from its ends, where those of other edges may lie as well


def triangulated(bricks: Bricks) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) float64 in cells of the grid and faces (F, 3) int32, counter-clockwise seen from outside.

    Cells with an unknown corner are passed over.
    """
    samples, corners = _crossed(bricks)
    vertices, number = _vertices(bricks, samples, corners)
    rows, corner = _corners_of_triangles(_cases(corners))
    centred = np.flatnonzero(corner[:, 0] == CENTRE)
    faces = number[rows[:, None], corner]
    if len(centred):
        owner, which = np.unique(rows[centred], return_inverse=True)
        faces[centred, 0] = len(vertices) + which
        sums = [np.bincount(which, vertices[faces[centred, 1], axis]) for axis in range(3)]
        vertices = np.concatenate([vertices, np.stack(sums, axis=1) / np.bincount(which)[:, None]])
    return vertices, faces.astype(np.int32)


def _crossed(bricks: Bricks) -> tuple[np.ndarray, np.ndarray]:
    """(n, 8) which samples, as `bricks.values` laid out flat has them, are the corners of the cells that the surface
    crosses, and (n, 8) their values."""
    samples, corners = [np.zeros((0, 8), np.int64)], [np.zeros((0, 8), np.float32)]
    stride = bricks.side + 1
    for some in bricks.chunks(bricks.mixed()):
        values = bricks.gathered(some)
        inside = (values > 0.0).astype(np.uint8)
        inside = inside[:, :-1] | inside[:, 1:] << 1
        inside = inside[:, :, :-1] | inside[:, :, 1:] << 2
        inside = inside[:, :, :, :-1] | inside[:, :, :, 1:] << 4
        first = _first_corners(np.flatnonzero((inside != 0) & (inside != 255)), bricks.side)
        around = first[:, None] + CORNERS @ np.array([stride * stride, stride, 1])
        found = values.reshape(-1)[around]
        known = ~np.isnan(found).any(axis=1)
        samples.append(bricks.numbers(some).reshape(-1)[around[known]])
        corners.append(found[known])
    return np.concatenate(samples), np.concatenate(corners)


def _first_corners(cells: np.ndarray, side: int) -> np.ndarray:
    """Where the first corners of cells, numbered over blocks of side^3, are in blocks of (side + 1)^3 samples."""
    block, x, y, z = np.unravel_index(cells, (int(cells.max(initial=0)) // side**3 + 1, side, side, side))
    return ((block * (side + 1) + x) * (side + 1) + y) * (side + 1) + z


def _vertices(bricks: Bricks, samples: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) on the crossed edges, and (n, 13) int32 which of them lies on a cell's edge where one does.

    Nothing is at CENTRE yet.
    """
    number = np.zeros((len(samples), CENTRE + 1), np.int32)
    found, count = [], 0
    table = np.empty(bricks.values.size, np.int32)  # by sample: only what is written is ever read
    for axis in range(3):
        ends = np.array(EDGES[4 * axis : 4 * axis + 4])
        row, edge = np.nonzero((corners[:, ends[:, 0]] > 0.0) != (corners[:, ends[:, 1]] > 0.0))
        low, high = ends[edge].T
        key = samples[row, low]
        table[key] = np.arange(len(key), dtype=np.int32)
        first = np.flatnonzero(table[key] == np.arange(len(key)))  # one of the up to four cells around an edge
        table[key[first]] = count + np.arange(len(first), dtype=np.int32)
        number[row, 4 * axis + edge] = table[key]
        count += len(first)
        start, end = (corners[row[first], which[first]].astype(np.float64) for which in (low, high))
        place = bricks.positions(key[first]).astype(np.float64)
        place[:, axis] += np.clip(start / (start - end), _ENDS, 1.0 - _ENDS)
        found.append(place)
    return np.concatenate(found), number


def _cases(corners: np.ndarray) -> np.ndarray:
    """(n,) the case of each cell: its pattern of inside corners, and from bit 8 on at which faces they are joined."""
    inside = np.packbits(corners > 0.0, axis=1, bitorder="little")[:, 0].astype(np.int64)
    doubtful = np.flatnonzero(AMBIGUOUS[inside].any(axis=1))
    for number, face in enumerate(FACES):
        a, b, c, d = corners[doubtful][:, face].astype(np.float64).T
        diagonal = np.where(a > 0.0, a * c - b * d, b * d - a * c)  # above zero: the saddle's value has their sign
        joined = AMBIGUOUS[inside[doubtful] & 255, number] & (diagonal > 0.0)
        inside[doubtful] |= joined.astype(np.int64) << 8 + number
    return inside


def _corners_of_triangles(cases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F,) the cell and (F, 3) the cell's edges of all triangles."""
    kinds, kind = np.unique(cases, return_inverse=True)
    lists = [triangles(int(case) & 255, int(case) >> 8) for case in kinds]
    count = np.array([len(one) for one in lists], np.int64)
    table = np.concatenate([np.array(one, np.int8).reshape(-1, 3) for one in lists] or [np.zeros((0, 3), np.int8)])
    each = count[kind]
    rows = np.repeat(np.arange(len(cases)), each)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(each) - each, each)
    return rows, table[(np.cumsum(count) - count)[kind[rows]] + nth]
