# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves everything that is ours from one root to another, so that at any moment one of the two is whole.

First all is brought to the new root: files linked, or copied where that is another disk, environments made there from
the package cache, since they do not work at another path. Only when that is done is anything removed from the old one.
What is there already is not done again, and a journal in the new root says from where it is being filled: so the same
command finishes what was interrupted.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from . import guard
from .errors import EnvironmentProblem
from .installer import WAIT, How, create, folders_explained
from .machine.platforms import reachable
from .places import Places
from .progress import Amount, Bar, Report, Stage
from .specs import names
from .states import Status, status

_BROUGHT, _MADE = 0.4, 0.9  # how far the bar is then
_STEP = 64 << 20  # bytes between two reports


def move(root: Path, new_root: Path, report: Report, wait: float = WAIT) -> Status:
    """Moves all below ``root`` to ``new_root``, which is to be used from then on; returns core's status there.

    Raises EnvironmentProblem; then ``root`` is as it was, unless all has arrived and only the removal was left.
    """
    old, new = Places(root), Places(new_root)
    left = any(folder.exists() for folder in (old.environments, *old.movable))
    if not left and _journal(new) is None and new.environments.is_dir():  # it was interrupted at the very end
        report("ready", 1.0, f"everything is in {new_root} already")
        return status(new_root, "core")
    _require_possible(old, new)
    with folders_explained(new_root):
        old.environments.mkdir(parents=True, exist_ok=True)  # for the lock, where only the journal was left to remove
        with guard.hold(old.lock, wait, lambda message: report("wait", 0.0, message)):
            _move(old, new, report, wait)
    # The lock's file, which Windows does not let go before.
    shutil.rmtree(reachable(old.environments), ignore_errors=True)
    with contextlib.suppress(OSError):
        root.rmdir()  # unless there is something in it that is not ours
    new.journal.unlink()
    report("ready", 1.0, f"everything is in {new_root} now")
    return status(new_root, "core")


def _move(old: Places, new: Places, report: Report, wait: float) -> None:
    new.root.mkdir(parents=True, exist_ok=True)
    beside = new.journal.with_name(f"{new.journal.name}.{os.getpid()}")
    beside.write_text(json.dumps({"from": str(old.root)}), encoding="utf-8")
    os.replace(beside, new.journal)
    _bring(old, new, report)
    _make_environments(old, new, report, wait)
    _bring(old, new, report)  # what was written meanwhile
    report("move", _MADE, f"removing {old.root}")
    _remove(old)


def _require_possible(old: Places, new: Places) -> None:
    if new.root == old.root:
        raise EnvironmentProblem(f"everything is in {new.root} already: choose another folder to move it to")
    if new.root.is_relative_to(old.root):
        raise EnvironmentProblem(f"{new.root} lies in {old.root}, which is to be removed: choose a folder outside it")
    begun = _journal(new)
    if begun and begun["from"] != str(old.root):
        raise EnvironmentProblem(f"moving {begun['from']} to {new.root} was interrupted: finish that first")
    if begun:
        return
    if not old.environments.is_dir():
        raise EnvironmentProblem(f"there is nothing in {old.root} to move")
    for folder in (new.environments, *new.movable):
        if folder.exists():
            raise EnvironmentProblem(f"{folder} is there already: choose an empty folder")


def _bring(old: Places, new: Places, report: Report) -> None:
    """Links or copies what is not there yet. Files are put in place whole, so what is there is right."""
    paths = [path for folder in old.movable for path in _files(folder)]
    pairs = [(path, new.root / path.relative_to(old.root)) for path in paths]
    missing = [(source, target, source.lstat().st_size) for source, target in pairs if not os.path.lexists(target)]
    total, done, reported = sum(size for _, _, size in missing), 0, -_STEP
    free = shutil.disk_usage(new.root).free
    if total > free and old.root.stat().st_dev != new.root.stat().st_dev:
        lack = f"the disk of {new.root} has {free >> 20} MB free and {total >> 20} MB are to be moved"
        raise EnvironmentProblem(f"{lack}: free some space or choose another folder", "space")
    for source, target, size in missing:
        if done - reported >= _STEP:
            reported = done
            report("move", _BROUGHT * done / max(total, 1), f"moving {source.parent}", Amount(done, total))
        target.parent.mkdir(parents=True, exist_ok=True)
        _bring_one(source, target, old.root, new.root)
        done += size


def _files(folder: Path) -> Iterator[Path]:
    """All files and links below ``folder``; empty folders and sockets do not matter."""
    if folder.is_symlink():  # the user keeps it elsewhere
        yield folder
        return
    for parent, folders, files in os.walk(folder):
        for name in (*files, *folders):
            path = Path(parent, name)
            if path.is_symlink() or path.is_file():
                yield path


def _bring_one(source: Path, target: Path, root: Path, new_root: Path) -> None:
    if source.is_symlink():
        pointed = os.readlink(source)
        if Path(pointed).is_relative_to(root):
            pointed = str(new_root / Path(pointed).relative_to(root))
        target.symlink_to(pointed, target_is_directory=source.is_dir())
        return
    with contextlib.suppress(OSError):  # another disk, or a file system without links
        os.link(source, target)
        return
    beside = target.with_name(f"{target.name}.{os.getpid()}.moving")
    try:
        shutil.copy2(source, beside)
        os.replace(beside, target)
    except FileNotFoundError:  # gone meanwhile: a temporary file
        beside.unlink(missing_ok=True)
    except (OSError, KeyboardInterrupt):
        beside.unlink(missing_ok=True)
        raise


def _make_environments(old: Places, new: Places, report: Report, wait: float) -> None:
    """Makes all that have a marker: also what is outdated or broken in the old root is right in the new one."""
    wanted = [name for name in names() if old.marker(name).exists()]
    share = (_MADE - _BROUGHT) / max(len(wanted), 1)
    for number, name in enumerate(wanted):
        begin, bar = _BROUGHT + number * share, Bar()

        def report_part(stage: Stage, part: float, message: str, amount: Amount | None = None) -> None:
            report("move", begin + share * bar.overall(stage, part), message, amount)  # noqa: B023 called at once

        create(new.root, name, report_part, How(wait=wait))


def _remove(old: Places) -> None:
    """Markers first: what is half removed must not pass for an environment."""
    for path in [place(name) for name in names() for place in (old.marker, old.verdict)]:
        path.unlink(missing_ok=True)
    for folder in (*(each for name in names() for each in old.folders(name)), *old.movable):
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(reachable(folder))


def _journal(new: Places) -> dict | None:
    """None if nothing was begun. A journal is put in place whole, so it can be read."""
    return json.loads(new.journal.read_text(encoding="utf-8")) if new.journal.exists() else None
