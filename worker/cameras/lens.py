# SPDX-License-Identifier: GPL-3.0-or-later
"""Lenses: pictures with radial and tangential distortion become pictures of an ideal pinhole camera.

Must not know where a lens's numbers come from. The models are Brown and Conrady's with four radial and two tangential
terms, of which COLMAP and OpenCV call the one with two OPENCV, and Kannala and Brandt's, which they call
OPENCV_FISHEYE; all axes and units as in core.view.PinholeCamera.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..core.view import PinholeCamera

LARGEST_ZOOM = 2.0
"""A straightened picture is enlarged at most by this to hide its curved borders: beyond, the numbers are nonsense."""

_STRAIGHT = 0.05  # pixels: a lens that moves no pixel further than this needs no straightening


@dataclass(frozen=True)
class Lens:
    """A pinhole camera and its distortion: a ray (x, y, 1) is seen where the camera sees the ray (x', y', 1),

    x' = x (1 + k1 r^2 + ... + k4 r^8) + 2 p1 x y + p2 (r^2 + 2 x^2), y' likewise with p1 and p2 exchanged, r^2 = x^2 +
    y^2. fisheye: x' = x t (1 + k1 t^2 + ... + k4 t^8) / r, y' likewise, where t = atan(r).
    """

    camera: PinholeCamera
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    fisheye: bool = False

    def scaled(self, width: int, height: int) -> Lens:
        """The same lens before other pixels: distortion is in rays and does not change."""
        return replace(self, camera=self.camera.scaled(width, height))

    def turned(self, turn: np.ndarray) -> Lens:
        """The lens of the turned picture. turn: (2, 2), by quarters, of directions in pixels to those after it."""
        camera, quarter = self.camera, bool(turn[0, 1])
        sides = (camera.height, camera.width) if quarter else (camera.width, camera.height)
        fx, fy = (camera.fy, camera.fx) if quarter else (camera.fx, camera.fy)
        middle = turn @ (camera.cx - camera.width / 2.0, camera.cy - camera.height / 2.0) + np.array(sides) / 2.0
        p2, p1 = (turn @ (self.p2, self.p1)).tolist()
        return replace(self, camera=PinholeCamera(*sides, fx, fy, *middle.tolist()), p1=p1, p2=p2)

    def distorted(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the rays (x, y, 1), arrays of one shape, are seen, in pixels of the camera."""
        r2, camera = x * x + y * y, self.camera
        if self.fisheye:
            r = np.sqrt(r2)
            angle = np.arctan(r)
            radial = np.where(r > 1e-9, self._radial(angle * angle) * angle / np.maximum(r, 1e-9), 1.0)
            return x * radial * camera.fx + camera.cx, y * radial * camera.fy + camera.cy
        radial = self._radial(r2)
        seen_x = x * radial + 2.0 * self.p1 * x * y + self.p2 * (r2 + 2.0 * x * x)
        seen_y = y * radial + 2.0 * self.p2 * x * y + self.p1 * (r2 + 2.0 * y * y)
        return seen_x * camera.fx + camera.cx, seen_y * camera.fy + camera.cy

    def _radial(self, r2: np.ndarray) -> np.ndarray:
        more = self.k2 + r2 * (self.k3 + r2 * self.k4) if self.k3 or self.k4 else self.k2
        return 1.0 + r2 * (self.k1 + r2 * more)

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
