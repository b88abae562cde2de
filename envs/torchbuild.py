# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of torch this machine gets: the one package that is not in the locks, as it depends on the driver.

Never imports torch. A build for CUDA brings gigabytes of libraries, so it is only chosen where there is a driver.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .pipconfig import PipConfig
from .platforms import platform_name
from .specs import PYTHONS, TORCH

_INDEX = "https://download.pytorch.org/whl"
_CUDA = "cu130"  # the CUDA of PyPI's Linux wheels of this version
_WHEEL_TAGS = {
    "linux-x86_64": ("linux", "x86_64"),
    "linux-arm64": ("linux", "aarch64"),
    "windows-x86_64": ("win", "amd64"),
    "macos-arm64": ("macosx", "arm64"),
}


@dataclass(frozen=True)
class TorchBuild:
    """``requirement`` for uv, an ``index`` to ask in addition, the ``pythons`` it exists for, and why it was chosen.

    ``device`` is what it computes on, ``key`` its name in the table of sizes ("cpu", "cu126", "pypi" ...), ``warning`` a
    sentence for the user where the machine's graphics cards are not used, or not as well as they could be.
    """

    requirement: str
    index: str | None
    pythons: tuple[str, ...]
    reason: str
    device: Literal["cuda", "rocm", "mps", "cpu"] = "cpu"
    key: str = "pypi"
    warning: str | None = None


def choose(config: PipConfig, platform: str | None = None, nvidia: bool | None = None) -> TorchBuild:
    """A wheel that the user provides; else for NVIDIA where its driver is; else without CUDA."""
    platform = platform or platform_name()
    nvidia = has_nvidia_driver() if nvidia is None else nvidia
    for python in PYTHONS:
        for folder in config.folders:
            version = _version_in(folder, platform, python)
            if version:
                return TorchBuild(f"torch=={version}", None, (python,), f"torch {version} lies in {folder}")
    if platform.startswith("linux"):
        if nvidia:
            return TorchBuild(f"torch=={TORCH}", None, PYTHONS, "an NVIDIA driver is installed")
        return TorchBuild(f"torch=={TORCH}+cpu", f"{_INDEX}/cpu", PYTHONS, "no NVIDIA driver is installed")
    if platform.startswith("windows") and nvidia:
        return TorchBuild(f"torch=={TORCH}+{_CUDA}", f"{_INDEX}/{_CUDA}", PYTHONS, "an NVIDIA driver is installed")
    return TorchBuild(f"torch=={TORCH}", None, PYTHONS, "PyPI has the build for this platform")


def has_nvidia_driver() -> bool:
    """Looks for the driver's files, without loading it."""
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", "C:\\Windows")) / "System32" / "nvcuda.dll").exists()
    return Path("/proc/driver/nvidia/version").exists()


def _version_in(folder: Path, platform: str, python: str) -> str | None:
    """For example 2.13.0+cpu, from the name of a wheel (packaging.python.org, "Binary distribution format")."""
    system, machine = _WHEEL_TAGS.get(platform, ("", ""))
    tag = f"cp{python.replace('.', '')}"
    pattern = re.compile(rf"torch-({re.escape(TORCH)}(?:\+[\w.]+)?)-{tag}-{tag}-.*{system}.*{machine}\.whl")
    found = sorted(match[1] for match in map(pattern.fullmatch, os.listdir(folder)) if match)
    return found[0] if found and system else None
