# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras of pictures that were left out, found by points that are known, and believed only where outlines agree.

Must not know files or colours. Where a thing has the same print on several sides, a picture fits several places; from
all of them but one, its outline or another's then shows as empty what the other shows as the thing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ...core.job import Job, Span
from ...core.view import View
from ..hull import Hull
from ..lens import Lens
from .features import Features
from .mapping import CameraGroup, Solution
from .places import Known, Placed, guessed_places, places_by_points
from .tracks import Tracker, Tracks

MOST = 80
"""With more pictures, those that are left out are left out: comparing all with all takes too long."""

AGREED = 0.9
"""Where the hull covers less than this of more than a fifth of the outlines, they are seen by wrong cameras."""

_LOSS = 0.015  # of an outline may be lost to a picture's camera that is right
_LEAST = 15  # points that must say where a camera is, as for a pair
_CLEARER = 1.3  # times as many as for the next likely place that outlines allow
_SAME = 15.0  # degrees: two places that differ by less are one
_BEST = 0.5  # of the points of the clearest picture of a round: less clear ones wait for more points
_GUESSED = 20, 1.25  # as _LEAST and _CLEARER, of points that were looked for where they should be
_LUCK = 3.0  # times as many points as by chance
_FEW = (
    0.1  # of all pictures: where more are left out, a whole side may be unknown, and guesses put it onto the known one
)


def views_of(found: Solution) -> list[View]:
    """Pinhole views of a solution's cameras: lenses bend outlines too little to matter."""
    return [
        View(lens.camera, rotation, position)
        for lens, rotation, position in zip(found.lenses, found.rotations, found.positions)
    ]


def hull_of(found: Solution, outlines: Mapping[int, np.ndarray]) -> Hull | None:
    """The hull of the outlines (h, w) bool of those of a solution's pictures that have one, or None."""
    kept = [(view, outlines[number]) for view, number in zip(views_of(found), found.numbers) if number in outlines]
    return Hull.of([view for view, _ in kept], [outline for _, outline in kept]) if kept else None


def agrees(found: Solution, outlines: Mapping[int, np.ndarray]) -> bool:
    """Whether the outlines are those of one thing from the solution's cameras."""
    return _agree(hull_of(found, outlines))


def _agree(hull: Hull | None) -> bool:
    return hull is not None and float(np.quantile(hull.shares, 0.2)) >= AGREED


def completed(
    found: Solution,
    groups: Sequence[CameraGroup],
    features: Sequence[Features],
    outlines: Mapping[int, np.ndarray],
    threads: int,
    job: Job | Span,
) -> Solution:
    """The solution with as many more of the pictures as find a place that all outlines allow.

    found: cameras whose outlines agree. outlines: by the picture's number, (h, w) bool.
    """
    count = len(features)
    if not len(found.numbers) < count <= MOST:
        return found
    tracker, begun = Tracker(groups, features, threads), set(found.numbers)
    known = _known(tracker.tracked(found, False, job), outlines)
    while known is not None:
        found = known.found
        job.report(len(found.numbers) / count, "placing cameras", f"{len(found.numbers)} of {count} pictures")
        left = set(outlines) - set(found.numbers)
        clear = _clearest(known, left, tracker, outlines, job, _place)
        if not clear and len(left) <= _FEW * count:
            clear = _clearest(known, left, tracker, outlines, job, _guessed_place)
        joined = tracker.tracked(_joined(found, clear, tracker), True, job) if clear else None
        grown = _known(joined, outlines)
        if grown is None or len(grown.found.numbers) <= len(found.numbers):
            break
        known = grown
    return found if known is None else _revisited(known, set(found.numbers) - begun, tracker, outlines, job)


def _known(said: tuple[Solution, Tracks] | None, outlines: Mapping[int, np.ndarray]) -> Known | None:
    """Cameras and what they have in common, if their outlines agree."""
    hull = None if said is None else hull_of(said[0], outlines)
    return Known(*said, hull) if _agree(hull) else None


def _revisited(
    known: Known, added: set[int], tracker: Tracker, outlines: Mapping[int, np.ndarray], job: Job | Span
) -> Solution:
    """The solution after each picture that was added was asked again for its place, now that more points are known."""
    found, moved = known.found, {}
    for number in sorted(added):
        job.check()
        others = _without(found, number)
        hull = hull_of(others, outlines)
        if hull is None:
            continue
        place = _place(number, dataclasses.replace(known, found=others, hull=hull), tracker, outlines)
        now = found.rotations[found.numbers.index(number)]
        if place is not None and _turned(place.rotation, now) > _SAME:
            moved[number] = place
    for number in moved:
        found = _without(found, number)
    said = tracker.tracked(_joined(found, moved, tracker), True, job) if moved else None
    better = _known(said, outlines) or known
    last = _known(tracker.tracked(better.found, False, job), outlines)
    return (last or better).found


def _without(found: Solution, number: int) -> Solution:
    kept = [place for place, n in enumerate(found.numbers) if n != number]
    return dataclasses.replace(
        found,
        numbers=tuple(found.numbers[place] for place in kept),
        lenses=tuple(found.lenses[place] for place in kept),
        rotations=found.rotations[kept],
        positions=found.positions[kept],
    )


def _joined(found: Solution, clear: Mapping[int, Placed], tracker: Tracker) -> Solution:
    """The solution with some more pictures, ascending again; without those whose lens nobody knows."""
    every = {number: (lens, rotation, position) for number, lens, rotation, position in zip(
        found.numbers, found.lenses, found.rotations, found.positions)}  # fmt: skip
    for number, place in clear.items():
        lens = _lens_of(number, found, tracker)
        if lens is not None:
            every[number] = lens, place.rotation, place.position
    numbers = tuple(sorted(every))
    lenses, rotations, positions = zip(*(every[number] for number in numbers))
    return dataclasses.replace(
        found, numbers=numbers, lenses=lenses, rotations=np.stack(rotations), positions=np.stack(positions)
    )


def _lens_of(number: int, found: Solution, tracker: Tracker) -> Lens | None:
    """The lens of the pictures that were taken with the same camera, if one of them has a place."""
    group = tracker.group_of[number]
    return next((lens for n, lens in zip(found.numbers, found.lenses) if tracker.group_of[n] == group), None)


def _clearest(
    known: Known,
    left: set[int],
    tracker: Tracker,
    outlines: Mapping[int, np.ndarray],
    job: Job | Span,
    placed: Callable[[int, Known, Tracker, Mapping[int, np.ndarray]], Placed | None],
) -> dict[int, Placed]:
    """Those of the pictures that are left whose place is clearest, by their number."""
    clear = {}
    for number in sorted(left):
        job.check()
        place = placed(number, known, tracker, outlines)
        if place is not None:
            clear[number] = place
    enough = _BEST * max((place.count for place in clear.values()), default=0)
    return {number: place for number, place in clear.items() if place.count >= enough}


def _place(number: int, known: Known, tracker: Tracker, outlines: Mapping[int, np.ndarray]) -> Placed | None:
    """The place of a picture that outlines allow and most points are for, if that is clear."""
    lens = _lens_of(number, known.found, tracker)
    if lens is None:
        return None
    places = places_by_points(number, lens, known, tracker)
    return _clear(_allowed(places, lens, known.hull, outlines[number]), _LEAST, _CLEARER)


def _guessed_place(number: int, known: Known, tracker: Tracker, outlines: Mapping[int, np.ndarray]) -> Placed | None:
    """The same of a picture that too few points are known for: looked for near where its outline would be seen."""
    lens = _lens_of(number, known.found, tracker)
    if lens is None:
        return None
    places = guessed_places(number, lens, known, tracker, outlines[number])
    return _clear(_allowed(places, lens, known.hull, outlines[number]), *_GUESSED)


def _allowed(places: Iterable[Placed], lens: Lens, hull: Hull, outline: np.ndarray) -> list[Placed]:
    """Those of the places from which the outline and the others' are those of one thing."""
    allowed = []
    for place in places:
        own, others = hull.carved(View(lens.camera, place.rotation, place.position), outline)
        if own >= hull.agreement - _LOSS and (hull.shares - others).max() <= _LOSS:
            allowed.append(place)
    return allowed


def _clear(allowed: Sequence[Placed], least: int, clearer: float) -> Placed | None:
    """The one of several places that most points are for, if that is clear."""
    if not allowed:
        return None
    best = max(allowed, key=lambda place: place.count)
    others = [place.count for place in allowed if _turned(place.rotation, best.rotation) > _SAME]
    return best if best.count >= max(least, clearer * max(others, default=0), _LUCK * best.chance) else None


def _turned(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(first @ second.T) - 1.0) / 2.0, -1.0, 1.0))))
