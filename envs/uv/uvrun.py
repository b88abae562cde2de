# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs uv: its variables, its output into a log and into progress, its failures into sentences."""

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ..errors import EnvironmentProblem
from ..failures import classify
from ..network.download import without_password
from ..places import Places
from ..progress import Report, Stage
from ..running import own_variables
from .tracking import VARIABLES, Arrivals, Tracker, clear_unfinished

_GRACE = 5.0  # seconds that uv gets to stop when we are cancelled

# How uv's variables for the network and for places begin (https://docs.astral.sh/uv/reference/environment/).
_KEPT = (
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_OFFLINE"),
    *("UV_HTTP_", "UV_REQUEST_TIMEOUT", "UV_CONCURRENT_", "UV_INSECURE_HOST", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS"),
    *("UV_KEYRING_PROVIDER", "UV_CACHE_DIR", "UV_LINK_MODE", "UV_LOCK_TIMEOUT"),
    *("UV_PYTHON_INSTALL_", "UV_PYTHON_DOWNLOADS", "UV_PYPY_INSTALL_MIRROR"),
)


@dataclass(frozen=True)
class Uv:
    """A uv to run. ``held``: a descriptor that uv keeps open, so that the lock lasts while an orphan of uv works."""

    path: Path
    places: Places
    variables: dict[str, str]
    log: TextIO
    held: int | None = None

    def run(
        self, arguments: list[str], stage: Stage, what: str, report: Report, sizes: Mapping[str, int] | None = None
    ) -> str:
        """Runs uv to its end and returns its output. Raises EnvironmentProblem whose sentence begins with ``what``.

        ``sizes``: bytes of packages when they are unpacked (sizes.py knows them); with them the progress has a total.
        """
        if self.held is not None:  # nobody else can be unpacking
            clear_unfinished(self.places.cache)
        tracker = Tracker(stage, what, report, Arrivals(Path(self.variables["UV_CACHE_DIR"])), sizes or {})
        report(stage, 0.0, what)
        code, output = self._followed(arguments, tracker)
        if code != 0:
            failure = classify(output)
            raise EnvironmentProblem(f"{what} failed: {failure} (log: {self.log.name})", failure.kind, output)
        return output

    def _followed(self, arguments: list[str], tracker: Tracker) -> tuple[int, str]:
        """uv's exit code, and its output without what is meant for the tracker."""
        self.log.write(f"\n$ uv {without_password(' '.join(arguments))}\n")
        process = None
        output: list[str] = []
        try:
            with _uninterrupted():  # or it would be started and nobody would know it, to end it
                process = self._start(arguments)
            for line in _lines(process, lambda: tracker.pause):
                self.log.write(without_password(line))
                tracker(line)
                if not line.startswith("DEBUG "):
                    output.append(line)
            return process.wait(), "".join(output)
        finally:
            if process:
                _stop(process)
            self.log.flush()

    def _start(self, arguments: list[str]) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        held = () if self.held is None or os.name != "posix" else (self.held,)
        how = {"encoding": "utf-8", "errors": "replace", "env": self.variables, "cwd": self.places.environments}
        try:
            return subprocess.Popen([str(self.path), *arguments], pass_fds=held, **pipes, **how)
        except OSError as error:
            raise EnvironmentProblem(
                f"uv at {self.path} cannot be started ({error.strerror}): remove it and try again"
            ) from error


def uv_variables(places: Places, configured: dict[str, str]) -> dict[str, str]:
    """What uv gets to see: pip's configuration, unless the user set uv's own variable; its files below the root.

    Of the user's own variables for uv those that change what is installed, and how, are left out: a UV_CONSTRAINT or
    UV_TORCH_BACKEND for another project would undo the locks.
    """
    own = {
        name: value for name, value in own_variables().items() if not name.startswith("UV_") or name.startswith(_KEPT)
    }
    folders = {"UV_CACHE_DIR": str(places.cache), "UV_PYTHON_INSTALL_DIR": str(places.pythons), "PATH": _search_path()}
    ours = {**configured, **folders, "UV_NO_PROGRESS": "1", "NO_COLOR": "1", **VARIABLES}
    return {**own, **{name: value for name, value in ours.items() if not (name.startswith("UV_") and own.get(name))}}


def _search_path() -> str:
    """PATH, and after it all Pythons of pyenv, whose stand-ins on PATH answer for those alone that are in use."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, sorted(pyenv.glob("versions/*/bin")))])


def _lines(process: subprocess.Popen[str], pause: Callable[[], float]) -> Iterator[str]:
    """The lines of its output; an empty one where there was none for ``pause`` seconds.

    A thread reads, as Windows cannot wait for a pipe with a limit. It may outlive the process, if a child of that one
    still holds the pipe, so it is the thread that closes it.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read(stream: TextIO) -> None:
        with stream:
            for line in stream:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=pause())
        except queue.Empty:
            line = ""
        if line is None:
            return
        yield line


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds a cancellation back until the block has ended."""
    arrived: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: arrived.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends uv if it still runs, because we were interrupted."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
