# SPDX-License-Identifier: GPL-3.0-or-later
"""How much an environment downloads and how much of the disk it takes, before anything is downloaded.

Reads locks/sizes.json, which `python3 -m tests.locking` writes. Asks no network, no disk and no uv.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
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

    download_bytes: int
    disk_bytes: int
    packages: int
    estimated: bool = False


def need(spec: Spec, build: TorchBuild | None = None, platform: str | None = None) -> Need:
    """For ``spec`` with torch's ``build`` (None where the spec has no torch) on ``platform`` (default: this one)."""
    wanted = _pins(spec, platform)
    known = sizes(spec, build, platform)
    estimated = bool(wanted.keys() - known.keys()) or (build is not None and not _is_measured(build, platform))
    packages = len(wanted.keys() | known.keys())
    return Need(
        sum(each.download for each in known.values()), sum(each.disk for each in known.values()), packages, estimated
    )


def sizes(spec: Spec, build: TorchBuild | None = None, platform: str | None = None) -> dict[str, Size]:
    """The sizes that are known, by the package's name as in the lock; torch and what its build brings among them."""
    known = _known(platform)["packages"]
    pins = _pins(spec, platform)
    locked = {
        name: Size(*known[f"{name}=={version}"]) for name, version in pins.items() if f"{name}=={version}" in known
    }
    return {**_brought(build, platform), **locked}


def _brought(build: TorchBuild | None, platform: str | None) -> dict[str, Size]:
    """What a build of torch brings: of the build itself, or of the largest that is known."""
    builds = _known(platform)["torch"]
    if build is None or not builds:
        return {}
    largest = max(builds, key=lambda key: sum(download for download, _, _ in builds[key]["packages"].values()))
    entry = builds.get(build.key, builds[largest])
    return {name: Size(*size) for name, size in entry["packages"].items()}


def _is_measured(build: TorchBuild, platform: str | None) -> bool:
    entry = _known(platform)["torch"].get(build.key)
    return entry is not None and not entry["estimated"]


def pins_in(text: str) -> dict[str, str]:
    """The versions that a lock names, by package."""
    return dict(_PIN.findall(text))


def _pins(spec: Spec, platform: str | None) -> dict[str, str]:
    if platform not in (None, platform_name()):
        spec = dataclasses.replace(spec, requirements=lock_path(spec.name, platform))
    return pins_in(spec.text)


def _known(platform: str | None) -> Mapping[str, dict]:
    return _read().get(platform or platform_name(), {"packages": {}, "torch": {}})


@functools.cache
def _read() -> dict[str, dict[str, dict]]:
    return json.loads(PATH.read_text(encoding="utf-8"))
