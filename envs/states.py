# SPDX-License-Identifier: GPL-3.0-or-later
"""In which state an environment is, read from its marker file. Starts nothing and imports nothing heavy.

The marker ``environments/NAME.json`` is the only thing that makes an environment exist. It is written when everything
else is done and verified, by one atomic rename, and names the folder that is in use. So a new environment is built and
verified in a folder of its own at the path where it will stay (virtual environments do not like to be moved), and an
installer that dies at any moment leaves the old one in use, or none.
"""

import enum
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import EnvironmentProblem
from .places import Places
from .platforms import python_in
from .specs import spec

MARKER_VERSION = 1


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
    """A marker file's content. ``folder`` is relative to the folder of environments, so that the root may be moved."""

    folder: str
    fingerprint: str
    torch: str
    made_at: str
    version: int = MARKER_VERSION


def status(root: Path, name: str = "core") -> Status:
    """The state of the environment ``name`` below ``root``; raises EnvironmentProblem for a name we do not have."""
    places, wanted = Places(root), spec(name)
    if not places.marker(name).exists():
        if places.folders(name):
            return Status(name, State.INCOMPLETE, f"setting up {name} was begun but not finished")
        return Status(name, State.ABSENT, f"{name} has not been set up in {root}")
    try:
        marker = read_marker(places.marker(name))
    except EnvironmentProblem as error:
        return Status(name, State.BROKEN, str(error))
    folder = places.environments / marker.folder
    python = python_in(folder)
    if not python.exists():  # follows links: false as well when the base interpreter was uninstalled
        return Status(name, State.BROKEN, f"the interpreter {python} of {name} is gone", folder=folder)
    try:
        fingerprint = wanted.fingerprint
    except EnvironmentProblem as error:
        return Status(name, State.BROKEN, str(error), folder=folder)
    if marker.fingerprint != fingerprint:
        return Status(name, State.OUTDATED, f"{name} was made for another version of this product", folder=folder)
    return Status(name, State.READY, f"{name} is ready", python, folder)


def read_marker(path: Path) -> Marker:
    try:
        return Marker(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise EnvironmentProblem(f"the marker file {path} cannot be read: set the environment up again") from error


def write_marker(path: Path, folder: Path, fingerprint: str, torch: str) -> None:
    """Puts ``folder`` in use: whole on the disk, then renamed into place."""
    marker = Marker(folder.name, fingerprint, torch, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(asdict(marker), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
