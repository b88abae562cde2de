# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in pieces between lines of the wire. A piece is a line of JSON that says how many bytes follow it:

    {"file": "up/1/a.jpg", "bytes": 1048576}                     a piece, and more will come
    {"file": "up/1/a.jpg", "bytes": 5, "sha256": "..."}          the last one, with the digest of the whole file
    {"file": "up/1/a.jpg", "problem": "No space left"}           it cannot be had, or was not kept
    {"get": "out/1/result.glb"}                                  asks for one
    {"folder": "/tmp/x", "version": 10}                          what the far end says first
    {"alive": true}                                              nothing but that somebody is there

Names are below the far end's folder of this connection. Standard library only; must not know what files are for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..core.errors import Unable

PIECE = 1 << 18
"""Bytes: a cancel is heard, and a progress told, between two."""

LARGEST = 8 << 30
"""Bytes of a file; more is a mistake."""

ALIVE_EVERY, SILENT_FOR = 15.0, 60.0
"""Seconds between two signs of life, and without one until the other side is taken for lost."""


def header(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def fields_of(line: bytes) -> dict[str, Any] | None:
    """What a line of ours says, None of the wire's own and of anything else."""
    if not line.startswith((b'{"file"', b'{"get"', b'{"folder"', b'{"alive"')):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def pieces(path: Path, name: str) -> Iterator[bytes]:
    """The file, as it travels. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        piece = file.read(PIECE)
        while piece:
            digest.update(piece)
            after = file.read(PIECE)
            last = {} if after else {"sha256": digest.hexdigest()}
            yield header(file=name, bytes=len(piece), **last) + piece
            piece = after
        if not file.tell():
            yield header(file=name, bytes=0, sha256=digest.hexdigest())


def read_exactly(source: BinaryIO, count: int) -> bytes:
    """Raises EOFError where the connection ends first, ValueError where nobody would send as much."""
    if not 0 <= count <= PIECE:
        raise ValueError(f"a piece of {count} bytes")
    found = bytearray()
    while len(found) < count:
        more = source.read(count - len(found))
        if not more:
            raise EOFError
        found += more
    return bytes(found)


class Arriving:
    """A file that comes in pieces. It has its name once it is whole, and its digest is what was told."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(f".{path.name[:100]}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._digest, self._size = self._part.open("wb"), hashlib.sha256(), 0

    def take(self, piece: bytes, digest: str | None) -> bool:
        """Whether that was the last piece. Raises OSError, and Unable where what came is not what was sent."""
        self._size += len(piece)
        if self._size > LARGEST:
            raise Unable(f"{self._path.name} is larger than a file can be here")
        self._file.write(piece)
        self._digest.update(piece)
        if digest is None:
            return False
        self._file.close()
        if digest != self._digest.hexdigest():
            raise Unable(f"{self._path.name} was damaged on its way: try again")
        self._part.replace(self._path)
        return True

    def drop(self) -> None:
        """Leaves nothing of it."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def below(folder: Path, name: str) -> Path:
    """The path of that name in the folder. Raises ValueError for what leads out of it."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part in ("..", ".") or "\\" in part or "\0" in part for part in parts):
        raise ValueError(f"a name that leads elsewhere: {name!r}")
    return folder.joinpath(*parts)
