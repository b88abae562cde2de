# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles that fill the inside of a field's zero contour on a lattice: marching squares, in numpy.

Must not know what the field means. Positions are (column, row) in cells of the lattice.
"""

from __future__ import annotations

import numpy as np

# Per case (bits: top left 1, top right 2, bottom right 4, bottom left 8 inside) polygons of corners 0 to 3 and edges'
# crossings 4 to 7 (top, right, bottom, left), all in the same turning sense. Opposite corners alone stay apart.
_POLYGONS: tuple[tuple[tuple[int, ...], ...], ...] = (
    (), ((0, 4, 7),), ((4, 1, 5),), ((0, 1, 5, 7),), ((5, 2, 6),), ((0, 4, 7), (5, 2, 6)), ((4, 1, 2, 6),),
    ((0, 1, 2, 6, 7),), ((7, 6, 3),), ((0, 4, 6, 3),), ((4, 1, 5), (7, 6, 3)), ((0, 1, 5, 6, 3),), ((7, 5, 2, 3),),
    ((0, 4, 5, 2, 3),), ((4, 1, 2, 3, 7),), ((0, 1, 2, 3),),
)  # fmt: skip
_NEAREST = 0.05  # crossings keep this distance, in cells, from the lattice's points


def filled(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (V, 2) float64 and faces (F, 3) int64 of where a field (R, C) is above zero, counter-clockwise on screen.

    The field's border must be below zero. Every edge of a face has another face on its other side, or lies on the
    contour; no contour touches itself.
    """
    rows, columns = field.shape
    inside = field > 0
    number = np.full(field.shape, -1, np.int64)
    number[inside] = np.arange(inside.sum())
    row, column = np.nonzero(inside)
    points = [np.stack([column, row], 1).astype(float)]
    count = len(row)
    crossings = []
    for axis in (1, 0):
        here = [slice(None)] * 2
        there = [slice(None)] * 2
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        low, high = field[tuple(here)], field[tuple(there)]
        row, column = np.nonzero((low > 0) != (high > 0))
        share = np.clip(low[row, column] / (low[row, column] - high[row, column]), _NEAREST, 1 - _NEAREST)
        points.append(np.stack([column + share * (axis == 1), row + share * (axis == 0)], 1))
        found = np.full(low.shape, -1, np.int64)
        found[row, column] = count + np.arange(len(row))
        count += len(row)
        crossings.append(found)
    across, along = crossings
    corner = np.stack(
        [number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1], across[:-1], along[:, 1:], across[1:],
         along[:, :-1]], -1
    )  # fmt: skip
    case = inside[:-1, :-1] + 2 * inside[:-1, 1:] + 4 * inside[1:, 1:] + 8 * inside[1:, :-1]
    faces = [np.empty((0, 3), np.int64)]
    for value, polygons in enumerate(_POLYGONS):
        cells = corner[case == value]
        for polygon in polygons if len(cells) else ():
            faces += [cells[:, [polygon[0], polygon[k + 1], polygon[k]]] for k in range(1, len(polygon) - 1)]
    return np.concatenate(points), np.concatenate(faces)
