# SPDX-License-Identifier: GPL-3.0-or-later
"""Spreads the things of a batch over whatever makes several at a time: as many are on their way as there is room for,
and the next is taken when one is done. Must not know what makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from ..pipeline.batch import Asked, Outcome, Told
from .here import outcome

HEARD_EVERY = 0.2
"""Seconds between two looks at whether the user has cancelled."""


def spread(
    tasks: Iterable[tuple[int, Asked]],
    submit: Callable[[Asked], Future[Mapping[str, Any]]],
    room: int,
    told: Told,
    parts: Callable[[], float] = lambda: 0.0,
) -> Iterator[Outcome]:
    """submit: has one thing made. room: how many are on their way at most. parts: how much of all of these is done."""
    waiting, running = iter(tasks), {}
    try:
        while True:
            while len(running) < room and (task := next(waiting, None)) is not None:
                number, asked = task
                running[submit(asked)] = number
            if not running:
                return
            done, _ = wait(running, HEARD_EVERY, FIRST_COMPLETED)
            told(parts())
            for each in done:
                yield outcome(running.pop(each), each.result)
    finally:
        for each in running:
            each.cancel()
