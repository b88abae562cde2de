# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine without its graphics, and whether there are packages for it at all: found before anything is downloaded.

What torch wants is what the wheels of 2.13.0 on PyPI are named for: manylinux_2_28 (a glibc of 2.28 or newer, PEP
600), macosx_14_0_arm64, win_amd64. Asks files and the system, starts nothing; knows no specs and no folders.
"""

import ctypes
import glob
import os
import platform
import struct
import sys
from dataclasses import dataclass

from .platforms import platform_name

GLIBC = (2, 28)
MACOS = (14, 0)
PLATFORMS = {
    "linux-x86_64": "Linux",
    "linux-arm64": "Linux on ARM",
    "windows-x86_64": "Windows",
    "macos-arm64": "macOS on Apple silicon",
}


@dataclass(frozen=True)
class System:
    """``platform``: the name of a lock; ``bits``: of this Python; ``glibc``: its version, None where there is none.

    ``musl``: whether the system's C library is musl; ``macos``: its version; ``translated``: whether this Python is
    made for Intel and runs on Apple silicon.
    """

    platform: str
    bits: int = 64
    glibc: tuple[int, ...] | None = None
    musl: bool = False
    macos: tuple[int, ...] = ()
    translated: bool = False


def this_system() -> System:
    """The one that this process runs on."""
    glibc = _glibc()
    return System(
        platform=platform_name(),
        bits=struct.calcsize("P") * 8,
        glibc=glibc,
        musl=sys.platform == "linux" and glibc is None and bool(glob.glob("/lib/ld-musl-*")),
        macos=_numbers(platform.mac_ver()[0]),
        # developer.apple.com, "About the Rosetta translation environment"
        translated=sys.platform == "darwin" and _sysctl("sysctl.proc_translated") == b"\x01\0\0\0",
    )


def why_not(system: System) -> str | None:
    """Why nothing can be installed on ``system``, and what to do; None where it can be."""
    if system.translated:
        return "this Python is made for Intel and runs translated: use the Blender or Python for Apple silicon"
    if system.platform == "macos-x86_64":
        return "torch is not made for Macs with an Intel processor: use a Mac with Apple silicon, or another PC"
    if system.platform == "windows-arm64":
        return "there are no packages for Windows on ARM: use a PC with an Intel or AMD processor"
    if system.platform not in PLATFORMS:
        known = ", ".join(PLATFORMS.values())
        return f"there are no packages for this kind of machine ({system.platform}): there are for {known}, all 64-bit"
    if system.bits != 64:
        return "this Python is a 32-bit one, which cannot ask the graphics driver: use a 64-bit Blender or Python"
    if system.platform == "macos-arm64" and system.macos < MACOS:
        return f"macOS {_dotted(system.macos)} is too old for torch: update macOS to {MACOS[0]} or newer"
    wanted = f"a Linux with glibc {_dotted(GLIBC)} or newer, for example Debian 10, Ubuntu 20.04 or Fedora 29"
    if system.musl:
        return f"this Linux has musl in place of glibc, for which torch is not made: use {wanted}"
    if system.glibc is not None and system.glibc < GLIBC:
        return f"glibc {_dotted(system.glibc)} of this Linux is too old for torch: use {wanted}"
    return None


def memory_bytes() -> int | None:
    """All the machine's memory; None where the system does not say (Windows, which would want a library for it)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def apple_processor() -> str:
    """Apple's name for it, which is the name of its graphics, too."""
    return _sysctl("machdep.cpu.brand_string").rstrip(b"\0").decode(errors="replace")


def _sysctl(name: str) -> bytes:
    """What macOS's core knows by ``name`` (sysctlbyname(3)); empty if it does not."""
    buffer, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
    failed = ctypes.CDLL(None).sysctlbyname(name.encode(), buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return b"" if failed else buffer.raw[: size.value]


def _glibc() -> tuple[int, ...] | None:
    """From confstr(3): "glibc 2.36"; elsewhere there is no such name."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, ValueError, OSError):
        return None
    return _numbers(version) if name == "glibc" else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
