# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the things of a batch in this process, one after the other: what one has loaded the next finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..core.errors import Cancelled
from ..core.job import Job
from ..pipeline.batch import Asked, Execute, Outcome, Told
from ..wire.server import as_error


def here(make: Callable[[Asked, Job], Mapping[str, Any]], job: Job) -> Execute:
    """make: as pipeline.generate.generate. job: the batch's; each thing has one within it."""

    def execute(tasks: Iterable[tuple[int, Asked]], told: Told) -> Iterator[Outcome]:
        for number, asked in tasks:
            yield outcome(number, lambda asked=asked: make(asked, job.inner(lambda progress, *_: told(progress))))

    return execute


def outcome(number: int, make: Callable[[], Mapping[str, Any]]) -> Outcome:
    """What becomes of one thing: the boundary at which whatever is wrong with it becomes a sentence. Raises Cancelled
    alone."""
    try:
        return Outcome(number, make())
    except Cancelled:
        raise
    except Exception as error:  # noqa: BLE001 - one bad picture stops nothing
        return Outcome(number, problem=as_error(None, error).message)
