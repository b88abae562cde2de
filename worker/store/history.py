# SPDX-License-Identifier: GPL-3.0-or-later
"""The results in a cache's folder, as a user looks at them. Must not know how they are made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import unsealed, written_whole
from .folders import LIMIT, TIMINGS

THUMBNAIL, CLAY = ".png", ".clay.png"
MOST = 200
"""Entries that are told, the newest."""


@dataclass(frozen=True)
class History:
    """The folder `root`."""

    root: Path

    def keep_pictures(self, key: str, thumbnail: bytes, clay: bytes) -> None:
        """Keeps PNG files beside a result."""
        for ending, content in ((THUMBNAIL, thumbnail), (CLAY, clay)):
            written_whole(self.root / (key + ending), content)

    def entries(self) -> list[dict[str, Any]]:
        """The fields of `wire.making.HistoryEntry` of each result, the newest first. What is damaged is left out."""
        newest = sorted(self.root.glob("*.json"), key=_when, reverse=True)
        return [entry for path in newest if path.name != TIMINGS for entry in self._entry(path)][:MOST]

    def state(self) -> dict[str, Any]:
        """The fields of `wire.making.History`."""
        size = sum(_size(path) for path in self.root.glob("*"))
        return {"entries": self.entries(), "bytes": size, "limit": LIMIT}

    def remove(self, keys: Sequence[str], everything: bool) -> None:
        """Removes results with what lies beside them; everything: representations as well."""
        names = ["*"] if everything else [f"{key}.*" for key in keys if key.isalnum()]
        for path in (path for name in names for path in self.root.glob(name)):
            if path.is_file() and path.name != TIMINGS:
                with suppress(OSError):
                    path.unlink()

    def _entry(self, path: Path) -> Iterator[dict[str, Any]]:
        key, glb = path.stem, path.with_suffix(".glb")
        with suppress(OSError, ValueError, OverflowError, KeyError, TypeError):
            facts = unsealed(path.read_bytes())
            fields = {name: facts[name] for name in ("name", "faces", "provenance")}
            pictures = {name: self._picture(key + end) for name, end in (("thumbnail", THUMBNAIL), ("clay", CLAY))}
            yield {**fields, **pictures, "key": key, "seconds": float(facts["took"]), "bytes": os.path.getsize(glb)}

    def _picture(self, name: str) -> str:
        return str(self.root / name) if (self.root / name).is_file() else ""


def without_bookkeeping(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What was kept of a result, without what only the history needs."""
    return {name: value for name, value in facts.items() if name not in ("took", "photos_key")}


def _size(path: Path) -> int:
    with suppress(OSError):  # removed meanwhile, as by another worker
        return path.stat().st_size if path.is_file() else 0
    return 0


def _when(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0
