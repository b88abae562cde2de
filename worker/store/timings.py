# SPDX-License-Identifier: GPL-3.0-or-later
"""How long steps took on this machine, kept per kind of work. Must not know what the steps are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .files import parsed, written_whole

REMEMBERED = 5
"""Runs of a kind of work; older ones are forgotten, as machines change."""

MOST_KINDS = 200
"""Kinds of work; of more the one goes that was not done for longest."""


@dataclass(frozen=True)
class Timings:
    """The file at `path`. A damaged or missing one knows nothing, and one that cannot be written learns nothing."""

    path: Path

    def of(self, kind: str) -> dict[str, list[float]]:
        """The seconds of each step, oldest first."""
        return self._read().get(kind, {})

    def usual(self, kind: str) -> float | None:
        """Seconds that all steps together take: the median of each, None where nobody knows."""
        steps = self.of(kind).values()
        return sum(sorted(times)[len(times) // 2] for times in steps) if steps else None

    def add(self, kind: str, seconds: Mapping[str, float]) -> None:
        """Remembers how long the steps of a run took."""
        known = self._read()
        before = known.pop(kind, {})
        known[kind] = before | {step: [*before.get(step, []), time][-REMEMBERED:] for step, time in seconds.items()}
        newest = dict(list(known.items())[-MOST_KINDS:])
        written_whole(self.path, json.dumps(newest).encode())

    def _read(self) -> dict[str, dict[str, list[float]]]:
        try:
            kinds = parsed(self.path.read_bytes()).items()
            known = {
                str(kind): {str(step): [float(time) for time in times] for step, times in steps.items()}
                for kind, steps in kinds
            }
            return {kind: steps for kind, steps in known.items() if _are_times(steps)}
        except (OSError, ValueError, OverflowError, AttributeError, TypeError):
            return {}


def _are_times(steps: Mapping[str, Sequence[float]]) -> bool:
    return all(0.0 <= time < math.inf for times in steps.values() for time in times)
