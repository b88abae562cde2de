# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far an installation is: a live line on a terminal, plain lines in a log, JSON lines for a program."""

import json
import shutil
import time
from dataclasses import dataclass
from typing import Literal, Protocol, TextIO

Stage = Literal["wait", "uv", "python", "packages", "torch", "verify", "ready"]

# Where each stage begins on the bar. By what it costs on a slow line: bytes to fetch, of which torch has most.
_BEGINS: dict[Stage, float] = {
    "wait": 0.0,
    "uv": 0.0,
    "python": 0.05,
    "packages": 0.1,
    "torch": 0.4,
    "verify": 0.9,
    "ready": 1.0,
}
_ORDER = list(_BEGINS)


class Report(Protocol):
    """Told when something happened: the stage, how much of that stage is done (0..1), and one line for the user."""

    def __call__(self, stage: Stage, part: float, message: str) -> None: ...


def overall(stage: Stage, part: float) -> float:
    """How far the whole installation is, 0..1."""
    begin = _BEGINS[stage]
    end = _BEGINS[_ORDER[min(_ORDER.index(stage) + 1, len(_ORDER) - 1)]]
    return round(begin + (end - begin) * min(max(part, 0.0), 1.0), 3)


@dataclass
class JsonLines:
    """One object per line; the last one is written by the command line front, which knows how it ended."""

    stream: TextIO

    def __call__(self, stage: Stage, part: float, message: str) -> None:
        self.write({"stage": stage, "progress": overall(stage, part), "message": message})

    def write(self, content: dict[str, object]) -> None:
        self.stream.write(json.dumps(content) + "\n")
        self.stream.flush()


class Terminal:
    """A bar that is redrawn in place; where the stream is not a terminal, a line for each new message."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._live = stream, stream.isatty()
        self._began = time.monotonic()
        self._last = ""

    def __call__(self, stage: Stage, part: float, message: str) -> None:
        if not self._live:
            if message != self._last:
                self._stream.write(f"[{overall(stage, part):4.0%}] {message}\n")
            self._last = message
        else:
            self._stream.write(f"\r{self._line(stage, part, message)}\x1b[K")
        self._stream.flush()

    def done(self) -> None:
        """Takes the live line away, so that what follows starts on a line of its own."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, stage: Stage, part: float, message: str) -> str:
        share = overall(stage, part)
        filled = round(share * 20)
        line = f"[{'#' * filled}{'.' * (20 - filled)}] {share:4.0%} {time.monotonic() - self._began:4.0f} s  {message}"
        return line[: shutil.get_terminal_size().columns - 1]
