# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps: each makes something of what the one before made, and what it made is kept under a key of its content.

Must not know what the steps are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.job import Job, Span


@dataclass(frozen=True)
class Step:
    """One step. make: what the step before made, and a job -> what this makes. kept: a job -> what was kept of the same
    step of the same content, or None. keep: writes it down. usual: its share of the time where none was measured.
    improves: it becomes better for ever, so that the user may have enough of it."""

    name: str
    make: Callable[[Any, Span], Any]
    kept: Callable[[Span], Any | None] = lambda job: None
    keep: Callable[[Any], None] = lambda made: None
    usual: float = 1.0
    improves: bool = False


@dataclass(frozen=True)
class Ran:
    """What the last step made or had kept. seconds: of the steps that were run. ended_early: the user had enough."""

    made: Any
    seconds: dict[str, float]
    ended_early: bool


def run(steps: Sequence[Step], job: Job, measured: Mapping[str, Sequence[float]]) -> Ran:
    """Runs what is not kept: all after the last step of which something is. What was ended early is not kept, as the
    same request would give something else next time.

    measured: by a step's name, the seconds that it took before; of them come the shares of the bar, and the time that
    remains.
    """
    first, made = _resumed(steps, job)
    todo, seconds, ended_early = steps[first:], {}, False
    plan = Plan.of(todo, measured)
    job.remaining = plan.remaining
    for number, step in enumerate(todo):
        start = time.perf_counter()
        made = step.make(made, job.span(*plan.ends(number)))
        seconds[step.name] = time.perf_counter() - start
        ended_early = ended_early or (step.improves and job.is_enough())
        if not ended_early:
            step.keep(made)
    return Ran(made, seconds, ended_early)


def _resumed(steps: Sequence[Step], job: Job) -> tuple[int, Any]:
    """The number of the first step that has to run, and what was kept of the one before it."""
    for number in reversed(range(len(steps))):
        if (made := steps[number].kept(job.span(0.0, 0.0))) is not None:
            return number + 1, made
    return 0, None


KNOWN_WITHIN = 2.0
"""The time that remains is told where what was measured before differs by no more than this factor: a promise that is
wrong by more annoys more than none."""


@dataclass(frozen=True)
class Plan:
    """How the bar is shared out. parts: each step's share of it, all together 1. total: seconds of all, None where
    nobody knows within KNOWN_WITHIN."""

    parts: tuple[float, ...]
    total: float | None

    @classmethod
    def of(cls, steps: Sequence[Step], measured: Mapping[str, Sequence[float]]) -> Plan:
        times = [_middle(measured.get(step.name, ())) for step in steps]
        known = all(time is not None for time in times) and bool(times)
        weights = [max(time, 1e-3) for time in times] if known else [step.usual for step in steps]
        whole = sum(weights)
        sure = known and all(_agree(measured[step.name], whole) for step in steps)
        return cls(tuple(weight / whole for weight in weights), whole if sure else None)

    def ends(self, number: int) -> tuple[float, float]:
        """Where on the bar a step begins and ends."""
        return sum(self.parts[:number]), min(sum(self.parts[: number + 1]), 1.0)

    def remaining(self, progress: float) -> float | None:
        """Seconds that are left at `progress` of the bar."""
        return None if self.total is None else (1.0 - progress) * self.total


def _middle(times: Sequence[float]) -> float | None:
    return sorted(times)[len(times) // 2] if times else None


def _agree(times: Sequence[float], whole: float) -> bool:
    """Whether a step took about as long each time, or so little that it does not matter. Of three or more times the
    longest may differ: the first run reads its network and its libraries from the disk."""
    usual = sorted(times)[:-1] if len(times) > 2 else times
    return len(times) > 1 and (max(usual) <= KNOWN_WITHIN * min(usual) or max(usual) < 0.1 * whole)
