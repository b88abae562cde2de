# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles of the whole lattice cells: large tiles where the surface is flat, single cells where it is not.

Without cracks: a tile whose neighbour is finer takes the neighbour's vertices into its outline. It makes the quadric
simplification that follows faster without being seen.

Must not know meshes or cameras.
"""

from __future__ import annotations

import numpy as np

_SIZE = 2  # larger ones are no quicker, and triangles end up to six times as uneven with 8


def tiles(height: np.ndarray, usable: np.ndarray, tolerance: float) -> np.ndarray:
    """(F, 3) int64 triangles over lattice vertices (numbered row by row), clockwise on screen.

    height: (R, C) of the surface in cells, where being flat is judged. usable: (R-1, C-1) bool, the cells to cover.
    tolerance: how far, in cells, a vertex that is left out may lie from the tile.
    """
    large = _merged(usable, height, tolerance)
    taken = np.zeros_like(usable)
    within = taken[: _SIZE * large.shape[0], : _SIZE * large.shape[1]]
    within[:] = np.repeat(np.repeat(large, _SIZE, axis=0), _SIZE, axis=1)
    leaves = {_SIZE: tuple(_SIZE * index for index in np.nonzero(large)), 1: np.nonzero(usable & ~taken)}
    corner = np.zeros(height.shape, bool)
    others = np.nonzero(~usable)  # cells that are covered elsewhere, with all four corners
    for size, (row, column) in (*leaves.items(), (1, others)):
        for down, right in ((0, 0), (0, size), (size, size), (size, 0)):
            corner[row + down, column + right] = True
    parts = [_tile_faces(corner, height, size, row, column) for size, (row, column) in leaves.items()]
    return np.concatenate(parts)


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


def _tile_faces(corner: np.ndarray, height: np.ndarray, size: int, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    columns = corner.shape[1]
    down, right = _outline(size)
    ring = (row[:, None] + down) * columns + column[:, None] + right  # (n, 4 size) vertices clockwise
    used = corner.ravel()[ring]
    plain = used.sum(axis=1) == 4
    faces = [_split_quads(ring[plain][:, ::size], height.ravel())]
    ring, used = ring[~plain], used[~plain]
    if len(ring):
        centre = (row[~plain] + size // 2) * columns + column[~plain] + size // 2
        faces.append(_fans(ring, used, centre))
    return np.concatenate(faces)


def _outline(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a tile's outline, clockwise from the top left."""
    up, rest = np.arange(size), np.full(size, size)
    return np.concatenate([up * 0, up, rest, rest - up]), np.concatenate([up, rest, rest - up, up * 0])


def _split_quads(quads: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Two triangles for each quad (n, 4), split along the diagonal whose ends differ less in height."""
    h = height[quads]
    other = np.abs(h[:, 0] - h[:, 2]) > np.abs(h[:, 1] - h[:, 3])
    quads = np.where(other[:, None], np.roll(quads, -1, axis=1), quads)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _fans(ring: np.ndarray, used: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Triangles from each tile's centre to the stretches between the used vertices of its outline."""
    length = ring.shape[1]
    place = np.where(np.concatenate([used, used], axis=1), np.arange(2 * length), 2 * length)
    following = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]  # first used place at or after each place
    tile, start = np.nonzero(used)
    end = following[tile, start + 1] % length
    return np.stack([ring[tile, start], ring[tile, end], centre[tile]], axis=1)
