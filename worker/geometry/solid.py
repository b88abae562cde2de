# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes the back of a relief: a printable solid with a flat back and walls along the lines of sight.

Seen from the camera nothing changes: steps in depth become walls that the camera sees edge-on, and the sides lie behind
the picture's outline. Works in the picture's space (column, row, height), where such walls are parallel to the third
axis.

Must not know cameras, photos or files.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np

from .mesh import face_vectors
from .relief.lattice import Lattice
from .simplify import outline, simplified

_EDGE_ON = 0.03  # faces that the camera sees at less than this (sine of the angle) show no photo, only its smear


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


def closed(
    points: np.ndarray, faces: np.ndarray, steps: np.ndarray, line: np.ndarray, back: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points (V, 3) and faces (F, 3) int64 of the closed solid.

    faces: the visible surfaces; steps: walls between them at tears; line: (V,) for each point the one that stands for
    all points on its line of sight; back: height of the flat back.
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


def parts(points: np.ndarray, faces: np.ndarray, limit: float) -> np.ndarray:
    """(F,) the Part of each triangle. limit: a height between the farthest visible point and the flat back."""
    behind = (points[faces][:, :, 2] > limit).sum(axis=1)
    normal = face_vectors(points, faces)
    hidden = np.abs(normal[:, 2]) < _EDGE_ON * np.linalg.norm(normal, axis=1)
    return np.where(behind == 3, Part.BACK, np.where((behind > 0) | hidden, Part.SIDE, Part.FRONT))


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
