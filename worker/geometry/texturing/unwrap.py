# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays a mesh flat on one square texture page. Must not know colours.

Charts (charts.py) are seen along their direction, turned to their narrowest box and packed (packing.py). Written here
since xatlas, which most others use, takes minutes for 50,000 faces and has no wheel for every platform of ours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..mesh import Mesh, vertex_normals
from ..simplify import outline
from .charts import charted, neighbours, pieces
from .packing import Outlines, packed
from .rasterise import covered

_TURNS = np.radians(np.arange(0.0, 90.0, 7.5))  # after a right angle boxes repeat
_OVERLAP_PIXELS = 512  # squared: those that the faces cover when charts that cover themselves are looked for
_OVERLAP_ROUNDS = 4


def unwrapped(mesh: Mesh, size: int, padding: int = 4, check: Callable[[], None] = lambda: None) -> Mesh:
    """The mesh with uv for a texture of `size` by `size` texels, in [0, 1].

    Vertices are split where charts meet; normals (the mesh's own, else smooth ones) stay as they were, so that seams
    do not show in the shading. Charts keep `padding` texels apart, and half of that from the border. All charts have
    the same scale. check: called now and then, and may raise to stop. ValueError for a mesh without faces, Unable where
    its pieces do not fit.
    """
    if not len(mesh.faces):
        raise ValueError("the mesh has no faces")
    normals = mesh.normals if mesh.normals is not None else vertex_normals(mesh.vertices, mesh.faces)
    chart, directions = charted(mesh.vertices, mesh.faces)
    chart, directions = _unfolded(mesh.vertices, mesh.faces, chart, directions)
    source, faces, owner = _split(mesh.faces, chart)
    flat = _turned(_laid(mesh.vertices[source], owner, directions), owner, len(directions))
    check()
    edges = outline(faces)
    outlines = Outlines(flat[edges], owner[edges[:, 0]], len(directions))
    scale, offsets = packed(outlines, _area(flat, faces), size, padding, check)
    uv = ((flat * scale + offsets[owner]) / size).astype(np.float32)
    return Mesh(mesh.vertices[source], faces, uv, normals[source])


def _laid(points: np.ndarray, owner: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(V, 2) float64 positions of points (V, 3), seen along the direction of their chart."""
    helper = np.eye(3)[np.abs(directions).argmin(axis=1)]
    across = np.cross(helper, directions)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(directions, across)
    points = points.astype(np.float64)
    return np.column_stack([(points * across[owner]).sum(axis=1), -(points * up[owner]).sum(axis=1)])


def _split(faces: np.ndarray, chart: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For vertices with one copy per chart: the old vertex (V,), faces (F, 3) int32 and the chart (V,)."""
    count = int(faces.max()) + 1
    key = chart[:, None] * count + faces
    found, number = np.unique(key.ravel(), return_inverse=True)
    return found % count, number.reshape(-1, 3).astype(np.int32), found // count


def _turned(flat: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Positions (V, 2) with each chart turned into its smallest box, lying on its long side, with a corner at (0, 0).

    owner (V,) ascends.
    """
    begin = np.searchsorted(owner, np.arange(count))
    best, area = np.zeros_like(flat), np.full(count, np.inf)
    for angle in _TURNS:
        c, s = np.cos(angle), np.sin(angle)
        turned = flat @ np.array([[c, s], [-s, c]])
        turned -= np.minimum.reduceat(turned, begin, axis=0)[owner]
        box = np.maximum.reduceat(turned, begin, axis=0)
        better = box[:, 0] * box[:, 1] < area * 0.999
        best[better[owner]] = turned[better[owner]]
        area[better] = (box[:, 0] * box[:, 1])[better]
    box = np.maximum.reduceat(best, begin, axis=0)
    upright = (box[:, 1] > box[:, 0])[owner]
    width = box[:, 0][owner]
    lying = np.column_stack([best[:, 1], width - best[:, 0]])  # a quarter turn, which does not mirror
    return np.where(upright[:, None], lying, best)


def _area(flat: np.ndarray, faces: np.ndarray) -> float:
    corners = flat[faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return float(0.5 * np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum())


def _unfolded(
    vertices: np.ndarray, faces: np.ndarray, chart: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Charts and directions where no chart covers itself: what lies behind other faces of its chart becomes another."""
    pairs = neighbours(faces)
    for _ in range(_OVERLAP_ROUNDS):
        behind = _behind(vertices, faces, chart, directions)
        if not behind.any():
            break
        finer = pieces(chart * 2 + behind, pairs)
        parent = np.zeros(int(finer.max()) + 1, np.int64)
        parent[finer] = chart
        chart, directions = finer, directions[parent]
    return chart, directions


def _behind(vertices: np.ndarray, faces: np.ndarray, chart: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(F,) bool: faces that somewhere lie behind another face of their chart which is not beside them."""
    source, split, owner = _split(faces, chart)
    count = len(directions)
    flat = _turned(_laid(vertices[source], owner, directions), owner, count)
    flat *= _OVERLAP_PIXELS / max(np.sqrt(_area(flat, split)), 1e-30)
    wide = np.ceil(np.maximum.reduceat(flat[:, 0], np.searchsorted(owner, np.arange(count)))) + 1.0
    flat[:, 0] += (np.cumsum(wide) - wide)[owner]  # one beside the other: nothing is stored for what they leave free
    found = covered(flat[split], int(wide.sum()), int(flat[:, 1].max()) + 1, -0.02)
    found = found.taken(np.bincount(found.pixel)[found.pixel] > 1)
    behind = np.zeros(len(faces), bool)
    if len(found):
        points = vertices[source]
        depth = (found.interpolated(points, split) * directions[chart[found.face]]).sum(axis=1)
        order = np.lexsort((-depth, found.pixel))
        same = np.concatenate([[False], found.pixel[order][1:] == found.pixel[order][:-1]])
        behind[found.face[order[same]]] = True
    return behind
