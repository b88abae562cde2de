# SPDX-License-Identifier: GPL-3.0-or-later
"""The normals that a network sees in a picture, as `View.normals` has them. Must not know networks or meshes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.representations import DepthMap, Layers
from ..core.view import View

_SMOOTH = 1.0  # cells over which a front is evened out: it steps by its own rounding


def of_depth(depth: DepthMap, view: View) -> np.ndarray | None:
    """(h, w, 3) float32 of the thing in a view's mask of the same picture; None where the network tells none."""
    if depth.normals is None:
        return None
    rows, columns = depth.normals.shape[:2]
    share = ndimage.zoom(view.mask, (rows / view.mask.shape[0], columns / view.mask.shape[1]), order=1)
    return np.where((depth.valid & (share >= 128))[..., None], depth.normals, 0.0).astype(np.float32)


def of_layers(layers: Layers, view: View) -> np.ndarray:
    """(h, w, 3) float32 of the thing's front in a view's mask of the same picture, in pixels as large as cells."""
    window, size, camera = layers.window, len(layers.front), view.camera
    at = (np.arange(size) + 0.5) / size * window.side
    x, y = (at + window.left - camera.cx) / camera.fx, (at + window.top - camera.cy) / camera.fy
    x, y = np.meshgrid(x, y)
    front = ndimage.gaussian_filter(layers.front.astype(np.float64), _SMOOTH)
    z = 1.0 + front * window.side / 2.0 / camera.fx
    points = np.stack([x * z, y * z, z], axis=2)
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)
    return _in_picture(normals * -np.sign((normals * points).sum(axis=2, keepdims=True)), layers, view)


def _in_picture(normals: np.ndarray, layers: Layers, view: View) -> np.ndarray:
    """Normals (S, S, 3) of a window's cells in the whole picture."""
    (height, width), window = view.mask.shape, layers.window
    scale = len(normals) / window.side
    rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
    row, column = (np.arange(rows) + 0.5) / rows * height, (np.arange(columns) + 0.5) / columns * width
    places = np.meshgrid((row - window.top) * scale - 0.5, (column - window.left) * scale - 0.5, indexing="ij")
    found = np.stack([ndimage.map_coordinates(plane, places, order=1) for plane in np.moveaxis(normals, 2, 0)], axis=2)
    inside = view.mask[row.astype(int)[:, None], column.astype(int)] >= 128
    return np.where(inside[..., None], found, 0.0).astype(np.float32)
