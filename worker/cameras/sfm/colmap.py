# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras of pictures that say nothing about them, by structure from motion with COLMAP's library.

Must not know files, nor what becomes of the cameras. Points are found and compared one picture and one pair at a time,
so progress is real and a cancel is heard within a second or two. Where outlines are known, they say which cameras to
believe, and help to place what was left out. What was found, and where it failed what to photograph
differently, is said in sentences.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.errors import Unable
from ...core.job import Job, Span
from ...pictures.load import Picture
from ..capture import Capture
from ..known import Posed, captured, outlined
from .features import Features, Finder
from .mapping import CameraGroup, Guess, Solution, solve
from .pairs import Pair, compared, worth_comparing
from .reasons import left_out, too_few, why_not
from .resection import agrees, completed
from .twins import untangled

THREADS = min(8, os.cpu_count() or 1)
"""More threads hardly help with some hundred pictures, and leave nothing to the user's other programs."""

LEAST_PICTURES = 3
"""Cameras of two pictures are found too, but nothing can be trained on them."""

FEW_POINTS = 800
"""A picture with fewer points is looked at again for weak ones."""

SOME_POINTS = 2500
"""Where half of the pictures have fewer points and find no place, points are found again in a way that takes longer and
matches more of them: by affine shapes (Mikolajczyk and Schmid 2004)."""

FOCALS = (1.2, 2.5, 5.0)
"""Focal lengths in longer sides, tried one after the other while too many pictures find no place: a usual lens, cameras
from some way off, and from far away."""

FEW = 40
"""Up to so many pictures the lens's distortion is believed only where it makes things fit better: few pictures fit a
nonsensical one nearly as well."""

_ENOUGH = 0.9  # of the pictures have a place: no other focal length is tried
_BETTER = 0.95  # of the error without distortion is left where there is some


def find(pictures: Sequence[Picture], ordered: bool, job: Job | Span, threads: int = THREADS) -> Capture:
    """The capture of `pictures`, ordered as in a video or not. Raises Unable where their cameras cannot be found."""
    solution, notes = registered(pictures, ordered, job.span(0.0, 0.9), threads)
    posed = [
        Posed(pictures[number], lens, rotation, position)
        for number, lens, rotation, position in zip(
            solution.numbers, solution.lenses, solution.rotations, solution.positions
        )
    ]
    return captured(posed, solution.points, notes, False, job.span(0.9, 1.0))


def registered(
    pictures: Sequence[Picture], ordered: bool, job: Job | Span, threads: int = THREADS
) -> tuple[Solution, list[str]]:
    """The cameras that were found, and sentences about them. Raises Unable as `find` does."""
    if len(pictures) < LEAST_PICTURES:
        raise Unable(too_few(len(pictures)))
    shapes = outlined([(picture.rgb, picture.alpha) for picture in pictures])
    outlines = {number: shape for number, shape in enumerate(shapes) if shape is not None}
    best = _tried(pictures, outlines, ordered, False, job.span(0.0, 0.5), threads)
    if not best.is_good and np.median([len(features.places) for features in best.features]) < SOME_POINTS:
        other = _tried(pictures, outlines, ordered, True, job.span(0.5, 1.0), threads)
        best = max(best, other, key=_Attempt.worth)
    solution = best.solution
    if solution is None or best.placed < LEAST_PICTURES:
        raise Unable(why_not(pictures, best.features, best.pairs, best.placed))
    said = (
        f"{best.placed} of {len(pictures)} pictures have found their place, with "
        f"{len(solution.points.places)} points and a mean error of {solution.error:.2f} pixels"
    )
    missing = [picture.name for number, picture in enumerate(pictures) if number not in solution.numbers]
    return solution, [said, *left_out(missing), *best.doubts]


@dataclass(frozen=True, eq=False)
class _Attempt:
    """What came of points found in one way.

    doubts: sentences about cameras that are likely to be wrong. agrees: whether outlines are known and say the same.
    """

    features: list[Features]
    pairs: list[Pair]
    solution: Solution | None
    doubts: list[str]
    agrees: bool

    @property
    def placed(self) -> int:
        return 0 if self.solution is None else len(self.solution.numbers)

    @property
    def is_good(self) -> bool:
        return self.placed >= _ENOUGH * len(self.features) and not self.doubts

    def worth(self) -> tuple[bool, bool, int]:
        some = self.placed >= LEAST_PICTURES
        return some and self.agrees, some and not self.doubts, self.placed


def _tried(
    pictures: Sequence[Picture],
    outlines: Mapping[int, np.ndarray],
    ordered: bool,
    affine: bool,
    job: Job | Span,
    threads: int,
) -> _Attempt:
    groups = camera_groups(pictures)
    features = _found(pictures, affine, job.span(0.0, 0.3), threads)
    group_of = {member: group for group in groups for member in group.members}
    cameras = [group_of[number].camera(Guess(FOCALS[0], False), 1) for number in range(len(pictures))]
    wanted = worth_comparing(features, ordered, job.span(0.3, 0.4))
    pairs = compared(features, cameras, wanted, job.span(0.4, 0.7))
    solution, doubts = _best(groups, features, pairs, threads, job.span(0.7, 0.8)) if pairs else None, []
    if solution is not None:
        solution, doubts = untangled(solution, groups, features, pairs, wanted, threads, job.span(0.8, 0.9))
    if solution is None or len(outlines) < LEAST_PICTURES:
        return _Attempt(features, pairs, solution, doubts, False)
    core = _agreeing(solution, groups, features, pairs, outlines, threads, job.span(0.9, 0.92))
    if core is None:
        return _Attempt(features, pairs, solution, doubts, False)
    solution = completed(core, groups, features, outlines, threads, job.span(0.92, 1.0))
    whole = len(solution.numbers) >= _ENOUGH * len(features)
    return _Attempt(features, pairs, solution, [] if whole else doubts, True)


def _agreeing(
    found: Solution,
    groups: Sequence[CameraGroup],
    features: Sequence[Features],
    pairs: Sequence[Pair],
    outlines: Mapping[int, np.ndarray],
    threads: int,
    job: Job | Span,
) -> Solution | None:
    """The solution if outlines agree with it; else that of the surer half of all pairs, if they agree with that."""
    if agrees(found, outlines):
        return found
    usual = np.median([pair.count for pair in pairs])
    sure = [pair for pair in pairs if pair.count >= usual]
    core = solve(groups, features, sure, Guess(found.focal, False), threads, job)
    return core if core is not None and core.shows_depth and agrees(core, outlines) else None


def camera_groups(pictures: Sequence[Picture]) -> list[CameraGroup]:
    """Pictures of the same size and field of view were taken with the same camera."""
    members: dict[tuple[int, int, float | None], list[int]] = {}
    for number, picture in enumerate(pictures):
        height, width = picture.rgb.shape[:2]
        fov = None if picture.fov_degrees is None else round(picture.fov_degrees, 1)
        members.setdefault((width, height, fov), []).append(number)
    return [CameraGroup(*key, tuple(numbers)) for key, numbers in members.items()]


def _found(pictures: Sequence[Picture], affine: bool, job: Job | Span, threads: int) -> list[Features]:
    usual, sensitive = Finder(threads, False, affine), Finder(threads, True, affine)
    found = []
    for number, picture in enumerate(pictures):
        job.report(number / len(pictures), "finding points", f"picture {number + 1} of {len(pictures)}")
        features = usual.find(picture)
        found.append(features if len(features.places) >= FEW_POINTS else sensitive.find(picture))
    return found


def _best(
    groups: Sequence[CameraGroup], features: Sequence[Features], pairs: Sequence[Pair], threads: int, job: Job | Span
) -> Solution | None:
    """The best of several reconstructions, or None where none makes sense."""
    count, steps = len(features), len(FOCALS) + 1

    def tried(guess: Guess, step: int) -> Solution | None:
        found = solve(groups, features, pairs, guess, threads, job.span(step / steps, (step + 1) / steps))
        return found if found is not None and found.shows_depth else None

    best, focals = None, FOCALS[:1] if all(group.fov_degrees for group in groups) else FOCALS
    for step, focal in enumerate(focals):
        found = tried(Guess(focal, count > FEW), step)
        best = found if best is None or (found is not None and found.worth > best.worth) else best
        if best is not None and len(best.numbers) >= _ENOUGH * count:
            break
    if best is None or count > FEW:
        return best
    bent = tried(Guess(best.focal, True), steps - 1)
    fits = bent is not None and len(bent.numbers) >= len(best.numbers) and bent.error < _BETTER * best.error
    return bent if fits else best
