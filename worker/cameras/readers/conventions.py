# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way written matrices are meant, told by where the cameras look. Must not know files.

A list may give OpenCV's axes for OpenGL's, or take points of the world to the camera and not the other way; the cameras
then look away from what they were meant to look at, or stand all in one place. Rotations (N, 3, 3) and positions (N, 3)
are those of core.view.View.
"""

from __future__ import annotations

import numpy as np

from ..orient import focus

_FEWEST = 4  # cameras that tell it
_NEAR = np.cos(np.radians(30.0))  # a camera looks at a point that it sees within this angle
_SPREAD = 0.985  # mean of unit vectors: cameras that all look the same way, within 10 degrees, meet nowhere
_LEVEL = np.cos(np.radians(8.0))  # a world's axis so near to up was chosen for it
_FLIP = np.diag([1.0, -1.0, -1.0])

OPENCV = "have OpenCV's axes (y down, z forward), where OpenGL's are usual"
WORLD_TO_CAMERA = "take the world to the camera, where the other way is usual"


def as_meant(rotations: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """The poses as they were meant, and what they were written as; "" where as they should.

    What was written is doubted only if most cameras look away from where their lines of sight meet, and believed
    otherwise only if nearly all then look there.
    """
    written = rotations, positions, ""
    parallel = np.linalg.norm(rotations[:, 2].mean(0)) > _SPREAD
    if len(rotations) < _FEWEST or parallel or _share(*written[:2]) >= 0.5 or _stands_upright(rotations):
        return written
    left = np.swapaxes(_FLIP @ rotations, 1, 2)  # the matrices' rotations as they are written
    centres = -np.einsum("nij,ni->nj", left, positions)  # of cameras whose matrices take the world to them
    others = [
        (_FLIP @ rotations, positions, OPENCV),
        (left, centres, WORLD_TO_CAMERA),
        (_FLIP @ left, centres, WORLD_TO_CAMERA),
    ]
    shares = [_share(*other[:2]) for other in others]
    best = int(np.argmax(shares))
    return others[best] if shares[best] >= 0.9 else written


def _share(rotations: np.ndarray, positions: np.ndarray) -> float:
    """The share of the cameras that look at where most lines of sight meet."""
    directions = rotations[:, 2]
    way = focus(positions, directions) - positions
    length = np.linalg.norm(way, axis=1)
    return float(((way * directions).sum(1) > _NEAR * length).mean())


def _stands_upright(rotations: np.ndarray) -> bool:
    """Whether the cameras' mean up is an axis that is up in many worlds: then they may well look outward, as somebody
    who stands in the middle of a room."""
    up = -rotations[:, 1].mean(0)
    return bool(max(up[1], up[2]) > _LEVEL * max(np.linalg.norm(up), 1e-9))
