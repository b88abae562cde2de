# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of our own code, for keys: what other code has made is not served as if this had.

A step's digest covers whole rooms, all that the step may import (tests/test_rooms.py compares them with what is
imported), not single functions: a change too many costs a run, one too few serves what is outdated.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ..methods import under
from ..methods.method import Method

WORKER = Path(__file__).parent.parent
SHARED = ("core", "pictures", "cameras", "methods/runtime", "methods/matting", "methods/method.py")
"""What every method may import beside its own folder."""

PLACING = ("core", "pictures", "cameras")
FINISHING = ("core", "pictures", "geometry", "finish")

TOLD = ("pipeline/request.py", "pipeline/shown.py", "pipeline/work.py")
"""Write down what is told about a finished file, which is kept with it."""


def of_method(method: Method) -> str:
    """The digest of the code that makes a method's representation."""
    own = [Path(find_spec(each.package).origin).parent for each in (method, *under(method))]
    return _digest((*(WORKER / room for room in (*SHARED, *method.rooms)), *own))


def of_cameras() -> str:
    """The digest of the code that finds or reads the cameras of several pictures."""
    return _digest(tuple(WORKER / room for room in PLACING))


def of_finish() -> str:
    """The digest of the code that makes a file of a representation, and what is told about it."""
    return _digest(tuple(WORKER / room for room in (*FINISHING, *TOLD)))


def of_all() -> str:
    """The digest of all our code."""
    return _digest((WORKER,))


@cache
def _digest(rooms: tuple[Path, ...]) -> str:
    found = hashlib.sha256()
    for room in rooms:
        for path in sorted(room.rglob("*.py")) if room.is_dir() else [room]:
            found.update(f"{path.relative_to(room.parent)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()
