# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the worker's Python is, and making it when it is missing. Must not know bpy, the protocol, or how packages are
installed.

Builds on `..envs`: a cheap look at a marker file, and `python -m envs create` as a process that reports in lines.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import envs
from .process import Child

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Place:
    """Where things are and what is allowed, as the user's settings say at this moment.

    `root` holds environments, weights and caches; `python` is an interpreter to use instead of an environment of ours;
    `temporary` is where job folders are made; `logs` and `kept` are a folder and a file of the add-on's own.
    """

    root: Path
    temporary: Path
    logs: Path
    kept: Path
    python: Path | None = None
    online: bool = False
    device: str = "auto"


@dataclass(frozen=True)
class Found:
    """`python` is what to run the worker with, None where there is none; then `reason` says why, as a sentence."""

    python: Path | None
    reason: str = ""


def find(place: Place) -> Found:
    """The worker's Python, from the settings or a finished environment. Reads a marker file, starts nothing."""
    if place.python:
        return Found(place.python) if place.python.is_file() else Found(None, f"there is no Python at {place.python}")
    status = envs.status(place.root)
    return Found(status.python, status.reason)


def worker_command(python: Path) -> list[str]:
    return [str(python), "-m", "worker"]


def worker_variables(place: Place) -> dict[str, str]:
    """The worker's environment variables: nothing of Blender's own Python, and output that is not held back."""
    return {**envs.process_environment(place.root), "PYTHONUNBUFFERED": "1"}


def set_up_command(place: Place) -> list[str]:
    return [sys.executable, "-m", "envs", "create", "core", "--root", str(place.root), "--json"]


@dataclass(frozen=True)
class SetUpProgress:
    stage: str
    progress: float
    message: str


@dataclass(frozen=True)
class SetUpEnded:
    """`error` is None after success, a sentence otherwise."""

    error: str | None
    log: str


class SetUp:
    """Makes the core environment. Raises CannotStart. `poll` never waits; its last event is `SetUpEnded`."""

    def __init__(self, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        compiled = {"PYTHONPYCACHEPREFIX": str(place.root / "cache" / "compiled" / "setup"), "PYTHONUNBUFFERED": "1"}
        self._child = Child(set_up_command(place), PACKAGE, place.logs / "setup.log", {**os.environ, **compiled}, clock)
        self._error: str | None = "setting up ended before it was finished"
        self.ended = False

    def poll(self) -> list[SetUpProgress | SetUpEnded]:
        """What happened since last time, in order."""
        if self.ended:
            return []
        events = [event for line in self._child.poll() if (event := self._read(line)) is not None]
        if self._child.exit_code is None:
            return events
        self.ended = True
        log = self._child.log_tail()
        self._child.close()
        return [*events, SetUpEnded(self._error, log)]

    def stop(self) -> None:
        """Asks it to end. An environment that was in use before stays in use."""
        self._child.terminate()

    def kill(self) -> None:
        """Ends it and all it started, at once."""
        self._child.kill()

    def close(self) -> None:
        """Ends it and waits a moment for it: for when nobody will poll again."""
        self._child.terminate()
        self._child.close()

    def _read(self, line: bytes) -> SetUpProgress | None:
        try:
            match json.loads(line):
                case {"stage": str(stage), "progress": int(fraction) | float(fraction), "message": str(message)}:
                    return SetUpProgress(stage, float(fraction), message)
                case {"state": str(), "python": str()}:
                    self._error = None
                case {"state": str(), "error": str(error)}:
                    self._error = error
                case _:
                    self._child.note(f"not understood: {line[:300]!r}")
        except ValueError:
            self._child.note(f"printed: {line[:300]!r}")
        return None
