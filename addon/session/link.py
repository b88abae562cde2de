# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker that runs, if one does: what it was started for, and whether it has introduced itself. Must not know jobs,
or what follows from what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...worker.wire import offers, protocol
from . import launch, states
from .client import Client
from .launch import Settings


def wanted(settings: Settings, python: Path | None) -> tuple[Any, ...]:
    """What decides that a worker is another one."""
    return python, settings.root, settings.online, settings.device, settings.host


class Link:
    """`client` is None while there is no worker; `introduced`: it has said what it offers, and takes jobs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.client: Client | None = None
        self.introduced = False
        self._clock, self._since, self._wanted = clock, clock(), ()

    def start(self, settings: Settings, name: str, python: Path) -> None:
        """Starts one in the environment of that name and asks what it offers. Raises CannotStart."""
        command, variables = launch.worker_command(python), launch.worker_variables(settings, name)
        if settings.host:
            command = launch.elsewhere_command(python, settings.host, name)
        self.client = Client(command, launch.PACKAGE, settings.logs / "worker.log", variables, self._clock)
        self.introduced, self._since, self._wanted = False, self._clock(), wanted(settings, python)
        self.client.request("initialize", offers.InitializeParams(protocol.VERSION, settings.online, settings.device))

    def fits(self, settings: Settings, python: Path) -> bool:
        """Whether it is as one that was started now would be."""
        return self._wanted == wanted(settings, python)

    @property
    def late(self) -> bool:
        """It has not introduced itself for longer than any machine needs."""
        unknown = self.client is not None and not self.introduced
        return unknown and self._clock() - self._since > states.START_LIMIT

    @property
    def log(self) -> str:
        """The end of what it said beside its answers."""
        return self.client.log_tail() if self.client else ""

    def lose(self) -> None:
        """It is gone, or nobody's any more."""
        self.client, self.introduced = None, False
