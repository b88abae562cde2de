# SPDX-License-Identifier: GPL-3.0-or-later
"""What pairs of pictures say of how cameras are turned to each other, and whether cameras agree with it.

Must not know files, colours or how an arrangement of cameras was found. A thing with the same print on several sides
gives pairs that fit perfectly and are wrong: so that many pairs contradict each other is the mark of such a thing, and
two things tell the right rotations from the others. Most matches fit it; and pictures from nearby directions look
alike in it, which pictures of two sides that share a print do not where such a side was folded onto another (missing
matches as evidence: Zach, Irschara and Bischof 2008).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from ...core.job import Job, Span
from .colmap import library
from .mapping import Observations
from .two_view import LEAST_INLIERS

TOLERANCE = 12.0
"""Degrees between how two cameras are turned to each other, and how their matches say: beyond, they contradict. More
than a relative rotation is wrong by, less than from one picture to the next: a side of a box is 90 away."""

_MAX_ERROR = 2.0  # pixels of 1000: matches that miss their epipolar line by more are left out
_TRIALS = 500  # of RANSAC
_BEST_PARTNERS = 3  # of a picture: their matches say how many it has where it is seen alike


@dataclass(frozen=True, eq=False)
class ViewGraph:
    """Pictures as numbers 0 to size - 1, and the pairs of them that match.

    first, second: (E,) int, the pictures of each pair. turns: (E, 3, 3), the second camera's rotation is the pair's
    turn @ the first's. counts: (E,) float64, matches that say so. compared: (C, 2) int, all pairs that were looked at.
    likeness: (C,) float64, 0 for nothing in common to about 1 for as many matches as the pictures have at best.
    """

    size: int
    first: np.ndarray
    second: np.ndarray
    turns: np.ndarray
    counts: np.ndarray
    compared: np.ndarray
    likeness: np.ndarray

    def misses(self, rotations: np.ndarray) -> np.ndarray:
        """(E,) degrees by which each pair contradicts the cameras' rotations (size, 3, 3)."""
        trace = np.einsum("eab,ebc,eac->e", self.turns, rotations[self.first], rotations[self.second])
        return np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))

    def contradicted(self, rotations: np.ndarray) -> float:
        """The share, 0 to 1, of all matches that contradict the rotations (size, 3, 3)."""
        return float(self.counts[self.misses(rotations) > TOLERANCE].sum() / max(self.counts.sum(), 1.0))

    def contradictions(self, rotations: np.ndarray) -> np.ndarray:
        """(size,) the share, 0 to 1, of each picture's own matches that contradict the rotations (size, 3, 3)."""
        against = np.where(self.misses(rotations) > TOLERANCE, self.counts, 0.0)
        ends = np.concatenate([self.first, self.second])
        total, missed = (np.bincount(ends, np.tile(each, 2), self.size) for each in (self.counts, against))
        return missed / np.maximum(total, 1.0)

    def unlike(self, rotations: np.ndarray) -> float:
        """How badly the angle between two cameras' directions tells how alike their pictures are, 0 to 1.

        It is the variance that is left of the likeness after the best function that falls with the angle.
        """
        ahead = rotations[:, 2]
        nearness = np.einsum("ca,ca->c", ahead[self.compared[:, 0]], ahead[self.compared[:, 1]])
        values = self.likeness[np.argsort(-nearness, kind="stable")]
        fitted = isotonic_regression(values, increasing=False).x
        return float(((values - fitted) ** 2).sum() / max(((values - values.mean()) ** 2).sum(), 1e-12))

    def cost(self, rotations: np.ndarray) -> float:
        """How unlikely an arrangement with the rotations (size, 3, 3) is, 0 to 2: to be compared only."""
        return self.contradicted(rotations) + self.unlike(rotations)

    def among(self, numbers: Sequence[int]) -> ViewGraph:
        """The graph of some of the pictures, which get the numbers 0, 1, ... in the order given."""
        index = np.full(self.size, -1)
        index[list(numbers)] = np.arange(len(numbers))
        kept = (index[self.first] >= 0) & (index[self.second] >= 0)
        inside = (index[self.compared] >= 0).all(1)
        ends = index[self.first[kept]], index[self.second[kept]]
        compared = index[self.compared[inside]], self.likeness[inside]
        return ViewGraph(len(numbers), *ends, self.turns[kept], self.counts[kept], *compared)


def view_graph(seen: Observations, intrinsics: Sequence[tuple[float, int, int]], job: Job | Span) -> ViewGraph:
    """The graph of all pictures. intrinsics: of each, its camera's focal length, width and height in pixels."""
    links = list(_links(seen, intrinsics, job))
    count = len(seen.features)
    common = np.zeros((count, count))
    for first, second, _, matches in links:
        common[first, second] = common[second, first] = matches
    ends = np.array(seen.compared, np.intp).reshape(-1, 2)
    first, second, turns, counts = zip(*links) if links else ((), (), (), ())
    return ViewGraph(
        count, np.array(first, np.intp), np.array(second, np.intp), np.array(turns).reshape(-1, 3, 3),
        np.array(counts, np.float64), ends, likeness_of(common, ends),
    )  # fmt: skip


def likeness_of(common: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(C,) how alike the pictures of pairs (C, 2) are, of the numbers (N, N) of matches that they have in common."""
    typical = np.sort(common, axis=1)[:, -_BEST_PARTNERS:].mean(1)
    alike = common[ends[:, 0], ends[:, 1]] / np.maximum(np.sqrt(typical[ends[:, 0]] * typical[ends[:, 1]]), 1.0)
    return np.sqrt(alike)


def _links(
    seen: Observations, intrinsics: Sequence[tuple[float, int, int]], job: Job | Span
) -> Iterator[tuple[int, int, np.ndarray, float]]:
    """Both pictures, the second's turn from the first and the number of matches, measured anew with known focal
    lengths: what two-view geometry says with an assumed one, and by homographies, is wrong by several degrees."""
    pycolmap = library()
    cameras = [pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", *values) for values in intrinsics]
    options = pycolmap.RANSACOptions(max_num_trials=_TRIALS, min_num_trials=50, random_seed=0)
    for number, pair in enumerate(seen.matched):
        job.report(number / len(seen.matched), "checking", f"pair {number + 1} of {len(seen.matched)}")
        first, second = pair.first, pair.second
        options.max_error = _MAX_ERROR * max(1.0, max(intrinsics[first][1:]) / 1000.0)
        chosen = np.asarray(pair.geometry.inlier_matches)
        both = seen.features[first].keypoints[chosen[:, 0]], seen.features[second].keypoints[chosen[:, 1]]
        found = pycolmap.estimate_essential_matrix(*both, cameras[first], cameras[second], options)
        if found is not None and found["num_inliers"] >= LEAST_INLIERS:
            yield first, second, found["cam2_from_cam1"].rotation.matrix(), float(found["num_inliers"])
