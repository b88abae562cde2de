# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what came of damaged inputs: a result, one sentence, or a fault of ours."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

MOST_SECONDS = 20.0
"""For one input; more is a hang. Ordinary ones take milliseconds, on a busy machine some more."""

MOST_MEMORY = 2_000_000_000
"""Bytes that the whole process may ever have taken."""


@dataclass
class Counts:
    """results: inputs that were read all the same. sentences: those refused in one. faults: what else was raised, with
    the input's number. slowest: seconds."""

    tried: Counter[str] = field(default_factory=Counter)
    results: int = 0
    sentences: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def try_one(self, label: str, action: Callable[[], object], refusals: tuple[type[Exception], ...]) -> None:
        """Runs the action: what it returns is a result, and its refusal must be one sentence."""
        self.tried[label.split()[0]] += 1
        start = time.monotonic()
        try:
            action()
            self.results += 1
        except refusals as error:
            self._refused(label, str(error))
        except BaseException as error:  # noqa: BLE001 - what is looked for
            if isinstance(error, KeyboardInterrupt):
                raise
            self.faults.append(f"{label}: {traceback.format_exc(limit=-4)}")
        seconds = time.monotonic() - start
        self.slowest = max(self.slowest, seconds)
        if seconds > MOST_SECONDS:
            self.faults.append(f"{label}: took {seconds:.0f} s")

    def _refused(self, label: str, sentence: str) -> None:
        self.sentences[label.split()[0]] += 1
        if "\n" in sentence or not sentence.isprintable() or len(sentence) > 400:
            self.faults.append(f"{label}: no sentence: {sentence[:300]!r}")

    @property
    def memory(self) -> int:
        """Bytes that this process has taken at most; 0 where nobody says."""
        if sys.platform == "win32":
            return 0
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    @property
    def is_good(self) -> bool:
        return not self.faults and self.memory < MOST_MEMORY

    def told(self) -> str:
        refused = sum(self.sentences.values())
        lines = [f"{sum(self.tried.values())} tried: {self.results} read, {refused} refused in one sentence"]
        lines += [f"{len(self.faults)} faults; slowest {self.slowest:.1f} s; peak {self.memory / 1e6:.0f} MB"]
        lines += [f"  {label}: {count} tried, {self.sentences[label]} refused" for label, count in self.tried.items()]
        return "\n".join([*lines, *self.faults[:20]])


def mutated(whole: bytes, others: Sequence[bytes], generator: np.random.Generator) -> bytes:
    """The bytes damaged in one of the ways in which files are: some changed (mostly near the beginning, where what
    counts is), cut off, a stretch lost, doubled, zeroed, taken from another file, or numbers made extreme."""
    data = bytearray(whole or b" ")
    length = max(len(data), 1)
    kind = generator.integers(8)
    near = int(min(length, generator.choice([32, 200, 1000, length])))
    at = int(generator.integers(near))
    span = int(generator.integers(1, max(2, min(length, 600))))
    if kind <= 1:
        for place in generator.integers(0, near, int(generator.choice([1, 2, 8, 60]))):
            data[place] = generator.integers(256)
    elif kind == 2:
        data = data[: int(generator.integers(length))]
    elif kind == 3:
        del data[at : at + span]
    elif kind == 4:
        data[at:at] = data[at : at + span]
    elif kind == 5:
        data[at : at + span] = bytes(len(data[at : at + span]))
    elif kind == 6:
        other = others[int(generator.integers(len(others)))]
        data[at : at + span] = other[at : at + span]
    else:
        extreme = [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\0\0\0\1", b"\1\0\0\0"]
        data[at : at + 4] = extreme[int(generator.integers(len(extreme)))]
    return bytes(data)
