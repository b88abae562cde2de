# SPDX-License-Identifier: GPL-3.0-or-later
"""Which command reaches a worker on another machine. No shell reads anything of a user's as more than a word."""

from __future__ import annotations

import re
import shlex

from ..core.errors import Invalid
from ..core.texts import shortened

FOLDER = "image_to_3d"
"""Where the program lies there, from the user's own folder, where nobody says."""

_HOST = re.compile(r"(?:[\w.+%~][\w.+%~-]*@)?(?:\w[\w.%-]*|\[[0-9a-fA-F:.%]+\])")


def split(where: str) -> tuple[str, str]:
    """Host and folder of `[user@]host[:folder]`. Raises Invalid."""
    found = re.fullmatch(rf"({_HOST.pattern})(?::(.+))?", where, re.DOTALL)
    if not found or "\0" in where or "\n" in where:
        raise Invalid(f"{shortened(where)!r} is no machine: name it as user@host, or user@host:folder")
    return found[1].replace("[", "").replace("]", ""), found[2] or FOLDER


def command(where: str, environment: str = "core", make: bool = False) -> list[str]:
    """The command that starts the far end on the machine, in the program's environment there; make: which is made first
    if it is not ready. What the connection needs (port, key, ...) is in the user's own settings of ssh."""
    host, folder = split(where)
    ready = "" if make else "--only-ready "
    there = f"python3 -m envs run {ready}--name {shlex.quote(environment)} far"
    words = f"cd -- {shlex.quote(folder)} && exec {there}"
    return ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "--", host, words]
