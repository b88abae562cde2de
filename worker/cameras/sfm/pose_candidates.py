# SPDX-License-Identifier: GPL-3.0-or-later
"""Pose candidates: where a picture may have been taken from, by points that are known (PnP) looked for in all of it, or
near where its silhouette says that they are.

Must not know which candidate is right, nor silhouettes beyond asking for their poses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import cdist

from ...core.view import View
from ..hull import Hull
from ..lens import Lens
from ..registration import Registration
from .bundle_adjustment import BundleAdjuster, Tracks
from .colmap import library
from .mapping import lens_camera
from .matching import clear_pairs
from .silhouette_pose import silhouette_poses

_MOST = 4  # candidates of one picture by points alone: a thing with one print on all its sides has as many
_MAX_ERROR = 5.0  # pixels of 1000 of reprojection
_TRIALS = 2000  # of RANSAC
_LEAST_MATCHES = 8  # with which a pose is looked for
_NEIGHBOURS, _LEAST_COSINE = 6, 0.3  # cameras whose points are looked for, and between their directions
_LARGEST_ANGLE, _RATIO = 0.8, 0.9  # as matching's, of the next best in the window
_WINDOWS = (0.05, _MAX_ERROR), (0.02, 1.5)
"""Shares of the picture's longer side within which a point is looked for where a pose shows it, and pixels of 1000 by
which it may then miss: first while a silhouette's pose is exact to some degrees, then when points have made it so."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Registered cameras, what they have in common, and the hull of their silhouettes."""

    found: Registration
    tracks: Tracks
    hull: Hull


@dataclass(frozen=True, eq=False)
class PoseCandidate:
    """rotation, position: as in View. inliers: how many of the picture's keypoints say so; chance: how many would by
    chance, of points that were looked for there."""

    rotation: np.ndarray
    position: np.ndarray
    inliers: int
    chance: float = 0.0


def candidates_by_points(picture: int, lens: Lens, scene: Scene, adjuster: BundleAdjuster) -> Iterator[PoseCandidate]:
    """Poses by all matches with known points: each by those that do not fit the ones before."""
    keypoints, points = _matches(picture, scene, adjuster)
    for _ in range(_MOST):
        said = _pnp(
            adjuster.seen.features[picture].keypoints, keypoints, scene.tracks.positions[points], lens, _MAX_ERROR
        )
        if said is None:
            return
        candidate, fits = said
        yield candidate
        keypoints, points = keypoints[~fits], points[~fits]


def candidates_by_silhouette(
    silhouette: np.ndarray, picture: int, lens: Lens, scene: Scene, adjuster: BundleAdjuster
) -> Iterator[PoseCandidate]:
    """Poses by points that are looked for near where they would be seen from where the silhouette would be."""
    guided = _GuidedMatching(picture, lens, scene, adjuster)
    distance = float(np.median(np.linalg.norm(scene.found.positions - scene.hull.cells.mean(0), axis=1)))
    for view, _ in silhouette_poses(scene.hull, lens.camera, silhouette, distance):
        for window, error in _WINDOWS:
            reach = window * max(lens.camera.width, lens.camera.height)
            keypoints, points = guided.matches(view, reach)
            positions = scene.tracks.positions[points]
            said = _pnp(adjuster.seen.features[picture].keypoints, keypoints, positions, lens, error)
            if said is None:
                break
            candidate = replace(said[0], chance=len(keypoints) * (_pixels(lens, error) / reach) ** 2)
            view = View(lens.camera, candidate.rotation, candidate.position)
        else:
            yield candidate


def _pnp(
    at: np.ndarray, keypoints: np.ndarray, points: np.ndarray, lens: Lens, error: float
) -> tuple[PoseCandidate, np.ndarray] | None:
    """The camera that most of the matches of `keypoints` (M,) int with points (M, 3) fit, and which do; None where
    there are too few. at: (N, 2) pixels of all keypoints; one counts once. error: pixels of 1000."""
    pycolmap = library()
    if len(keypoints) < _LEAST_MATCHES:
        return None
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.random_seed, options.ransac.min_inlier_ratio, options.ransac.max_num_trials = 0, 0.05, _TRIALS
    options.ransac.max_error = _pixels(lens, error)
    said = pycolmap.estimate_and_refine_absolute_pose(at[keypoints], points, lens_camera(lens, 1), options)
    if said is None:
        return None
    matrix, fits = said["cam_from_world"].matrix(), said["inlier_mask"]
    rotation = matrix[:, :3]
    return PoseCandidate(rotation, -rotation.T @ matrix[:, 3], len(np.unique(keypoints[fits]))), fits


def _pixels(lens: Lens, error: float) -> float:
    """Of an error in pixels of 1000: no fewer of a smaller picture, where keypoints are found no better."""
    return error * max(1.0, max(lens.camera.width, lens.camera.height) / 1000.0)


def _matches(picture: int, scene: Scene, adjuster: BundleAdjuster) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints of the picture and the points that they may show, (M,) int each, every two once."""
    both = [np.zeros((0, 2), np.intp)]
    for other in scene.found.pictures:
        common = adjuster.matches(picture, other)
        points = scene.tracks.point_of[other][common[:, 1]]
        both.append(np.stack([common[:, 0], points], 1)[points >= 0])
    keypoints, points = np.unique(np.concatenate(both), axis=0).T
    return keypoints, points


class _GuidedMatching:
    """Known points, looked for in a picture near where a view shows them. Remembers how alike descriptors are."""

    def __init__(self, picture: int, lens: Lens, scene: Scene, adjuster: BundleAdjuster) -> None:
        self._own, self._lens, self._scene, self._adjuster = adjuster.seen.features[picture], lens, scene, adjuster
        self._likeness: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def matches(self, view: View, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints of the picture and the points that they may show, (M,) int each, every two once. reach: pixels."""
        found = self._scene.found
        cosines = found.rotations[:, 2] @ view.rotation[2]
        both = [np.zeros((0, 2), np.intp)]
        for number in np.argsort(-cosines)[:_NEIGHBOURS]:
            if cosines[number] > _LEAST_COSINE:
                both.append(self._shown_by(found.pictures[number], view, reach))
        keypoints, points = np.unique(np.concatenate(both), axis=0).T
        return keypoints, points

    def _shown_by(self, other: int, view: View, reach: float) -> np.ndarray:
        """(M, 2) keypoints and points, of the points that another picture shows."""
        points, likeness = self._alike(other)
        if len(points) < 2 or len(self._own.keypoints) < 2:
            return np.zeros((0, 2), np.intp)
        x, y, z = view.rotation @ (self._scene.tracks.positions[points] - view.position).T
        z = np.where(z > 1e-9, z, np.inf)
        seen = np.stack(self._lens.distorted(x / z, y / z), 1)
        near = cdist(self._own.keypoints, seen) < reach
        pairs = clear_pairs(np.where(near, likeness, -1.0), _LARGEST_ANGLE, _RATIO)
        return np.stack([pairs[:, 0], points[pairs[:, 1]]], 1)

    def _alike(self, other: int) -> tuple[np.ndarray, np.ndarray]:
        """The points (P,) that another picture shows, and how alike its keypoints of them and this picture's (N, P)."""
        if other not in self._likeness:
            shown = self._scene.tracks.point_of[other]
            which = np.flatnonzero(shown >= 0)
            theirs = self._adjuster.seen.features[other].directions[which]
            self._likeness[other] = shown[which], self._own.directions @ theirs.T
        return self._likeness[other]
