# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a mesh the size and place at which it is handed over, and says where the photo's camera then stands.

Must not know how the mesh was made, nor files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.view import PinholeCamera
from .mesh import Mesh


@dataclass(frozen=True, eq=False)
class Placed:
    """A mesh in its final place with the camera that sees it exactly as the photo did (glTF axes).

    scale, offset: a point p of the mesh as it was made now lies at `scale * p + offset`.
    camera_position: (3,) float64. The camera is not turned: it looks along -Z with +Y up.
    fov_x_degrees, fov_y_degrees: across the picture's width and height.
    shift_x, shift_y: how far the picture's centre lies right of and above the optical axis, in longer sides of the
    picture (Blender's shift_x and shift_y).
    """

    mesh: Mesh
    scale: float
    offset: np.ndarray
    camera_position: np.ndarray
    fov_x_degrees: float
    fov_y_degrees: float
    shift_x: float
    shift_y: float


def place(
    mesh: Mesh, camera: PinholeCamera, size: float | None = 2.0, origin: Literal["base", "centre"] = "base"
) -> Placed:
    """Moves a mesh that was made with the camera at the origin to where a person expects it.

    size: length of the longest side of its bounding box afterwards, in metres, or None to keep its own metres.
    origin: what comes to lie at (0, 0, 0): the middle of the bounding box's underside, or its middle.
    """
    low, high = mesh.bounds.astype(np.float64)
    longest = float((high - low).max())
    if size is not None and not size > 0.0:
        raise ValueError(f"size must be positive, not {size:g}")
    scale = 1.0 if size is None or longest <= 0.0 else size / longest
    anchor = (low + high) / 2.0
    if origin == "base":
        anchor[1] = low[1]
    offset = -scale * anchor
    longer = max(camera.width, camera.height)
    return Placed(
        mesh=mesh.transformed(scale, offset),
        scale=scale,
        offset=offset,
        camera_position=offset,
        fov_x_degrees=math.degrees(2.0 * math.atan(camera.width / 2.0 / camera.fx)),
        fov_y_degrees=math.degrees(2.0 * math.atan(camera.height / 2.0 / camera.fy)),
        shift_x=(camera.width / 2.0 - camera.cx) / longer,
        shift_y=(camera.cy - camera.height / 2.0) / longer,
    )
