# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done about environments and takes longer than a moment: `python -m envs ...` as a process that reports
in lines. Must not know bpy, or when which task is due.

The lines are described in `..envs`. Two kinds of task: an order of the user's (make, repair, move, remove), of which
one runs at a time and the user watches it, and a check, which runs gently in the background.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .check import count
from .launch import CORE, PACKAGE, Settings, Standing
from .process import Child
from .states import Shown

Verb = Literal["create", "repair", "move", "remove"]

ENVS = (sys.executable, "-m", "envs")
"""Run by Blender's own Python, which may have no pip: `envs` needs the standard library only."""

UNFINISHED = "it ended before it was finished"

LONGEST_NOTE = 300
"""Characters of a line that is no message which are kept in the log."""


@dataclass(frozen=True)
class Order:
    """What the user asked for; `folder` is where to move everything."""

    verb: Verb
    name: str = CORE
    folder: Path | None = None

    @property
    def doing(self) -> str:
        """As the subject of a sentence that says how it went."""
        return {"create": "setting up", "repair": "repairing", "move": "moving", "remove": "removing"}[self.verb]


def making(name: str, standing: Standing | None) -> Order:
    """The order that makes an environment ready which is in that state, or that makes sure that a ready one is."""
    return Order("repair" if standing in (Standing.BROKEN, Standing.READY) else "create", name)


@dataclass(frozen=True)
class Check:
    """A look at environments: at their files, or, where `deep`, by trying them."""

    names: tuple[str, ...]
    deep: bool = False


@dataclass(frozen=True)
class Ended:
    """The task is over. `error` is None after success, a sentence otherwise; `data` is a check's result."""

    error: str | None
    log: str
    data: dict[str, Any] | None = None


def order_command(settings: Settings, order: Order) -> list[str]:
    """The command line of an order, in the words of `..envs`."""
    target = str(order.folder) if order.verb == "move" else order.name
    options = ["--root", str(settings.root), "--json"]
    if order.verb in ("create", "repair"):
        options += ["--device", settings.device]
        options += ["--wheelhouse", str(settings.wheelhouse)] if settings.wheelhouse else []
    return [*ENVS, order.verb, target, *options]


def check_command(settings: Settings, check: Check) -> list[str]:
    """The command line of a check, in the words of `..envs`."""
    depth = [] if check.deep else ["--files"]
    return [*ENVS, "check", *check.names, *depth, "--device", settings.device, "--root", str(settings.root), "--json"]


class EnvironmentTask(Child):
    """One running order or check. Raises CannotStart. The last of its `events` is `Ended`."""

    def __init__(self, settings: Settings, task: Order | Check, clock: Callable[[], float] = time.monotonic) -> None:
        self.task = task
        self._error = ""
        self._data: dict[str, Any] | None = None
        check = isinstance(task, Check)
        command = check_command(settings, task) if check else order_command(settings, task)
        log = settings.logs / ("check.log" if check else "setup.log")
        compiled = settings.catalogue.with_name("compiled")  # beside our own files: a check writes nothing into `root`
        variables = {**os.environ, "PYTHONPYCACHEPREFIX": str(compiled), "PYTHONUNBUFFERED": "1"}
        if not settings.online:
            variables["UV_OFFLINE"] = "1"
        super().__init__(command, PACKAGE, log, variables, clock, gentle=check)

    def events(self) -> list[Shown | Ended]:
        """What happened since last time, in order. Never waits."""
        events: list[Shown | Ended] = [event for line in self.poll() if (event := self._understand(line))]
        if self.exit_code is None:
            return events
        log = self.log_tail()
        succeeded = self.exit_code == 0 or self._data is not None  # a check that found damage exits with 1
        self.close()
        return [*events, Ended(None if succeeded else self._error or UNFINISHED, log, self._data)]

    def _understand(self, line: bytes) -> Shown | None:
        try:
            match json.loads(line):
                case {"stage": str(stage), "progress": int(part) | float(part), "message": str(message), **rest}:
                    return Shown(float(part), stage, message, count(rest.get("bytes")), count(rest.get("of")))
                case {"environments": list()} as data if isinstance(self.task, Check):
                    self._data = data
                case {"error": str(error)}:
                    self._error = error
                case {"state": str()}:
                    self._error = ""
                case _:
                    self.note(f"not understood: {line[:LONGEST_NOTE]!r}")
        except (ValueError, RecursionError):
            self.note(f"printed: {line[:LONGEST_NOTE]!r}")
        return None
