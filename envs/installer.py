# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes and removes environments: a new folder, uv, packages, torch, verification, and last of all the marker.

What was in use before stays in use until the new one is verified. Knows the order of the steps, not the steps.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import guard, hardware, pipconfig, torchbuild, uvtool
from .errors import EnvironmentProblem
from .pipconfig import PipConfig
from .places import Places
from .platforms import python_in
from .progress import Report
from .specs import PYTHONS, Spec, spec
from .states import State, Status, status, write_marker
from .torchbuild import TorchBuild
from .uvrun import Uv, uv_variables
from .verify import verify

WAIT = 1800.0  # seconds to wait for another installer: it may be making just what we want


def create(root: Path, name: str, report: Report, wait: float = WAIT, anew: bool = False) -> Status:
    """Makes the environment ``name`` unless it is ready (or ``anew``); returns its status, which is READY.

    Raises EnvironmentProblem with the sentence for the user; what was in use before is then still in use.
    """
    places, wanted = Places(root), spec(name)
    with _folders_explained(root):
        places.environments.mkdir(parents=True, exist_ok=True)
        with guard.hold(places.lock, wait, lambda message: report("wait", 0.0, message)) as held:
            now = status(root, name)
            if now.state is not State.READY or anew:
                _install(places, wanted, report, held)
            report("ready", 1.0, f"{name} is ready")
            return status(root, name)


def remove(root: Path, name: str, wait: float = WAIT) -> None:
    """Removes the environment ``name``. The marker goes first, so that no half of it can pass for an environment."""
    places = Places(root)
    spec(name)
    if not places.environments.is_dir():
        return
    with _folders_explained(root), guard.hold(places.lock, wait, lambda message: None):
        places.marker(name).unlink(missing_ok=True)
        for folder in places.folders(name):
            shutil.rmtree(folder)
        shutil.rmtree(places.compiled(name), ignore_errors=True)


def _install(places: Places, wanted: Spec, report: Report, held: int) -> None:
    _clear_away(places, wanted.name)
    config = pipconfig.read()
    report("uv", 0.0, "getting the installer uv")
    uv_path = uvtool.find_or_fetch(places.tools, config)
    build = torchbuild.choose(config, hardware.find()) if wanted.torch else None
    places.log(wanted.name).parent.mkdir(parents=True, exist_ok=True)
    folder = places.environments / f"{wanted.name}@{secrets.token_hex(4)}"
    try:
        with places.log(wanted.name).open("w", encoding="utf-8") as log:
            uv = Uv(uv_path, places, uv_variables(places, config.uv_variables()), log, held)
            _fill(uv, folder, wanted, config, build, report)
        report("verify", 0.0, f"trying {wanted.name}")
        verify(python_in(folder), wanted, places.root)
    except (EnvironmentProblem, OSError, KeyboardInterrupt):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    write_marker(places.marker(wanted.name), folder, wanted.fingerprint, build.requirement if build else "")
    _clear_away(places, wanted.name)


def _fill(uv: Uv, folder: Path, wanted: Spec, config: PipConfig, build: TorchBuild | None, report: Report) -> None:
    """Makes the virtual environment in ``folder`` and installs everything into it."""
    pythons = [each for each in wanted.pythons if build is None or each in build.pythons]
    python = _interpreter(uv, pythons, report)
    uv.run(
        ["venv", "--no-project", "--python", python, str(folder)], "python", "making the virtual environment", report
    )
    requirements = folder / "requirements.txt"
    requirements.write_text(wanted.text, encoding="utf-8")
    install = ["pip", "install", "--python", str(python_in(folder)), "--no-build"]
    uv.run([*install, "--requirements", str(requirements)], "packages", "installing the packages", report)
    if build:
        index = ["--index", build.index] if build.index else []
        what = f"installing {build.requirement} ({build.reason})"
        uv.run([*install, *index, build.requirement], "torch", what, report)
        uv.run(["pip", "check", "--python", str(python_in(folder))], "verify", "seeing whether they fit", report)


def _interpreter(uv: Uv, pythons: list[str], report: Report) -> str:
    """A base interpreter that is here already, else the first of ``pythons`` for uv to fetch."""
    if not pythons:
        raise EnvironmentProblem(
            f"no build of torch fits Python {' or '.join(PYTHONS)}: remove its wheel from pip's find-links"
        )
    for version in pythons:
        try:
            # --system: an active virtual environment must not become the base of ours, it may vanish.
            said = uv.run(
                ["python", "find", "--system", "--no-project", "--no-python-downloads", version],
                "python",
                f"looking for Python {version}",
                report,
            )
        except EnvironmentProblem:
            continue
        return said.strip().splitlines()[-1]
    uv.run(
        ["python", "install", "--no-bin", pythons[0]],
        "python",
        f"no Python {' or '.join(pythons)} is on this machine, and fetching one",
        report,
    )
    return pythons[0]


def _clear_away(places: Places, name: str) -> None:
    """Removes folders of ``name`` that are not in use. One that resists (a file open on Windows) waits."""
    in_use = status(places.root, name).folder
    for folder in places.folders(name):
        if folder != in_use:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _folders_explained(root: Path) -> Iterator[None]:
    """Turns the operating system's refusals into sentences about ``root``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentProblem(f"the disk of {root} is full: free some space or choose another folder") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise EnvironmentProblem(
                f"{error.filename or root} cannot be written ({os.strerror(error.errno)}): choose another folder"
            ) from error
        raise EnvironmentProblem(
            f"{error.filename or root} cannot be used ({error.strerror}): choose another folder"
        ) from error
