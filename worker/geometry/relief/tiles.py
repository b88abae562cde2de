# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles of the whole lattice cells: large tiles where the surface is flat, single cells where it is not.

Without cracks: a tile whose neighbour is finer takes the neighbour's vertices into its outline. It makes the quadric
simplification that follows faster without being seen.

Must not know meshes or cameras.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SIZE = 2  # larger ones are no quicker, and triangles end up to six times as uneven with 8


def tiles(height: np.ndarray, usable: np.ndarray, tolerances: Sequence[float], most: float = np.inf) -> np.ndarray:
    """(F, 3) int64 triangles over lattice vertices (numbered row by row), clockwise on screen.

    height: (R, C) of the surface in cells, where being flat is judged. usable: (R-1, C-1) bool, the cells to cover.
    tolerances: how far, in cells, a vertex that is left out may lie from the tile; the first of them that gives no more
    than `most` triangles, or else the last.
    """
    for tolerance in tolerances:
        large = _merged(usable, height, tolerance)
        corner, between = _corners(usable.shape, large)
        count = 2 * (usable.sum() - 4 * large.sum()) + np.where(between, between + 4, 2)[large].sum()
        if count <= most:
            break
    single = usable.copy()
    single[: _SIZE * large.shape[0], : _SIZE * large.shape[1]] &= ~_spread(large)
    ring = _rings(large & (between > 0), _SIZE, height.shape[1])
    centre = ring[:, 0] + height.shape[1] + 1
    plain = (_rings(large & (between == 0), _SIZE, height.shape[1])[:, ::_SIZE], _rings(single, 1, height.shape[1]))
    quads = [_split_quads(each, height.ravel()) for each in plain]
    return np.concatenate([quads[0], _fans(ring, corner.ravel()[ring], centre), quads[1]])


def _merged(usable: np.ndarray, height: np.ndarray, tolerance: float) -> np.ndarray:
    """Tiles whose four cells are usable and whose five inner vertices lie flat between the corners."""
    rows, columns = usable.shape[0] // 2, usable.shape[1] // 2
    whole = usable[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    points = height[: 2 * rows + 1, : 2 * columns + 1]
    across = np.abs(points[:, :-2:2] + points[:, 2::2] - 2.0 * points[:, 1::2])  # (2r+1, c)
    down = np.abs(points[:-2:2] + points[2::2] - 2.0 * points[1::2])  # (r, 2c+1)
    bend = np.maximum(np.maximum(across[:-2:2], across[2::2]), across[1::2])
    bend = np.maximum(bend, np.maximum(np.maximum(down[:, :-2:2], down[:, 2::2]), down[:, 1::2]))
    return whole.all(axis=(1, 3)) & (bend <= 2.0 * tolerance)


def _corners(cells: tuple[int, int], large: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R, C) bool, which vertices are a tile's corner, if what is not in a large one is single cells; and how many of
    the vertices in the middle of a large tile's sides are."""
    corner = np.zeros((cells[0] + 1, cells[1] + 1), bool)
    rows, columns = (_SIZE * side for side in large.shape)
    single = np.ones(cells, bool)
    single[:rows, :columns] = ~_spread(large)
    for found, tile in ((corner, single), (corner[: rows + 1 : _SIZE, : columns + 1 : _SIZE], large)):
        for side in (found[:-1, :-1], found[:-1, 1:], found[1:, :-1], found[1:, 1:]):
            side |= tile
    across, down = corner[: rows + 1 : 2, 1:columns:2], corner[1:rows:2, : columns + 1 : 2]
    return corner, across[:-1] + across[1:].astype(np.int64) + down[:, :-1] + down[:, 1:]


def _spread(large: np.ndarray) -> np.ndarray:
    """(r * _SIZE, c * _SIZE) bool, which cells are in a large tile (r, c)."""
    return np.repeat(np.repeat(large, _SIZE, axis=0), _SIZE, axis=1)


def _rings(tile: np.ndarray, size: int, columns: int) -> np.ndarray:
    """(n, 4 size) vertices clockwise around the tiles that `tile` (r, c) bool chooses; so many vertices in a row."""
    down, right = _outline(size)
    row, column = (size * index[:, None] for index in np.nonzero(tile))
    return (row + down) * columns + column + right


def _outline(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a tile's outline, clockwise from the top left."""
    up, rest = np.arange(size), np.full(size, size)
    return np.concatenate([up * 0, up, rest, rest - up]), np.concatenate([up, rest, rest - up, up * 0])


def _split_quads(quads: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Two triangles for each quad (n, 4), split along the diagonal whose ends differ less in height."""
    a, b, c, d = quads.T
    ha, hb, hc, hd = (np.take(height, each) for each in (a, b, c, d))
    other = np.abs(ha - hc) > np.abs(hb - hd)
    a, b, c, d = (np.where(other, after, each) for each, after in ((a, b), (b, c), (c, d), (d, a)))
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _fans(ring: np.ndarray, used: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Triangles from each tile's centre to the stretches between the used vertices of its outline."""
    length = ring.shape[1]
    place = np.where(np.concatenate([used, used], axis=1), np.arange(2 * length), 2 * length)
    following = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]  # first used place at or after each place
    tile, start = np.nonzero(used)
    end = following[tile, start + 1] % length
    return np.stack([ring[tile, start], ring[tile, end], centre[tile]], axis=1)
