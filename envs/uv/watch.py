# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns what uv says while it installs, and the bytes that arrive meanwhile, into progress. Starts nothing."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..progress import Amount, Report, Stage
from .arrivals import Arrivals

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
class Watch:
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
    _told: str = ""

    def __call__(self, line: str) -> None:
        """To be told each line of uv's output, and an empty one now and then while there is none."""
        if not line:
            self._look()
        elif coming := _COMING.match(line):
            self._coming.add(_normal(coming[1]))
        elif begun := _BEGUN.match(line):
            self._begun[begun[1]] = float(begun[2]) * _UNITS.get(begun[3], 1)
            self._look()
        elif ended := _ENDED.match(line):
            self._ended.add(ended[1])
            self._look()
        elif line.startswith("Prepared"):
            self._look()
            self._fetching = False
            self._tell(_FETCHED, f"{self.what}: putting files into place")

    def _look(self) -> None:
        if not self._fetching or not (self._coming or self._begun):
            return
        began = time.thread_time()
        amount = Amount(self.arrivals.measure(), self._awaited())
        self.pause = min(max(_PAUSES[0], _THRIFT * (time.thread_time() - began)), _PAUSES[1])
        part = min(amount.bytes / amount.of, 1.0) if amount.of else self._downloaded()
        names = ", ".join(sorted(self._begun.keys() - self._ended))
        of = f" of {amount.of / 1e6:.0f}" if amount.of else ""
        self._tell(
            _FETCHED * part,
            f"{self.what}: {amount.bytes / 1e6:.0f}{of} MB unpacked" + (f", fetching {names}" if names else ""),
            amount,
        )

    def _awaited(self) -> int | None:
        """Bytes of all that is coming; None unless each of them is known."""
        known = {_normal(name): size for name, size in self.sizes.items()}
        return sum(known[name] for name in self._coming) if self._coming and self._coming <= known.keys() else None

    def _downloaded(self) -> float:
        """The share of the downloads that have ended. Their total grows while uv begins them."""
        ended = sum(self._begun[name] for name in self._ended & self._begun.keys())
        return ended / (sum(self._begun.values()) or 1.0)

    def _tell(self, part: float, message: str, amount: Amount | None = None) -> None:
        self._part = max(self._part, part)
        if message != self._told:
            self.report(self.stage, self._part, message, *([amount] if amount else []))
        self._told = message


def _normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
