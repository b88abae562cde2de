# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at an environment as deeply as asked, and lets its state say what was found. Installs and repairs nothing."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from .contents import MANIFEST, inspect_files
from .errors import EnvironmentProblem
from .places import Places
from .specs import spec
from .states import Depth, State, Status, keep_verdict, marked, read_marker, status, withdraw_verdict
from .verify import verify, whole


@dataclass(frozen=True)
class Checked:
    """``status`` is the truth as far as ``depth`` goes; ``versions`` of every package, empty unless tried out.

    ``device``: what torch computed on when it was tried out, else empty.
    """

    status: Status
    depth: Depth
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""


def check(root: Path, name: str, depth: Depth = "deep", device: str = "auto") -> Checked:
    """Checks what claims to be ready. Keeps a verdict of what is wrong, withdraws it when it is good again.

    ``device``: auto is the one it was made for. Raises EnvironmentProblem only for a name we do not have: what is
    wrong with an environment is its state.
    """
    now = marked(root, name)
    if now.state is not State.READY or depth == "quick":
        return Checked(status(root, name), depth)
    verdict = Places(root).verdict(name)
    try:
        found = _examine(root, now, depth, device)
    except EnvironmentProblem as problem:
        if marked(root, name) != now:  # another process has replaced or removed it under our hands
            return Checked(status(root, name), depth)
        with contextlib.suppress(OSError):  # a disk that is read-only or full: say it, though it cannot be kept
            keep_verdict(verdict, now.folder, str(problem), depth)
        return Checked(Status(name, State.BROKEN, str(problem), folder=now.folder), depth)
    with contextlib.suppress(OSError):
        withdraw_verdict(verdict, depth)
    return Checked(status(root, name), depth, found.versions, found.device)


def _examine(root: Path, now: Status, depth: Depth, device: str) -> Checked:
    """Raises EnvironmentProblem for anything that is wrong with what the marker calls ready."""
    marker = read_marker(Places(root).marker(now.name))
    if marker.version > 1 and not (now.folder / MANIFEST).exists():
        raise EnvironmentProblem(f"{now.folder / MANIFEST} of {now.name} is gone: repair it")
    if depth == "files":
        whole(now.name, inspect_files(now.folder))
        return Checked(now, depth)
    wanted = marker.device or "auto" if device == "auto" else device
    verdict = verify(now.python, spec(now.name), root, wanted)
    return Checked(now, depth, verdict.versions, verdict.device)
