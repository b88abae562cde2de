# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes the back of a relief: a printable shell of even thickness whose back follows the front.

Seen from the camera nothing changes: steps in depth become walls that the camera sees edge-on, and the sides lie behind
the picture's outline. Works in the picture's space (column, row, height), where such walls are parallel to the third
axis and a unit is the same small angle in every direction: what is twice as far becomes twice as thick.

Must not know cameras, photos or files.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
from scipy import ndimage

from .fill import nearest_filled
from .mesh import face_vectors
from .relief.lattice import Lattice
from .simplify import outline, simplified

_EDGE_ON = 0.03  # faces that the camera sees at less than this (sine of the angle) show no photo, only its smear


_BALL = 5  # a solid's thickness in blocks of cells that the back is found in
_SMOOTH = 1.5  # blocks over which the back is averaged: balls at a ragged step would be beads
_THINNEST = 0.5  # of it is left where the blocks are too coarse for the front
_HELD = 0.01  # cells; what is so near to the picture's border lies on it


class Part(IntEnum):
    """Which side of the solid a triangle is on."""

    FRONT = 0
    SIDE = 1
    BACK = 2


def whole_at_border(lattice: Lattice) -> Lattice:
    """The lattice without tears along the picture's border, so that the solid's sides have one plain upper rim."""
    cut_x, cut_y = lattice.cut_x.copy(), lattice.cut_y.copy()
    none = np.isnan(lattice.inverse)
    for row in (0, -1):
        cut_x[row] = none[row, 1:] != none[row, :-1]
        cut_y[:, row] = none[1:, row] != none[:-1, row]
    return Lattice(lattice.inverse, cut_x, cut_y)


def backs(points: np.ndarray, line: np.ndarray, shape: tuple[int, int], thickness: float) -> np.ndarray:
    """(V,) heights of the back on each point's line of sight: the front is about `thickness` cells before it.

    A ball of that radius rolls along the far side of the front (a grey dilation), so that walls at steps are as thick
    as all else. points: (V, 3), NaN where the front has none; line: as in closed; shape: of the lattice.
    """
    block = max(1, round(thickness / _BALL))
    rows, columns = (-(-side // block) for side in shape)
    row, column = (np.minimum(points[:, axis] / block, side - 1) for axis, side in ((1, rows), (0, columns)))
    known = np.isfinite(points[:, 2])
    front = np.full((rows, columns), -np.inf)
    cells = np.rint(row[known]).astype(np.int64), np.rint(column[known]).astype(np.int64)
    np.maximum.at(front, cells, points[known, 2])
    along = np.arange(-_BALL - 1, _BALL + 2) * block
    below = thickness**2 - along[:, None] ** 2 - along**2
    ball = np.sqrt(np.maximum(below, 0.0))
    back = ndimage.grey_dilation(front, footprint=below > 0.0, structure=ball, mode="nearest")
    back = ndimage.gaussian_filter(nearest_filled(back, np.isfinite(back)), _SMOOTH, mode="nearest")
    least = np.full(len(points), -np.inf)
    np.maximum.at(least, line[known], points[known, 2] + _THINNEST * thickness)
    return np.maximum(ndimage.map_coordinates(back, [row, column], order=1, mode="nearest"), least)[line]


def closed(
    points: np.ndarray, faces: np.ndarray, steps: np.ndarray, line: np.ndarray, back: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points (V, 3) and faces (F, 3) int64 of the closed solid.

    faces: the visible surfaces; steps: walls between them at tears; line: (V,) for each point the one that stands for
    all points on its line of sight; back: (V,) heights of the back there.
    """
    front = np.concatenate([faces, steps])
    edges = outline(front)
    behind = points.copy()
    behind[:, 2] = back
    a, b = edges.T
    a_back, b_back = len(points) + line[a], len(points) + line[b]
    sides = np.concatenate([np.column_stack([b, a, a_back]), np.column_stack([b, a_back, b_back])])
    sides = sides[sides[:, 1] != sides[:, 2]]  # an edge along the line of sight has one point behind it
    flat = len(points) + line[faces][:, ::-1]
    return np.concatenate([points, behind]), np.concatenate([front, sides, flat])


def simplified_closed(
    points: np.ndarray, faces: np.ndarray, target: int, unprojected: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The solid with about `target` triangles or fewer, still closed; with more of them where it would not be.

    unprojected: where points (V, 3) are in space: there no edge is too short (`without_short_edges`).
    """
    wanted = target
    while wanted < len(faces):
        fewer_points, fewer_faces = simplified(points, faces, wanted)
        fewer_faces = _without_fins(fewer_faces)
        if is_closed(fewer_faces):
            points, faces = fewer_points, fewer_faces
            break
        wanted *= 2
    from .surface.clean import without_short_edges  # on use: an open relief needs no sparse matrices

    return _apart(*without_short_edges(points, faces.astype(np.int32), unprojected, _more_at_border))


def _more_at_border(points: np.ndarray) -> np.ndarray:
    """(V,) a million for each of the picture's borders that a point lies on: it stays there."""
    flat = points[:, :2]
    borders = (np.abs(flat - flat.min(axis=0)) < _HELD) | (np.abs(flat - flat.max(axis=0)) < _HELD)
    return 1e6 ** borders.sum(axis=1)


def is_closed(faces: np.ndarray) -> bool:
    """Whether every edge has exactly two triangles, walked once in each direction."""
    if not len(faces):
        return False
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    size = int(faces.max()) + 1
    there = np.sort(edges[:, 0] * size + edges[:, 1])
    back = np.sort(edges[:, 1] * size + edges[:, 0])
    return bool((there == back).all() and (there[1:] != there[:-1]).all())


def parts(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) the Part of each triangle, by where it faces."""
    normal = face_vectors(points, faces)
    towards = normal[:, 2] / np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    return np.where(np.abs(towards) < _EDGE_ON, Part.SIDE, np.where(towards > 0.0, Part.FRONT, Part.BACK))


def _apart(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points that collapses put at one place moved apart: welding must not join what the faces do not."""
    order = np.lexsort(np.round(points, 3).T)
    same = np.zeros(len(points), bool)
    same[order[1:]] = (np.abs(np.diff(points[order], axis=0)) < 2e-3).all(axis=1)
    moved = points.copy()
    moved[same, 2] -= 0.01
    return moved, faces


def _without_fins(faces: np.ndarray) -> np.ndarray:
    """Faces without pairs of triangles that lie back to back on the same three vertices, a product of edge
    collapses."""
    key = np.sort(faces, axis=1)
    _, inverse, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    return faces[count[inverse.ravel()] == 1]
