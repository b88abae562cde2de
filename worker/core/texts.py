# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that come from outside: for the user's eyes, and as names of files. Standard library only."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from .errors import Unable

LONGEST_SHOWN = 300
"""Characters of a text from outside that are repeated in a sentence."""


def readable(text: str) -> str:
    """The text with a mark in place of each broken surrogate: a file's name that is not UTF-8 has some, and neither a
    terminal nor Blender shows them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _is_broken(text) else text


def shortened(text: str, most: int = LONGEST_SHOWN) -> str:
    """The text on one line, readable, and cut where it is longer than a sentence may repeat."""
    text = readable(text) if text.isprintable() else "".join(c if c.isprintable() else " " for c in readable(text))
    return text if len(text) <= most else f"{text[:most]}..."


def path_of(text: str) -> Path:
    """The path that a request names. Raises Unable where no file can be called so."""
    shown = shortened(text, 60)
    try:
        os.lstat(text)
    except ValueError:  # a NUL, or half of a character
        raise Unable(f"no file can be called {shown!r}: choose it again") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise Unable(f"the name {shown} is longer than a file's can be: choose another") from None
        if not text:
            raise Unable("an empty name names no file: choose one") from None
    return Path(text)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
