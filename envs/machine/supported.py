# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there are packages for this system at all: found before anything is downloaded.

What torch wants is what the wheels of 2.13.0 on PyPI are named for: manylinux_2_28 (a glibc of 2.28 or newer, PEP
600), macosx_14_0_arm64, win_amd64. Knows no specs, no folders and no hardware.
"""

import glob
import os
import platform
import struct
import sys
from dataclasses import dataclass

from .host import is_translated
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

    ``musl``: whether the system's C library is musl; ``macos``: its version; ``translated``: see host.is_translated.
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
        translated=is_translated(),
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
    return _why_not_linux(system) if system.platform.startswith("linux") else None


def _why_not_linux(system: System) -> str | None:
    wanted = f"a Linux with glibc {_dotted(GLIBC)} or newer, for example Debian 10, Ubuntu 20.04 or Fedora 29"
    if system.musl:
        return f"this Linux has musl in place of glibc, for which torch is not made: use {wanted}"
    if system.glibc is not None and system.glibc < GLIBC:
        return f"glibc {_dotted(system.glibc)} of this Linux is too old for torch: use {wanted}"
    return None


def _glibc() -> tuple[int, ...] | None:
    """From confstr(3): "glibc 2.36"; elsewhere there is no such name."""
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}):
        return None
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except OSError:
        return None
    return _numbers(version) if name == "glibc" else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
