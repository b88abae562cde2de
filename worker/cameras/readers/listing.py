# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files that list pictures, whoever wrote them on whatever machine: their text, and where the pictures are.

Must not know what else such a file holds.
"""

from __future__ import annotations

import codecs
import os
from pathlib import Path, PurePosixPath

from ...core.errors import Unable
from ...core.file_types import TAKEN
from ...core.texts import shortened
from ...pictures.look import files_below

LARGEST = 64 << 20
"""Bytes of a list: a hundred thousand frames take less."""

ENDINGS = tuple(ending for each in TAKEN for ending in (each, each.upper()))
"""What is tried for a picture that a file names without an ending, as NeRF's synthetic scenes do."""

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def text_of(path: Path) -> str:
    """The file's text: UTF-8, or what its first bytes say that it is. Raises Unable."""
    check_file(path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise Unable(f"there is no file {path}: choose it again") from None
    except OSError as error:
        raise Unable(f"{path.name} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise Unable(f"{path.name} is larger than {LARGEST >> 20} MB, which no list of cameras is: choose another file")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    encoding = encoding or {b"\0": "utf-16-be"}.get(content[:1]) or {b"\0": "utf-16-le"}.get(content[1:2], "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unable(f"{path.name} is not text that can be read ({error.reason}): save it as UTF-8") from None


def check_file(path: Path) -> None:
    """Raises Unable where there is something else than a file: reading a pipe would never end."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise Unable(f"{shown(path.name)} is no file but a folder, a device or a pipe: choose another")


class Files:
    """The pictures that a list in `folder` names: where it says, else by their names below the folder.

    by_name: how many were found only by their names, as a list does that was written on another machine.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._below: dict[str, list[str]] | None = None
        self._taken: dict[str, str] = {}
        self.by_name = 0

    def find(self, name: str) -> str | None:
        """The file of that name, as seen from the folder, or None. No two names get the same file by name alone."""
        given = name.replace("\\", "/")
        for file in (given, *(given + ending for ending in ENDINGS)):
            if os.path.isfile(self._folder / file):
                return file
        found = self._by_name(given)
        if found is None or self._taken.setdefault(found, name) != name:
            return None
        self.by_name += 1
        return found

    def _by_name(self, given: str) -> str | None:
        """The file whose path ends like the given one, in as many parts as can be, whatever case it is written in."""
        parts = [part for part in PurePosixPath(given.lower()).parts if part not in ("/", ".", "..")]
        if not parts:
            return None
        if self._below is None:
            self._below = _listed(self._folder)
        candidates = [file for ending in ("", *TAKEN) for file in self._below.get(parts[-1] + ending, ())]
        common = {file: _common_end(file.lower(), parts) for file in candidates}
        best = [file for file in candidates if common[file] == max(common.values())]
        return best[0] if len(best) == 1 else None


def _listed(folder: Path) -> dict[str, list[str]]:
    """Files below the folder, as seen from it, by their names in lower case."""
    found: dict[str, list[str]] = {}
    for path in files_below(folder):
        found.setdefault(path.name.lower(), []).append(path.relative_to(folder).as_posix())
    return found


def _common_end(file: str, parts: list[str]) -> int:
    """How many parts before the last are the same from the end."""
    pairs = zip(reversed(file.split("/")[:-1]), reversed(parts[:-1]))
    count = 0
    for ours, theirs in pairs:
        if ours != theirs:
            break
        count += 1
    return count


def shown(name: str) -> str:
    """A frame's name in a sentence."""
    return shortened(name, 80)
