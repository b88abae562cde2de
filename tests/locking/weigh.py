# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes locks/sizes.json: how big the locked packages and the builds of torch are, packed and unpacked.

For developers, when locks are made. Knows no uv. Builds of torch that PyPI does not have are measured where their wheel
lies in a folder of the developer's pip configuration, else estimated, and marked so.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from zipfile import BadZipFile

from ...envs.errors import EnvironmentProblem
from ...envs.machine.builds import CUDA_BUILDS, ROCM
from ...envs.network.pipconfig import PipConfig
from ...envs.sizes import PATH, Size, pins_in
from ...envs.specs import PYTHONS, TORCH
from . import wheels

_AT_ONCE = 6  # connections
# No ROCm wheel is on PyPI. A build of torch 2.10 for ROCm 6.4 was 4.5 GB to download, as its users report; an
# environment with torch 2.3 for ROCm 6.0 took 13 GB (pytorch/pytorch, issue 129165).
_ROCM = Size(4_500_000_000, 13_000_000_000, 15_000)

Entry = dict[str, list[int]]  # the fields of Size, by package


@dataclass(frozen=True)
class Wanted:
    """For one platform: the text of all ``locks``, and that of a lock of PyPI's ``torch`` with all that it brings."""

    locks: str
    torch: str


def write(wanted: Mapping[str, Wanted], config: PipConfig, report: Callable[[str], None]) -> Path:
    """Weighs what is ``wanted``, by platform, and writes sizes.json; platforms that are not asked for stay in it."""
    table = json.loads(PATH.read_text(encoding="utf-8"))
    for platform, texts in wanted.items():
        report(f"weighing the packages for {platform}")
        locked = pins_in(texts.locks)
        brought = {pin: version for pin, version in pins_in(texts.torch).items() if pin not in locked}
        measured = {"pypi": _named(_weighed({**brought, "torch": TORCH}, platform, config))}
        cpu = _local_cpu(platform, config) or _measured_before(table, platform, "cpu")
        if cpu:
            measured["cpu"] = cpu
        builds = {key: {"estimated": False, "packages": entry} for key, entry in measured.items()}
        known = table.get(platform, {}).get("packages", {})
        table[platform] = {"packages": _weighed(locked, platform, config, known), "torch": builds}
    for platform, known in table.items():
        known["torch"] = {**_estimates(platform, table), **_measured(known["torch"])}
    text = json.dumps(table, indent=1, sort_keys=True)
    text = re.sub(r"\[\s+(\d+),\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2, \3]", text)  # a package, a line
    PATH.write_text(text + "\n", encoding="utf-8", newline="\n")
    return PATH


def _weighed(pins: Mapping[str, str], platform: str, config: PipConfig, known: Entry | None = None) -> Entry:
    """By "name==version"; what is ``known`` already is not asked for again, as a released wheel never changes."""
    wanted = {f"{name}=={version}": (name, version) for name, version in pins.items()}
    found = {pin: size for pin, size in (known or {}).items() if pin in wanted}
    unknown = {pin: each for pin, each in wanted.items() if pin not in found}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        sizes = pool.map(lambda each: list(astuple(_weigh(*each, platform, config))), unknown.values())
        return found | dict(zip(unknown, sizes))


def _weigh(name: str, version: str, platform: str, config: PipConfig) -> Size:
    try:
        wheel = wheels.best(wheels.wheels_of(name, version, config), platform, PYTHONS[0])
        if wheel is None:
            raise EnvironmentProblem(f"the index has no wheel of {name} {version} for {platform}: lock again")
        return wheels.weigh(wheel, config)
    except (OSError, ValueError, BadZipFile) as error:
        raise EnvironmentProblem(
            f"{name} {version} for {platform} could not be weighed ({error}): try again"
        ) from error


def _named(entry: Entry) -> Entry:
    return {pin.partition("==")[0]: size for pin, size in entry.items()}


def _local_cpu(platform: str, config: PipConfig) -> Entry | None:
    """The build without CUDA for Linux, which PyPI does not have, from a folder in pip's configuration."""
    if not platform.startswith("linux"):
        return None
    local = [wheel for folder in config.folders for wheel in wheels.wheels_in(folder, "torch", f"{TORCH}+cpu")]
    wheel = wheels.best(local, platform, PYTHONS[0])
    return {"torch": list(astuple(wheels.weigh(wheel, config)))} if wheel else None


def _measured(builds: Mapping[str, dict]) -> dict[str, dict]:
    return {key: build for key, build in builds.items() if not build["estimated"]}


def _measured_before(table: Mapping[str, dict], platform: str, key: str) -> Entry | None:
    build = _measured(table.get(platform, {}).get("torch", {})).get(key)
    return build["packages"] if build else None


def _estimates(platform: str, table: Mapping[str, dict]) -> dict[str, dict]:
    """Builds for other CUDAs and for Windows are taken to be as big as that of PyPI for Linux with what it brings."""
    nearest = _measured(table.get("linux-x86_64", {}).get("torch", {}))
    estimates: dict[str, Entry] = {}
    if "pypi" in nearest:
        whole = _sum(nearest["pypi"]["packages"].values())
        estimates |= {build.key: {"torch": whole} for build in CUDA_BUILDS if platform in build.compiled}
    if "cpu" in nearest and platform.startswith("linux"):
        estimates["cpu"] = nearest["cpu"]["packages"]
    if platform == "linux-x86_64":
        estimates[f"rocm{ROCM}"] = {"torch": list(astuple(_ROCM))}
    return {key: {"estimated": True, "packages": entry} for key, entry in estimates.items()}


def _sum(sizes: Iterable[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*sizes)]
