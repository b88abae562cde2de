# SPDX-License-Identifier: GPL-3.0-or-later
"""A child process that talks in lines and can always be ended. Must not know bpy, the protocol, or what the lines mean.

Nothing here waits, except `close`, so that all of it may be called from Blender's main thread: one reader thread
moves lines from the child's stdout into a queue (a read with a time limit does not exist for pipes on Windows), and
ending a child is a sequence of steps which `poll` takes as time passes. Stderr goes to a bounded file (log.py).
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import IO

from .log import Log

EXIT_AFTER_EOF = 5.0
"""Seconds from closing stdin to asking harder: the worker promises to exit within this time, whatever it is doing."""

EXIT_AFTER_TERMINATE = 2.0
"""Seconds from asking the process group to end until it is killed: enough to remove a half-written file."""

EXIT_AT_CLOSE = 0.5
"""Seconds that `close` waits before it kills: it runs on Blender's main thread, when the add-on is switched off."""

DRAIN_AFTER_EXIT = 1.0
"""Seconds to read on after the child's end: a grandchild that holds the pipe open must not keep us for ever."""

POLL_BUDGET = 0.008
"""Seconds that one `poll` spends on lines: a child that floods its stdout must not make Blender stutter."""

LINES_WAITING = 1000
"""Lines held between two polls; a child that writes more has to wait, as it would with any full pipe."""

LONGEST_LINE = 1 << 20
"""Bytes after which a line is cut, so that a child that never ends its line cannot fill the memory."""

GENTLE = 10
"""How much a gentle child yields to others on POSIX (its niceness); on Windows it is "below normal"."""


class CannotStart(Exception):
    """The command could not be started; the message is for the user."""


class _Ending(Enum):
    """How far the child has been asked to end."""

    NOT = auto()
    STDIN_CLOSED = auto()
    TERMINATED = auto()
    KILLED = auto()


class Child:
    """One process, started when made. `exit_code` is None until it has ended and all that it wrote has been read.

    A `gentle` one works with what others leave of the processor.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        log: Path,
        variables: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        gentle: bool = False,
    ) -> None:
        self.exit_code: int | None = None
        self._clock = clock
        self._ending, self._next_step_at = _Ending.NOT, 0.0
        self._exited_at: float | None = None
        self._drained = self._given_up = False
        self._unsent = b""
        self._lines: queue.Queue[bytes | None] = queue.Queue(LINES_WAITING)
        self._log = _opened(log)
        self._process = self._start(command, folder, variables, gentle)
        self._log.drain(self._process.stderr)
        if os.name == "posix":
            os.set_blocking(self._process.stdin.fileno(), False)
        threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, line: bytes) -> None:
        """Sends one line. What the pipe does not take now goes out at the next polls; a dead child's lines are lost."""
        self._unsent += line
        self._send()

    def poll(self) -> list[bytes]:
        """The lines that came since last time; takes the next step of the end if it is due. Never waits."""
        self._send()
        lines, drained = self._take_lines()
        self._watch_exit(drained)
        if self.exit_code is None and self._ending is not _Ending.NOT and self._clock() >= self._next_step_at:
            self._take_next_step()
        return lines

    def end(self) -> None:
        """Asks the child to end by closing its stdin; `poll` asks harder when that does not help."""
        if self._ending is _Ending.NOT:
            _close_quietly(self._process.stdin)
            self._step_to(_Ending.STDIN_CLOSED, EXIT_AFTER_EOF)

    def terminate(self) -> None:
        """Asks the process group to end now (a set-up tool reads no stdin); `poll` kills it when that does not help."""
        if self._ending in (_Ending.NOT, _Ending.STDIN_CLOSED):
            _close_quietly(self._process.stdin)
            _signal_group(self._process, forced=False)
            self._step_to(_Ending.TERMINATED, EXIT_AFTER_TERMINATE)

    def kill(self) -> None:
        """Ends the process group at once."""
        if self.exit_code is not None:
            return  # its number may be another's by now
        _close_quietly(self._process.stdin)
        _signal_group(self._process, forced=True)
        self._step_to(_Ending.KILLED, EXIT_AFTER_TERMINATE)

    def close(self) -> None:
        """Ends the child and waits for it, for EXIT_AT_CLOSE seconds at most before it is killed."""
        self.end()
        try:
            self._process.wait(EXIT_AT_CLOSE)
        except subprocess.TimeoutExpired:
            self.kill()
        while self._take_lines()[0]:  # lets a reader that waits for room in the queue go on to its end
            pass
        self._log.close()

    def note(self, text: str) -> None:
        """Adds a line to the log."""
        self._log.note(text)

    def log_tail(self) -> str:
        """The last lines of the log, for an error."""
        return self._log.tail()

    def _start(
        self, command: Sequence[str], folder: Path, variables: Mapping[str, str], gentle: bool
    ) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=dict(variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=os.name == "posix",  # a process group of its own, which can be ended as a whole
                creationflags=_windows_flags(gentle),
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in a path
            self._log.close()
            raise CannotStart(f"{command[0]} could not be started: {getattr(error, 'strerror', '') or error}") from None
        if gentle and os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):  # it has ended already
                os.setpriority(os.PRIO_PROCESS, process.pid, GENTLE)
        return process

    def _send(self) -> None:
        pipe = self._process.stdin
        if not self._unsent or pipe.closed:
            return
        try:
            sent = os.write(pipe.fileno(), self._unsent)
        except BlockingIOError:
            return
        except OSError:  # the child is gone; `poll` finds that out by itself
            self._unsent = b""
            return
        self._unsent = self._unsent[sent:]

    def _take_lines(self) -> tuple[list[bytes], bool]:
        lines: list[bytes] = []
        until = time.perf_counter() + POLL_BUDGET
        while time.perf_counter() < until:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                return lines, True
            lines.append(line)
        return lines, False

    def _watch_exit(self, drained: bool) -> None:
        self._drained = self._drained or drained
        code = self._process.poll()
        if self.exit_code is not None:
            return
        if code is None:
            if self._drained:
                self.end()  # it closed its stdout, so nothing can come any more
            return
        if self._exited_at is None:
            self._exited_at = self._clock()
        if not self._is_silent and self._lines.empty() and self._clock() >= self._exited_at + DRAIN_AFTER_EXIT:
            _signal_group(self._process, forced=True)  # something it started still holds the pipes
            self._given_up = True
        if self._is_silent or self._given_up:
            self.exit_code = code
            _close_quietly(self._process.stdin)

    @property
    def _is_silent(self) -> bool:
        """All that it wrote has been read."""
        return self._drained and self._log.is_drained

    def _take_next_step(self) -> None:
        if self._ending is _Ending.STDIN_CLOSED:
            self.terminate()
        else:
            self.kill()

    def _step_to(self, ending: _Ending, patience: float) -> None:
        self._ending, self._next_step_at = ending, self._clock() + patience


def _opened(log: Path) -> Log:
    try:
        return Log(log)
    except OSError as error:
        raise CannotStart(f"the log {log} cannot be written: {error.strerror}") from None


def _windows_flags(gentle: bool) -> int:
    """A group of its own and no console window; 0 elsewhere."""
    if os.name != "nt":
        return 0
    priority = subprocess.BELOW_NORMAL_PRIORITY_CLASS if gentle else 0
    return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | priority


def _read(stream: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    while line := stream.readline(LONGEST_LINE):
        lines.put(line)
    stream.close()
    lines.put(None)


def _close_quietly(pipe: IO[bytes]) -> None:
    with suppress(OSError):  # what was still to be flushed has no reader: the child is gone, which is what we want
        pipe.close()


def _signal_group(process: subprocess.Popen[bytes], forced: bool) -> None:
    if os.name == "nt":
        if process.poll() is None:
            force = ["/F"] if forced else []
            flags = subprocess.CREATE_NO_WINDOW
            subprocess.Popen(["taskkill", "/T", *force, "/PID", str(process.pid)], creationflags=flags)
        return
    with suppress(ProcessLookupError, PermissionError):  # the group is gone; macOS says so with EPERM
        os.killpg(process.pid, signal.SIGKILL if forced else signal.SIGTERM)
