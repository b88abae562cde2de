# SPDX-License-Identifier: GPL-3.0-or-later
"""What a folder holds, as far as the panel shows it before the worker has read it: pictures, by their names alone. Must
not know bpy.
"""

from __future__ import annotations

import os
from itertools import islice

from ...worker.core.file_types import IMAGE_FOLDERS, MASK_MARKS, TAKEN, raw_twins

MOST = 5000
"""Entries of a folder that are looked at: some 10 ms; beyond that nobody counts."""


def pictures_in(folder: str) -> tuple[str, ...]:
    """Paths of its pictures in the order of names, without masks; of those in its usual folder of photos where it has
    none itself. Nothing where it cannot be read."""
    own = _listed(folder)
    inner = (os.path.join(folder, name) for name in IMAGE_FOLDERS)
    return own or next(filter(None, map(_listed, inner)), ())


def _listed(folder: str) -> tuple[str, ...]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MOST) if _is_photo(entry.name.lower())]
    except OSError:
        return ()
    twins = raw_twins(names)
    return tuple(os.path.join(folder, name) for name in sorted(names) if name not in twins)


def _is_photo(name: str) -> bool:
    stem, ending = os.path.splitext(name)
    return ending in TAKEN and not stem.startswith(".") and not stem.endswith(MASK_MARKS)


class Folder:
    """The pictures of the folder that is chosen; `pictures` is empty where none is."""

    def __init__(self) -> None:
        self.pictures: tuple[str, ...] = ()
        self._seen: tuple[str, int] = ("", 0)

    def look(self, path: str) -> None:
        """Looks again if it is another folder, or has changed; "" for none."""
        try:
            seen = path, os.stat(path).st_mtime_ns if path else 0
        except OSError:
            seen = path, 0
        if seen != self._seen:
            self._seen, self.pictures = seen, pictures_in(path) if path else ()
