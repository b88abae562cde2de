# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pictures show the same, and how two of them lie to each other.

Must not know more than two pictures at a time. All pairs are compared while they are few; else a quick look at each
pair's largest points picks the ones worth it, and neighbours in a video are always compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...core.job import Job, Span
from .features import Features, matches

if TYPE_CHECKING:
    import pycolmap

ALL_PAIRS = 30
"""Up to so many pictures, every pair is compared."""

LEAST = 15
"""Two pictures show the same if at least so many of their points fit one motion of the camera, as in COLMAP."""

_PARTNERS = 14  # of the pictures that look most alike, so many are compared with each, where not all are
_TRIALS = 2000  # a fifth of the library's, whose others are spent on pairs that show nothing in common
_ALIKE = 4  # matches among the largest points, below which two pictures have nothing in common
_NEIGHBOURS = (1, 2, 3, 4, 6, 8, 12, 16)  # in a video, frames so far apart are compared


@dataclass(frozen=True, eq=False)
class Pair:
    """Two pictures that show the same. first < second: their numbers. geometry: COLMAP's, with the matches that fit it.

    flat: whether they may show a plane only, or may have been taken from one and the same place. angle: median angle in
    radians between the rays of matching points, 0 where it is not known.
    """

    first: int
    second: int
    geometry: pycolmap.TwoViewGeometry
    flat: bool
    angle: float

    @property
    def count(self) -> int:
        return len(self.geometry.inlier_matches)


def worth_comparing(features: Sequence[Features], ordered: bool, job: Job | Span) -> list[tuple[int, int]]:
    """The pairs of pictures, smaller number first, that may show the same."""
    count = len(features)
    if count <= ALL_PAIRS:
        return [(i, j) for i in range(count) for j in range(i + 1, count)]
    alike = np.zeros((count, count), np.int64)
    for i in range(count):
        job.report(i / count, "comparing", f"looking for pictures of the same, {i + 1} of {count}")
        for j in range(i + 1, count):
            alike[i, j] = alike[j, i] = len(matches(features[i].coarse, features[j].coarse))
    partners = np.argsort(-alike, axis=1, kind="stable")[:, :_PARTNERS]
    chosen = {(min(i, j), max(i, j)) for i in range(count) for j in map(int, partners[i]) if alike[i, j] >= _ALIKE}
    if ordered:
        chosen |= {(i, i + step) for step in _NEIGHBOURS for i in range(count - step)}
    return sorted(chosen)


def compared(
    features: Sequence[Features],
    cameras: Sequence[pycolmap.Camera],
    wanted: Sequence[tuple[int, int]],
    job: Job | Span,
) -> list[Pair]:
    """Those of the wanted pairs whose points fit one motion of a camera."""
    return [pair for pair in _compared(features, cameras, wanted, job) if pair is not None]


def _compared(
    features: Sequence[Features],
    cameras: Sequence[pycolmap.Camera],
    wanted: Sequence[tuple[int, int]],
    job: Job | Span,
) -> Iterator[Pair | None]:
    for number, (i, j) in enumerate(wanted):
        job.report(number / len(wanted), "comparing", f"pair {number + 1} of {len(wanted)}")
        found = matches(features[i], features[j])
        yield _pair(i, j, features, cameras, found) if len(found) >= LEAST else None


def _pair(
    i: int, j: int, features: Sequence[Features], cameras: Sequence[pycolmap.Camera], found: np.ndarray
) -> Pair | None:
    import pycolmap

    options = pycolmap.TwoViewGeometryOptions(min_num_inliers=LEAST, compute_relative_pose=True)
    options.ransac.random_seed, options.ransac.max_num_trials = 0, _TRIALS
    geometry = pycolmap.estimate_two_view_geometry(
        cameras[i], features[i].places, cameras[j], features[j].places, found, options
    )
    if len(geometry.inlier_matches) < LEAST:
        return None
    kinds = pycolmap.TwoViewGeometryConfiguration
    if geometry.config in (kinds.UNDEFINED, kinds.DEGENERATE, kinds.WATERMARK):
        return None
    flat = geometry.config in (kinds.PLANAR, kinds.PANORAMIC, kinds.PLANAR_OR_PANORAMIC)
    return Pair(i, j, geometry, flat, max(float(geometry.tri_angle), 0.0))
