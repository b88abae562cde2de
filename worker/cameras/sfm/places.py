# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a picture may have been taken from, as points say that are known: looked for in all of it, or near where its
outline guesses them to be.

Must not know which place is right, nor outlines beyond asking for guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import cdist

from ...core.view import View
from ..hull import Hull
from ..lens import Lens
from .features import clear_pairs
from .guess import guesses
from .mapping import Solution, lens_camera
from .tracks import Tracker, Tracks

_PLACES = 4  # are looked at for each picture
_ERROR = 5.0  # pixels of 1000 that a point may miss
_TRIALS = 2000
_FEWEST = 8  # points that a place is looked for with
_NEIGHBOURS, _BESIDE = 6, 0.3  # cameras whose points are looked for, and the least cosine between their directions
_LIKE, _RATIO = 0.8, 0.9  # radians between descriptors, and by how much better than the next one in the window
_WINDOWS = (0.05, 5.0), (0.02, 1.5)
"""Shares of the picture's longer side within which a point is looked for where a guess shows it, and pixels of 1000 by
which it may then miss: first where the guess is exact to some degrees, then where points have made it exact."""


@dataclass(frozen=True, eq=False)
class Known:
    """Cameras, what they have in common, and the hull of their outlines."""

    found: Solution
    tracks: Tracks
    hull: Hull


@dataclass(frozen=True, eq=False)
class Placed:
    """A picture's likely camera and how many of its features say so; how many would by chance, of points that were
    looked for there."""

    rotation: np.ndarray
    position: np.ndarray
    count: int
    chance: float = 0.0


def places_by_points(number: int, lens: Lens, known: Known, tracker: Tracker) -> Iterator[Placed]:
    """Where the picture may have been taken from: each place by points that do not fit the places before."""
    seen, points = _sightings(number, known, tracker)
    for _ in range(_PLACES):
        said = _by_points(tracker.features[number].places[seen], known.tracks.places[points], seen, lens, _ERROR)
        if said is None:
            return
        place, fits = said
        yield place
        seen, points = seen[~fits], points[~fits]


def guessed_places(number: int, lens: Lens, known: Known, tracker: Tracker, outline: np.ndarray) -> Iterator[Placed]:
    """The same, by points that are looked for near where they would be seen from places that the outline guesses."""
    near = _Near(number, lens, known, tracker)
    distance = float(np.median(np.linalg.norm(known.found.positions - known.hull.cells.mean(0), axis=1)))
    for view, _ in guesses(known.hull, lens.camera, outline, distance):
        for window, error in _WINDOWS:
            reach = window * max(lens.camera.width, lens.camera.height)
            seen, points = near.sightings(view, reach)
            said = _by_points(tracker.features[number].places[seen], known.tracks.places[points], seen, lens, error)
            if said is None:
                break
            place = replace(said[0], chance=len(seen) * (_pixels(lens, error) / reach) ** 2)
            view = View(lens.camera, place.rotation, place.position)
        else:
            yield place


def _by_points(
    places: np.ndarray, points: np.ndarray, seen: np.ndarray, lens: Lens, error: float
) -> tuple[Placed, np.ndarray] | None:
    """The camera that sees most of points (M, 3) at places (M, 2), and which it does; None where there are too few.

    seen: (M,), the features' numbers: one counts once. error: pixels of 1000.
    """
    import pycolmap

    if len(seen) < _FEWEST:
        return None
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.random_seed, options.ransac.min_inlier_ratio, options.ransac.max_num_trials = 0, 0.05, _TRIALS
    options.ransac.max_error = _pixels(lens, error)
    said = pycolmap.estimate_and_refine_absolute_pose(places, points, lens_camera(lens, 1), options)
    if said is None:
        return None
    matrix, fits = said["cam_from_world"].matrix(), said["inlier_mask"]
    rotation = matrix[:, :3]
    return Placed(rotation, -rotation.T @ matrix[:, 3], len(np.unique(seen[fits]))), fits


def _pixels(lens: Lens, error: float) -> float:
    """Of an error in pixels of 1000: no fewer of a smaller picture, where points are found no better."""
    return error * max(1.0, max(lens.camera.width, lens.camera.height) / 1000.0)


def _sightings(number: int, known: Known, tracker: Tracker) -> tuple[np.ndarray, np.ndarray]:
    """Features of the picture and the points that they may show, (M,) int each, every two once."""
    both = [np.zeros((0, 2), np.intp)]
    for other in known.found.numbers:
        alike = tracker.alike(number, other)
        points = known.tracks.shown[other][alike[:, 1]]
        both.append(np.stack([alike[:, 0], points], 1)[points >= 0])
    seen, points = np.unique(np.concatenate(both), axis=0).T
    return seen, points


class _Near:
    """Known points, looked for in a picture near where a view shows them. Remembers how alike they look."""

    def __init__(self, number: int, lens: Lens, known: Known, tracker: Tracker) -> None:
        self._own, self._lens, self._known, self._tracker = tracker.features[number], lens, known, tracker
        self._likeness: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def sightings(self, view: View, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Features of the picture and the points that they may show, (M,) int each, every two once. reach: pixels."""
        ahead = self._known.found.rotations[:, 2] @ view.rotation[2]
        found = [np.zeros((0, 2), np.intp)]
        for place in np.argsort(-ahead)[:_NEIGHBOURS]:
            if ahead[place] > _BESIDE:
                found.append(self._seen_by(self._known.found.numbers[place], view, reach))
        seen, points = np.unique(np.concatenate(found), axis=0).T
        return seen, points

    def _seen_by(self, other: int, view: View, reach: float) -> np.ndarray:
        """(M, 2) features and points, of the points that another picture shows."""
        points, alike = self._alike(other)
        if len(points) < 2 or len(self._own.places) < 2:
            return np.zeros((0, 2), np.intp)
        x, y, z = view.rotation @ (self._known.tracks.places[points] - view.position).T
        z = np.where(z > 1e-9, z, np.inf)
        shown = np.stack(self._lens.distorted(x / z, y / z), 1)
        pairs = clear_pairs(np.where(cdist(self._own.places, shown) < reach, alike, -1.0), _LIKE, _RATIO)
        return np.stack([pairs[:, 0], points[pairs[:, 1]]], 1)

    def _alike(self, other: int) -> tuple[np.ndarray, np.ndarray]:
        """The points (P,) that another picture shows, and how alike its features of them and this picture's (N, P)."""
        if other not in self._likeness:
            shown = self._known.tracks.shown[other]
            which = np.flatnonzero(shown >= 0)
            self._likeness[other] = (
                shown[which],
                self._own.directions @ self._tracker.features[other].directions[which].T,
            )
        return self._likeness[other]
