# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras of pictures that say nothing about them, by structure from motion with COLMAP's library.

Must not know files, nor what becomes of the cameras. Keypoints are found and matched one picture and one pair at a
time, so progress is real and a cancel is heard within a second or two. Where silhouettes are known, they say which
cameras to believe, and help to register what was left out. What was found, and where it failed what to photograph
differently, is said in sentences.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...core.errors import Unable
from ...core.job import Job, Span
from ...pictures.load import Picture
from ..outline import outlines
from ..registration import Registration
from .coherence import coherent
from .failures import left_out, too_few, why_not
from .features import Detector, Features
from .focal import focal_doubts
from .mapping import CameraGroup, CameraPrior, Observations, mapped
from .matching import worth_matching
from .resection import agreeing, completed
from .symmetry import symmetry_checked
from .two_view import verified

THREADS = min(8, os.cpu_count() or 1)
"""More threads hardly help with some hundred pictures, and leave nothing to the user's other programs."""

LEAST_PICTURES = 3
"""Cameras of two pictures are found too, but nothing can be trained on them."""

FEW_KEYPOINTS = 800
"""A picture with fewer keypoints is looked at again for weak ones, as most of the dino (250) and of the mustard bottle
are; those of the temple (1,400) are not."""

SOME_KEYPOINTS = 2500
"""Where half of the pictures have fewer keypoints and are not registered, they are detected again with affine shapes
(Mikolajczyk and Schmid 2004), which takes longer and matches more."""

FOCALS = (1.2, 2.5, 5.0)
"""Focal lengths in longer sides, tried one after the other while too many pictures are not registered: a usual lens,
cameras from some way off, and from far away (the dino's is 5.2). Bundle adjustment does the rest."""

FEW_PICTURES = 40
"""Up to so many pictures the lens's distortion is believed only where it makes things fit better: few pictures fit a
nonsensical one nearly as well."""

_ENOUGH = 0.9  # share of the pictures that is registered: no other focal length is tried
_TOLD = 0.5  # of the pictures: so many tell the focal length with which affine keypoints begin
_BETTER = 0.95  # of the reprojection error without distortion is left where there is some


def registered(pictures: Sequence[Picture], ordered: bool, job: Job | Span, threads: int = THREADS) -> Registration:
    """The cameras of `pictures`, ordered as in a video or not. Raises Unable where they cannot be found."""
    if len(pictures) < LEAST_PICTURES:
        raise Unable(too_few(len(pictures)))
    shapes = outlines([(picture.rgb, picture.alpha) for picture in pictures])
    silhouettes = {number: shape for number, shape in enumerate(shapes) if shape is not None}
    best = _attempt(pictures, silhouettes, ordered, False, FOCALS, job.span(0.0, 0.5), threads)
    if not best.is_good and np.median([len(each.keypoints) for each in best.seen.features]) < SOME_KEYPOINTS:
        focals = (best.found.focal,) if best.count >= _TOLD * len(pictures) else FOCALS
        other = _attempt(pictures, silhouettes, ordered, True, focals, job.span(0.5, 0.9), threads)
        best = max(best, other, key=_Attempt.worth)
    found = best.found
    if found is None or best.count < LEAST_PICTURES:
        raise Unable(why_not(pictures, best.seen.features, best.seen.matched, best.count))
    if best.agrees:
        found = coherent(found, best.seen, silhouettes, job.span(0.9, 0.98))
        found = agreeing(found, silhouettes) or found
    said = (
        f"{len(found.pictures)} of {len(pictures)} pictures have found their place, with "
        f"{len(found.points)} points and a mean error of {found.error:.2f} pixels"
    )
    missing = [picture.name for number, picture in enumerate(pictures) if number not in found.pictures]
    doubts = [*best.doubts, *focal_doubts(found, best.seen, job.span(0.98, 1.0))]
    return replace(found, notes=(said, *left_out(missing), *doubts))


@dataclass(frozen=True, eq=False)
class _Attempt:
    """What came of keypoints detected in one way.

    doubts: sentences about cameras that are likely to be wrong. agrees: whether silhouettes are known and say the same.
    """

    seen: Observations
    found: Registration | None
    doubts: list[str]
    agrees: bool

    @property
    def count(self) -> int:
        return 0 if self.found is None else len(self.found.pictures)

    @property
    def is_good(self) -> bool:
        return self.count >= _ENOUGH * len(self.seen.features) and not self.doubts

    def worth(self) -> tuple[bool, bool, int]:
        some = self.count >= LEAST_PICTURES
        return some and self.agrees, some and not self.doubts, self.count


def _attempt(
    pictures: Sequence[Picture],
    silhouettes: Mapping[int, np.ndarray],
    ordered: bool,
    affine: bool,
    focals: Sequence[float],
    job: Job | Span,
    threads: int,
) -> _Attempt:
    seen = _observed(pictures, ordered, affine, job.span(0.0, 0.7), threads)
    found, doubts = _best(seen, focals, job.span(0.7, 0.8)) if seen.matched else None, []
    if found is not None:
        found, doubts = symmetry_checked(found, seen, job.span(0.8, 0.9))
    if found is None or len(silhouettes) < LEAST_PICTURES:
        return _Attempt(seen, found, doubts, False)
    core = _agreeing(found, seen, silhouettes, job.span(0.9, 0.92))
    if core is None:
        return _Attempt(seen, found, doubts, False)
    found = completed(core, seen, silhouettes, job.span(0.92, 1.0))
    whole = len(found.pictures) >= _ENOUGH * len(pictures)
    return _Attempt(seen, found, [] if whole else doubts, True)


def _observed(pictures: Sequence[Picture], ordered: bool, affine: bool, job: Job | Span, threads: int) -> Observations:
    groups = camera_groups(pictures)
    features = _detected(pictures, affine, job.span(0.0, 0.43), threads)
    wanted = worth_matching(features, ordered, job.span(0.43, 0.57))
    group_of = {member: group for group in groups for member in group.members}
    cameras = [group_of[number].camera(CameraPrior(FOCALS[0], False), 1) for number in range(len(pictures))]
    matched = verified(features, cameras, wanted, job.span(0.57, 1.0))
    return Observations(groups, features, matched, wanted, threads)


def _agreeing(
    found: Registration, seen: Observations, silhouettes: Mapping[int, np.ndarray], job: Job | Span
) -> Registration | None:
    """What silhouettes agree with of what was found; else of what the surer half of all pairs say."""
    if (core := agreeing(found, silhouettes)) is not None:
        return core
    usual = np.median([pair.inliers for pair in seen.matched])
    sure = replace(seen, matched=[pair for pair in seen.matched if pair.inliers >= usual])
    core = mapped(sure, CameraPrior(found.focal, False), job)
    return agreeing(core, silhouettes) if core is not None and core.shows_depth else None


def camera_groups(pictures: Sequence[Picture]) -> list[CameraGroup]:
    """Pictures of the same size and field of view were taken with the same camera."""
    members: dict[tuple[int, int, float | None], list[int]] = {}
    for number, picture in enumerate(pictures):
        height, width = picture.rgb.shape[:2]
        fov = None if picture.fov_degrees is None else round(picture.fov_degrees, 1)
        members.setdefault((width, height, fov), []).append(number)
    return [CameraGroup(*key, tuple(numbers)) for key, numbers in members.items()]


def _detected(pictures: Sequence[Picture], affine: bool, job: Job | Span, threads: int) -> list[Features]:
    usual, sensitive = Detector(threads, False, affine), Detector(threads, True, affine)
    detected = []
    for number, picture in enumerate(pictures):
        job.report(number / len(pictures), "finding points", f"picture {number + 1} of {len(pictures)}")
        features = usual.detect(picture)
        detected.append(features if len(features.keypoints) >= FEW_KEYPOINTS else sensitive.detect(picture))
    return detected


def _best(seen: Observations, focals: Sequence[float], job: Job | Span) -> Registration | None:
    """The best of several reconstructions, each begun with one of the focal lengths, or None where none makes sense."""
    count, steps = len(seen.features), len(focals) + 1

    def tried(prior: CameraPrior, step: int) -> Registration | None:
        found = mapped(seen, prior, job.span(step / steps, (step + 1) / steps))
        return found if found is not None and found.shows_depth else None

    best = None
    for step, focal in enumerate(focals[:1] if all(group.fov_degrees for group in seen.groups) else focals):
        found = tried(CameraPrior(focal, count > FEW_PICTURES), step)
        best = found if best is None or (found is not None and found.worth > best.worth) else best
        if best is not None and len(best.pictures) >= _ENOUGH * count:
            break
    if best is None or count > FEW_PICTURES:
        return best
    bent = tried(CameraPrior(best.focal, True), steps - 1)
    fits = bent is not None and len(bent.pictures) >= len(best.pictures) and bent.error < _BETTER * best.error
    return bent if fits else best
