# SPDX-License-Identifier: GPL-3.0-or-later
"""How much an environment downloads and how much of the disk it takes, before anything is downloaded.

Reads locks/sizes.json, which `python3 -m tests.locking` writes. Asks no network, no disk and no uv.
"""

import functools
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from .machine.platforms import platform_name
from .machine.torchbuild import TorchBuild
from .specs import Spec, lock_path

PATH = Path(__file__).resolve().parent / "locks" / "sizes.json"
_BLOCK = 4096  # bytes; the unit in which the usual file systems hand out space
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


@dataclass(frozen=True)
class Size:
    """One wheel: bytes of the file, bytes of what is in it, and how many files that is."""

    download: int
    unpacked: int
    files: int

    @property
    def disk(self) -> int:
        """Bytes that the unpacked files take: on average, each leaves half of its last block empty."""
        return self.unpacked + self.files * _BLOCK // 2


@dataclass(frozen=True)
class Need:
    """What an environment needs if nothing of it is here yet: bytes to download, bytes on the disk, and packages.

    uv keeps the unpacked packages in its cache and links them into the environment, so they take their space once
    (twice where the file system has no links). ``estimated``: some size is not known and was taken from the nearest
    build that is, or left out.
    """

    download: int
    disk: int
    packages: int
    estimated: bool = False


def need(spec: Spec, build: TorchBuild | None = None, platform: str | None = None) -> Need:
    """For ``spec`` with torch's ``build`` (None where the spec has no torch) on ``platform`` (default: this one)."""
    wanted, known = _pins(spec, platform), sizes(spec, build, platform)
    measured = build is None or not _known(platform)["torch"].get(build.key, {"estimated": True})["estimated"]
    return Need(
        sum(each.download for each in known.values()),
        sum(each.disk for each in known.values()),
        len(wanted.keys() | known.keys()),
        estimated=bool(wanted.keys() - known.keys()) or not measured,
    )


def sizes(spec: Spec, build: TorchBuild | None = None, platform: str | None = None) -> dict[str, Size]:
    """The sizes that are known, by the package's name as in the lock; torch and what its build brings among them."""
    known = _known(platform)["packages"]
    pins = {name: f"{name}=={version}" for name, version in _pins(spec, platform).items()}
    locked = {name: Size(*known[pin]) for name, pin in pins.items() if pin in known}
    return {**_brought(build, platform), **locked}


def _brought(build: TorchBuild | None, platform: str | None) -> dict[str, Size]:
    """What a build of torch brings: of the build itself, or of the largest that is known."""
    builds = {key: each["packages"] for key, each in _known(platform)["torch"].items()}
    if build is None or not builds:
        return {}
    largest = max(builds.values(), key=lambda packages: sum(download for download, _, _ in packages.values()))
    return {name: Size(*size) for name, size in builds.get(build.key, largest).items()}


def pins_in(text: str) -> dict[str, str]:
    """The versions that a lock names, by package."""
    return dict(_PIN.findall(text))


def normal(name: str) -> str:
    """A package's name as all names are compared (packaging.python.org, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(spec: Spec, platform: str | None) -> dict[str, str]:
    if platform not in (None, platform_name()):
        spec = replace(spec, requirements=lock_path(spec.name, platform))
    return pins_in(spec.text)


@functools.cache
def _known(platform: str | None) -> dict[str, dict]:
    table = json.loads(PATH.read_text(encoding="utf-8"))
    return table.get(platform or platform_name(), {"packages": {}, "torch": {}})
