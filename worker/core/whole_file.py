# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear under their name when they are whole, or not at all, and their folders. Must not know what is in
them.

The only place in this room that touches the disk: the store and the writer of GLB files, which may not know each other,
must not disagree on links, modes and what is left behind.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .errors import Invalid, Unable

_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""What file systems say that cannot be told to write down now."""


class WholeFile:
    """A binary file to write, which gets its name when the block ends without an error.

    It is on the disk before it has its name, so that no loss of power leaves a half one. A link is followed, an
    existing file keeps its mode, a new one has the umask's. Raises OSError, also where the existing file must not be
    written; whatever is raised, nothing is left behind.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))

    def __enter__(self) -> BinaryIO:
        mode = writable_mode(self._path)
        self._new = self._path.with_name(f".new-{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(self._new, flags, 0o666), "wb")
        if mode is not None:
            with suppress(OSError):  # not ours to say on some shares
                os.chmod(self._new, mode)
        return self._file

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            with self._file:
                if kind is None:
                    self._file.flush()
                    _sync(self._file)
            if kind is None:
                os.replace(self._new, self._path)
        finally:
            with suppress(OSError):  # it has its name, mostly
                os.unlink(self._new)


def writable_mode(path: Path) -> int | None:
    """The mode of the file at `path`, None where there is none. Raises OSError where it must not be written."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EEXIST, "it is not a file")
    if not found.st_mode & 0o222 or not os.access(path, os.W_OK):  # root may write what it should not
        raise PermissionError(errno.EACCES, "it is read-only")
    return stat.S_IMODE(found.st_mode)


def _sync(file: BinaryIO) -> None:
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def checked_folder(path: Path, written: bool = True) -> Path:
    """The folder, which is there or will be made, where that can be told. written: whether it has to be writable.
    Raises Invalid, Unable."""
    try:
        there = next(each for each in (path, *path.parents) if each.exists())
    except OSError as error:
        raise Unable(f"the folder {path} cannot be made ({error.strerror or error}): choose another") from None
    if not there.is_dir():
        raise Invalid(f"{there} is a file: name a folder")
    if written and not os.access(there, os.W_OK):
        raise Unable(f"the folder {there} cannot be written to: choose another")
    return path


def made_folder(path: Path) -> Path:
    """The folder, made where there is none, with those that it lies in. Raises Invalid, Unable."""
    checked_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unable(f"the folder {path} cannot be made ({error.strerror or error}): choose another") from None
    return path
