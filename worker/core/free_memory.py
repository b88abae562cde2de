# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the computer's memory is free. Standard library only; must not know what it is for."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress


def available() -> int | None:
    """Bytes of the computer's memory that programs could get without swapping; None where nobody says."""
    if sys.platform == "win32":
        return _on_windows()
    with suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as file:  # Linux's
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))
    with suppress(OSError, ValueError, AttributeError):  # macOS frees what it caches on demand: nearly all counts
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4
    return None


class _WindowsMemory(ctypes.Structure):
    """MEMORYSTATUSEX, of the Windows API."""

    _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
        (name, ctypes.c_ulonglong)
        for name in ("total", "available", "total_page", "free_page", "total_virtual", "free_virtual", "extended")
    ]


def _on_windows() -> int | None:
    found = _WindowsMemory()
    found.length = ctypes.sizeof(found)
    return int(found.available) if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(found)) else None
