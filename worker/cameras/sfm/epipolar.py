# SPDX-License-Identifier: GPL-3.0-or-later
"""Matching along epipolar lines: of two pictures whose cameras are known, a match lies on a line of the other.

So many more matches are sure than among all keypoints of a picture. Must not know colours or silhouettes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..registration import Registration
from .features import Features
from .mapping import lens_camera
from .matching import clear_pairs

MAX_ERROR = 6.0, 3.0
"""Pixels of 1000 of a match from its line: while cameras are rough, and after they were adjusted."""

_MOST = 2500  # of a picture's largest keypoints are matched along lines: it takes their square
_RATIO = 0.85  # as matching.RATIO, of the next best near the line: there are fewer to be confused with
_LARGEST_ANGLE = 0.8  # as matching.LARGEST_ANGLE, for the same reason


@dataclass(frozen=True, eq=False)
class EpipolarGeometry:
    """Where points of one picture lie in another. rays: of both pictures' features, (N, 3) with 1 at last. matrix: the
    essential matrix, (3, 3). pixel: a thousandth of the second picture's longer side, in rays."""

    rays: tuple[np.ndarray, np.ndarray]
    matrix: np.ndarray
    pixel: float

    @classmethod
    def between(cls, found: Registration, first: int, second: int, features: Sequence[Features]) -> EpipolarGeometry:
        rays = []
        for end in (first, second):
            rays_of = lens_camera(found.lenses[end], 1).cam_from_img(features[found.pictures[end]].keypoints)
            rays.append(np.column_stack([rays_of, np.ones(len(rays_of))]))
        x, y, z = found.rotations[second] @ (found.positions[first] - found.positions[second])
        across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        camera = found.lenses[second].camera
        pixel = max(1.0, max(camera.width, camera.height) / 1000.0) / camera.fx
        return cls((rays[0], rays[1]), across @ found.rotations[second] @ found.rotations[first].T, pixel)

    def errors(self, chosen: np.ndarray) -> np.ndarray:
        """(M,) distances of matches (M, 2) from their lines, the larger of both pictures', in rays."""
        first, second = self.rays[0][chosen[:, 0]], self.rays[1][chosen[:, 1]]
        there, back = first @ self.matrix.T, second @ self.matrix
        off = np.abs((there * second).sum(1))
        return off / np.minimum(_norm(there), _norm(back))

    def all_errors(self, most: int) -> np.ndarray:
        """(N, M) the same for each of the first `most` features of both pictures with each."""
        first, second = self.rays[0][:most], self.rays[1][:most]
        there, back = first @ self.matrix.T, second @ self.matrix
        off = np.abs(there @ second.T)
        return off / np.minimum(_norm(there)[:, None], _norm(back)[None])


def _norm(lines: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(lines[:, 0], lines[:, 1]), 1e-12)


def epipolar_matches(lines: EpipolarGeometry, first: Features, second: Features) -> np.ndarray:
    """(M, 2) int: features that are each other's best on their lines, and clearly so."""
    if min(len(first.keypoints), len(second.keypoints)) < 2:
        return np.zeros((0, 2), np.intp)
    likeness = first.directions[:_MOST] @ second.directions[:_MOST].T
    likeness[lines.all_errors(_MOST) > MAX_ERROR[0] * lines.pixel] = -1.0
    return clear_pairs(likeness, _LARGEST_ANGLE, _RATIO)
