# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the thing lies and how large it is: from its outlines, from sparse points, or from the cameras alone.

Must not know files, colours or how cameras were found. The world here is upright already, of any size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.view import View
from .hull import hull_box, pixels_of
from .orient import FRONT, focus, one_sidedness

MARGIN = 0.03
"""A box is larger than what was found by this share of its longest side, on each side."""

_COMMON = 0.8  # what so many of the cameras look at belongs to a thing that they go around


def extent(
    views: Sequence[View], outlines: Sequence[np.ndarray | None], points: np.ndarray, sightings: np.ndarray
) -> tuple[np.ndarray, bool]:
    """The box (2, 3) of what the `views` show, and whether pictures show things outside of it.

    outlines: for each view, (h, w) bool where the thing is, in any number of pixels, or None. points: (P, 3) on
    surfaces. sightings: (P,) in how many pictures each was found.
    """
    shown = [(view, outline) for view, outline in zip(views, outlines) if outline is not None]
    if len(shown) >= 2:
        hull = hull_box([view for view, _ in shown], [outline for _, outline in shown])
        if hull is not None:
            return wider(hull), len(shown) < len(views)
    rotations, positions = np.stack([v.rotation for v in views]), np.stack([v.position for v in views])
    trusted = points[sightings >= min(3, len(views))]
    trusted = trusted if len(trusted) >= 20 else points
    if len(trusted) < 8:
        return _box_of_cameras(views, rotations, positions), True
    around = one_sidedness(rotations, positions) < FRONT
    common = trusted[_seen_by(views, trusted) >= _COMMON] if around else trusted
    box = _box_of(common if len(common) >= 0.2 * len(trusted) else trusted, 1.0 if around else 2.0)
    outside = ((points < box[0]) | (points > box[1])).any(1).mean()
    return box, not around or bool(outside > 0.03)


def _seen_by(views: Sequence[View], points: np.ndarray) -> np.ndarray:
    """(P,) float: the share of the views in whose picture each of the points (P, 3) lies, hidden or not."""
    shares = [pixels_of(v, points, (v.camera.height, v.camera.width))[2] for v in views]
    return np.mean(shares, axis=0)


def _box_of(points: np.ndarray, percent: float) -> np.ndarray:
    """The box (2, 3) of the points (P, 3) without the outermost, which are mistakes or far away."""
    middle = np.median(points, axis=0)
    distance = np.linalg.norm(points - middle, axis=1)
    near = points[distance <= 4.0 * np.median(distance)]
    return wider(np.percentile(near, (percent, 100.0 - percent), axis=0))


def _box_of_cameras(views: Sequence[View], rotations: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """A cube around what the cameras look at, that fills two thirds of the narrower side of most pictures."""
    middle = focus(positions, rotations[:, 2])
    away = np.linalg.norm(positions - middle, axis=1)
    half = [min(v.camera.width / v.camera.fx, v.camera.height / v.camera.fy) / 2.0 for v in views]
    reach = max(2.0 / 3.0 * float(np.median(away * half)), 1e-9)
    return np.stack([middle - reach, middle + reach])


def wider(box: np.ndarray) -> np.ndarray:
    """The box (2, 3) with a margin around it."""
    margin = max(MARGIN * (box[1] - box[0]).max(), 1e-9)
    return np.stack([box[0] - margin, box[1] + margin])
