# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes, repairs and removes environments: what is looked at before, the folder, and last of all the marker.

What was in use before stays in use until the new one is verified. Knows the order of the steps, not the steps.
"""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from . import guard, sizes
from .check import check
from .contents import damaged_in_cache, damaged_packages, inspect_files
from .errors import EnvironmentProblem
from .machine import hardware, preflight, torchbuild
from .machine.platforms import reachable
from .machine.torchbuild import TorchBuild
from .network import pipconfig
from .network.pipconfig import PipConfig
from .places import Places
from .progress import Report, plan
from .specs import Spec, spec
from .states import State, Status, status, write_marker
from .uv import uvtool
from .uv.uvrun import Uv, uv_variables
from .venv import VenvBuilder

WAIT = 1800.0  # seconds to wait for another installer: it may be making just what we want


@dataclass(frozen=True)
class How:
    """The user's wishes. ``wheelhouse``: a folder to take all wheels from, without the network. ``device``: what torch
    is to compute on; auto is the best that this machine has. ``wait``: seconds for another installer to end."""

    wheelhouse: Path | None = None
    device: str = "auto"
    wait: float = WAIT


def create(root: Path, name: str, report: Report, how: How = How(), anew: bool = False) -> Status:
    """Makes the environment ``name`` unless it is ready (or ``anew``); returns its status, which is READY.

    Raises EnvironmentProblem with the sentence for the user; what was in use before is then still in use.
    """
    places, wanted = Places(root), spec(name)
    with _prepared(places, name, how, report) as held:
        now = status(root, name)
        if now.state is not State.READY or anew:
            damaged = _damaged(now, report) if now.state is State.BROKEN else []
            _install(places, wanted, report, how, held, damaged)
        report("ready", 1.0, f"{name} is ready")
        return status(root, name)


def repair(root: Path, name: str, report: Report, how: How = How()) -> Status:
    """Looks at every byte of the environment ``name``, and makes it anew if anything is wrong, whatever its state.

    What is fine comes out of uv's cache; what is damaged there as well is fetched again. Raises and returns as create.
    """
    places, wanted = Places(root), spec(name)
    with _prepared(places, name, how, report) as held:
        damaged = _damaged(status(root, name), report)
        if damaged or not _works(places, name, report, how):
            _install(places, wanted, report, how, held, damaged)
        report("ready", 1.0, f"{name} is ready")
        return status(root, name)


def remove(root: Path, name: str, report: Report, wait: float = WAIT) -> Status:
    """Removes the environment ``name``. The marker goes first, so that no half of it can pass for an environment."""
    places = Places(root)
    if not places.environments.is_dir():
        return status(root, name)
    with folders_explained(root), guard.hold(places.lock, wait, lambda message: report("wait", 0.0, message)):
        spec(name)
        places.marker(name).unlink(missing_ok=True)
        places.verdict(name).unlink(missing_ok=True)
        for folder in places.folders(name):
            shutil.rmtree(reachable(folder))
        shutil.rmtree(reachable(places.compiled(name)), ignore_errors=True)
        report("ready", 1.0, f"{name} is removed")
        return status(root, name)


@contextmanager
def _prepared(places: Places, name: str, how: How, report: Report) -> Iterator[int]:
    """Holds the lock of the root, whose folder is made if need be; yields the lock's descriptor.

    Before and after, what an installer left behind that was killed is taken away.
    """
    with folders_explained(places.root):
        places.environments.mkdir(parents=True, exist_ok=True)
        with guard.hold(places.lock, how.wait, lambda message: report("wait", 0.0, message)) as held:
            try:
                _clear_away(places, name)
                yield held
            finally:
                _clear_away(places, name)


def _damaged(now: Status, report: Report) -> list[str]:
    """Packages of which a file is not as it was installed."""
    if now.folder is None or not now.folder.is_dir():
        return []
    report("wait", 0.0, f"looking at every file of {now.name}")
    return damaged_packages(inspect_files(now.folder, every_byte=True))


def _works(places: Places, name: str, report: Report, how: How) -> bool:
    """Whether it can be used, if need be without what Python has compiled of it."""
    report("wait", 0.0, f"trying {name}")
    found = check(places.root, name, "deep", how.device).status
    if found.state is State.BROKEN and found.folder:
        _clear_compiled(places, name)
        found = check(places.root, name, "deep", how.device).status
    return found.state is State.READY


def _install(places: Places, wanted: Spec, report: Report, how: How, held: int, damaged: list[str]) -> None:
    """Puts a new folder in use; ``damaged``: packages that may be damaged in uv's cache as well."""
    config = _sources(how)
    build = torchbuild.choose(config, hardware.find(), device=how.device) if wanted.torch else None
    preflight.examine(places, sizes.need(wanted, build), wanted.name)
    report("uv", 0.0, "getting the installer uv")
    uv_path = uvtool.find_or_fetch(places.tools, config)
    variables = uv_variables(places, config.uv_variables())
    if how.wheelhouse:  # which was asked for, and counts more than variables of the user's own
        variables |= {**config.uv_variables(), "UV_OFFLINE": "1"}
    places.log(wanted.name).parent.mkdir(parents=True, exist_ok=True)
    try:
        with places.log(wanted.name).open("w", encoding="utf-8") as log:
            if build:
                log.write(f"torch: {build.requirement} for {build.device}, since {build.reason}\n")
                log.write(f"warning: {build.warning}\n" if build.warning else "")
            builder = VenvBuilder(Uv(uv_path, places, variables, log, held), places, wanted, config, build, report)
            plan(report, builder.downloads)
            builder.forget(damaged_in_cache(places.cache, damaged))
            _put_in_use(places, wanted, builder.make(), build)
    except (EnvironmentProblem, OSError):
        _clear_compiled(places, wanted.name)  # it may be the cause, and is no loss
        raise


def _put_in_use(places: Places, wanted: Spec, folder: Path, build: TorchBuild | None) -> None:
    _flush(folder)  # or a power failure might keep the marker, and lose files that were written before it
    torch, device, key = (build.requirement, build.device, build.key) if build else ("", "", "")
    write_marker(places.marker(wanted.name), folder, wanted.fingerprint, torch, device, key)
    places.verdict(wanted.name).unlink(missing_ok=True)


def _flush(folder: Path) -> None:
    """Waits until everything on the file system of ``folder`` is on its disk, by syncfs(2) of Linux alone: sync(2)
    would wait for other disks as well. Elsewhere, the next look at the files' sizes finds what is missing."""
    if sys.platform != "linux":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        getattr(ctypes.CDLL(None), "syncfs", lambda _: None)(descriptor)  # a C library may lack it
    finally:
        os.close(descriptor)


def _sources(how: How) -> PipConfig:
    """Where packages may come from."""
    config = pipconfig.read()
    if how.wheelhouse is None:
        return config
    if not how.wheelhouse.is_dir():
        raise EnvironmentProblem(f"there is no folder {how.wheelhouse}: name the folder that holds the wheels")
    return replace(config, index_url=None, extra_index_urls=(), find_links=(str(how.wheelhouse),), no_index=True)


def _clear_compiled(places: Places, name: str) -> None:
    """Removes files that Python has compiled: one that a full disk has cut short would stop it for ever."""
    shutil.rmtree(reachable(places.compiled(name)), ignore_errors=True)


def _clear_away(places: Places, name: str) -> None:
    """Removes folders of ``name`` that are not in use. One that resists (a file open on Windows) waits."""
    in_use = status(places.root, name).folder
    for folder in places.folders(name):
        if folder != in_use:
            compiled = places.compiled(name) / folder.relative_to(folder.anchor)
            for each in (folder, compiled):
                shutil.rmtree(reachable(each), ignore_errors=True)


@contextmanager
def folders_explained(root: Path) -> Iterator[None]:
    """Turns the operating system's refusals into sentences about ``root``."""
    try:
        yield
    except OSError as error:
        place = error.filename or root
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            kind, sentence = "space", f"the disk of {root} is full: free some space or choose another folder"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            kind, sentence = "permission", f"{place} cannot be written ({error.strerror}): choose another folder"
        else:
            kind, sentence = "other", f"{place} cannot be used ({error.strerror}): choose another folder"
        raise EnvironmentProblem(sentence, kind) from error
