# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs in their order: those that wait, the one for which the worker is made ready, the one that it does. Must not
know the worker, or when what begins.
"""

from __future__ import annotations

from collections.abc import Callable

from .jobs import QUEUE_LIMIT, Job, Recipe


class Line:
    """`queue` waits, what is next first. `pending` is what the worker is started for, `running` what it does, with the
    id of its request. What comes to nothing is discarded, with its folder."""

    def __init__(self) -> None:
        self.queue: list[Job] = []
        self.pending: Job | None = None
        self.running: tuple[int, Job] | None = None

    @property
    def job(self) -> Job | None:
        """What the worker does, or is started for."""
        return self.running[1] if self.running else self.pending

    @property
    def full(self) -> bool:
        """No further job can wait."""
        return len(self.queue) >= QUEUE_LIMIT

    def makes(self, recipe: Recipe) -> bool:
        """Whether exactly that is among them."""
        return any(job.recipe == recipe for job in (self.job, *self.queue) if job)

    def take_next(self, can_run: Callable[[Job], bool]) -> Job | None:
        """Takes what has waited longest of what can run, None if nothing can."""
        found = next((job for job in self.queue if can_run(job)), None)
        if found:
            self.queue.remove(found)
        return found

    def take_out(self, which: Callable[[Job], bool]) -> None:
        """Takes jobs out of the queue for good."""
        for job in [job for job in self.queue if which(job)]:
            self.queue.remove(job)
            job.discard()

    def take_pending(self) -> Job:
        """The job for which the worker was started; from now on there is none."""
        job, self.pending = self.pending, None
        return job

    def take_running(self) -> Job:
        """The job that the worker has done."""
        (_, job), self.running = self.running, None
        return job

    def is_running(self, id: int) -> bool:
        return self.running is not None and id == self.running[0]

    def drop_pending(self) -> None:
        if self.pending:
            self.take_pending().discard()

    def drop_running(self) -> None:
        if self.running:
            self.take_running().discard()

    def clear(self) -> None:
        """All of it comes to nothing."""
        self.drop_pending()
        self.drop_running()
        self.take_out(lambda job: True)
