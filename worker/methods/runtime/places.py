# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of the device that is meant, without torch where that is certain: what is served from the cache needs no
network, and importing torch takes more than all the rest.

Must not know networks.
"""

from __future__ import annotations

import ctypes
import sys

_DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}
"""NVIDIA's driver, without which a build for CUDA finds no card."""


def named(device: str) -> str:
    """The device of that name, by its own name: "auto" is another one as soon as there is a card. Raises Unable where
    it does not work, if that had to be looked at."""
    if device == "cpu" or (device == "auto" and "torch" not in sys.modules and _is_surely_cpu()):
        return "cpu"
    from . import devices  # on use: brings torch

    return str(devices.pick(device))


def _is_surely_cpu() -> bool:
    """Whether the torch that is installed was built for the processor alone, or for CUDA and there is no driver. Other
    builds (macOS, ROCm, a distribution's own) must be asked."""
    from importlib import metadata  # on use: brings all that reads e-mail

    try:
        build = metadata.version("torch").partition("+")[2]
    except metadata.PackageNotFoundError:
        return False
    return build.startswith("cpu") or (build.startswith("cu") and sys.platform in _DRIVERS and not _has_driver())


def _has_driver() -> bool:
    try:
        ctypes.CDLL(_DRIVERS[sys.platform])
    except OSError:
        return False
    return True
