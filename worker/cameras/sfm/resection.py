# SPDX-License-Identifier: GPL-3.0-or-later
"""Resection: cameras of pictures that were left out, by points that are known, believed only where silhouettes agree.

Must not know files or colours. Where a thing has the same print on several sides, a picture fits several poses; from
all of them but one, its silhouette or another's then shows as empty what the other shows as the thing.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ...core.job import Job, Span
from ...core.view import View
from ..hull import Hull
from ..lens import Lens
from ..registration import MOST_STRAYS, Registration
from .bundle_adjustment import BundleAdjuster, Tracks
from .mapping import Observations
from .pose_candidates import PoseCandidate, Scene, candidates_by_points, candidates_by_silhouette
from .two_view import LEAST_INLIERS

MOST_PICTURES = 80
"""With more pictures, those that are left out are left out: comparing all with all takes too long."""

AGREED = 0.9
"""Where the hull covers less than this of a silhouette, its camera is wrong; all are where that is more than a fifth of
them. Of the folded cameras of the bleach it covers 0.4 of each, of a sugar box's stray one .75, of right ones all."""

_LOSS = 0.015  # share of a silhouette that may be lost to a pose that is right, by half a degree or a pixel
_CLEARER = 1.3  # times as many inliers as the next candidate that silhouettes allow
_SAME = 15.0  # degrees: two candidates that differ by less are one
_BEST = 0.5  # of the inliers of the clearest picture of a round: less clear ones wait for more points
_GUIDED = 20, 1.25  # as LEAST_INLIERS and _CLEARER, of points that were looked for where they should be
_LUCK = 3.0  # times as many inliers as by chance, of such points
_FEW = 0.1
"""Of all pictures: where more are left out, a whole side may be unknown, and silhouettes put it onto the known one."""


def hull_of(found: Registration, silhouettes: Mapping[int, np.ndarray]) -> Hull | None:
    """The hull of the silhouettes (h, w) bool of those registered pictures that have one, or None. Lenses bend
    silhouettes too little to matter."""
    kept = [(view, silhouettes[k]) for view, k in zip(found.views, found.pictures) if k in silhouettes]
    return Hull.of([view for view, _ in kept], [silhouette for _, silhouette in kept]) if kept else None


def agreeing(found: Registration, silhouettes: Mapping[int, np.ndarray]) -> Registration | None:
    """The cameras found from which the silhouettes are those of one thing; None where too many are not."""
    hull = hull_of(found, silhouettes)
    if not _agree(hull):
        return None
    known = [number for number in found.pictures if number in silhouettes]
    return found.without_strays([number for number, share in zip(known, hull.shares) if share < AGREED])


def _agree(hull: Hull | None) -> bool:
    return hull is not None and float(np.quantile(hull.shares, MOST_STRAYS)) >= AGREED


def completed(
    found: Registration, seen: Observations, silhouettes: Mapping[int, np.ndarray], job: Job | Span
) -> Registration:
    """What was found with as many more of the pictures as have a pose that all silhouettes allow.

    found: cameras whose silhouettes agree. silhouettes: by the picture's number, (h, w) bool.
    """
    if not len(found.pictures) < len(seen.features) <= MOST_PICTURES:
        return found
    return _Resection(BundleAdjuster(seen), silhouettes, job).completed(found)


@dataclasses.dataclass(frozen=True, eq=False)
class _Resection:
    """One such search. silhouettes: by the picture's number."""

    adjuster: BundleAdjuster
    silhouettes: Mapping[int, np.ndarray]
    job: Job | Span

    def completed(self, found: Registration) -> Registration:
        """What was found, with more pictures as long as some are clear."""
        begun, count = set(found.pictures), len(self.adjuster.seen.features)
        scene = self._scene(self.adjuster.adjusted(found, False, self.job.span(0.0, len(begun) / count)))
        while scene is not None:
            found = scene.found
            done = len(found.pictures)
            clear = self._clearest(scene, count)
            part = self.job.span(done / count, (done + len(clear)) / count)
            joined = self.adjuster.adjusted(self._joined(found, clear), True, part) if clear else None
            grown = self._scene(joined)
            if grown is None or len(grown.found.pictures) <= done:
                break
            scene = grown
        return found if scene is None else self._revisited(scene, set(found.pictures) - begun)

    def _scene(self, said: tuple[Registration, Tracks] | None) -> Scene | None:
        """Cameras and what they have in common, if their silhouettes agree."""
        hull = None if said is None else hull_of(said[0], self.silhouettes)
        return Scene(*said, hull) if _agree(hull) else None

    def _clearest(self, scene: Scene, count: int) -> dict[int, PoseCandidate]:
        """Those of the pictures that are left whose pose is clearest, by their number."""
        left = sorted(set(self.silhouettes) - set(scene.found.pictures))
        clear = self._clear(left, scene, self.pose)
        if not clear and len(left) <= _FEW * count:
            clear = self._clear(left, scene, self.guided_pose)
        enough = _BEST * max((pose.inliers for pose in clear.values()), default=0)
        return {number: pose for number, pose in clear.items() if pose.inliers >= enough}

    def _clear(
        self, left: Sequence[int], scene: Scene, pose_of: Callable[[int, Scene], PoseCandidate | None]
    ) -> dict[int, PoseCandidate]:
        clear = {}
        done, count = len(scene.found.pictures), len(self.adjuster.seen.features)
        for which, number in enumerate(left):
            self.job.report(done / count, "placing cameras", f"{done} of {count} pictures, looking at {which + 1} more")
            pose = pose_of(number, scene)
            if pose is not None:
                clear[number] = pose
        return clear

    def pose(self, number: int, scene: Scene) -> PoseCandidate | None:
        """The pose of a picture that silhouettes allow and most points are for, if that is clear."""
        return self._clearest_of(candidates_by_points, number, scene, LEAST_INLIERS, _CLEARER)

    def guided_pose(self, number: int, scene: Scene) -> PoseCandidate | None:
        """The same of a picture that too few points are known for: looked for near where its silhouette would be."""
        silhouette = self.silhouettes[number]
        return self._clearest_of(functools.partial(candidates_by_silhouette, silhouette), number, scene, *_GUIDED)

    def _clearest_of(
        self, candidates: Callable[..., Iterable[PoseCandidate]], number: int, scene: Scene, least: int, clearer: float
    ) -> PoseCandidate | None:
        lens = self._lens(number, scene.found)
        if lens is None:
            return None
        found = candidates(number, lens, scene, self.adjuster)
        views = [(each, View(lens.camera, each.rotation, each.position)) for each in found]
        allowed = [each for each, view in views if fits_silhouettes(scene.hull, view, self.silhouettes[number])]
        return clearest(allowed, least, clearer)

    def _revisited(self, scene: Scene, added: set[int]) -> Registration:
        """What was found after each picture that was added was resected again, now that more points are known."""
        found, moved, end = scene.found, {}, self.job.span(1.0, 1.0)
        for which, number in enumerate(sorted(added)):
            end.report(1.0, "placing cameras", f"looking again at {which + 1} of {len(added)}")
            others = found.without([number])
            hull = hull_of(others, self.silhouettes)
            pose = None if hull is None else self.pose(number, dataclasses.replace(scene, found=others, hull=hull))
            now = found.rotations[found.pictures.index(number)]
            if pose is not None and _degrees(pose.rotation, now) > _SAME:
                moved[number] = pose
        said = self.adjuster.adjusted(self._joined(found.without(moved), moved), True, end) if moved else None
        better = self._scene(said) or scene
        last = self._scene(self.adjuster.adjusted(better.found, False, end))
        return (last or better).found

    def _joined(self, found: Registration, clear: Mapping[int, PoseCandidate]) -> Registration:
        """What was found with some more pictures, ascending again; without those whose lens nobody knows."""
        poses = zip(found.lenses, found.rotations, found.positions)
        every = dict(zip(found.pictures, poses))
        for number, pose in clear.items():
            lens = self._lens(number, found)
            if lens is not None:
                every[number] = lens, pose.rotation, pose.position
        pictures = tuple(sorted(every))
        lenses, rotations, positions = zip(*(every[number] for number in pictures))
        return dataclasses.replace(
            found, pictures=pictures, lenses=lenses, rotations=np.stack(rotations), positions=np.stack(positions)
        )

    def _lens(self, number: int, found: Registration) -> Lens | None:
        """The lens of the pictures that were taken with the same camera, if one of them is registered."""
        group_of = self.adjuster.seen.group_of
        lenses = (lens for n, lens in zip(found.pictures, found.lenses) if group_of[n] == group_of[number])
        return next(lenses, None)


def fits_silhouettes(hull: Hull, view: View, silhouette: np.ndarray) -> bool:
    """Whether one more silhouette, seen by the view, and those of the hull are those of one thing."""
    own, others = hull.with_view(view, silhouette)
    return bool(own >= hull.agreement - _LOSS and (hull.shares - others).max() <= _LOSS)


def clearest(allowed: Sequence[PoseCandidate], least: int, clearer: float) -> PoseCandidate | None:
    """The one of several candidates that has most inliers, if that is clear."""
    if not allowed:
        return None
    best = max(allowed, key=lambda pose: pose.inliers)
    others = [pose.inliers for pose in allowed if _degrees(pose.rotation, best.rotation) > _SAME]
    return best if best.inliers >= max(least, clearer * max(others, default=0), _LUCK * best.chance) else None


def _degrees(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(first @ second.T) - 1.0) / 2.0, -1.0, 1.0))))
