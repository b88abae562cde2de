# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture with its mask and its camera, and the two things that make a camera: a pinhole and a window.

Cameras' axes are OpenCV's: x right, y down, z forward; pixel (row 0, column 0) is top left, its centre lies at (0.5,
0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class PinholeCamera:
    """An ideal camera: a point (x, y, z) is seen at pixel (fx x / z + cx, fy y / z + cy). All six in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def from_fov(cls, width: int, height: int, fov_degrees: float) -> PinholeCamera:
        """A centred camera with square pixels whose longer side spans `fov_degrees` (more than 0, less than 180)."""
        if not 0.0 < fov_degrees < 180.0:
            raise ValueError(f"field of view must lie between 0 and 180 degrees, not {fov_degrees:g}")
        focal = max(width, height) / 2.0 / math.tan(math.radians(fov_degrees) / 2.0)
        return cls.centred(width, height, focal)

    @classmethod
    def centred(cls, width: int, height: int, focal: float) -> PinholeCamera:
        """A camera with square pixels whose axis goes through the picture's middle. focal: in pixels."""
        return cls(width, height, focal, focal, width / 2.0, height / 2.0)

    def scaled(self, width: int, height: int) -> PinholeCamera:
        """The same view sampled with other pixels."""
        sx, sy = width / self.width, height / self.height
        return PinholeCamera(width, height, self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy)

    def at_most(self, pixels: int) -> PinholeCamera:
        """The same view with no more pixels than that along the longer side."""
        scale = min(1.0, pixels / max(self.width, self.height))
        return (
            self if scale == 1.0 else self.scaled(*(max(1, round(side * scale)) for side in (self.width, self.height)))
        )

    @property
    def fov_degrees(self) -> float:
        """Field of view across the longer side."""
        side, focal = (self.width, self.fx) if self.width >= self.height else (self.height, self.fy)
        return math.degrees(2.0 * math.atan(side / 2.0 / focal))


@dataclass(frozen=True)
class Window:
    """A square of a picture, in its pixels: left and top edge, side. It may reach beyond the picture."""

    left: int
    top: int
    side: int

    def camera(self, width: int, height: int, fov_degrees: float) -> PinholeCamera:
        """The camera of the whole picture of those pixels, where the one that sees the window spans `fov_degrees`."""
        focal = self.side / 2.0 / math.tan(math.radians(fov_degrees) / 2.0)
        return PinholeCamera(width, height, focal, focal, self.left + self.side / 2.0, self.top + self.side / 2.0)

    def cropped(self, values: np.ndarray) -> np.ndarray:
        """What of values (H, W) or (H, W, C) lies in the window, (side, side, ...); zero beyond the picture."""
        top, left = max(self.top, 0), max(self.left, 0)
        inner = values[top : max(self.top + self.side, 0), left : max(self.left + self.side, 0)]
        if inner.shape[:2] == (self.side, self.side):
            return inner
        whole = np.zeros((self.side, self.side, *values.shape[2:]), values.dtype)
        row, column = top - self.top, left - self.left
        whole[row : row + inner.shape[0], column : column + inner.shape[1]] = inner
        return whole


@dataclass(frozen=True, eq=False)
class View:
    """A camera in the world, and the picture that it took where there is one.

    rotation: (3, 3) float64, proper; its rows are the camera's x, y and z in the world's axes. position: (3,) float64,
    the camera's centre. So a point p of the world is rotation @ (p - position) for the camera. rgb: (H, W, 3) uint8
    sRGB of exactly the camera's pixels, straight (not multiplied by the mask), without lens distortion, row 0 on top.
    mask: (H, W) uint8, how much of each pixel is the thing and not what is behind it; None where all is, or nobody
    knows. name: the picture's, "" where it has no other than the thing. exact: whether the pose is known; else it is
    where to begin to look for it. turns: where else to begin: (up, sideways) in degrees that the camera is swung around
    the thing, as the camera sees up and sideways. confidence: (H, W) float32 in [0, 1], how far the picture is to be
    believed at each pixel; None: everywhere, as photos are. normals: (h, w, 3) float32 of the thing, of any number of
    pixels: unit vectors from its surface towards the camera, in the camera's axes, zero where nobody knows; None:
    nowhere.
    """

    camera: PinholeCamera
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    position: np.ndarray = field(default_factory=lambda: np.zeros(3))
    rgb: np.ndarray | None = None
    mask: np.ndarray | None = None
    name: str = ""
    exact: bool = True
    turns: tuple[tuple[float, float], ...] = ()
    confidence: np.ndarray | None = None
    normals: np.ndarray | None = None

    def __post_init__(self) -> None:
        size = self.camera.height, self.camera.width
        if any(values is not None and values.shape[:2] != size for values in self._pictures):
            shapes = [None if values is None else values.shape for values in self._pictures]
            raise ValueError(f"a camera of {size} pixels for a picture, a mask and confidence of {shapes}")

    @property
    def _pictures(self) -> tuple[np.ndarray | None, ...]:
        return self.rgb, self.mask, self.confidence

    def with_fov(self, fov_degrees: float) -> PinholeCamera:
        """The camera, with another field of view across the longer side where one is given (not 0)."""
        if not fov_degrees:
            return self.camera
        return PinholeCamera.from_fov(self.camera.width, self.camera.height, fov_degrees)
