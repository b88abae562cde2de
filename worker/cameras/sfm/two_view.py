# SPDX-License-Identifier: GPL-3.0-or-later
"""Two-view geometry: whether the matches of two pictures fit one motion of the camera, and which.

Must not know more than two pictures at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...core.job import Job, Span
from .colmap import library
from .features import Features
from .matching import matches

if TYPE_CHECKING:
    import pycolmap

LEAST_INLIERS = 15
"""Two pictures show the same if at least so many of their matches fit one motion of the camera: COLMAP's value."""

_TRIALS = 2000  # of RANSAC: a fifth of the library's, whose others are spent on pairs that show nothing in common


@dataclass(frozen=True, eq=False)
class TwoView:
    """Two pictures that show the same. first < second: their numbers. geometry: COLMAP's, with the matches that fit.

    planar: whether they may show a plane only, or may have been taken from one and the same place. angle: median
    angle in radians between the rays of matching points, 0 where it is not known.
    """

    first: int
    second: int
    geometry: pycolmap.TwoViewGeometry
    planar: bool
    angle: float

    @property
    def inliers(self) -> int:
        return len(self.geometry.inlier_matches)


def verified(
    features: Sequence[Features],
    cameras: Sequence[pycolmap.Camera],
    wanted: Sequence[tuple[int, int]],
    job: Job | Span,
) -> list[TwoView]:
    """Those of the wanted pairs whose matches fit one motion of a camera."""
    found = []
    for number, (i, j) in enumerate(wanted):
        job.report(number / len(wanted), "comparing", f"pair {number + 1} of {len(wanted)}")
        common = matches(features[i], features[j])
        pair = _two_view(i, j, features, cameras, common) if len(common) >= LEAST_INLIERS else None
        found += [pair] if pair is not None else []
    return found


def _two_view(
    i: int, j: int, features: Sequence[Features], cameras: Sequence[pycolmap.Camera], common: np.ndarray
) -> TwoView | None:
    pycolmap = library()
    options = pycolmap.TwoViewGeometryOptions(min_num_inliers=LEAST_INLIERS, compute_relative_pose=True)
    options.ransac.random_seed, options.ransac.max_num_trials = 0, _TRIALS
    geometry = pycolmap.estimate_two_view_geometry(
        cameras[i], features[i].keypoints, cameras[j], features[j].keypoints, common, options
    )
    if len(geometry.inlier_matches) < LEAST_INLIERS:
        return None
    kinds = pycolmap.TwoViewGeometryConfiguration
    if geometry.config in (kinds.UNDEFINED, kinds.DEGENERATE, kinds.WATERMARK):
        return None
    planar = geometry.config in (kinds.PLANAR, kinds.PANORAMIC, kinds.PLANAR_OR_PANORAMIC)
    return TwoView(i, j, geometry, planar, max(float(geometry.tri_angle), 0.0))
