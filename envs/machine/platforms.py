# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine's platform, as the names that locks and wheels use. Knows no environment and starts nothing."""

import os
import platform
import sys
from pathlib import Path

_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
_SYSTEMS = {"linux": "linux", "win32": "windows", "darwin": "macos"}


def platform_name() -> str:
    """For example ``linux-x86_64``, ``windows-x86_64``, ``macos-arm64``: the name of a lock."""
    machine = platform.machine().lower()
    return f"{_SYSTEMS.get(sys.platform, sys.platform)}-{_MACHINES.get(machine, machine)}"


def python_in(folder: Path) -> Path:
    """The interpreter of the virtual environment in ``folder``."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def executable(name: str) -> str:
    """``uv`` or ``uv.exe``."""
    return f"{name}.exe" if sys.platform == "win32" else name


def reachable(path: Path | str) -> str:
    """``path``, on Windows in the form that may be of any length: packages hold paths of 170 characters, and Windows
    stops at 259 (learn.microsoft.com, "Maximum Path Length Limitation"). For what reads or removes whole folders.
    """
    return without_limit(os.path.abspath(path)) if sys.platform == "win32" else os.fspath(path)


def without_limit(absolute: str) -> str:
    r"""``C:\folder`` as ``\\?\C:\folder``, ``\\server\folder`` as ``\\?\UNC\server\folder``."""
    if absolute.startswith("\\\\?\\"):
        return absolute
    return f"\\\\?\\UNC{absolute[1:]}" if absolute.startswith("\\\\") else f"\\\\?\\{absolute}"
