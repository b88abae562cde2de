# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far an installation is: lines on a terminal, JSON lines for a program."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol, TextIO

Stage = Literal["wait", "uv", "python", "packages", "torch", "verify", "move", "ready"]  # move has a bar of its own

# How much of the bar each stage gets where nothing is known of bytes.
_LENGTHS: dict[Stage, float] = {"wait": 0.0, "uv": 0.05, "python": 0.05, "packages": 0.3, "torch": 0.5, "verify": 0.1}
_ORDER: tuple[Stage, ...] = ("wait", "uv", "python", "packages", "torch", "verify", "ready")
_STEPS = 20  # of the bar on a terminal
_FETCHED: tuple[Stage, ...] = ("packages", "torch")


@dataclass(frozen=True)
class Amount:
    """``bytes`` on this disk so far, ``of`` how many (None: not known)."""

    bytes: int
    of: int | None = None


class Report(Protocol):
    """Called when something happened: the stage, how much of that stage is done (0..1), and one line for the user."""

    def __call__(self, stage: Stage, part: float, message: str, amount: Amount | None = None) -> None: ...


@dataclass
class Bar:
    """How far a whole installation is. It never goes back, whatever is reported."""

    lengths: dict[Stage, float] = field(default_factory=lambda: dict(_LENGTHS))
    reached: float = 0.0

    def plan(self, amounts: Mapping[Stage, int]) -> None:
        """Gives the stages that fetch lengths in proportion to their bytes; to be called before the first of them."""
        room, total = sum(self.lengths[stage] for stage in _FETCHED), sum(amounts.get(stage, 0) for stage in _FETCHED)
        if total:
            self.lengths.update({stage: room * amounts.get(stage, 0) / total for stage in _FETCHED})

    def overall(self, stage: Stage, part: float) -> float:
        """How far the whole installation is, 0..1, when ``part`` (0..1) of ``stage`` is done."""
        now = part
        if stage != "move":
            before = sum(self.lengths[each] for each in _ORDER[: _ORDER.index(stage)])
            now = before + self.lengths.get(stage, 0.0) * min(max(part, 0.0), 1.0)
        self.reached = max(self.reached, round(min(now, 1.0), 4))
        return self.reached


def plan(report: Report, amounts: Mapping[Stage, int]) -> None:
    """Gives ``report`` the bytes that each stage will bring, if it shows a bar."""
    if isinstance(report, JsonLines | Terminal):
        report.bar.plan(amounts)


@dataclass
class JsonLines:
    """One object per line: stage, progress (0..1), message, and where they are known ``bytes`` and ``of``.

    The last line is written by the command line front, which knows how it ended.
    """

    stream: TextIO
    bar: Bar = field(default_factory=Bar)

    def __call__(self, stage: Stage, part: float, message: str, amount: Amount | None = None) -> None:
        known = {name: value for name, value in (asdict(amount) if amount else {}).items() if value is not None}
        self.write({"stage": stage, "progress": self.bar.overall(stage, part), "message": message, **known})

    def write(self, content: dict[str, object]) -> None:
        self.stream.write(json.dumps(content) + "\n")
        self.stream.flush()


class Terminal:
    """A line for each new thing that is done, and of what goes on (its message is the same up to the colon) one for
    each step of the bar."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: tuple[str, int] = ("", 0)
        self.bar = Bar()

    def __call__(self, stage: Stage, part: float, message: str, amount: Amount | None = None) -> None:
        share = self.bar.overall(stage, part)
        now = message.partition(":")[0], int(share * _STEPS)
        if now != self._last:
            self._stream.write(f"[{share:4.0%}] {message}\n")
            self._stream.flush()
        self._last = now
