# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs uv: its variables, its output into a log and into progress, its failures into sentences."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from .download import without_password
from .errors import EnvironmentProblem
from .failures import recognise
from .places import Places
from .progress import Report, Stage
from .running import own_variables

_GRACE = 5.0  # seconds that uv gets to stop when we are cancelled
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_BEGUN = re.compile(r"Downloading (\S+) \(([\d.]+)([KMG]?i?B)\)")
_ENDED = re.compile(r" Downloaded (\S+)")

@dataclass(frozen=True)
class Uv:
    """A uv to run. ``held``: a descriptor that uv keeps open, so that the lock lasts while an orphan of uv works."""

    path: Path
    places: Places
    variables: dict[str, str]
    log: TextIO
    held: int | None = None

    def run(self, arguments: list[str], stage: Stage, what: str, report: Report) -> str:
        """Runs uv to its end and returns its output. Raises EnvironmentProblem whose sentence begins with ``what``."""
        self.log.write(f"\n$ uv {without_password(' '.join(arguments))}\n")
        watch = Watch(stage, what, report)
        watch.report(stage, 0.0, what)
        process = None
        lines: list[str] = []
        try:
            with _uninterrupted():  # or it would be started and nobody would know it, to end it
                process = self._start(arguments)
            for line in process.stdout:
                lines.append(line)
                self.log.write(without_password(line))
                watch(line)
            code = process.wait()
        finally:
            if process:
                _stop(process)
            self.log.flush()
        if code != 0:
            said = "".join(lines)
            failure = recognise(said)
            raise EnvironmentProblem(f"{what} failed: {failure.sentence} (log: {self.log.name})", failure.kind, said)
        return "".join(lines)

    def _start(self, arguments: list[str]) -> subprocess.Popen[str]:
        held = () if self.held is None or os.name != "posix" else (self.held,)
        try:
            return subprocess.Popen(
                [str(self.path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=self.variables,
                cwd=self.places.environments,
                pass_fds=held,
            )
        except OSError as error:
            raise EnvironmentProblem(
                f"uv at {self.path} cannot be started ({error.strerror}): remove it and try again"
            ) from error


def uv_variables(places: Places, configured: dict[str, str]) -> dict[str, str]:
    """What uv gets to see: pip's configuration, unless the user set uv's own variable; its files below the root."""
    own = own_variables()
    ours = {
        **configured,
        "UV_CACHE_DIR": str(places.cache),
        "UV_PYTHON_INSTALL_DIR": str(places.pythons),
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }
    return {**own, **{name: value for name, value in ours.items() if not (name.startswith("UV_") and own.get(name))}}


@dataclass
class Watch:
    """Turns uv's lines into progress: the bytes of the big packages that it names."""

    stage: Stage
    what: str
    report: Report
    sizes: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    part: float = 0.0

    def __call__(self, line: str) -> None:
        if begun := _BEGUN.match(line):
            self.sizes[begun[1]] = float(begun[2]) * _UNITS.get(begun[3], 1)
        elif ended := _ENDED.match(line):
            self.ended.add(ended[1])
        elif line.startswith("Prepared"):
            self.report(self.stage, 0.9, f"{self.what}: unpacking")
            return
        else:
            return
        total, here = sum(self.sizes.values()), sum(self.sizes[name] for name in self.ended & self.sizes.keys())
        names = ", ".join(sorted(self.sizes.keys() - self.ended)) or "the rest"
        self.part = max(self.part, 0.9 * here / total)  # the total grows, the bar never goes back
        megabytes = f"{here / 2**20:.0f} of {total / 2**20:.0f} MB"
        self.report(self.stage, self.part, f"{self.what}: {megabytes}, fetching {names}")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds a cancellation back until the block has ended."""
    arrived: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: arrived.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends uv if it still runs, because we were interrupted."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    process.stdout.close()
