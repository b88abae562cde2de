# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's request loop: one job at a time, exactly one answer per request, and the only place where exceptions
become answers. Must not know torch, methods or meshes.

A thread reads the pipe, so that a cancel is heard while the main thread works. When the pipe closes, whoever started
the worker is gone: the running job is cancelled, and if it does not stop by itself the process ends all the same.
Another thread writes, so that neither of the two ever waits for somebody who does not read.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from ..core.errors import Cancelled, Invalid, MethodUnavailable, OutOfMemory, Unable, Unsure, WeightsMissing
from ..core.job import Job
from ..core.texts import shortened
from .protocol import (
    CANCELLED,
    ENOUGH,
    PREVIEW,
    PROGRESS,
    Error,
    ErrorCode,
    Message,
    Notification,
    Preview,
    Progress,
    Request,
    Result,
    WireError,
    decode,
    encode,
)

EXIT_GRACE = 3.0
"""Seconds that a job may still take after the pipe has closed. Promised is an exit within 5."""

MAX_LINE = 1 << 20
"""Bytes. Pictures travel as paths, so a longer line is a mistake of the other side."""

MOST_TOLD = 2000
"""Characters of an error's message."""

MOST_REPORTS, MOST_UNREAD = 1000, 100_000
"""Lines that wait to be read on the other side: with more, reports are left out; with many more, answers too."""

Handler = Callable[[Any, Job], Any]

log = logging.getLogger(__name__)


class Server:
    """Answers requests from `source` on `sink`, with one handler (params, job) -> result dataclass per method."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, handlers: Mapping[str, Handler]) -> None:
        self._source, self._sink, self._handlers = source, sink, handlers
        self._unread: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._jobs: dict[int, Job] = {}
        self._jobs_lock = threading.Lock()

    def run(self) -> None:
        """Returns after `shutdown` has been answered, or when the pipe has closed."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        writer = threading.Thread(target=self._write, name="writer", daemon=True)
        writer.start()
        while (request := self._waiting.get()) is not None:
            self._send(self._answer(request))
            with self._jobs_lock:
                del self._jobs[request.id]
            if request.method == "shutdown":
                self._turn_away()
                break
        self._unread.put(None)
        writer.join(EXIT_GRACE)

    # ---- the reading thread

    def _read(self) -> None:
        try:
            while line := self._next_line():
                self._hear(line)
        finally:  # whatever happened: without a reader nobody can be answered, nor end the worker
            self._cancel_all()
            self._waiting.put(None)
            time.sleep(EXIT_GRACE)  # the process is gone before that, or else does not hear
            os._exit(0)

    def _hear(self, line: bytes) -> None:
        """The boundary of the reading thread: whatever the line holds becomes an answer."""
        try:
            self._receive(decode(line))
        except WireError as error:
            self._send(Error(error.data.pop("id", None), error.code, error.message, error.data))
        except Exception as error:  # noqa: BLE001 - the reader must live
            self._send(as_error(None, error))

    def _next_line(self) -> bytes:
        """One line, or b"" at the end. A line that is too long is read to its end and refused."""
        chunks, size = [], 0
        while chunk := self._source.readline(MAX_LINE):
            size += len(chunk)
            chunks = [*chunks, chunk] if size <= MAX_LINE else [b"too long"]
            if chunk.endswith(b"\n"):
                break
        return b"".join(chunks)

    def _receive(self, message: Message) -> None:
        match message:
            case Request(id, method):
                with self._jobs_lock:
                    if id in self._jobs:
                        raise WireError(ErrorCode.INVALID_REQUEST, f"request {id} is being worked on", {"id": id})
                    self._jobs[id] = self._job(id)
                if method == "shutdown":
                    self._cancel_all(but=id)
                self._waiting.put(message)
            case Notification(method, params) if method in (CANCELLED, ENOUGH):
                with self._jobs_lock:
                    if job := self._jobs.get(params.requestId):
                        job.cancel() if method == CANCELLED else job.end_early()

    def _job(self, id: int) -> Job:
        return Job(
            lambda *report: self._send(Notification(PROGRESS, Progress(id, *report))),
            lambda file: self._send(Notification(PREVIEW, Preview(id, str(file or "")))),
        )

    def _cancel_all(self, but: int | None = None) -> None:
        with self._jobs_lock:
            for id, job in self._jobs.items():
                if id != but:
                    job.cancel()

    # ---- the main thread

    def _answer(self, request: Request) -> Message:
        try:
            job = self._jobs[request.id]
            job.check()
            result = self._handlers[request.method](request.params, job)
            return Result(request.id, dataclasses.asdict(result))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary: the request gets its answer
            return as_error(request.id, error)

    def _turn_away(self) -> None:
        """Answers those who came after the request to end."""
        while not self._waiting.empty():
            if request := self._waiting.get():
                self._send(Error(request.id, ErrorCode.INVALID_REQUEST, "the worker was told to end"))

    def _send(self, message: Message) -> None:
        """Hands a message to the writing thread, and never waits for it."""
        waiting = self._unread.qsize()
        if waiting > (MOST_REPORTS if isinstance(message, Notification) else MOST_UNREAD):
            return
        try:
            self._unread.put(encode(message))
        except Exception as error:  # noqa: BLE001 - what cannot be said must not end who says it
            log.error("unexpected %s in a message", type(error).__name__, exc_info=error)
            if isinstance(message, Result | Error):
                self._unread.put(encode(as_error(message.id, error)))

    # ---- the writing thread

    def _write(self) -> None:
        while (line := self._unread.get()) is not None:
            try:
                while line:  # an unbuffered pipe takes what it has room for
                    line = line[self._sink.write(line) :]
                self._sink.flush()
            except (OSError, ValueError):  # the reader sees the closed pipe too and ends the process
                log.info("nobody listens any more")
                return


def as_error(id: int | None, error: BaseException) -> Error:
    """The answer that tells of an exception: one line, readable and not too long."""
    found = _told(error)
    return Error(id, found.code, " ".join(shortened(found.message, MOST_TOLD).split()), found.data)


def _told(error: BaseException) -> WireError:
    match error:
        case WireError():
            return error
        case Cancelled():
            return WireError(ErrorCode.CANCELLED, "cancelled")
        case WeightsMissing():
            data = {"network": error.network, "bytes": error.bytes, "licence": error.licence}
            return WireError(ErrorCode.WEIGHTS_MISSING, str(error), data)
        case OutOfMemory():
            return WireError(ErrorCode.OUT_OF_MEMORY, str(error), {"needed": error.needed, "free": error.free})
        case Unsure():
            return WireError(ErrorCode.UNSURE, str(error), {"option": error.option})
        case MethodUnavailable():
            return WireError(ErrorCode.METHOD_UNAVAILABLE, str(error))
        case Invalid():
            return WireError(ErrorCode.INVALID_PARAMS, str(error))
        case Unable():
            return WireError(ErrorCode.FAILED, str(error))
        case MemoryError():
            return WireError(ErrorCode.OUT_OF_MEMORY, "the computer's memory is full: close other programs")
        case OSError(strerror=str(reason), filename=name) if reason:  # of what nobody looked at before
            log.info("%s", error, exc_info=error)
            what = f"{shortened(name)} cannot be used" if isinstance(name, str) else "a file cannot be used"
            return WireError(ErrorCode.FAILED, f"{what}: {reason[0].lower()}{reason[1:]}")
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return WireError(ErrorCode.INTERNAL_ERROR, f"unexpected {type(error).__name__}: {error}")
