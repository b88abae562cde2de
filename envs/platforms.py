# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine's platform, as the names that locks and wheels use. Knows no environment and starts nothing."""

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
