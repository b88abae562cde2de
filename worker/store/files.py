# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear under their name when they are whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO


class WholeFile:
    """A binary file to write, which gets its name when the block ends without an error. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> IO[bytes]:
        self._file = tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".new-", delete=False)  # noqa: SIM115
        return self._file

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._file.close()
        if kind is None:
            os.replace(self._file.name, self._path)
        else:
            os.unlink(self._file.name)


def written_whole(path: Path, content: bytes) -> None:
    """Writes what is nice to have: where that cannot be done nothing is."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with WholeFile(path) as file:
            file.write(content)
