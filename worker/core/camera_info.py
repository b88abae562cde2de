# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera of a finished asset, as messages carry it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CameraInfo:
    """A camera that sees the mesh exactly as its photo shows it. Its pixels are square.

    position: x, y, z in the GLB's axes (+Y up). fov_degrees spans the longer side of the photo's width x height
    (pixels, as displayed). rotation: quaternion w, x, y, z in the GLB's axes; unturned, a camera looks along -Z, +Y up.
    shift: how far the picture's centre lies right of and above the optical axis, in longer sides of the picture. name:
    the photo's, where there are several. photo: the file with what this camera sees, "" where the mesh's texture is the
    photo itself, or where no folder for photos was named.
    """

    position: tuple[float, float, float]
    fov_degrees: float
    width: int
    height: int
    rotation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    shift: tuple[float, float] = (0.0, 0.0)
    name: str = ""
    photo: str = ""
