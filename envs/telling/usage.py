# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the disk everything below a root takes. Reads sizes only; takes about a second for 40 000 files."""

import os
from collections.abc import Iterable
from pathlib import Path

from ..places import Places


def measure(places: Places) -> dict[str, int]:
    """Bytes by what takes them. A file that has several names is counted once, for the first of these."""
    seen: set[tuple[int, int]] = set()
    parts = {
        "environments": [places.environments],
        "packages cache": [places.cache],
        "interpreters and tools": [places.pythons, places.tools],
        "weights": [places.root / "weights"],
        "results": [places.root / "cache" / "results"],
        "logs and the rest": [places.root],
    }
    return {name: size_of(folders, seen) for name, folders in parts.items()}


def size_of(folders: Iterable[Path], seen: set[tuple[int, int]] | None = None) -> int:
    """Bytes of the files in ``folders``, of those that are not among the ``seen`` (device and number)."""
    seen = set() if seen is None else seen
    total, waiting = 0, [str(folder) for folder in folders]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # it is not there, or has just gone
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
                continue
            try:
                status = os.stat(entry.path, follow_symlinks=False)  # the entry's own has no number on Windows
            except OSError:
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total
