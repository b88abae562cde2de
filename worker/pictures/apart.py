# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a process of its own, for what cannot be stopped here: a decoder hears no cancel before its picture is whole,
and holds up the threads beside it. A process is ended at once, and its memory is given back.

Must not know pictures.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from ..core.errors import Unable

POLL = 0.1
"""Seconds between two looks whether to stop."""

_ROOT = Path(__file__).resolve().parents[2]
_CODE = """import sys
sys.path.insert(0, sys.argv[1])
from worker.pictures import apart
apart.answer(*sys.argv[2:])"""


def done(function: Callable[[Path], Any], path: Path, check: Callable[[], None]) -> Any:
    """What the worker's `function` of a file gives, which can be pickled without our own classes. check: called again
    and again, may raise to stop.

    Raises Unable as the function does, and where its process was ended, for lack of memory perhaps.
    """
    module = function.__module__.rpartition("worker.")[2]
    command = [sys.executable, "-P", "-c", _CODE, str(_ROOT), module, function.__name__, str(path)]
    window, nothing = getattr(subprocess, "CREATE_NO_WINDOW", 0), subprocess.DEVNULL
    pipes = {"stdin": nothing, "stdout": subprocess.PIPE, "stderr": nothing}
    with ThreadPoolExecutor(1) as pool, subprocess.Popen(command, creationflags=window, **pipes) as process:
        try:
            return _told(pool.submit(pickle.load, process.stdout), check, path)
        finally:
            process.kill()


def _told(answer: Future, check: Callable[[], None], path: Path) -> Any:
    while not wait([answer], POLL).done:
        check()
    try:
        reason, found = answer.result()
    except (EOFError, pickle.UnpicklingError):
        raise Unable(f"{path.name} could not be read, for lack of memory perhaps: make it smaller") from None
    if reason:
        raise Unable(reason)
    return found


def answer(module: str, function: str, path: str) -> None:
    """In the process of its own: runs it, and tells a reason why not, or what it gave."""
    from importlib import import_module

    pipe, sys.stdout = sys.stdout.buffer, sys.stderr  # for whatever prints
    try:
        found = None, getattr(import_module(f"worker.{module}"), function)(Path(path))
    except Unable as error:
        found = str(error), None
    pickle.dump(found, pipe, protocol=5)
    pipe.flush()
