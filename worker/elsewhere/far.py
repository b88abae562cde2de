# SPDX-License-Identifier: GPL-3.0-or-later
"""The far end, started by ssh: keeps the files of one connection in a folder that goes with it, and hands the wire's
lines on to an ordinary worker. Where the connection ends, or nobody has been heard for long, the worker ends with its
job. Must not know what requests mean."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..core.errors import Unable
from ..wire import protocol
from ..wire.calling import worker_command, worker_variables
from ..wire.server import MAX_LINE
from .frames import SILENT_FOR, Arriving, below, fields_of, header, pieces, read_exactly

END_GRACE = 6.0
"""Seconds that the worker may take to end once its pipe is closed: it promises five."""


class Far:
    """One connection. source, sink: the pipe to the near end."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink, self._lock = source, sink, threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="image-to-3d-far-"))
        self._arriving: dict[str, Arriving] = {}
        self._heard_at = time.monotonic()
        self._over = threading.Event()

    def run(self) -> None:
        """Returns when the connection or the worker has ended; nothing is left behind."""
        pipe = subprocess.PIPE
        worker = subprocess.Popen(worker_command(), stdin=pipe, stdout=pipe, bufsize=0, env=worker_variables())
        try:
            self._send(header(folder=str(self._folder), version=protocol.VERSION))
            for each in (self._hand_back, self._listen):
                threading.Thread(target=each, args=(worker,), daemon=True).start()
            while not self._over.wait(1.0):
                if time.monotonic() - self._heard_at > SILENT_FOR:
                    break
        finally:
            _end(worker)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, content: bytes) -> None:
        with self._lock:
            while content:  # an unbuffered pipe takes what it has room for
                content = content[self._sink.write(content) :]

    def _hand_back(self, worker: subprocess.Popen[bytes]) -> None:
        """What the worker says goes to the near end."""
        with suppress(OSError, ValueError):
            for line in worker.stdout:
                self._send(line)
        self._over.set()

    def _listen(self, worker: subprocess.Popen[bytes]) -> None:
        with suppress(OSError, ValueError, EOFError):
            while line := self._source.readline(MAX_LINE):
                self._heard_at = time.monotonic()
                fields = fields_of(line)
                if fields is None:
                    worker.stdin.write(line)
                elif "file" in fields:
                    self._take(fields)
                elif "get" in fields:
                    self._give(str(fields["get"]))
        self._over.set()

    def _take(self, fields: dict[str, Any]) -> None:
        """A piece of a file; what cannot be kept is told once, and its other pieces are thrown away."""
        name, piece = str(fields["file"]), read_exactly(self._source, fields["bytes"])
        try:
            if name not in self._arriving:
                self._arriving[name] = Arriving(below(self._folder, name))
            if self._arriving[name] and self._arriving[name].take(piece, fields.get("sha256")):
                self._arriving.pop(name)
                self._send(header(file=name, bytes=0, sha256=fields["sha256"]))
        except (OSError, Unable, ValueError) as error:
            if arriving := self._arriving.get(name):
                with suppress(OSError):
                    arriving.drop()
            self._arriving[name] = None
            self._send(header(file=name, problem=getattr(error, "strerror", None) or str(error)))

    def _give(self, name: str) -> None:
        try:
            for piece in pieces(below(self._folder, name), name):
                self._send(piece)
        except (OSError, ValueError) as error:
            self._send(header(file=name, problem=getattr(error, "strerror", None) or str(error)))


def _end(worker: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        worker.stdin.close()
    try:
        worker.wait(END_GRACE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def serve() -> int:
    from ..wire import stdio

    source, sink = stdio.claim()
    Far(source, sink).run()
    os._exit(0)  # a thread may still wait for the connection
