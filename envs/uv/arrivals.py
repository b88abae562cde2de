# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes of packages have arrived so far, seen from outside of uv: on the disk, where uv puts them.

uv tells when the download of a package begins and when it has ended, and nothing between, unless it has a terminal. But
it unpacks each wheel while it arrives, into a folder ``.tmp...`` in its cache, which it renames to ``archive-.../ID``
when it is whole (seen with uv 0.13; https://docs.astral.sh/uv/concepts/cache/ leaves it open). Where another uv does it
otherwise, nothing is seen and nothing is claimed. Reads sizes only; knows no packages and shows nothing.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ..machine.platforms import reachable

_SETTLED = 5.0  # seconds; a file is written to its end before the next one of the same wheel is begun


@dataclass
class Arrivals:
    """Counts what has come into the cache since it was made."""

    cache: Path
    reached: int = 0
    _before: set[Path] = field(init=False)
    _growing: dict[Path, "_Growing"] = field(default_factory=dict)
    _whole: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {*_archives(self.cache), *unfinished(self.cache)}

    def measure(self) -> int:
        """Bytes of unpacked files so far. Never less than before."""
        for folder in _archives(self.cache):  # before the others: one that is renamed meanwhile is not counted twice
            if folder not in self._before and folder not in self._whole:
                self._whole[folder] = _Growing(folder).measure()
        growing = [folder for folder in unfinished(self.cache) if folder not in self._before]
        self._growing = {folder: self._growing.get(folder) or _Growing(folder) for folder in growing}
        now = sum(self._whole.values()) + sum(each.measure() for each in self._growing.values())
        self.reached = max(self.reached, now)
        return self.reached


def unfinished(cache: Path) -> list[Path]:
    """Where wheels are being unpacked, or were when uv was ended."""
    return [path for path in cache.glob(".tmp*") if path.is_dir()]


def clear_unfinished(cache: Path) -> None:
    """Removes what an ended uv left unfinished, up to gigabytes that nothing else would remove."""
    for folder in unfinished(cache):
        shutil.rmtree(reachable(folder), ignore_errors=True)  # one that resists (a file open on Windows) waits


def _archives(cache: Path) -> list[Path]:
    return list(cache.glob("archive-*/*"))


@dataclass
class _Growing:
    """The bytes in a folder that grows: what has not changed for a while is not looked at again."""

    folder: Path
    settled: dict[str, int] = field(default_factory=dict)

    def measure(self) -> int:
        found: dict[str, tuple[int, float]] = {}
        self._look_into(str(self.folder), found)
        newest = max((written for _, written in found.values()), default=0.0)
        total = sum(self.settled.values()) + sum(size for size, _ in found.values())
        self.settled.update({path: size for path, (size, at) in found.items() if at < newest - _SETTLED})
        return total

    def _look_into(self, folder: str, found: dict[str, tuple[int, float]]) -> None:
        try:
            entries = list(os.scandir(folder))
        except OSError:  # renamed or removed meanwhile
            return
        for entry in entries:
            if entry.path in self.settled:
                continue
            if entry.is_dir(follow_symlinks=False):
                self._look_into(entry.path, found)
                continue
            try:
                status = os.stat(entry.path, follow_symlinks=False)  # the entry's own is out of date on Windows
            except OSError:
                continue
            found[entry.path] = (status.st_size, status.st_mtime)
