# SPDX-License-Identifier: GPL-3.0-or-later
"""The states in which a session can be, what it has to show in them, and how long it may wait in each. Must not know
bpy, or how one state follows another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..worker.wire.protocol import DownloadParams, ErrorCode, GenerateResult

START_LIMIT = 60.0
"""Seconds from starting the worker to its first answer. It takes 0.3 s; under a virus scanner the first takes many."""

CANCEL_GRACE = 1.0
"""Seconds after a cancel until the worker is ended by force. Native code (the import of torch, a network) does not
hear a cancel, and a user who cancels wants the machine back within two seconds more than a worker that is warm."""

FORCE_AFTER = 3.0
"""Seconds of gentle ending until the panel offers to use force."""

QUIET_LIMIT = 1800.0
"""Seconds without a sign of life until a job is given up: longer than the slowest single step on a slow machine."""

STOP_LIMIT = 15.0
"""Seconds until a process that cannot be ended is left behind: more than all steps of Child's own sequence together."""

REST_AFTER = 600.0
"""Seconds without a job until the worker is ended, which gives all of its memory back."""

LOOK_AGAIN = 5.0
"""Seconds between two looks whether an environment has appeared, made from a terminal for example."""


class State(Enum):
    """`IDLE` is without a worker, `READY` with one; both can take a job."""

    ABSENT = "no environment"
    SETTING_UP = "setting up"
    IDLE = "idle"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    CANCELLING = "cancelling"
    STOPPING = "stopping"


MOVING = frozenset(State) - {State.ABSENT, State.IDLE, State.READY}
"""The states in which something is going on."""


@dataclass(frozen=True)
class Problem:
    """Why something failed. `missing` is the download that would help, `log` the end of the process's stderr."""

    message: str
    code: ErrorCode | None = None
    log: str = ""
    missing: DownloadParams | None = None


@dataclass(frozen=True)
class Shown:
    """How far the running thing is. `fraction` is from 0 to 1."""

    fraction: float
    stage: str
    message: str = ""


@dataclass(frozen=True)
class Finished:
    """A mesh on disk that waits for its import; `folder` is removed after it."""

    result: GenerateResult
    folder: Path
