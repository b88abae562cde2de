# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs things in an environment: what a child process gets to see, and how its exit code comes back."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from .places import HOME_VARIABLE, Places, package_root

# Set by a host (Blender, conda, another virtual environment) for its own Python; like PYTHON*, they mislead ours.
_FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")


def own_variables() -> dict[str, str]:
    """This process's variables without those that belong to a host's Python."""
    return {key: value for key, value in os.environ.items() if key not in _FOREIGN and not key.startswith("PYTHON")}


def process_environment(root: Path, name: str = "core") -> dict[str, str]:
    """The variables for a process in the environment ``name``; it compiles nothing into the package's folder."""
    ours = {
        HOME_VARIABLE: str(root),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "PYTHONPYCACHEPREFIX": str(Places(root).compiled(name)),
    }
    return {**own_variables(), **ours}


def worker_command(python: Path, arguments: list[str]) -> list[str]:
    """The worker's terminal front. -P: a file called numpy.py in the user's folder must not be imported."""
    return [str(python), "-P", "-m", "worker", *arguments]


def with_package(variables: dict[str, str]) -> dict[str, str]:
    """Makes the package's modules importable by name from whatever working directory the user is in."""
    return {**variables, "PYTHONPATH": str(package_root())}


def run(command: list[str], variables: dict[str, str], folder: Path | None = None) -> int:
    """Runs ``command`` to its end and returns its exit code; on POSIX this process becomes the command instead."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.chdir(folder or ".")
        os.execve(command[0], command, variables)
    # Ctrl-C reaches the child as well; we wait for how it ends instead of dying before it.
    previous = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        return subprocess.run(command, env=variables, cwd=folder).returncode
    finally:
        signal.signal(signal.SIGINT, previous)
