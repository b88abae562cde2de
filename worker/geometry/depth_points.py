# SPDX-License-Identifier: GPL-3.0-or-later
"""A depth map laid onto a mesh that its camera sees, as points in the mesh's axes. Must not know networks or files.

Depth knows its unit badly or not at all, and a camera that was found by an outline stands too near or too far: both are
settled by the mesh itself, whose visible surface the depth is brought to, so that the two agree in place and size.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.representations import DepthMap
from ..core.view import View
from .texturing.rasterise import depth_buffer

CONTRADICTS = 0.2
"""Halves of the thing's longest side: a depth that differs by more from the mesh shows something else, or lies. As far
as fronts are off that the included generator has learned to listen to (see methods.hybrid.fronts)."""

_EDGE = 2  # pixels at outlines, where depth maps mix two distances
_FEWEST = 16  # pixels that tell anything


def points_on(depth: DepthMap, vertices: np.ndarray, faces: np.ndarray, view: View) -> np.ndarray | None:
    """(N, 3) float64 points that the depth shows of the thing in the view's mask, in the axes of the mesh; None where
    it contradicts the mesh, or says nothing.

    vertices: (V, 3), faces: (F, 3). view: the same picture's, with its mask and with its camera before the mesh."""
    rows, columns = depth.inverse_depth.shape
    own = View(view.camera.scaled(columns, rows), view.rotation, view.position)
    solid = depth_buffer(vertices, faces, own)
    mask = np.asarray(Image.fromarray(view.mask).resize((columns, rows), Image.Resampling.BOX)) >= 128
    both = ndimage.binary_erosion(np.isfinite(solid) & depth.valid & mask, iterations=_EDGE)
    if np.count_nonzero(both) < _FEWEST:
        return None
    inverse = _as_near(depth.inverse_depth[both], 1.0 / solid[both], depth.metric or depth.proportional)
    if inverse is None:
        return None
    z = 1.0 / np.maximum(inverse, 1e-6 / float(np.median(solid[both])))
    half = float(np.ptp(vertices, axis=0).max()) / 2.0
    if np.sqrt(np.mean(np.minimum(np.abs(z - solid[both]), half) ** 2)) > CONTRADICTS * half:
        return None
    return _places(z, np.nonzero(both), own)


def _as_near(inverse: np.ndarray, wanted: np.ndarray, has_zero: bool) -> np.ndarray | None:
    """Inverse depths (N,) in the unit of others (N,), and with their zero where they have none of their own; None where
    one falls while the other rises."""
    middle, near = float(np.median(inverse)), float(np.median(wanted))
    if has_zero:
        return inverse * (near / middle) if middle > 0.0 else None
    spread = np.abs(inverse - middle).mean()
    if spread <= 0.0 or float((inverse - middle) @ (wanted - near)) <= 0.0:
        return None
    return (inverse - middle) * (np.abs(wanted - near).mean() / spread) + near


def _places(z: np.ndarray, pixels: tuple[np.ndarray, np.ndarray], view: View) -> np.ndarray:
    """(N, 3) where depths (N,) along the axis at pixels, rows and columns (N,), lie in the view's world."""
    camera, (row, column) = view.camera, pixels
    x = (column + 0.5 - camera.cx) / camera.fx * z
    y = (row + 0.5 - camera.cy) / camera.fy * z
    return np.column_stack([x, y, z]) @ view.rotation + view.position
