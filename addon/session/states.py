# SPDX-License-Identifier: GPL-3.0-or-later
"""The states in which a session can be, what it has to show in them, and how long it may wait in each. Must not know
bpy, or how one state follows another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from ...worker.core.texts import shortened
from ...worker.wire.offers import DownloadParams
from ...worker.wire.protocol import ErrorCode

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

SELECT_AFTER = 0.3
"""Seconds that what is chosen has to stay the same until the worker is asked about it: nobody clicks on faster."""

REST_AFTER = 600.0
"""Seconds without a job until the worker is ended, which gives all of its memory back."""

LOOK_AGAIN = 5.0
"""Seconds between two looks whether an environment has appeared, made from a terminal for example."""

CHECK_AFTER = 3.0
"""Seconds from the session's beginning to the first check of an environment: Blender's own start goes first."""

CHECK_LIMIT = 300.0
"""Seconds until a check is ended. It takes one; a deep one, which imports torch from a cold disk, may take many."""


LONGEST_TOLD = 1e6
"""Seconds that remain, at most, if they are to be shown: beyond eleven days it is a mistake."""


class State(Enum):
    """`IDLE` is without a worker, `READY` with one; both can take a job if the environment that it needs is there.

    `ABSENT`: without a worker and without that environment. `SETTING_UP`: an environment is made, repaired, moved or
    removed. A worker that is started only to be asked what will be selected changes no state.
    """

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
    """Why something failed. `missing` is the download that would help, `log` the end of the process's stderr. `option`:
    the name of the one that is set to go on nevertheless, "" where there is none."""

    message: str
    code: ErrorCode | None = None
    log: str = ""
    missing: DownloadParams | None = None
    option: str = ""


@dataclass(frozen=True)
class Shown:
    """How far the running thing is. `fraction` is from 0 to 1; `bytes` of `of` are here, where that is known.

    `preview`: a picture file of what is made so far, "" while there is none. `rounds`: how many are over that each left
    a mesh. `enough`: the user has asked to finish with what there is. `remaining`: seconds that it will still take
    about, None while nobody knows.
    """

    fraction: float
    stage: str
    message: str = ""
    bytes: int | None = None
    of: int | None = None
    preview: str = ""
    rounds: int = 0
    enough: bool = False
    remaining: float | None = None

    def at(self, fraction: float, stage: str, message: str, remaining: float | None) -> Shown:
        """The same thing further on, as a worker tells it; what nobody could show is left out."""
        left = remaining if remaining is not None and 0.0 <= remaining <= LONGEST_TOLD else None
        now = {"fraction": min(max(fraction, 0.0), 1.0), "remaining": left}
        return replace(self, stage=shortened(stage), message=shortened(message), **now)
