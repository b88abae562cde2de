# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs things in an environment: what a child process gets to see, and how its exit code comes back. Knows no installer."""
import os
import signal
import subprocess
import sys
from pathlib import Path

from .places import HOME_VARIABLE, Places, package_root

# Set by a host (Blender, conda, another virtual environment) for its own Python; they break or mislead ours.
_FOREIGN = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "PYTHONPLATLIBDIR", "VIRTUAL_ENV",
            "CONDA_PREFIX", "__PYVENV_LAUNCHER__")


def process_environment(root: Path, name: str = "core") -> dict[str, str]:
    """The variables for a process in the environment ``name``: nothing of the host's Python, nothing written to our package."""
    variables = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    variables[HOME_VARIABLE] = str(root)
    variables["PYTHONNOUSERSITE"] = "1"
    variables["PYTHONUTF8"] = "1"
    variables["PYTHONPYCACHEPREFIX"] = str(Places(root).root / "cache" / "compiled" / name)
    return variables


def worker_command(python: Path, arguments: list[str]) -> list[str]:
    """The worker's terminal front. -P: a file called numpy.py in the user's folder must not be imported."""
    return [str(python), "-P", "-m", "worker", *arguments]


def run(command: list[str], variables: dict[str, str], folder: Path | None = None) -> int:
    """Runs ``command`` to its end and returns its exit code; on POSIX this process becomes the command instead."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.chdir(folder or ".")
        os.execve(command[0], command, variables)
    return _run_and_wait(command, variables, folder)


def with_package(variables: dict[str, str]) -> dict[str, str]:
    """Makes the package's modules importable by name from whatever working directory the user is in."""
    return {**variables, "PYTHONPATH": str(package_root())}


def _run_and_wait(command: list[str], variables: dict[str, str], folder: Path | None) -> int:
    # Ctrl-C reaches the child as well; we wait for how it ends instead of dying before it.
    previous = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        return subprocess.run(command, env=variables, cwd=folder).returncode
    finally:
        signal.signal(signal.SIGINT, previous)
