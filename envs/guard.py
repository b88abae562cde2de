# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets one installer at a time work below a root: a lock of the operating system's, which cannot outlive its holder.

The lock file also says who holds it, for the message to the one who waits. It is never deleted: another
process may be about to lock the very same file.
"""

import contextlib
import errno
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import EnvironmentProblem

_FAR = 1 << 20  # Windows locks bytes against reading, too: lock one that lies behind what is read
_PAUSE = 0.2


@contextlib.contextmanager
def hold(path: Path, wait: float, waiting: Callable[[str], None]) -> Iterator[int]:
    """Holds the lock while the block runs; yields its descriptor, for a child process to hold it as well.

    ``wait``: seconds after which EnvironmentProblem names the holder. ``waiting`` is called once, if somebody holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path, wait, waiting)
        owner = {"process": os.getpid(), "machine": socket.gethostname(), "since": time.strftime("%H:%M:%S")}
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(owner).encode())
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait: float, waiting: Callable[[str], None]) -> None:
    end, waits = time.monotonic() + wait, False
    while not _try(descriptor):
        if time.monotonic() >= end:
            raise EnvironmentProblem(
                f"another installation is going on ({holder(path)}): wait for it or end it, then try again"
            )
        if not waits:
            waiting(f"waiting for another installation ({holder(path)})")
        waits = True
        time.sleep(_PAUSE)


def holder(path: Path) -> str:
    """Who holds the lock at ``path``, in words."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {owner['process']} on {owner['machine']} since {owner['since']}"
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return "by a process that has not said who it is"


if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> bool:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True
else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
