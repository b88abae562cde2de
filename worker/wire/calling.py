# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of the wire for whoever may wait: a worker as a process that is asked one thing after the other.

Blender's side may not wait and has a client of its own (addon/session/client.py). Must not know what is asked for.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import Cancelled
from ..core.job import Job
from . import protocol
from .protocol import ErrorCode, WireError

HEARD_EVERY = 0.1
"""Seconds between two looks at whether the job is cancelled."""

CANCEL_GRACE = 10.0
"""Seconds within which a cancelled worker must answer; then it is ended."""

END_GRACE = 6.0
"""Seconds from closing its stdin to its end: promised are five."""

ROOT = Path(__file__).parents[2]
"""The folder in which the worker's package is called `worker`, whatever the folder itself is called."""


def worker_command() -> list[str]:
    """The worker of this very package, in this very interpreter; of the folder that one is in nothing is imported."""
    return [sys.executable, "-P", "-m", "worker"]


def worker_variables() -> dict[str, str]:
    """Ours, and where the worker is found."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


class Called:
    """One worker process, started when made. Raises OSError. Asked by one thread at a time; ended by `close`."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the worker
        self._answers: queue.SimpleQueue[protocol.Message | None] = queue.SimpleQueue()
        self._last_id, self._gone = 0, threading.Event()
        pipe = subprocess.PIPE
        own_group = {"start_new_session": True}  # Ctrl-C is heard by who asks, and becomes a cancel
        if sys.platform == "win32":
            own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._process = subprocess.Popen(
            list(command), stdin=pipe, stdout=pipe, stderr=self._log, bufsize=0, env=variables, **own_group
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(
        self, method: str, params: Any, job: Job | None = None, told: Callable[[protocol.Progress], None] | None = None
    ) -> Any:
        """The answer to one request, the dataclass that protocol.REQUESTS names for it. Raises WireError where it is
        refused, or the worker has ended; Cancelled once the job is cancelled and the worker has heard it."""
        self._last_id += 1
        id, given_up_at = self._last_id, None
        self._say(protocol.Request(id, method, params))
        while True:
            if job and given_up_at is None and job.is_cancelled:
                given_up_at = time.monotonic() + CANCEL_GRACE
                self._say(protocol.Notification(protocol.CANCELLED, protocol.Cancelled(id)))
            if given_up_at and time.monotonic() > given_up_at:
                self._process.kill()
            with suppress(queue.Empty):
                match self._answers.get(timeout=HEARD_EVERY):
                    case None:
                        self._answers.put(None)
                        raise Cancelled if given_up_at else self._ended()
                    case protocol.Result(answered, result) if answered == id:
                        return protocol.read(protocol.REQUESTS[method][1], result, "the worker's answer")
                    case protocol.Error(answered, code, message, data) if answered == id:
                        raise Cancelled if code == ErrorCode.CANCELLED else _error(code, message, data)
                    case protocol.Notification(_, protocol.Progress() as progress) if told:
                        with suppress(Cancelled):  # the worker hears it first
                            told(progress)

    def close(self) -> None:
        """Ends the worker, and whatever it does."""
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _say(self, message: protocol.Message) -> None:
        with suppress(OSError, ValueError):  # it has ended: the reader says so
            self._process.stdin.write(protocol.encode(message))

    def _read(self) -> None:
        with suppress(OSError, ValueError, EOFError):
            for line in self._process.stdout:
                self._heard(line)
        self._over()

    def _heard(self, line: bytes) -> None:
        with suppress(WireError):  # what a library printed
            self._answers.put(protocol.decode(line))

    def _over(self) -> None:
        """Nothing will be heard any more."""
        self._gone.set()
        self._answers.put(None)

    def _ended(self) -> WireError:
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return WireError(ErrorCode.WORKER_EXITED, f"the worker ended {how} ({self._last_line()})")

    def _last_line(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _error(code: int, message: str, data: dict[str, Any]) -> WireError:
    try:
        return WireError(ErrorCode(code), message, data)
    except ValueError:
        return WireError(ErrorCode.INTERNAL_ERROR, message, data)
