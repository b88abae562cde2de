# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each thing of a long work, in a file of JSON lines beside its results. Must not know what they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import Unable
from ..core.whole_file import WholeFile
from .files import parsed


class Ledger:
    """The file at `path`: one object for each name, the last one counts. A line is written at once, so that whoever is
    killed has told of all that was done; one that was cut off is not found. beside: ledgers of others, which are only
    read. Raises Unable where it cannot be written.
    """

    def __init__(self, path: Path, beside: Iterable[Path] = ()) -> None:
        self._path, self._entries = path, _read(path)
        self._beside = [_read(each) for each in beside]
        self.settle(())

    def __getitem__(self, name: str) -> dict[str, Any]:
        """What is known of it, nothing where it is new."""
        return self._entries.get(name, {})

    def known(self, name: str) -> list[dict[str, Any]]:
        """What this one and those beside it say of it."""
        return [entries[name] for entries in (self._entries, *self._beside) if name in entries]

    def add(self, entry: dict[str, Any]) -> None:
        """Writes down what became of `entry["name"]`."""
        self._entries[entry["name"]] = entry
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(file, _line(entry))
            finally:
                os.close(file)
        except OSError as error:
            raise self._unable(error) from None

    def settle(self, names: Iterable[str]) -> None:
        """Writes the file anew: each name once, these first and in their order."""
        first = {name: self._entries[name] for name in names if name in self._entries}
        self._entries = first | self._entries
        try:
            with WholeFile(self._path) as file:
                file.writelines(map(_line, self._entries.values()))
        except OSError as error:
            raise self._unable(error) from None

    def _unable(self, error: OSError) -> Unable:
        return Unable(f"{self._path} could not be written ({error.strerror or error}): free space, or choose another")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    found = {}
    with suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError, KeyError, TypeError):
                entry = parsed(line)
                found[str(entry["name"])] = entry
    return found


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, allow_nan=False).encode() + b"\n"
