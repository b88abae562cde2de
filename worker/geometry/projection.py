# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a camera until a mesh's outline falls on the photo's, so that the photo's pixels land where they belong.

Networks state their camera only roughly, and their meshes are a little larger, smaller or turned. Must not know
colours. Axes are those of the mesh and of the view, which are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import fast_simplification
import numpy as np
from scipy.optimize import minimize

from ..representations import PinholeCamera, View
from .rasterise import depth_buffer, projected

_SIDE = 96  # pixels on the longer side of the pictures that are compared
_FINE_SIDE = 256  # of those by which the result is judged
_FACES = 3000  # of the mesh that is moved about
_REACH = np.array([0.05, 0.05, 0.05, 0.06, 0.06])  # first steps: shift (of the thing's size), ln distance, radians
_EVALUATIONS = 160
_TURN_COST = 0.05  # IoU that a turn of one radian must bring, so that round things are not turned about at random


@dataclass(frozen=True, eq=False)
class Fit:
    """The camera that was found, and how well outlines agree (intersection over union) with it and with the start."""

    view: View
    iou: float
    start_iou: float


def fitted_view(vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, start: View) -> Fit:
    """The view near `start` from which a mesh looks most like `mask` (H, W) bool, which is never a worse one.

    vertices: (V, 3), faces: (F, 3). start: a camera of W by H pixels. It is shifted, moved nearer or farther and swung
    around the middle of the mesh, up and sideways; its focal length stays. ValueError for a mask of another size.
    """
    camera = start.camera
    if mask.shape != (camera.height, camera.width):
        raise ValueError(f"a mask of shape {mask.shape} for a camera of {camera.width} by {camera.height} pixels")
    before = silhouette_iou(vertices, faces, mask, start, _FINE_SIDE)
    if not mask.any() or before == 0.0 and not _ahead(vertices, start):
        return Fit(start, before, before)
    few, triangles = _reduced(vertices, faces)
    centre = (vertices.min(axis=0).astype(np.float64) + vertices.max(axis=0)) / 2.0
    size = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    coarse, small = _small(mask, start, _SIDE)
    begin = _framed(few, coarse, small, centre, size)

    def cost(change: np.ndarray) -> float:
        view = moved(small, change, centre, size)
        return _TURN_COST * float(np.abs(change[3:]).sum()) - _iou(few, triangles, coarse, view)

    best = min((np.zeros(5), begin), key=cost)
    for shrink in (1.0, 0.3):
        simplex = best + shrink * np.concatenate([np.zeros((1, 5)), np.diag(_REACH)])
        options = {"initial_simplex": simplex, "maxfev": _EVALUATIONS // 2, "xatol": 1e-4, "fatol": 1e-4}
        best = minimize(cost, best, method="Nelder-Mead", options=options).x
    found = moved(start, best, centre, size)
    after = silhouette_iou(vertices, faces, mask, found, _FINE_SIDE)
    return Fit(found, after, before) if after > before else Fit(start, before, before)


def silhouette_iou(vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, view: View, side: int) -> float:
    """Intersection over union of a mesh's outline with a mask (H, W), in pictures of `side` pixels; 0 if both empty."""
    coarse, small = _small(mask, view, side)
    return _iou(vertices, faces, coarse, small)


def moved(view: View, change: np.ndarray, centre: np.ndarray, size: float) -> View:
    """A view after a change (5,): right and down, in the thing's `size`; ln of the distance; swung up and sideways
    around `centre`, in radians."""
    turn = _turn(0, change[3]) @ _turn(1, change[4])
    rotation = turn @ view.rotation
    middle = view.rotation @ (centre - view.position) * np.exp(change[2])
    middle = middle + np.array([change[0] * size, change[1] * size, 0.0])
    return View(view.camera, rotation, centre - rotation.T @ middle)


def _turn(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
    return turn


def _iou(vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, view: View) -> float:
    """As `silhouette_iou`, for a mask (h, w) of shares in [0, 1] and a camera of the same size."""
    own = np.isfinite(depth_buffer(vertices, faces, view))
    union = float(np.maximum(own, mask).sum())
    return float(np.minimum(own, mask).sum()) / union if union else 0.0


def _small(mask: np.ndarray, view: View, side: int) -> tuple[np.ndarray, View]:
    """The mask as shares (h, w) float32 of pixels that are no more than `side` on a side, and the view of that size."""
    height, width = mask.shape
    scale = min(side / max(height, width), 1.0)
    rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
    top = np.arange(rows) * height // rows
    left = np.arange(columns) * width // columns
    sums = np.add.reduceat(np.add.reduceat(mask.astype(np.float32), top, axis=0), left, axis=1)
    area = np.outer(np.diff(np.append(top, height)), np.diff(np.append(left, width)))
    camera: PinholeCamera = view.camera.scaled(columns, rows)
    return sums / area, View(camera, view.rotation, view.position)


def _reduced(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(faces) <= _FACES:
        return vertices, faces
    points, triangles = fast_simplification.simplify(
        np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32), target_count=_FACES
    )
    return points, triangles.astype(np.int64)


def _ahead(vertices: np.ndarray, view: View) -> bool:
    return bool((projected(vertices, view)[:, 2] > 0).all())


def _framed(vertices: np.ndarray, mask: np.ndarray, view: View, centre: np.ndarray, size: float) -> np.ndarray:
    """The change (5,) after which the mesh's box in the picture is about the mask's; no change where it is behind."""
    if not _ahead(vertices, view):
        return np.zeros(5)
    place = projected(vertices, view)[:, :2]
    rows, columns = np.flatnonzero(mask.max(axis=1) > 0.5), np.flatnonzero(mask.max(axis=0) > 0.5)
    if not len(rows) or not len(columns):
        return np.zeros(5)
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1] + 1, rows[-1] + 1])
    own_low, own_high = place.min(axis=0), place.max(axis=0)
    scale = float(np.exp(np.log((high - low) / np.maximum(own_high - own_low, 1e-9)).mean()))
    middle = view.rotation @ (centre - view.position)
    c = view.camera
    at = np.array([c.fx, c.fy]) * middle[:2] / middle[2] + (c.cx, c.cy)
    target = (low + high) / 2.0 + scale * (at - (own_low + own_high) / 2.0)
    depth = middle[2] / scale
    wanted = (target - (c.cx, c.cy)) * depth / (c.fx, c.fy)
    return np.array([*((wanted - middle[:2] / scale) / size), -np.log(scale), 0.0, 0.0])
