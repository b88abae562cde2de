# SPDX-License-Identifier: GPL-3.0-or-later
"""In which state an environment is, read from its marker file. Starts nothing and imports nothing heavy.

The marker ``environments/NAME.json`` is the only thing that makes an environment exist. It is written when everything
else is done and verified, by one atomic rename, and names the folder that is in use. So a new environment is built and
verified in a folder of its own at the path where it will stay (virtual environments do not like to be moved), and an
installer that dies at any moment leaves the old one in use, or none.

What a check finds wrong later is kept beside the marker, in ``environments/NAME.broken.json``: from then on the
environment is BROKEN, until a check at least as deep finds it good, or another folder is put in use.
"""

import enum
import json
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, TypeVar

from .errors import EnvironmentProblem
from .machine.platforms import python_in
from .places import Places
from .specs import spec

MARKER_VERSION = 2  # 1: without device and build, and without a manifest of what was installed

Depth = Literal["quick", "files", "deep"]  # markers only; and every file's size; and trying everything out
_DEPTHS: tuple[Depth, ...] = ("quick", "files", "deep")


class State(enum.Enum):
    ABSENT = "absent"  # never made, or removed
    INCOMPLETE = "incomplete"  # an installation was begun and not finished
    READY = "ready"
    OUTDATED = "outdated"  # works, but this version of the product wants other packages
    BROKEN = "broken"  # was ready once; something is missing now


@dataclass(frozen=True)
class Status:
    """``python`` is the interpreter to start when READY, None otherwise; ``reason`` is a sentence for the user."""

    name: str
    state: State
    reason: str
    python: Path | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Marker:
    """A marker file's content. ``folder`` is relative to the folder of environments, so that the root may be moved.

    ``torch`` is the requirement that was installed, ``build`` its key among the builds, ``device`` what it was verified
    on (cuda, rocm, mps, cpu); all empty where there is no torch. Times are for people: nothing is decided by a clock.
    """

    folder: str
    fingerprint: str
    torch: str
    made_at: str
    version: int = 1
    device: str = ""
    build: str = ""


@dataclass(frozen=True)
class Verdict:
    """A broken verdict's content: what a check of ``depth`` found wrong with ``folder``."""

    folder: str
    reason: str
    when: str
    depth: Depth = "deep"


_Content = TypeVar("_Content", Marker, Verdict)


def status(root: Path, name: str = "core") -> Status:
    """The state of the environment ``name`` below ``root``; raises EnvironmentProblem for a name we do not have."""
    found = marked(root, name)
    verdict = _read_verdict(Places(root).verdict(name)) if found.state is State.READY else None
    if verdict is None or verdict.folder != found.folder.name:
        return found
    return Status(name, State.BROKEN, verdict.reason, folder=found.folder)


def marked(root: Path, name: str) -> Status:
    """The state as the marker has it, whatever a check has found since."""
    places, wanted, folder = Places(root), spec(name), None
    if not places.marker(name).exists():
        if places.folders(name):
            return Status(name, State.INCOMPLETE, f"setting up {name} was begun but not finished")
        return Status(name, State.ABSENT, f"{name} has not been set up in {root}")
    try:
        marker = read_marker(places.marker(name))
        folder = places.environments / marker.folder
        python = python_in(folder)
        if not python.exists():  # follows links: false as well when the base interpreter was uninstalled
            raise EnvironmentProblem(f"the interpreter {python} of {name} is gone: repair it")
        if marker.fingerprint != wanted.fingerprint:
            return Status(name, State.OUTDATED, f"{name} was made for another version of this product", folder=folder)
    except EnvironmentProblem as problem:
        return Status(name, State.BROKEN, str(problem), folder=folder)
    return Status(name, State.READY, f"{name} is ready", python, folder)


def read_marker(path: Path) -> Marker:
    """Raises EnvironmentProblem for a marker that is damaged, or that names anything but a folder beside it."""
    try:
        marker = _read(path, Marker)
        if marker.folder and Path(marker.folder).name == marker.folder:
            return marker
        raise ValueError(f"{marker.folder} is no folder of environments")
    except (OSError, ValueError, TypeError) as error:
        raise EnvironmentProblem(f"the marker file {path} cannot be read: repair the environment") from error


def write_marker(path: Path, folder: Path, fingerprint: str, torch: str, device: str = "", build: str = "") -> None:
    """Puts ``folder`` in use: whole on the disk, then renamed into place."""
    _write(path, Marker(folder.name, fingerprint, torch, _now(), MARKER_VERSION, device, build))


def keep_verdict(path: Path, folder: Path, reason: str, depth: Depth) -> None:
    """Makes ``folder`` BROKEN from now on."""
    _write(path, Verdict(folder.name, reason, _now(), depth))


def withdraw_verdict(path: Path, depth: Depth) -> None:
    """A check of ``depth`` found nothing wrong: withdraws what one of this or a lesser depth had found."""
    verdict = _read_verdict(path)
    if verdict is None or _DEPTHS.index(verdict.depth) <= _DEPTHS.index(depth):
        path.unlink(missing_ok=True)


def _read_verdict(path: Path) -> Verdict | None:
    """None if there is none, or a damaged one: then the next check finds anew what is wrong."""
    try:
        return _read(path, Verdict)
    except (OSError, ValueError, RecursionError, TypeError):
        return None


def _read(path: Path, kind: type[_Content]) -> _Content:
    """Ignores fields that we do not know: another version of the product may have written them."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError(f"{path} holds no object")
    known = {field.name: field.type for field in fields(kind)}
    found = {name: value for name, value in content.items() if name in known}
    if any(not isinstance(value, int if known[name] is int else str) for name, value in found.items()):
        raise TypeError(f"a field in {path} is not of its type")
    return kind(**found)


def _write(path: Path, content: Marker | Verdict) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(content), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
