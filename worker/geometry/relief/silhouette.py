# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles of the lattice cells through which a silhouette runs.

A torn lattice edge gets a point where the tear crosses it, and a torn cell a point inside; together they form smooth
contour lines over the picture. Each surface beside the tear is continued to that line with its own depth, so seen from
the photo's camera the surfaces meet there without a gap and without staircases, and no triangle spans the jump.

Must not know meshes or cameras. Positions are (column, row) in cells of the lattice, like (x right, y down).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import lattice as lattices
from .lattice import Lattice

_ROUNDS = 12  # of contour smoothing; each reaches one cell further
_INSIDE = 0.08  # the cell's point keeps this distance, in cells, from the cell's edges


@dataclass(frozen=True)
class Patch:
    """position (V, 2) float64 (column, row); inverse (V,) float64 inverse depth; faces (F, 3) int64, clockwise on
    screen; steps (W, 3) int64: triangles along the line of sight that would join the surfaces at the tears, same
    winding; line (V,) int64: the first of the vertices at the same position. The first R * C vertices are the lattice's
    own.
    """

    position: np.ndarray
    inverse: np.ndarray
    faces: np.ndarray
    steps: np.ndarray
    line: np.ndarray


@dataclass(frozen=True)
class _Tears:
    """Torn edges (first vertex, axis, fraction with limits) and torn cells (corner, their edges' numbers or -1)."""

    row: np.ndarray
    column: np.ndarray
    axis: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cell_row: np.ndarray
    cell_column: np.ndarray
    cell_edges: np.ndarray  # (K, 4): top, right, bottom, left; -1 where the edge is not torn

    def points(self, fraction: np.ndarray) -> np.ndarray:
        """(E, 2) positions of the edges' crossings."""
        return np.stack([self.column + fraction * (self.axis == 1), self.row + fraction * (self.axis == 0)], axis=1)


def torn_cells(lattice: Lattice) -> np.ndarray:
    """(R-1, C-1) bool: cells with at least one torn edge."""
    return lattice.cut_x[:-1] | lattice.cut_x[1:] | lattice.cut_y[:, :-1] | lattice.cut_y[:, 1:]


def whole_cells(lattice: Lattice) -> np.ndarray:
    """(R-1, C-1) bool: cells that one surface covers."""
    return ~torn_cells(lattice) & ~np.isnan(lattice.inverse[:-1, :-1])


def patch(inverse: np.ndarray, lattice: Lattice) -> Patch:
    """Triangles of all torn cells. inverse: the (H, W) map that the lattice was built from."""
    tears, fraction = _find(inverse, lattice)
    fraction, centre = _smooth(tears, fraction)
    crossing = tears.points(fraction)

    rows, columns = lattice.inverse.shape
    own = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    position = np.concatenate([own, np.repeat(crossing, 2, axis=0), np.repeat(centre, 4, axis=0)])
    base_edge, base_cell = rows * columns, rows * columns + 2 * len(crossing)

    corner = _corners(tears, columns)  # (K, 4) lattice vertices, clockwise from the top left
    surface = _surfaces(tears.cell_edges >= 0)  # (K, 4) which of the cell's surfaces a corner belongs to
    first = base_edge + 2 * tears.cell_edges
    reverse = np.array([0, 0, 1, 1])  # bottom and left edges are walked from their second vertex to their first
    here, there = first + reverse, first + 1 - reverse
    middle = _middles(tears.cell_edges >= 0, there, base_cell + 4 * np.arange(len(corner))[:, None] + surface)
    depth = _continued(lattice, position, tears, corner, middle, base_edge)
    after = np.roll(corner, -1, axis=1), np.roll(middle, -1, axis=1)
    faces, steps = _triangles(tears.cell_edges >= 0, (corner, middle), after, here, there)
    line = np.arange(len(position))
    line[base_edge:base_cell] -= (line[base_edge:base_cell] - base_edge) % 2
    line[base_cell:] -= (line[base_cell:] - base_cell) % 4
    return Patch(position, depth, _with_surface(faces, depth), _with_surface(steps, depth), line)


def _find(inverse: np.ndarray, lattice: Lattice) -> tuple[_Tears, np.ndarray]:
    numbers, parts = [], []
    count = 0
    for axis, cut in ((1, lattice.cut_x), (0, lattice.cut_y)):
        row, column = np.nonzero(cut)
        fraction, slack = lattices.crossings(inverse, lattice, row, column, axis)
        parts.append((row, column, np.full(len(row), axis), fraction, slack))
        number = np.full(cut.shape, -1, np.int64)
        number[row, column] = count + np.arange(len(row))
        numbers.append(number)
        count += len(row)
    row, column, axis, fraction, slack = (np.concatenate(values) for values in zip(*parts, strict=True))
    cell_row, cell_column = np.nonzero(torn_cells(lattice))
    horizontal, vertical = numbers
    cell_edges = np.stack(
        [
            horizontal[cell_row, cell_column],
            vertical[cell_row, cell_column + 1],
            horizontal[cell_row + 1, cell_column],
            vertical[cell_row, cell_column],
        ],
        axis=1,
    )
    low, high = np.clip(fraction - slack, 0.02, 0.98), np.clip(fraction + slack, 0.02, 0.98)
    return _Tears(row, column, axis, low, high, cell_row, cell_column, cell_edges), fraction


def _smooth(tears: _Tears, fraction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smoothest contour within the crossings' limits: fractions (E,), and the cells' points (K, 2)."""
    torn = tears.cell_edges >= 0
    corner = np.stack([tears.cell_column, tears.cell_row], axis=1)
    weight = torn.sum(axis=1)
    tip = (weight == 1)[:, None]
    beside = np.bincount(tears.cell_edges[torn], minlength=len(fraction))
    fraction = np.clip(fraction, tears.low, tears.high)
    start = np.where(tears.axis == 1, tears.column, tears.row)

    def centres() -> np.ndarray:
        total = (tears.points(fraction)[tears.cell_edges] * torn[:, :, None]).sum(axis=1)
        centre = np.where(tip, (total + corner + 0.5) / 2.0, total / weight[:, None])
        return corner + np.clip(centre - corner, _INSIDE, 1.0 - _INSIDE)

    for _ in range(_ROUNDS):
        centre = centres()
        along = np.where(tears.axis[tears.cell_edges] == 1, centre[:, :1], centre[:, 1:])
        mean = np.bincount(tears.cell_edges[torn], along[torn], minlength=len(fraction)) / np.maximum(beside, 1)
        fraction = np.clip(np.where(beside > 0, mean - start, fraction), tears.low, tears.high)
    return fraction, centres()


def _corners(tears: _Tears, columns: int) -> np.ndarray:
    first = tears.cell_row * columns + tears.cell_column
    return np.stack([first, first + 1, first + columns + 1, first + columns], axis=1)


def _surfaces(torn: np.ndarray) -> np.ndarray:
    """(K, 4) number (0 to 3) of the surface that each corner of a cell lies on, corners joined by untorn edges."""
    number = np.zeros(torn.shape, np.int64)
    number[:, 1:] = np.cumsum(torn[:, :3], axis=1)
    closes = ~torn[:, 3]  # the left edge joins the last corner to the first
    return np.where(closes[:, None] & (number == number[:, 3:]), 0, number)


def _middles(torn: np.ndarray, there: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(K, 4) the vertex that each corner's triangles meet in: the point inside the cell, on the corner's surface.

    Where a tear just passes through, in at one edge and out at another, that point would lie on the line between the
    two crossings; there it is the crossing at which one comes onto the surface, walking clockwise: fewer triangles.
    """
    last = 3 - torn[:, ::-1].argmax(axis=1)
    first = torn.argmax(axis=1)
    index, row = np.arange(4), np.arange(len(torn))
    between = (index > first[:, None]) & (index <= last[:, None])
    entered = np.where(between, there[row, first][:, None], there[row, last][:, None])
    return np.where((torn.sum(axis=1) == 2)[:, None], entered, inside)


def _continued(
    lattice: Lattice, position: np.ndarray, tears: _Tears, corner: np.ndarray, middle: np.ndarray, base_edge: int
) -> np.ndarray:
    """(V,) inverse depth of all vertices: contour points continue the surface of the corners they belong to."""
    values = lattice.inverse.astype(np.float64)
    slope = _slopes(values, lattice)
    flat = values.ravel()
    depth = np.full(len(position), np.nan)
    depth[: len(flat)] = flat

    def extended(vertex: np.ndarray, target: np.ndarray) -> np.ndarray:
        offset = position[target] - position[vertex]
        reached = flat[vertex] + (slope.reshape(-1, 2)[vertex] * offset).sum(axis=-1)
        return np.clip(reached, 0.8 * flat[vertex], 1.25 * flat[vertex])

    columns = lattice.inverse.shape[1]
    first = tears.row * columns + tears.column
    second = first + np.where(tears.axis == 1, 1, columns)
    for side, vertex in enumerate((first, second)):
        target = base_edge + 2 * np.arange(len(first)) + side
        depth[target] = extended(vertex, target)
    inside = middle >= base_edge + 2 * len(first)
    corner, middle = corner[inside], middle[inside]
    total = np.bincount(middle, extended(corner, middle), minlength=len(position))
    count = np.bincount(middle, minlength=len(position))
    depth[count > 0] = total[count > 0] / count[count > 0]
    return depth


def _slopes(values: np.ndarray, lattice: Lattice) -> np.ndarray:
    """(R, C, 2) change of inverse depth per cell to the right and down, never measured across a tear."""
    slope = np.zeros((*values.shape, 2))
    for axis, cut in ((1, lattice.cut_x), (0, lattice.cut_y)):
        step = np.where(cut, np.nan, np.diff(values, axis=axis))
        edge = [(0, 0), (0, 0)]
        edge[axis] = (1, 1)
        padded = np.pad(step, edge, constant_values=np.nan)
        before, after = (padded[:, :-1], padded[:, 1:]) if axis == 1 else (padded[:-1], padded[1:])
        smaller = np.where(np.abs(before) <= np.abs(after), before, after)
        both = np.where(before * after > 0, smaller, 0.0)
        one = np.where(np.isnan(before), after, before)
        slope[..., 1 - axis] = np.nan_to_num(np.where(np.isnan(before) | np.isnan(after), one, both))
    return slope


def _triangles(
    torn: np.ndarray,
    corner: tuple[np.ndarray, np.ndarray],
    after: tuple[np.ndarray, np.ndarray],
    here: np.ndarray,
    there: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Faces and steps. corner and after: lattice vertex and cell point of each corner and of the next one, clockwise.

    A whole edge makes one triangle with the cell's point; a torn one makes two, one on each side of its crossing.
    """
    (a, a_middle), (b, b_middle) = corner, after

    def pick(where: np.ndarray, *columns: np.ndarray) -> np.ndarray:
        return np.stack([column[where] for column in columns], axis=-1)

    faces = [pick(~torn, a, b, a_middle), pick(torn, a, here, a_middle), pick(torn, there, b, b_middle)]
    steps = [pick(torn, here, there, b_middle), pick(torn, here, b_middle, a_middle)]
    steps += [a_middle[:, [0, 1, 2]], a_middle[:, [0, 2, 3]]]  # where three or four surfaces meet in a cell
    return np.concatenate(faces), np.concatenate(steps)


def _with_surface(faces: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The triangles all of whose vertices have a depth and are three."""
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return faces[distinct & ~np.isnan(depth[faces]).any(axis=1)]
