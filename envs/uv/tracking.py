# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns what uv prints while it installs, and the bytes that arrive meanwhile, into progress. Starts nothing.

uv tells when the download of a package begins and when it has ended, and nothing between, unless it has a terminal. But
it unpacks each wheel while it arrives, into a folder ``.tmp...`` in its cache, which it renames to ``archive-.../ID``
when it is whole (seen with uv 0.13; https://docs.astral.sh/uv/concepts/cache/ leaves it open). Where another uv does it
otherwise, nothing is seen and nothing is claimed.
"""

import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..machine.platforms import reachable
from ..progress import Amount, Report, Stage
from ..sizes import normal

# Has uv name the packages that are not in its cache, before it fetches them.
VARIABLES = {"RUST_LOG": "uv_installer::plan=debug"}

_COMING = re.compile(r"DEBUG (?:Identified uncached distribution|Must revalidate requirement): ([\w.-]+)")
_BEGUN = re.compile(r"Downloading (\S+)(?: \(download\))? \(([\d.]+)([KMG]?i?B)\)")
_ENDED = re.compile(r" Downloaded (\S+)")
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_FETCHED = 0.95  # the part of a stage after which only linking files is left
_PAUSES = 0.5, 5.0  # seconds between two looks at the disk, the least and the most
_THRIFT = 30  # times as long as a look took this thread


@dataclass
class Arrivals:
    """Counts the bytes of unpacked files that have come into uv's cache since it was made."""

    cache: Path
    reached: int = 0
    _before: set[Path] = field(init=False)
    _whole: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {*self.cache.glob("archive-*/*"), *unfinished(self.cache)}

    def measure(self) -> int:
        """Bytes of unpacked files so far. Never less than before."""
        for folder in self.cache.glob("archive-*/*"):  # first: one that is renamed meanwhile is not counted twice
            if folder not in self._before and folder not in self._whole:
                self._whole[folder] = _bytes_in(folder)
        growing = sum(_bytes_in(folder) for folder in unfinished(self.cache) if folder not in self._before)
        self.reached = max(self.reached, sum(self._whole.values()) + growing)
        return self.reached


def unfinished(cache: Path) -> list[Path]:
    """Where wheels are being unpacked, or were when uv was ended."""
    return [path for path in cache.glob(".tmp*") if path.is_dir()]


def clear_unfinished(cache: Path) -> None:
    """Removes what an ended uv left unfinished, up to gigabytes that nothing else would remove."""
    for folder in unfinished(cache):
        shutil.rmtree(reachable(folder), ignore_errors=True)  # one that resists (a file open on Windows) waits


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name), follow_symlinks=False).st_size
            except OSError:  # renamed or removed meanwhile
                continue
    return total


@dataclass
class Tracker:
    """Follows one run of uv. ``sizes``: bytes of packages when they are unpacked, as far as they are known."""

    stage: Stage
    what: str
    report: Report
    arrivals: Arrivals
    sizes: Mapping[str, int] = field(default_factory=dict)
    pause: float = _PAUSES[0]  # seconds until it is worth to look at the disk again
    _coming: set[str] = field(default_factory=set)
    _begun: dict[str, float] = field(default_factory=dict)  # bytes of downloads, as uv names them
    _ended: set[str] = field(default_factory=set)
    _fetching: bool = True
    _part: float = 0.0
    _message: str = ""

    def __call__(self, line: str) -> None:
        """To be given each line of uv's output, and an empty one now and then while there is none."""
        if coming := _COMING.match(line):
            self._coming.add(normal(coming[1]))
            return
        if begun := _BEGUN.match(line):
            self._begun[begun[1]] = float(begun[2]) * _UNITS.get(begun[3], 1)
        elif ended := _ENDED.match(line):
            self._ended.add(ended[1])
        prepared = line.startswith("Prepared")
        if not line or begun or ended or prepared:
            self._look()
        if prepared:
            self._fetching = False
            self._show(_FETCHED, f"{self.what}: putting files into place")

    def _look(self) -> None:
        """At how much has arrived, of what is coming as far as the size of each of them is known."""
        if not self._fetching or not (self._coming or self._begun):
            return
        began, known = time.thread_time(), {normal(name): size for name, size in self.sizes.items()}
        all_known = self._coming and self._coming <= known.keys()
        amount = Amount(self.arrivals.measure(), sum(map(known.get, self._coming)) if all_known else None)
        self.pause = min(max(_PAUSES[0], _THRIFT * (time.thread_time() - began)), _PAUSES[1])
        # Else the share of the downloads that have ended. Their total grows while uv begins them.
        ended = sum(self._begun[name] for name in self._ended & self._begun.keys())
        part = min(amount.bytes / amount.of, 1.0) if amount.of else ended / (sum(self._begun.values()) or 1.0)
        names = ", ".join(sorted(self._begun.keys() - self._ended))
        of = f" of {amount.of / 1e6:.0f}" if amount.of else ""
        message = f"{self.what}: {amount.bytes / 1e6:.0f}{of} MB unpacked" + (f", fetching {names}" if names else "")
        self._show(_FETCHED * part, message, amount)

    def _show(self, part: float, message: str, amount: Amount | None = None) -> None:
        self._part = max(self._part, part)
        if message != self._message:
            self.report(self.stage, self._part, message, *([amount] if amount else []))
        self._message = message
