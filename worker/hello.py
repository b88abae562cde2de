# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a worker can be started here and answers: the same process, pipe and first request as the add-on's.

Knows the pipe and the messages; must not know who asks or what becomes of the answer.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from .core.errors import Unable
from .wire import offers, protocol
from .wire.calling import worker_command, worker_variables

LIMIT = 20.0
"""Seconds within which a worker must have answered and ended. It imports nothing heavy, but the disk may be cold."""


@dataclass(frozen=True)
class Greeting:
    """`product` and `protocol` are versions, `device` is what networks would run on, `methods` are names."""

    product: str
    protocol: int
    device: str
    methods: tuple[str, ...]


def greet(params: offers.InitializeParams, limit: float = LIMIT) -> Greeting:
    """Starts a worker, says initialize, shuts it down. Raises Unable, or the worker's own WireError."""
    answer = _initialized(params, limit)
    return Greeting(answer.worker, answer.version, _device(params.device), tuple(each.name for each in answer.methods))


def _initialized(params: offers.InitializeParams, limit: float) -> offers.InitializeResult:
    late = threading.Event()
    with tempfile.TemporaryFile() as log, _worker(log) as worker:
        timer = threading.Timer(limit, lambda: (late.set(), worker.kill()))
        timer.start()
        try:
            answer = _ask(worker, 1, "initialize", params)
            _ask(worker, 2, "shutdown", offers.Empty())
            worker.wait()
        except (OSError, EOFError) as error:
            if not late.is_set():
                raise Unable(f"the worker {_ending(worker.wait())} ({_last_line(log)})") from error
        finally:
            timer.cancel()
        if late.is_set():
            raise Unable(f"the worker did not answer and end within {limit:g} s ({_last_line(log)})")
        return answer


@contextmanager
def _worker(log: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is gone when the block ends. Unbuffered, or closing the pipe to one that died would fail."""
    pipe, variables = subprocess.PIPE, worker_variables()
    with subprocess.Popen(worker_command(), stdin=pipe, stdout=pipe, stderr=log, bufsize=0, env=variables) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _ask(worker: subprocess.Popen[bytes], id: int, method: str, params: object) -> object:
    """The answer to one request. Raises EOFError where the worker has ended instead, WireError where it refused."""
    worker.stdin.write(protocol.encode(protocol.Request(id, method, params)))
    for line in worker.stdout:
        match protocol.decode(line):
            case protocol.Result(answered, result) if answered == id:
                return protocol.read(protocol.REQUESTS[method][1], result, "the worker's answer")
            case protocol.Error(_, code, message, data):
                raise protocol.WireError(protocol.ErrorCode(code), message, data)
    raise EOFError


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _last_line(log: BinaryIO) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _device(name: str) -> str:
    from .methods.runtime import devices  # on use: brings torch

    return str(devices.pick(name))
