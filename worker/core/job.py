# SPDX-License-Identifier: GPL-3.0-or-later
"""A job: how running work tells how far it is, and hears that it should stop. Must not know what the work is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Cancelled

REPORT_INTERVAL = 0.05
"""Seconds between two progress reports: more would only fill the pipe. A stage that is new is told at once."""

Notify = Callable[[float, str, str, float | None], None]
"""Hears progress from 0 to 1, the stage, a message about it, and the seconds that remain where they are known."""


class Job:
    """One request's work. `report` is both the progress line and the point where a cancel is heard.

    `show` tells the user of a picture file of what is made so far, or with None that there will be no more; who does
    that looks at `is_enough` in between. Of a GLB it tells as of a first guess. `seconds`: how long each `timed` part
    took, in the order in which they ran. Reports may fall between `low` and `high` of the whole: `span` gives a part of
    the work its own 0 to 1. `remaining` turns progress into the seconds that are left, or None; whoever knows how long
    such work usually takes sets it.
    """

    def __init__(self, notify: Notify, show: Callable[[Path | None], None] = lambda file: None) -> None:
        self._notify, self.show = notify, show
        self._cancelled, self._enough = threading.Event(), threading.Event()
        self._highest, self._last = 0.0, 0.0
        self._stages: set[str] = set()
        self.seconds: dict[str, float] = {}
        self.remaining: Callable[[float], float | None] = lambda progress: None

    def cancel(self) -> None:
        """Asks the work to stop at its next report. Safe to call from any thread and more than once."""
        self._cancelled.set()

    def end_early(self) -> None:
        """Asks the work to finish with what it has, if it can. Safe to call from any thread and more than once."""
        self._enough.set()

    def is_enough(self) -> bool:
        """Whether what can be improved for ever is good enough for the user."""
        return self._enough.is_set()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raises Cancelled if the work should stop."""
        if self._cancelled.is_set():
            raise Cancelled

    def report(self, progress: float, stage: str, message: str = "") -> None:
        """Tells that `progress` (0 to 1, never falling) of the work is done. Raises Cancelled if it should stop.

        stage: one of a few names; what changes from step to step belongs into the message.
        """
        self.check()
        self._highest = max(self._highest, min(progress, 1.0))
        now = time.monotonic()
        if stage not in self._stages or now - self._last >= REPORT_INTERVAL:
            self._stages.add(stage)
            self._last = now
            self._notify(self._highest, stage, message, self.remaining(self._highest))

    def span(self, low: float, high: float) -> Span:
        return Span(self, low, high)

    def inner(self, notify: Notify) -> Job:
        """A job within this one with a bar and times of its own, which is cancelled with it."""
        found = Job(notify)
        found._cancelled = self._cancelled
        return found

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Notes how long what is done within it takes."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 4)


class Span:
    """A stretch of a job, from `low` to `high` of the whole, with a progress of its own."""

    def __init__(self, job: Job, low: float, high: float) -> None:
        self._job, self._low, self._high = job, low, high
        self.check, self.show, self.is_enough, self.timed = job.check, job.show, job.is_enough, job.timed
        self.seconds = job.seconds

    def report(self, progress: float, stage: str, message: str = "") -> None:
        """As Job.report, with `progress` from 0 to 1 within this stretch."""
        self._job.report(self._low + progress * (self._high - self._low), stage, message)

    def span(self, low: float, high: float) -> Span:
        width = self._high - self._low
        return Span(self._job, self._low + low * width, self._low + high * width)
