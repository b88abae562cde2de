# SPDX-License-Identifier: GPL-3.0-or-later
"""A small scene whose truth is known: a ball, coloured by where its surface faces, seen from twelve places."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.core.view import PinholeCamera, View

CENTRE, RADIUS = np.array([0.05, -0.04, 0.06]), 0.35
_FINE = 3  # rays along each side of a pixel


def view(yaw: float, pitch: float, pixels: int = 24) -> View:
    """From two units away, at the middle."""
    position = 2.0 * np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    forward = -position / 2.0
    down = np.cross(forward, right)
    return View(PinholeCamera.from_fov(pixels, pixels, 34.0), np.stack([right, down, forward]), position)


def seen(view: View) -> tuple[np.ndarray, np.ndarray]:
    """The ball's picture (H, W, 3) uint8 and its matte (H, W) uint8."""
    camera = view.camera
    row, column = (np.mgrid[: camera.height * _FINE, : camera.width * _FINE] + 0.5) / _FINE
    x, y = (column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy
    way = np.stack([x, y, np.ones_like(x)], 2) @ view.rotation
    way /= np.linalg.norm(way, axis=2, keepdims=True)
    out = view.position - CENTRE
    half = way @ out
    under = half**2 - out @ out + RADIUS**2
    hit = under > 0.0
    normal = (out + way * (-half - np.sqrt(np.maximum(under, 0.0)))[..., None]) / RADIUS
    blocks = camera.height, _FINE, camera.width, _FINE
    share = hit.reshape(blocks).mean((1, 3))
    colour = (tint(normal) * hit[..., None]).reshape(*blocks, 3).mean((1, 3)) / np.maximum(share, 1e-6)[..., None]
    return np.uint8(np.rint(255.0 * colour)), np.uint8(np.rint(255.0 * share))


def tint(normal: np.ndarray) -> np.ndarray:
    """(..., 3) sRGB in [0, 1] of the surface where it faces in directions (..., 3)."""
    return 0.5 + 0.45 * np.clip(normal, -1.0, 1.0)


def capture(cut_out: bool = True) -> Capture:
    """Cut out, or before something of one colour."""
    views = []
    for number in range(12):
        place = view(number * 2.4, math.radians((-40.0, -10.0, 25.0, 50.0)[number % 4]))
        colour, matte = seen(place)
        if not cut_out:
            share = matte[..., None] / 255.0
            colour, matte = np.uint8(np.rint(colour * share + 70.0 * (1.0 - share))), None
        views.append(replace(place, rgb=colour, mask=matte, name=f"view {number}"))
    return Capture(tuple(views), np.zeros((0, 3), np.float32), np.array([[-0.5] * 3, [0.5] * 3]), not cut_out)
