# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels that an index or a folder offers: which of them a platform would get, and how big it is unpacked.

For developers, when locks are made. Fetches no wheel: only the directory that a zip file has at its end.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...envs.network.download import read
from ...envs.network.pipconfig import PYPI, PipConfig
from ...envs.sizes import Size

_TAIL = 1 << 17  # bytes; holds the whole directory of all but the largest wheels
_SIMPLE_JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}  # packaging.python.org, "Simple repository API"
_GLIBC, _MACOS = (2, 28), 14  # as in relock: the oldest systems that the locks are for
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MACHINES = {"linux-x86_64": "x86_64", "linux-arm64": "aarch64"}


@dataclass(frozen=True)
class Wheel:
    """``name`` is the file's, ``place`` its address or path, ``size`` its bytes."""

    name: str
    place: str | Path
    size: int

    @property
    def version(self) -> str:
        return self.name.split("-")[1]

    @property
    def tags(self) -> tuple[list[str], str, list[str]]:
        """For which Pythons, with which binary interface, on which platforms (see "Binary distribution format")."""
        python, abi, platforms = self.name.removesuffix(".whl").split("-")[-3:]
        return python.split("."), abi, platforms.split(".")


def wheels_of(package: str, version: str, config: PipConfig) -> list[Wheel]:
    """The wheels of ``package`` in ``version`` that the user's index has. Raises OSError or ValueError."""
    address = f"{(config.index_url or PYPI).rstrip('/')}/{package}/"
    files = json.loads(read(address, config, headers=_SIMPLE_JSON))["files"]
    wheels = [Wheel(each["filename"], each["url"], each["size"]) for each in files if each["filename"].endswith(".whl")]
    return [wheel for wheel in wheels if wheel.version == version]


def wheels_in(folder: Path, package: str, version: str) -> list[Wheel]:
    return [Wheel(path.name, path, path.stat().st_size) for path in folder.glob(f"{package}-{version}-*.whl")]


def best(wheels: Iterable[Wheel], platform: str, python: str) -> Wheel | None:
    """The one that ``platform`` with ``python`` (as 3.11) gets: the most special one, as every installer does it."""
    ranks = [(wheel, _rank(wheel, platform, int(python.partition(".")[2]))) for wheel in wheels]
    fitting = [(wheel, rank) for wheel, rank in ranks if rank is not None]
    return max(fitting, key=lambda each: each[1])[0] if fitting else None


def weigh(wheel: Wheel, config: PipConfig) -> Size:
    """Its sizes. Raises OSError or zipfile.BadZipFile."""
    file = wheel.place if isinstance(wheel.place, Path) else _Distant(wheel.place, wheel.size, config)
    with zipfile.ZipFile(file) as archive:
        inside = [each.file_size for each in archive.infolist() if not each.is_dir()]
    return Size(wheel.size, sum(inside), len(inside))


class _Distant(io.RawIOBase):
    """A file on a server, of which only the parts are fetched that are read."""

    def __init__(self, address: str, size: int, config: PipConfig) -> None:
        super().__init__()
        self._address, self._size, self._config, self._at = address, size, config, 0
        self._tail = self._fetch(max(0, size - _TAIL), size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:
        end = min(self._at + len(buffer), self._size)
        tail = self._size - len(self._tail)
        part = self._tail[self._at - tail : end - tail] if self._at >= tail else self._fetch(self._at, end)
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _fetch(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        content = read(self._address, self._config, headers={"Range": f"bytes={start}-{end - 1}"})
        if len(content) != end - start:
            raise OSError(f"{self._address} cannot be read in parts")
        return content


def _rank(wheel: Wheel, platform: str, minor: int) -> tuple[int, int, tuple[int, int]] | None:
    """Higher is more special; None if it does not fit."""
    pythons, abi, platforms = wheel.tags
    interpreter = max((_python_rank(each, abi, minor) for each in pythons), default=-1)
    systems = [system for system in (_system_rank(each, platform) for each in platforms) if system is not None]
    return (
        (interpreter, int(bool(systems) and max(systems) > (0, 0)), max(systems))
        if interpreter >= 0 and systems
        else None
    )


def _python_rank(tag: str, abi: str, minor: int) -> int:
    """-1 does not fit; a wheel for exactly this CPython beats one for its stable interface, which beats any Python."""
    found = re.fullmatch(r"(cp|py)3(\d*)", tag)
    if not found or (found[2] and int(found[2]) > minor):
        return -1
    if found[1] == "cp" and int(found[2] or 0) == minor and abi in (f"cp3{minor}", "abi3", "none"):
        return 300
    if found[1] == "cp":
        return 100 + int(found[2] or 0) if abi == "abi3" else -1
    return int(found[2] or 0) if abi == "none" else -1


def _system_rank(tag: str, platform: str) -> tuple[int, int] | None:
    """None if a wheel with this tag does not run on ``platform``; else the version of the system that it wants."""
    if tag == "any":
        return (0, 0)
    if platform == "windows-x86_64":
        return (1, 0) if tag == "win_amd64" else None
    if platform == "macos-arm64":
        found = re.fullmatch(r"macosx_(\d+)_(\d+)_(arm64|universal2)", tag)
        return (int(found[1]), int(found[2])) if found and int(found[1]) <= _MACOS else None
    found = re.fullmatch(rf"(manylinux\d*)(?:_(\d+)_(\d+))?_{_MACHINES[platform]}", tag)
    if not found:
        return None
    glibc = (int(found[2]), int(found[3])) if found[2] else _LEGACY.get(found[1])
    return glibc if glibc and glibc <= _GLIBC else None
