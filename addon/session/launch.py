# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the worker's Python is and how it is run. Must not know bpy, the protocol, or how packages are installed.

Builds on `..envs`: a cheap look at a marker file; what takes longer is a task (tasks.py).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ... import envs
from ...envs import State as Standing
from ...envs.errors import EnvironmentProblem

PACKAGE = Path(__file__).resolve().parent.parent.parent

CORE = "core"
"""The environment that is meant where nobody says which."""


@dataclass(frozen=True)
class Settings:
    """Where things are and what is allowed, as the user's settings say at this moment.

    `root` holds environments, weights and caches; `python` is an interpreter to use instead of an environment of ours;
    `wheelhouse` is a folder of packages that are installed without a network; `temporary` is where job folders are
    made; `logs` and `catalogue` are a folder and a file of the add-on's own. `host`: the machine that works, reached by
    ssh, "" for this one.
    """

    root: Path
    temporary: Path
    logs: Path
    catalogue: Path
    python: Path | None = None
    wheelhouse: Path | None = None
    online: bool = False
    device: str = "auto"
    host: str = ""


@dataclass(frozen=True)
class Interpreter:
    """`python` is what to run the worker with, None where there is none; then `reason` says why, as a sentence.

    `standing` is the environment's state, None where a Python of the user's own is asked for instead.
    """

    python: Path | None
    reason: str = ""
    standing: Standing | None = None


def find(settings: Settings, name: str = CORE) -> Interpreter:
    """The Python for the environment `name`, from the settings or finished. Reads a marker file, starts nothing."""
    if settings.host:
        return Interpreter(Path(sys.executable))  # what talks to the worker there needs the standard library only
    if settings.python:
        missing = Interpreter(None, f"there is no Python at {settings.python}")
        return Interpreter(settings.python) if settings.python.is_file() else missing
    try:
        status = envs.status(settings.root, name)
    except EnvironmentProblem as problem:  # a method of another version may ask for one that we do not have
        return Interpreter(None, str(problem))
    return Interpreter(status.python, status.reason, status.state)


def worker_command(python: Path) -> list[str]:
    return [str(python), "-m", "worker"]


def elsewhere_command(python: Path, host: str, name: str) -> list[str]:
    """The command of what hands all on to a worker on that machine, in its environment of that name."""
    return [*worker_command(python), "near", host, name]


def worker_variables(settings: Settings, name: str = CORE) -> dict[str, str]:
    """The worker's environment variables: nothing of Blender's own Python, and output that is not held back."""
    return {**envs.process_environment(settings.root, name), "PYTHONUNBUFFERED": "1"}
