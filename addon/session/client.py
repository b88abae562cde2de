# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as the add-on sees it: requests go in, typed events come out. Must not know bpy, what a method is, or
where Pythons are installed.

Every request ends in exactly one `Answered` or `Failed`. The worker makes it; where the worker ends first, we do.
`events` is to be called now and then and never waits. Lines that are no messages (a library that prints) go to the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...worker.wire import protocol
from ...worker.wire.protocol import ErrorCode, Preview, Progress, WireError
from .process import Child

LONGEST_NOTE = 300
"""Characters of a line that is no message which are kept in the log: enough to tell who printed it."""


@dataclass(frozen=True)
class Answered:
    """A request's success; `result` is the dataclass that protocol.REQUESTS names for `method`."""

    id: int
    method: str
    result: Any


@dataclass(frozen=True)
class Failed:
    """A request's failure, a cancelled one's too (ErrorCode.CANCELLED)."""

    id: int
    method: str
    error: WireError


@dataclass(frozen=True)
class Exited:
    """The worker has ended; always the last event."""

    code: int


Event = Progress | Preview | Answered | Failed | Exited


class Client(Child):
    """One worker process, started when made. Raises CannotStart. `end` and `kill` end it; `events` goes on with that
    until `Exited` comes."""

    def __init__(self, *as_child: Any) -> None:
        self._methods: dict[int, str] = {}
        self._last_id, self._left = 0, False
        super().__init__(*as_child)

    def request(self, method: str, params: Any) -> int:
        """Sends a request; the number returned is the `id` of the event that will answer it."""
        self._last_id += 1
        self._methods[self._last_id] = method
        self.write(protocol.encode(protocol.Request(self._last_id, method, params)))
        return self._last_id

    def cancel(self, id: int) -> None:
        """Asks the worker to give up on a request. Its answer still comes."""
        self._notify(id, protocol.CANCELLED, protocol.Cancelled(id))

    def enough(self, id: int) -> None:
        """Asks the worker to finish a request with what it has. Its answer still comes."""
        self._notify(id, protocol.ENOUGH, protocol.Enough(id))

    def events(self) -> list[Event]:
        """What happened since last time, in order. Never waits."""
        if self._left:
            return []
        events = [event for line in self.poll() if (event := self._read(line))]
        return events if self.exit_code is None else events + self._leave()

    def _notify(self, id: int, method: str, params: Any) -> None:
        if id in self._methods:
            self.write(protocol.encode(protocol.Notification(method, params)))

    def _read(self, line: bytes) -> Event | None:
        """Whatever the line holds, nothing is raised: what is not understood goes to the log."""
        try:
            message = protocol.decode(line)
        except WireError as error:
            if (id := error.data.get("id")) in self._methods:  # an answer, and no other will come
                return Failed(id, self._methods.pop(id), WireError(ErrorCode.INTERNAL_ERROR, error.message))
            self.note(f"printed by the worker: {_shown(line)}")
            return None
        match message:
            case protocol.Result(id, result) if id in self._methods:
                return self._answer(id, result)
            case protocol.Error(id, code, text, data) if id in self._methods:
                return Failed(id, self._methods.pop(id), WireError(_code(code), text, data))
            case protocol.Notification(_, Progress() | Preview() as event):
                return event if event.progressToken in self._methods else None
            case protocol.Error(None, code, text, _):
                self.note(f"the worker could not read a request: {text} ({code})")
            case _:
                self.note(f"nobody waits for: {_shown(line)}")
        return None

    def _answer(self, id: int, result: Any) -> Event:
        method = self._methods.pop(id)
        try:
            return Answered(id, method, protocol.read(protocol.REQUESTS[method][1], result, "the worker's answer"))
        except WireError as error:
            self.note(f"an answer to {method} that cannot be read: {error.message}")
            return Failed(id, method, WireError(ErrorCode.INTERNAL_ERROR, error.message))

    def _leave(self) -> list[Event]:
        self._left = True
        code, log = self.exit_code, self.log_tail()
        self.close()
        error = WireError(ErrorCode.WORKER_EXITED, f"the worker ended {_ending(code)}", {"log": log})
        failed = [Failed(id, method, error) for id, method in self._methods.items()]
        self._methods.clear()
        return [*failed, Exited(code)]


def _code(code: Any) -> ErrorCode:
    try:
        return ErrorCode(code)
    except ValueError:
        return ErrorCode.INTERNAL_ERROR


def _ending(code: int) -> str:
    if code < 0:
        return f"by signal {-code}" + (", as the system does when memory is short" if code == -9 else "")
    return f"with exit code {code}"


def _shown(line: bytes) -> str:
    return line.decode(errors="replace").strip()[:LONGEST_NOTE]
