# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way written matrices are meant, told by where the cameras look. Must not know files.

A list may give OpenCV's axes for OpenGL's, or take points of the world to the camera and not the other way; the cameras
then look away from what they were meant to look at, or stand all in one place. Rotations (N, 3, 3) and positions (N, 3)
are those of core.view.View.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..orient import focus

_FEWEST = 4  # cameras that tell it
_NEAR = np.cos(np.radians(30.0))  # a camera looks at a point that it sees within this angle
_SPREAD = 0.985  # mean of unit vectors: cameras that all look the same way, within 10 degrees, meet nowhere
_ONE_PLACE = 1e-6  # of their distance from the origin: cameras in one place tell no depth, however they are turned
_LEVEL = np.cos(np.radians(8.0))  # a world's axis so near to up was chosen for it
_EXPLAINED, _CLEARER = 0.4, 2.0
"""Of matches, the least share that other poses explain best, and times as many as those that were written. Set on the
data of witness._GAP, where right ones explain .57 to .98 best, and wrong readings at most .27, 2.3 times fewer: from .3
to .55, and from 1.2 to 2.3 times, nothing changes there."""
_FLIP = np.diag([1.0, -1.0, -1.0])

OPENCV = "have OpenCV's axes (y down, z forward), where OpenGL's are usual"
WORLD_TO_CAMERA = "take the world to the camera, where the other way is usual"


Poses = tuple[np.ndarray, np.ndarray]
Witness = Callable[[Sequence[Poses]], "list[float] | None"]
"""Of several poses of the same cameras, how much of what the pictures show each explains best, 0 to 1; None where the
pictures do not tell."""


def as_meant(
    rotations: np.ndarray, positions: np.ndarray, witness: Witness = lambda poses: None
) -> tuple[np.ndarray, np.ndarray, str]:
    """The poses as they were meant, and what they were written as; "" where as they should.

    What was written is doubted only if most cameras look away from where their lines of sight meet, and believed
    otherwise only if nearly all then look there. Whoever stands in the middle of a room looks so too, and turns into
    one who goes around something if the axes are exchanged: what stands upright as it is written, or looks one way, is
    believed otherwise only if the pictures say the same.
    """
    written = rotations, positions, ""
    parallel = _is_parallel(rotations)
    if len(rotations) < _FEWEST or (not parallel and _share(*written[:2]) >= 0.5):
        return written
    left = np.swapaxes(_FLIP @ rotations, 1, 2)  # the matrices' rotations as they are written
    centres = -np.einsum("nij,ni->nj", left, positions)  # of cameras whose matrices take the world to them
    others = [
        (_FLIP @ rotations, positions, OPENCV),
        (left, centres, WORLD_TO_CAMERA),
        (_FLIP @ left, centres, WORLD_TO_CAMERA),
    ]
    share, best = max((_share(*other[:2]) * (not _is_parallel(other[0])), k) for k, other in enumerate(others))
    if share < 0.9:
        return written
    impossible = np.ptp(positions, axis=0).max() <= _ONE_PLACE * np.abs(positions).max()
    sensible = not impossible and (parallel or _stands_upright(rotations))
    return written if sensible and not _seen(witness([written[:2], others[best][:2]])) else others[best]


def _is_parallel(rotations: np.ndarray) -> bool:
    """Whether all cameras look the same way, so that their lines of sight meet nowhere."""
    return bool(np.linalg.norm(rotations[:, 2].mean(0)) > _SPREAD)


def _seen(explained: list[float] | None) -> bool:
    """Whether pictures are clearly for the second of two kinds of poses."""
    return explained is not None and explained[1] > max(_EXPLAINED, _CLEARER * explained[0])


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
