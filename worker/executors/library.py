# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a Blender without a window make the asset library of a batch's results (addon/in_background.py). Must not know
what is in it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from ..core.errors import Unable
from ..core.job import Job, Span
from ..wire.calling import ROOT

SCRIPT = ROOT / "addon" / "in_background.py"
FOLDER = "assets"

HEARD_EVERY = 0.2
"""Seconds between two looks at whether the user has cancelled."""

_WINDOWLESS = ("--background", "--factory-startup", "--python-exit-code", "1", "--python")


def command(blender: str, folder: Path) -> list[str]:
    """blender: Blender's program, or a Python with the module bpy."""
    is_python = Path(blender).name.lower().startswith("python")
    return [blender, *(() if is_python else _WINDOWLESS), str(SCRIPT), "--", str(folder)]


def make(blender: str, folder: Path, job: Job | Span) -> str:
    """Makes the library; returns its folder. Raises Unable, Cancelled."""
    job.report(0.0, "making the asset library")
    with tempfile.TemporaryFile() as log, _started(command(blender, folder), log) as (process, lines):
        while (line := _next(lines, job)) is not None:
            if told := re.match(rb"library: ((\d+) of (\d+))", line):
                job.report(int(told[2]) / int(told[3]), "making the asset library", told[1].decode())
        if process.wait() != 0:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()
            raise Unable(f"{blender} did not make the asset library ({said[-1] if said else 'it said nothing'})")
    if not (folder / FOLDER).is_dir():
        raise Unable(f"{blender} made no asset library: choose Blender's program, and a folder with a batch's results")
    return str(folder / FOLDER)


@contextmanager
def _started(command: list[str], log: object) -> Iterator[tuple[subprocess.Popen[bytes], SimpleQueue[bytes | None]]]:
    """The process, which is gone when the block ends, and what it says. Raises Unable where it cannot be started."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    except OSError as error:
        raise Unable(f"{command[0]} could not be started ({error.strerror}): choose Blender's program") from None
    lines: SimpleQueue[bytes | None] = SimpleQueue()

    def read() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    reader = Thread(target=read, daemon=True)
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def _next(lines: SimpleQueue[bytes | None], job: Job | Span) -> bytes | None:
    while True:
        job.check()
        try:
            return lines.get(timeout=HEARD_EVERY)
        except Empty:
            continue
