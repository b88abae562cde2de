# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory is free on a device, told before work that would not fit is begun.

Must not know what the memory is for. Imported on use, because it brings torch.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch

from ...core.errors import OutOfMemory

RESERVE = 1 << 29
"""Bytes that are left to everything else on a computer's own memory."""

SMALLER = "close other programs, or choose a smaller model"
"""What helps where no preset changes what is needed."""

FASTER = "choose a faster preset, or close other programs"
"""What helps where presets need differently."""


def named(device: torch.device) -> str:
    """The memory, in a sentence."""
    return "the computer's memory" if device.type == "cpu" else f"the memory of {device}"


def free(device: torch.device) -> int | None:
    """Bytes that a job could get on the device, or None where nobody says."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    available = _available()
    return None if available is None else max(available - RESERVE, 0)


def fits(device: torch.device, needed: int) -> bool:
    """Whether `needed` bytes are free on the device. Where nobody says, they are not."""
    there = free(device)
    return there is not None and needed <= there


def require(device: torch.device, needed: int, presets: Mapping[str, int]) -> None:
    """Raises OutOfMemory where `needed` bytes are not free. presets: the bytes that each would take, the best last; the
    best one that fits is named."""
    there = free(device)
    if there is None or needed <= there:
        return
    fitting = [name for name, bytes in presets.items() if bytes <= there]
    advice = f"choose the preset {fitting[-1]}" if fitting else SMALLER
    message = (
        f"this needs about {needed / 1e9:.1f} GB of {named(device)}, of which {there / 1e9:.1f} GB are free: {advice}"
    )
    raise OutOfMemory(message, needed, there)


def _available() -> int | None:
    """Bytes of the computer's memory that programs could get without swapping."""
    if sys.platform == "win32":
        return _available_on_windows()
    with suppress(OSError, ValueError, IndexError):  # Linux's file; other systems have none
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    with suppress(OSError, ValueError, AttributeError):  # macOS frees what it caches on demand: nearly all counts
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4
    return None


class _WindowsMemory(ctypes.Structure):
    """MEMORYSTATUSEX, of the Windows API."""

    _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
        (name, ctypes.c_ulonglong)
        for name in ("total", "available", "total_page", "free_page", "total_virtual", "free_virtual", "extended")
    ]


def _available_on_windows() -> int | None:
    found = _WindowsMemory()
    found.length = ctypes.sizeof(found)
    return int(found.available) if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(found)) else None
