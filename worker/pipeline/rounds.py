# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop of `improve`: render what is known worst -> repaint -> shape -> texture -> again, finer.

Knows core and finish; must not know files, requests or which network repaints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.job import Job, Span
from ..core.repaint import Repainter
from ..core.view import View
from ..finish import improved
from ..finish.asset import Asset
from ..finish.improved import Asked, Plan

WORSE = 0.01, 0.5
"""By so much less may the photo's own view agree, in its outline (IoU) and its colours (dB), before a round is given
up."""


LEAST = 1.0
"""Grey levels: who paints less than that anew has nothing to add."""

_STILL = "nothing changed any more after round {}"
_EARLY = "it was ended early, as you asked"


@dataclass(frozen=True, eq=False)
class Round:
    """What a round left. likeness: to the photos, as `improved.likeness` says. views: what was painted in it."""

    asset: Asset
    likeness: tuple[tuple[float, float], ...]
    views: tuple[View, ...] = ()


def rounds(
    start: Asset,
    photos: Sequence[View],
    plans: Sequence[Plan],
    repainter: Repainter,
    seed: int,
    job: Job | Span,
    on_round: Callable[[int, Round], None] = lambda number, made: None,
) -> tuple[Round, str]:
    """The asset after the last round that was no worse than the one before, and why it ended ("" where all were run).
    photos: with masks, in the start's axes. on_round: hears each from 1."""
    best, behind = Round(start, _likeness(start, photos)), improved.plain(photos)
    references = [improved.before(photo, behind) for photo in photos]
    for number, plan in enumerate(plans, 1):
        part = job.span((number - 1) / len(plans), number / len(plans))
        asks = improved.asked(best.asset.mesh, photos, plan, behind, number)
        pictures = _painted(asks, plan, repainter, references, seed, part.span(0.0, 0.5))
        if pictures is None:
            return best, _EARLY
        if number > 1 and not _changed(asks, pictures):
            return best, _STILL.format(number - 1)
        drifts = [improved.drifted(ask, picture, plan) for ask, picture in zip(asks, pictures)]
        new = [improved.taken(ask, picture, plan, behind) for ask, picture in zip(asks, pictures)]
        views = [*best.views, *new]
        shape = improved.shaped(best.asset.mesh, photos, views, drifts, plan, part.span(0.5, 0.75))
        found = improved.finished(improved.painted(shape, photos, views, plan, part.span(0.75, 1.0)), photos)
        made = Round(found, _likeness(found, photos), tuple(views))
        if _worse(made, best):
            return best, f"round {number} would have made the photo's own view worse, so it was left out"
        best = made
        on_round(number, best)
        if job.is_enough():
            return best, _EARLY
    return best, ""


def _painted(
    asks: Sequence[Asked],
    plan: Plan,
    repainter: Repainter,
    references: Sequence[np.ndarray],
    seed: int,
    job: Job | Span,
) -> list[np.ndarray] | None:
    """The renders, painted, (H, W, 3) uint8; None where the user has had enough before they were."""
    found = []
    for number, ask in enumerate(asks):
        if job.is_enough():
            return None
        part = job.span(number / len(asks), (number + 1) / len(asks))
        part.report(0.0, "painting", f"view {number + 1} of {len(asks)}")
        found.append(repainter.repaint(ask.picture, ask.unknown, references, plan.strength, seed + number, part))
    return found


def _changed(asks: Sequence[Asked], pictures: Sequence[np.ndarray]) -> bool:
    """Whether painting changed any render by more than LEAST where something was unknown, in the mean."""
    found = []
    for ask, picture in zip(asks, pictures):
        where = np.asarray(ask.unknown) > 0.0
        found.append(np.abs(picture.astype(np.float32) - ask.picture)[where].mean() if where.any() else 0.0)
    return bool(max(found, default=0.0) > LEAST)


def _likeness(asset: Asset, photos: Sequence[View]) -> tuple[tuple[float, float], ...]:
    return tuple(improved.likeness(asset.mesh, photo) for photo in photos)


def _worse(made: Round, before: Round) -> bool:
    """Whether a round's photos agree less, in the mean."""
    now, then = np.mean(made.likeness, axis=0), np.mean(before.likeness, axis=0)
    return bool((now < then - np.array(WORSE)).any())
