# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a virtual environment in a folder of its own, by uv: interpreter, packages, torch; and tries it.

Knows nothing of markers and locks: whether the folder comes into use is not decided here.
"""

import contextlib
import re
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from . import sizes
from .check import verify
from .contents import damaged_packages, inspect_files, write_manifest
from .errors import EnvironmentProblem
from .machine.platforms import python_in, reachable
from .machine.torchbuild import TorchBuild
from .network.pipconfig import PipConfig
from .places import Places
from .progress import Report, Stage
from .specs import PYTHONS, Spec
from .uv.uvrun import Uv

# What uv says, for ever, of a package in its cache that it cannot use. Seen by damaging each file of a cache.
_UNUSABLE = re.compile(
    r"Failed to install: \S+ \(([\w.-]+)==|Failed to download `([\w.-]+)==[^`]*`\s+cause: Failed to deserialize"
)
_BESIDE = ("--index-strategy", "unsafe-best-match", "--index")  # an index that is asked beside the others, as pip does
_NOT_DAMAGE = ("space", "permission")  # it was the target that could not be written


@dataclass(frozen=True)
class VenvBuilder:
    """Makes what is ``wanted``, with torch's ``build`` (None without torch), from where ``config`` says."""

    uv: Uv
    places: Places
    wanted: Spec
    config: PipConfig
    build: TorchBuild | None
    report: Report

    @property
    def downloads(self) -> dict[Stage, int]:
        """Bytes that each stage fetches if nothing is here yet, as far as they are known."""
        packages = sum(each.download for each in sizes.sizes(self.wanted).values())
        known = sum(each.download for each in sizes.sizes(self.wanted, self.build).values())
        return {"packages": packages, "torch": known - packages}

    def make(self) -> Path:
        """A new folder with the environment, verified. Raises EnvironmentProblem and leaves no folder.

        Where the network fails, what was fetched before may be all that is needed.
        """
        try:
            return self._make_from_sound_packages()
        except EnvironmentProblem as problem:
            if problem.kind != "network" or "UV_OFFLINE" in self.uv.variables:
                raise
            offline = replace(self.uv, variables={**self.uv.variables, "UV_OFFLINE": "1"})
            with contextlib.suppress(EnvironmentProblem):
                return replace(self, uv=offline)._make_from_sound_packages()
            raise

    def _make_from_sound_packages(self) -> Path:
        """Packages that turn out to be damaged in uv's cache are taken out of it and fetched once more.

        uv names one of them at a time.
        """
        forgotten: set[str] = set()
        while True:
            folder = self.places.environments / f"{self.wanted.name}@{secrets.token_hex(4)}"
            try:
                self._install(folder)
                write_manifest(folder)
                self.report("verify", 0.0, f"trying {self.wanted.name}")
                verify(python_in(folder), self.wanted, self.places.root, self.build.device if self.build else "auto")
                return folder
            except (EnvironmentProblem, OSError, KeyboardInterrupt) as problem:
                damaged = set(_damaged(problem, folder)) - forgotten
                shutil.rmtree(reachable(folder), ignore_errors=True)
                if not damaged:  # also when it is fetched anew: what was fetched is no better, or something spoils it
                    raise
            self.forget(sorted(damaged))
            forgotten |= damaged

    def forget(self, packages: list[str]) -> None:
        """Takes ``packages`` out of uv's cache, whose files are the very same as those of the environments."""
        if packages:
            what = f"removing what is damaged from the cache ({', '.join(packages)})"
            self.uv.run(["cache", "clean", *packages], "python", what, self.report)

    def _install(self, folder: Path) -> None:
        venv = ["venv", "--no-project", "--python", self._interpreter(), str(folder)]
        self.uv.run(venv, "python", "making the virtual environment", self.report)
        requirements = folder / "requirements.txt"
        requirements.write_text(self.wanted.text, encoding="utf-8")
        python = ["--python", str(python_in(folder))]
        install = ["pip", "install", *python, "--no-build"]
        unpacked = {name: size.unpacked for name, size in sizes.sizes(self.wanted, self.build).items()}
        exact = ["--no-deps"] if self.wanted.exact else []
        packages = [*install, *exact, "--requirements", str(requirements)]
        self.uv.run(packages, "packages", "installing the packages", self.report, unpacked)
        if self.build:
            index = [*_BESIDE, self.build.index] if self.build.index and not self.config.no_index else []
            what = f"installing {self.build.requirement} ({self.build.reason})"
            self.uv.run([*install, *index, self.build.requirement], "torch", what, self.report, unpacked)
        if self.build and not self.wanted.exact:
            self.uv.run(["pip", "check", *python], "verify", "seeing whether they fit", self.report)

    def _interpreter(self) -> str:
        """A base interpreter that is here already, else the first that fits, for uv to fetch."""
        pythons = [each for each in self.wanted.pythons if self.build is None or each in self.build.pythons]
        if not pythons:
            raise EnvironmentProblem(
                f"no build of torch fits Python {' or '.join(PYTHONS)}: remove its wheel from pip's find-links"
            )
        # --system: an active virtual environment must not become the base of ours, it may vanish.
        find = ["python", "find", "--system", "--no-project", "--no-python-downloads"]
        for version in pythons:
            with contextlib.suppress(EnvironmentProblem):
                output = self.uv.run([*find, version], "python", f"looking for Python {version}", self.report)
                return output.strip().splitlines()[-1]
        what = f"no Python {' or '.join(pythons)} is on this machine, and fetching one"
        try:
            self.uv.run(["python", "install", "--no-bin", pythons[0]], "python", what, self.report)
        except EnvironmentProblem as problem:
            advice = f"or install Python {' or '.join(pythons)} (https://www.python.org)"
            raise EnvironmentProblem(f"{problem}, {advice}", problem.kind, problem.output) from problem
        return pythons[0]


def _damaged(problem: BaseException, folder: Path) -> list[str]:
    """Packages that came out of uv's cache damaged, so that ``folder`` could not be filled or does not work."""
    if not isinstance(problem, EnvironmentProblem) or problem.kind in _NOT_DAMAGE:
        return []
    unusable = sorted({first or second for first, second in _UNUSABLE.findall(problem.output)})
    if unusable or problem.output:  # uv did not get as far as that there were all files to look at
        return unusable
    return damaged_packages(inspect_files(folder, every_byte=True))
