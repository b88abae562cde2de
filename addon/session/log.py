# SPDX-License-Identifier: GPL-3.0-or-later
"""What a child process writes to its stderr, in a file that never grows beyond a bound. Must not know who writes.

A thread of its own moves it from a pipe: a file that the child writes itself cannot be bounded, and a pipe that nobody
drains stops the child. A child that floods it has to wait, so that neither the disk nor Blender notices.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

LIMIT = 8 << 20
"""Bytes of the file. Of more the newest half is kept."""

PAUSE = 0.1
"""Seconds that a child waits after each half of LIMIT: 40 MB/s are more than anything says that is worth reading."""

TAIL = 4000
"""Bytes from the end that are shown with an error: some 40 lines, a whole Python traceback."""

_CHUNK = 1 << 16


class Log:
    """The file at `path`, begun anew. Raises OSError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w+b", buffering=0)

    @property
    def is_drained(self) -> bool:
        """Whether all is written that will come."""
        return self._thread is None or not self._thread.is_alive()

    def drain(self, pipe: IO[bytes]) -> None:
        """Begins to move what comes through the pipe into the file, until the pipe ends."""
        self._thread = threading.Thread(target=self._move, args=(pipe,), daemon=True)
        self._thread.start()

    def note(self, text: str) -> None:
        """Adds a line."""
        self._write(text.encode(errors="replace") + b"\n")

    def tail(self) -> str:
        """The last lines, for an error."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                return file.read(TAIL).decode(errors="replace").strip()
        except OSError as error:
            return f"(the log {self._path} cannot be read: {error.strerror})"

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _move(self, pipe: IO[bytes]) -> None:
        with suppress(OSError, ValueError), pipe:
            while chunk := pipe.read1(_CHUNK):
                if self._write(chunk):
                    time.sleep(PAUSE)

    def _write(self, content: bytes) -> bool:
        """Writes what there is room for on the disk; whether the file was cut for it. Nothing once it is closed."""
        with self._lock, suppress(OSError):
            if self._file.closed:
                return False
            self._file.write(content)
            if self._file.tell() > LIMIT:
                self._cut()
                return True
        return False

    def _cut(self) -> None:
        self._file.seek(-(LIMIT // 2), os.SEEK_END)
        newest = self._file.read(LIMIT // 2)
        self._file.seek(0)
        self._file.truncate()
        self._file.write(b"(what came before was too much to keep)\n" + newest)
