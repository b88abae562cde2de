# SPDX-License-Identifier: GPL-3.0-or-later
"""Lenses: pictures with radial and tangential distortion become pictures of an ideal pinhole camera.

Must not know where a lens's numbers come from. The model is Brown and Conrady's with two radial and two tangential
terms, which COLMAP and OpenCV call OPENCV; all axes and units as in core.view.PinholeCamera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.view import PinholeCamera

LARGEST_ZOOM = 2.0
"""A straightened picture is enlarged at most by this to hide its curved borders: beyond, the numbers are nonsense."""

_STRAIGHT = 0.05  # pixels: a lens that moves no pixel further than this needs no straightening


@dataclass(frozen=True)
class Lens:
    """A pinhole camera and its distortion: a ray (x, y, 1) is seen where the camera sees the ray (x', y', 1),

    x' = x (1 + k1 r2 + k2 r2^2) + 2 p1 x y + p2 (r2 + 2 x^2), y' likewise with p1 and p2 exchanged, r2 = x^2 + y^2.
    """

    camera: PinholeCamera
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    def scaled(self, width: int, height: int) -> Lens:
        """The same lens before other pixels: distortion is in rays and does not change."""
        return Lens(self.camera.scaled(width, height), self.k1, self.k2, self.p1, self.p2)

    def distorted(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the rays (x, y, 1), arrays of one shape, are seen, in pixels of the camera."""
        r2 = x * x + y * y
        radial = 1.0 + r2 * (self.k1 + r2 * self.k2)
        seen_x = x * radial + 2.0 * self.p1 * x * y + self.p2 * (r2 + 2.0 * x * x)
        seen_y = y * radial + 2.0 * self.p2 * x * y + self.p1 * (r2 + 2.0 * y * y)
        camera = self.camera
        return seen_x * camera.fx + camera.cx, seen_y * camera.fy + camera.cy

    def is_straight(self) -> bool:
        """Whether no pixel at the picture's border is seen elsewhere than a pinhole camera would see it."""
        u, v = _border(self.camera)
        seen_u, seen_v = self.distorted(*_rays(self.camera, u, v))
        return bool(np.hypot(seen_u - u, seen_v - v).max() < _STRAIGHT)


def straightened(
    rgb: np.ndarray, alpha: np.ndarray | None, lens: Lens
) -> tuple[np.ndarray, np.ndarray | None, PinholeCamera]:
    """The picture (H, W, 3) uint8 and its alpha (H, W) or None without distortion, as many pixels, and their camera.

    The camera is enlarged just so much that nothing beyond the picture's border is shown.
    """
    if lens.is_straight():
        return rgb, alpha, lens.camera
    camera = _without_blank(lens)
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    seen_u, seen_v = lens.distorted(*_rays(camera, u, v))
    places = np.stack([seen_v - 0.5, seen_u - 0.5]).astype(np.float32)
    straight = np.stack([_sampled(rgb[..., channel], places) for channel in range(3)], axis=-1)
    return straight, None if alpha is None else _sampled(alpha, places), camera


def _sampled(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.rint(ndimage.map_coordinates(values, places, np.float32, order=1, mode="nearest")).astype(np.uint8)


def _without_blank(lens: Lens) -> PinholeCamera:
    """The lens's camera, enlarged as little as shows pixels of the distorted picture only."""
    low, high = 1.0, LARGEST_ZOOM
    if _shows_only_picture(lens, _zoomed(lens.camera, low)):
        return lens.camera
    for _ in range(12):  # to 1/4000 of the size
        middle = (low + high) / 2.0
        low, high = (low, middle) if _shows_only_picture(lens, _zoomed(lens.camera, middle)) else (middle, high)
    return _zoomed(lens.camera, high)


def _zoomed(camera: PinholeCamera, zoom: float) -> PinholeCamera:
    return PinholeCamera(camera.width, camera.height, camera.fx * zoom, camera.fy * zoom, camera.cx, camera.cy)


def _shows_only_picture(lens: Lens, camera: PinholeCamera) -> bool:
    u, v = lens.distorted(*_rays(camera, *_border(camera)))
    return bool(u.min() >= 0.0 and v.min() >= 0.0 and u.max() <= camera.width and v.max() <= camera.height)


def _border(camera: PinholeCamera) -> tuple[np.ndarray, np.ndarray]:
    """Points along the picture's border, in pixels."""
    t = np.linspace(0.0, 1.0, 33)
    zero, one = np.zeros_like(t), np.ones_like(t)
    u, v = np.concatenate([t, t, zero, one]), np.concatenate([zero, one, t, t])
    return u * camera.width, v * camera.height


def _rays(camera: PinholeCamera, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
