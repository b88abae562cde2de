# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop of `improve`: render what is known worst -> repaint -> shape -> texture -> again, finer.

Knows core and finish; must not know files, requests or which network repaints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import OutOfMemory, Unable
from ..core.job import Job, Span
from ..core.repaint import Repainter
from ..core.view import View
from ..finish import improved
from ..finish.asset import Asset
from ..finish.improved import Asked, Plan, Shape

WORSE = 0.01, 0.5
"""By so much less may the photo's own view agree, in its outline (IoU) and its colours (dB), before a round is given
up."""


LEAST = 1.0
"""Grey levels: who paints less than that anew has nothing to add."""

EARLY = "it was ended early, as you asked"
_STILL = "nothing changed any more after round {}"
_NONE = "no shape has all outlines of round {}, so it was left out"
_WORSE = "round {} would have made the photo's own view worse, so it was left out"


@dataclass(frozen=True, eq=False)
class Round:
    """What rounds have left. likeness: to the photos, as `improved.likeness` says. views: what was painted in all of
    them. number: of the last that was no worse than the one before, 0 of the start. ended: why none follows, "" where
    one may."""

    asset: Asset
    likeness: tuple[tuple[float, float], ...]
    views: tuple[View, ...] = ()
    number: int = 0
    ended: str = ""


@dataclass(frozen=True, eq=False)
class Loop:
    """What all rounds have in common. photos: with masks, in the asset's axes. shape: None where the repainter draws
    none."""

    photos: Sequence[View]
    repainter: Repainter
    seed: int
    shape: Shape | None

    def begun(self, start: Asset) -> Round:
        """Before the first round."""
        return Round(start, _likeness(start, self.photos))

    def after(self, best: Round, plan: Plan, job: Job | Span) -> Round:
        """One round more, or the same where there is none; a round that makes the photos' own views worse is none."""
        if best.ended or job.is_enough():
            return best if best.ended else replace(best, ended=EARLY)
        number, behind = best.number + 1, improved.plain(self.photos)
        asks = improved.asked(best.asset.mesh, self.photos, plan, behind, number)
        pictures = self._painted(asks, plan, behind, job.span(0.0, 0.5))
        if pictures is None:
            return replace(best, ended=EARLY)
        if number > 1 and not _changed(asks, pictures):
            return replace(best, ended=_STILL.format(number - 1))
        views, part = best.views, job.span(0.5, 1.0)
        try:
            made = improved.followed(best.asset.mesh, self.photos, views, asks, pictures, plan, self.shape, part)
        except OutOfMemory:
            raise
        except Unable:  # outlines that contradict each other leave nothing
            return replace(best, ended=_NONE.format(number))
        if made is None:
            return replace(best, ended=EARLY)
        mesh, views = made
        found = improved.finished(mesh, self.photos)
        made = Round(found, _likeness(found, self.photos), views, number)
        return replace(best, ended=_WORSE.format(number)) if _worse(made, best) else made

    def _painted(
        self, asks: Sequence[Asked], plan: Plan, behind: np.ndarray, job: Job | Span
    ) -> list[np.ndarray] | None:
        """The renders, painted, (H, W, 3) uint8; None where the user has had enough before they were."""
        references, found = [improved.before(photo, behind) for photo in self.photos], []
        for number, ask in enumerate(asks):
            if job.is_enough():
                return None
            part, seed = job.span(number / len(asks), (number + 1) / len(asks)), self.seed + number
            part.report(0.0, "painting", f"view {number + 1} of {len(asks)}")
            found.append(self.repainter.repaint(ask.picture, ask.unknown, references, plan.strength, seed, part))
        return found


def rounds(
    start: Asset,
    photos: Sequence[View],
    plans: Sequence[Plan],
    repainter: Repainter,
    seed: int,
    job: Job | Span,
    shape: Shape | None = None,
    on_round: Callable[[Round], None] = lambda made: None,
) -> Round:
    """The asset after the last round that was no worse than the one before. shape: as of a Loop. on_round: hears
    each."""
    loop = Loop(photos, repainter, seed, shape)
    best = loop.begun(start)
    for number, plan in enumerate(plans):
        made = loop.after(best, plan, job.span(number / len(plans), (number + 1) / len(plans)))
        if made.number > best.number:
            on_round(made)
        best = made
    return best


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
