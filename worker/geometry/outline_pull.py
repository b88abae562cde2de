# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls a mesh until its outline, seen by a camera, is that of a picture. Must not know colours or files.

What a silhouette says of a surface is where its rim is: the points of the mesh that are seen at its outline are drawn
to the picture's, and everything else follows as smoothly as it can (sparse least squares on the Laplacian of the
displacement: Sorkine et al. 2004, "Laplacian surface editing"). Which points are the rim's changes on the way, so it is
done in a few rounds, each softer than the last. Points move across the lines of sight alone: how deep they are no
outline says. Axes are those of the mesh and of the view, which are the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from ..core.view import PinholeCamera, View
from .outline_match import Outline, matched
from .texturing import projection
from .texturing.rasterise import depth_buffer, projected

_SIDE = 384  # pixels along the longer side of the outlines that are compared
_FACES = 12_000  # of the mesh on which it is worked out what the others follow
_STIFF, _POINTS = (1000.0, 300.0, 100.0, 50.0), 6_000
"""Of each round, against bending, beside 1 for each point of the rim, of a mesh of so many points: with fewer there are
fewer at the rim, and each is farther from its neighbours. With a third of it normals of deformed scans of YCB are half
a degree worse, and outlines no better."""

_STAY = 1e-3  # against moving at all, where nothing pulls
_RIM = 2.0  # pixels from its outline within which a point of the mesh is the rim's
_NEAR = 0.1  # of the picture's side, within which an outline's place is looked for
_REACH = 0.25  # of the picture's side: an outline that is farther away is that of another part
_NEIGHBOURS = 4


def pulled(
    vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, view: View, check: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Vertices (V, 3) float32 of which the outline is the mask's, (H, W) bool, in the view, as far as that goes. faces:
    (F, 3), welded, of any kind: neither closed nor of one piece. check: called between the rounds, may raise."""
    few, triangles = reduced(vertices, faces, _FACES)
    small, shown = framed(mask, few, view)
    outline, start = Outline.of(shown), few
    bending = bending_of(triangles, len(few))
    for stiff in np.array(_STIFF) * (len(few) / _POINTS) ** 1.5:
        check()
        pairs = matched(few, triangles, small, outline, _NEAR)
        if not len(pairs.point):
            break
        place = projected(few, small)
        count = np.bincount(pairs.point, minlength=len(few))
        total = np.stack([np.bincount(pairs.point, pairs.wanted[:, k], len(few)) for k in (0, 1)], axis=1)
        pull = (count > 0).astype(np.float64)
        right = pull[:, None] * (total / np.maximum(count, 1)[:, None] - place[:, :2])
        system = (stiff * bending + sparse.diags_array(pull + _STAY)).tocsc()
        few = few + _across(splu(system).solve(right), place[:, 2], small)
    return (vertices + followed(few - start, start, vertices)).astype(np.float32)


def rim_wanted(
    few: np.ndarray, triangles: np.ndarray, view: View, place: np.ndarray, outline: np.ndarray, inward: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The points of the rim, (N,) numbers, and where (N, 2) each is to be seen: half-way between the nearest place on
    the outline and the middle of the places that are nearest to it."""
    own = np.isfinite(depth_buffer(few, triangles, view))
    edge = ndimage.distance_transform_edt(np.pad(own, 1))[1:-1, 1:-1] + ndimage.distance_transform_edt(~own)
    rim = np.flatnonzero(_read(edge, place) < _RIM)
    if not len(rim):
        return rim, place[rim]
    down, right = np.gradient(inward)
    slope = np.stack([_read(right, place[rim]), _read(down, place[rim])], axis=1)
    slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)
    near = place[rim] - _read(inward, place[rim])[:, None] * slope
    rows, columns = np.nonzero(outline & ~ndimage.binary_erosion(outline))
    border = np.column_stack([columns, rows]) + 0.5
    far, nearest = cKDTree(place[rim]).query(border)
    border, nearest = border[far < _REACH * _SIDE], nearest[far < _REACH * _SIDE]
    count = np.bincount(nearest, minlength=len(rim))
    drawn = np.stack([np.bincount(nearest, border[:, k], len(rim)) for k in (0, 1)], axis=1)
    both = (near + drawn / np.maximum(count, 1)[:, None]) / 2.0
    return rim, np.where(count[:, None] > 0, both, near)


def _read(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values (H, W) at places (N, 2), column and row."""
    return ndimage.map_coordinates(values, place.T[::-1] - 0.5, order=1, mode="nearest")


def bending_of(faces: np.ndarray, count: int) -> sparse.csr_array:
    """(count, count): the square of how far each point is from the middle of its neighbours."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    graph = sparse.csr_array((np.ones(2 * len(ends)), (ends.ravel(), ends[:, ::-1].ravel())), shape=(count, count))
    graph.data[:] = 1.0
    mean = sparse.diags_array(1.0 / np.maximum(graph.sum(axis=1), 1.0)) @ graph
    apart = sparse.eye_array(count) - mean
    return (apart.T @ apart).tocsr()


def _across(moved: np.ndarray, depth: np.ndarray, view: View) -> np.ndarray:
    """(V, 3) in the mesh's axes of steps (V, 2) in pixels, of points that are so deep (V,)."""
    steps = moved * depth[:, None] / np.array([view.camera.fx, view.camera.fy])
    return steps @ view.rotation[:2]


def followed(moved: np.ndarray, at: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(P, 3) how points (P, 3) move where those at (V, 3) move like this, (V, 3)."""
    if len(at) == len(points):
        return moved
    far, nearest = cKDTree(at).query(points, k=min(_NEIGHBOURS, len(at)))
    weight = 1.0 / np.maximum(far, 1e-9)
    weight /= weight.sum(axis=1, keepdims=True)
    return np.einsum("pk,pkc->pc", weight, moved[nearest])


def reduced(vertices: np.ndarray, faces: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    points, triangles = projection.reduced(vertices, faces, most)
    return points.astype(np.float64), triangles


def framed(mask: np.ndarray, points: np.ndarray, view: View) -> tuple[View, np.ndarray]:
    """What the view shows of mask and points, with a margin: the view of that, and the mask (h, w) bool in it."""
    place = projected(points, view)[:, :2]
    rows, columns = np.nonzero(mask)
    low = np.minimum(place.min(axis=0), (columns.min(), rows.min()))
    high = np.maximum(place.max(axis=0), (columns.max() + 1, rows.max() + 1))
    room = 0.05 * (high - low).max()
    left, top = np.floor(low - room).astype(int)
    right, bottom = np.ceil(high + room).astype(int)
    scale = _SIDE / max(right - left, bottom - top)
    width, height = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
    whole = Image.fromarray(mask.astype(np.float32)).transform(
        (width, height), Image.Transform.EXTENT, (left, top, right, bottom), Image.Resampling.BILINEAR
    )
    c = view.camera
    cut = PinholeCamera(int(right - left), int(bottom - top), c.fx, c.fy, c.cx - left, c.cy - top)
    return View(cut.scaled(width, height), view.rotation, view.position), np.asarray(whole) >= 0.5
