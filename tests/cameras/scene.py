# SPDX-License-Identifier: GPL-3.0-or-later
"""A painted box that is photographed from all sides: pictures whose cameras are known exactly.

The scene's world is glTF's, +Y up; its cameras' axes here are OpenCV's, as everywhere in the worker.
"""

from __future__ import annotations

import numpy as np
from image_to_3d.tests import render
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.pictures.load import Picture
from scipy import ndimage

FLIP = np.diag([1.0, -1.0, -1.0])  # between OpenGL's camera axes and OpenCV's
SIZE = np.array([1.0, 0.6, 0.7])


def painted_box(seed: int = 0) -> render.Shape:
    """A box of SIZE around the origin with another piece of one random painting on each side."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    quads = [[1, 5, 7, 3], [4, 0, 2, 6], [5, 4, 6, 7], [0, 1, 3, 2], [3, 7, 6, 2], [0, 4, 5, 1]]
    vertices = np.concatenate([corners[quad] for quad in quads]) * SIZE
    faces = np.concatenate([[[4 * k, 4 * k + 1, 4 * k + 2], [4 * k, 4 * k + 2, 4 * k + 3]] for k in range(6)])
    square = np.array([[0.02, 0.98], [0.98, 0.98], [0.98, 0.02], [0.02, 0.02]])
    uv = np.concatenate([(square + [k % 3, k // 3]) / [3, 2] for k in range(6)])
    noise = np.random.default_rng(seed).normal(size=(512, 768, 3))
    paint = sum(ndimage.gaussian_filter(noise, (s, s, 0)) * s for s in (1.5, 4.0, 12.0))
    paint = (paint - paint.min()) / np.ptp(paint)
    return render.Shape(vertices, faces, uv, np.uint8(255 * paint))


def ring(
    count: int, degrees: float = 360.0, pitch: float = 25.0, size: int = 320, fov: float = 40.0, away: float = 2.6
) -> list[View]:
    """Level cameras around the origin, spread over an arc, that look at it from `pitch` degrees above."""
    camera = PinholeCamera.from_fov(size, size, fov)
    return [_view(camera, yaw, pitch, away) for yaw in np.arange(count) * degrees / count]


def _view(camera: PinholeCamera, yaw: float, pitch: float, away: float) -> View:
    around, above = np.radians([yaw, pitch])
    back = np.array([np.sin(around) * np.cos(above), np.sin(above), np.cos(around) * np.cos(above)])
    right = np.array([np.cos(around), 0.0, -np.sin(around)])
    return View(camera, np.stack([right, -np.cross(back, right), -back]), away * back)


def photo(shape: render.Shape, view: View, name: str, alpha: bool = False, backdrop: int = 255) -> Picture:
    """What the camera sees, with the thing's alpha or before a plain backdrop."""
    c = view.camera
    seen = render.View(c.width, c.height, c.fx, c.fy, c.cx, c.cy, view.position, (FLIP @ view.rotation).T)
    taken = render.render(shape, seen, (backdrop,) * 3, samples=2)
    mask = np.where(np.isfinite(taken.depth), 255, 0).astype(np.uint8)
    return Picture(taken.colour, mask if alpha else None, None, name, name)


def to_opengl(view: View) -> list[list[float]]:
    """The view's camera-to-world matrix with OpenGL's camera axes, as a transforms.json holds it."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (FLIP @ view.rotation).T, view.position
    return matrix.tolist()


def rotation_errors(found: list[View], true: list[View]) -> np.ndarray:
    """(N, N) degrees between the found and the true rotation from each camera to each other: no alignment needed."""
    a, b = np.stack([v.rotation for v in found]), np.stack([v.rotation for v in true])
    turn = np.einsum("iab,jcb->ijac", a, a) @ np.einsum("iab,jcb->ijac", b, b).transpose(0, 1, 3, 2)
    trace = np.trace(turn, axis1=2, axis2=3)
    return np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))
