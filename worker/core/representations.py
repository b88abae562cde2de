# SPDX-License-Identifier: GPL-3.0-or-later
"""What backends return: learned 3D representations, with axes, units and signs stated here and nowhere else.

Must not know networks, meshes or files.

Cameras' axes are OpenCV's: x right, y down, z forward; pixel (row 0, column 0) is top left, its centre lies at (0.5,
0.5). Fields have axes of their own and say how to turn them into glTF's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
        return cls(width, height, focal, focal, width / 2.0, height / 2.0)

    def scaled(self, width: int, height: int) -> PinholeCamera:
        """The same view sampled with other pixels."""
        sx, sy = width / self.width, height / self.height
        return PinholeCamera(width, height, self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy)

    @classmethod
    def from_array(cls, numbers: np.ndarray) -> PinholeCamera:
        """The camera whose `to_array` this is."""
        width, height, *focal_and_centre = map(float, numbers)
        return cls(int(width), int(height), *focal_and_centre)

    def to_array(self) -> np.ndarray:
        """(6,) float64: width, height, fx, fy, cx, cy."""
        return np.array([self.width, self.height, self.fx, self.fy, self.cx, self.cy], np.float64)

    @property
    def fov_degrees(self) -> float:
        """Field of view across the longer side."""
        side, focal = (self.width, self.fx) if self.width >= self.height else (self.height, self.fy)
        return math.degrees(2.0 * math.atan(side / 2.0 / focal))


@dataclass(frozen=True)
class DepthMap:
    """One picture's inverse depth, row 0 on top.

    inverse_depth: (H, W) float32, at least 0 and finite; larger is nearer, 0 is infinitely far.
    metric: True if it is 1 / z in metres; False if it is known only up to a scale and a shift (affine-invariant).
    valid: (H, W) bool, False where there is no surface.
    fov_degrees: the field of view across the longer side as the network saw it, or None where it says nothing.
    """

    inverse_depth: np.ndarray
    metric: bool
    valid: np.ndarray
    fov_degrees: float | None = None

    def __post_init__(self) -> None:
        if self.inverse_depth.ndim != 2 or self.valid.shape != self.inverse_depth.shape:
            raise ValueError(f"depth map of shape {self.inverse_depth.shape} with a mask of shape {self.valid.shape}")

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, from which `from_arrays` makes the same map again."""
        fov = np.nan if self.fov_degrees is None else self.fov_degrees
        scalars = {"metric": np.array(self.metric), "fov": np.array(fov)}
        return {"inverse_depth": self.inverse_depth, "valid": self.valid, **scalars}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> DepthMap:
        fov = float(arrays["fov"])
        return cls(arrays["inverse_depth"], bool(arrays["metric"]), arrays["valid"], None if math.isnan(fov) else fov)

    def depth(self, near: float, far: float) -> np.ndarray:
        """Depth along the optical axis, (H, W) float32 in metres, NaN where there is no surface.

        Metric maps are inverted as they are and only clipped to `far`. Relative maps know neither scale nor shift, so
        their nearest and farthest valid pixels (1st and 99th percentile, against outliers) are put at `near` and `far`,
        linearly in inverse depth; what lies beyond is clipped to a tenth outside of that range.
        """
        if not 0.0 < near < far:
            raise ValueError(f"depth range must satisfy 0 < near < far, not {near:g} and {far:g}")
        depth = np.full(self.inverse_depth.shape, np.nan, np.float32)
        if not self.valid.any():
            return depth
        inverse = self.inverse_depth[self.valid].astype(np.float32)
        if not self.metric:
            low, high = np.percentile(inverse, (1.0, 99.0))
            if high - low < 1e-6 * max(abs(high), 1e-12):
                inverse = np.full_like(inverse, 1.0 / near)
            else:
                t = np.clip((inverse - low) / (high - low), -0.1, 1.1)
                inverse = np.maximum(1.0 / far + t * (1.0 / near - 1.0 / far), 1.0 / (1.1 * far))
        depth[self.valid] = 1.0 / np.maximum(inverse, 1.0 / far if self.metric else 1e-9)
        return depth


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


@dataclass(frozen=True)
class TwoLayers:
    """A thing cut out of a picture: its first and its last surface along each line of sight, row 0 on top.

    front, back: (S, S) float32 depth in half sides of the window at the thing's own distance, zero at its mean
    mid-depth, larger is farther: half a side of depth is as long as half a side of width. Only the thing's own pixels
    mean something. back_colour: (S, S, 3) uint8 sRGB of the last surface, seen from the front. window: where in the
    picture the layers lie. subject: (H, W) uint8, the thing's share of each pixel of the whole picture, or None where
    the picture's own transparency or plain background says it.
    """

    front: np.ndarray
    back: np.ndarray
    back_colour: np.ndarray
    window: Window
    subject: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.front.ndim != 2 or self.back.shape != self.front.shape or self.back_colour.shape[:2] != self.back.shape:
            shapes = self.front.shape, self.back.shape, self.back_colour.shape
            raise ValueError(f"layers of shapes {shapes} do not fit each other")

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, from which `from_arrays` makes the same layers again."""
        window = np.array([self.window.left, self.window.top, self.window.side])
        arrays = {"front": self.front, "back": self.back, "back_colour": self.back_colour, "window": window}
        return arrays if self.subject is None else {**arrays, "subject": self.subject}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TwoLayers:
        window = Window(*map(int, arrays["window"]))
        return cls(arrays["front"], arrays["back"], arrays["back_colour"], window, arrays.get("subject"))


@dataclass(frozen=True, eq=False)
class View:
    """A camera in the world: where a picture was taken from.

    rotation: (3, 3) float64, proper; its rows are the camera's x, y and z in the world's axes. position: (3,) float64,
    the camera's centre. So a point p of the world is rotation @ (p - position) for the camera.
    """

    camera: PinholeCamera
    rotation: np.ndarray
    position: np.ndarray


@dataclass(frozen=True, eq=False)
class PosedPicture:
    """A picture of a field's thing and the camera that took it, in the field's axes.

    rgb: (H, W, 3) uint8 sRGB of exactly the camera's pixels, or None: the user's own picture as it is. subject: (H, W)
    uint8, how much of each pixel is the thing and not what is behind it, or None where all is, or nobody knows.
    exact: whether the camera is known; else it is where to begin to look for it. name: the picture's, "" where it has
    no other than the thing. turns: where else to begin: (up, sideways) in degrees that the camera is swung around the
    thing, as the camera sees up and sideways.
    """

    rgb: np.ndarray | None
    subject: np.ndarray | None
    view: View
    exact: bool
    name: str = ""
    turns: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Field:
    """A solid as a function of space, in axes of its own.

    value: points (N, 3) float32 -> (N,) float32, positive inside, zero on the surface, negative outside, and as nearly
    linear across the surface as it can be: a density as the logarithm of it and its threshold's ratio, a signed
    distance with its sign turned. colour: points (N, 3) float32 -> (N, 3) float32 sRGB in [0, 1], or None where the
    field has none. bounds: (2, 3) float64, the box in which the surface lies.
    to_gltf: (3, 3) float64 rotation from the field's axes to glTF's (+Y up, the front faces +Z).
    arrays: what the backend makes the same field of again. pictures: what it was made of, where its texture comes from.
    notes: sentences for the user about how it was made.
    """

    value: Callable[[np.ndarray], np.ndarray]
    colour: Callable[[np.ndarray], np.ndarray] | None
    bounds: np.ndarray
    to_gltf: np.ndarray
    arrays: Mapping[str, np.ndarray]
    pictures: tuple[PosedPicture, ...] = ()
    notes: tuple[str, ...] = ()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, from which the backend's `restored` makes the same field again."""
        return dict(self.arrays)


Representation = DepthMap | TwoLayers | Field


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Representation:
    """The representation that `to_arrays` made these of."""
    return TwoLayers.from_arrays(arrays) if "window" in arrays else DepthMap.from_arrays(arrays)
