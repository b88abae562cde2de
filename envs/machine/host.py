# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine without its graphics: system, processor, memory. Asks files and the system, starts nothing.

Knows nothing of what any of it is good for. None or an empty text where the system does not say.
"""

import ctypes
import os
import platform
import sys
from pathlib import Path


def system() -> str:
    """For people: "Ubuntu 24.04.1 LTS (Linux 6.8.0)", "Windows 11 (build 22631)", "macOS 14.5"."""
    if sys.platform == "win32":
        version = sys.getwindowsversion()  # platform.release() asks the WMI service, which may take long to answer
        name = "11" if version.major == 10 and version.build >= 22000 else f"{version.major}"
        return f"Windows {name} (build {version.build})"
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')} ({kernel})"
    except OSError:
        return kernel


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as its maker gives it, empty where the system does not tell."""
    if sys.platform == "win32":
        return _registry_text(r"HARDWARE\DESCRIPTION\System\CentralProcessor\0", "ProcessorNameString").strip()
    if sys.platform == "darwin":
        return sysctl_text("machdep.cpu.brand_string")
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    names = [line.partition(":")[2].strip() for line in lines if line.lower().startswith(("model name", "hardware\t"))]
    return names[0] if names else ""


def memory_bytes() -> int | None:
    """All the machine's memory."""
    if sys.platform == "win32":
        return _windows_memory()
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def is_translated() -> bool:
    """Whether this Python is made for Intel and runs translated on Apple silicon.

    Source: developer.apple.com, "About the Rosetta translation environment": sysctl.proc_translated.
    """
    return sys.platform == "darwin" and _sysctl("sysctl.proc_translated") == b"\x01\0\0\0"


def sysctl_text(name: str) -> str:
    """A text that macOS's core knows by ``name``; empty if it does not."""
    return _sysctl(name).rstrip(b"\0").decode(errors="replace")


def _sysctl(name: str) -> bytes:
    """sysctlbyname(3)."""
    library = ctypes.CDLL(None)
    buffer, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
    failed = library.sysctlbyname(name.encode(), buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return b"" if failed else buffer.raw[: size.value]


def _registry_text(key: str, name: str) -> str:
    import winreg  # exists on Windows only

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
            return str(winreg.QueryValueEx(opened, name)[0])
    except OSError:
        return ""


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of sysinfoapi.h."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("rest", ctypes.c_uint64 * 6),
    )


def _windows_memory() -> int | None:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    worked = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return status.total if worked else None
