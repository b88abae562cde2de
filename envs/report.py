# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about this installation: gathered for a program, and as text for a bug report.

Asks the other modules of this room; decides nothing and changes nothing but the verdict that a check keeps.
"""

import os
import platform
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import sizes
from .check import CheckResult, check
from .errors import EnvironmentProblem
from .machine import hardware, preflight, torchbuild
from .machine.preflight import Finding
from .machine.torchbuild import TorchBuild
from .network import pipconfig
from .network.download import without_password
from .network.pipconfig import PipConfig
from .places import Places, package_root
from .redaction import redact
from .specs import Spec, spec
from .states import Depth, State

TAIL = 40  # lines of a log
_UNSAID = ("name", "label", "licence", "log_tail")  # in the report

Gathered = dict[str, Any]


def gather(root: Path, names: Iterable[str], depth: Depth = "quick", device: str = "auto") -> Gathered:
    """What ``check --json`` prints, with the environments ``names`` looked at as deeply as ``depth`` says.

    Quick reads small files only (milliseconds). Raises EnvironmentProblem only for a name we do not have.
    """
    places = Places(root)
    config, findings = _pip()
    machine = None if depth == "quick" else hardware.find()
    build = torchbuild.choose(config, machine) if machine else None
    results = [check(root, name, depth, device) for name in names]
    gathered: Gathered = {
        "product": _product(),
        "platform": platform.platform(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "root": str(root),
        "hardware": asdict(machine) if machine else None,
        "torch": asdict(build) if build else None,
        "network": _network(config),
        "free_bytes": _free(root),
        "findings": [asdict(each) for each in findings + (_findings(places, results, build) if machine else [])],
        "environments": [_environment(places, each, build) for each in results],
        "sizes": disk_usage(places) if depth == "deep" else None,
    }
    return {**gathered, "text": text(gathered)}


def text(gathered: Gathered) -> str:
    """``gathered`` in Markdown, without names of users and machines, home folders, passwords and tokens."""
    facts, logs = {name: value for name, value in gathered.items() if name != "environments"}, []
    facts["findings"] = [each["text"] for each in gathered["findings"] if not each["ok"]]
    for each in gathered["environments"]:
        facts[each["name"]] = {name: value for name, value in each.items() if name not in _UNSAID}
        if each["state"] != State.READY.value and each["log_tail"]:
            log = each["log_tail"].replace("```", "'''")
            logs += ["", f"End of the log of {each['name']}:", "```", log, "```"]
    lines = ["### Image to 3D: environments", "", *_listed("", facts), *logs]
    return redact("\n".join(lines) + "\n")


def _listed(name: str, value: Any) -> Iterator[str]:
    """A Markdown list of what is known, by its name; what holds nothing but numbers and texts in one line."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _listed(name, each)
    elif not isinstance(value, dict):
        yield from [f"- {name}: {value}"] if value is not None else []
    elif any(isinstance(each, dict | list | tuple) for each in value.values()):
        for key, each in value.items():
            yield from _listed(f"{name} {key}".strip(), each)
    else:
        yield f"- {name}: {', '.join(f'{key} {each}' for key, each in value.items())}"


def disk_usage(places: Places) -> dict[str, int]:
    """Bytes by what takes them. A file that has several names is counted once, for the first of these."""
    seen: set[tuple[int, int]] = set()
    parts = {
        "environments": [places.environments],
        "packages cache": [places.cache],
        "interpreters and tools": [places.pythons, places.tools],
        "weights": [places.root / "weights"],
        "results": [places.root / "cache" / "results"],
        "logs and the rest": [places.root],
    }
    return {name: sum(_size_of(folder, seen) for folder in folders) for name, folders in parts.items()}


def _size_of(folder: Path, seen: set[tuple[int, int]]) -> int:
    """Bytes of the files in ``folder`` that are not among the ``seen`` (device and number)."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.stat(os.path.join(parent, name), follow_symlinks=False)
            except OSError:  # it has just gone
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total


def _environment(places: Places, result: CheckResult, build: TorchBuild | None) -> Gathered:
    now, wanted = result.status, spec(result.status.name)
    return {
        "name": now.name,
        "label": wanted.label,
        "state": now.state.value,
        "reason": now.reason,
        "python": str(now.python) if now.python else None,
        "bytes": _size_of(now.folder, set()) if result.depth == "deep" and now.folder else None,
        "need": _need(wanted, build),
        "licence": wanted.licence,
        "versions": result.trial.versions or None,
        "device": result.trial.device or None,
        "log_tail": _tail(places.log(now.name)),
    }


def _need(wanted: Spec, build: TorchBuild | None) -> Gathered | None:
    """What making it takes; None where that depends on a build that was not chosen, or nothing is locked for here."""
    if wanted.torch and build is None:
        return None
    try:
        return asdict(sizes.need(wanted, build if wanted.torch else None))
    except EnvironmentProblem:
        return None


def _findings(places: Places, results: Iterable[CheckResult], build: TorchBuild | None) -> list[Finding]:
    """What would stop making those that are not ready; of the ready, what does not depend on their size."""
    found: list[Finding] = []
    for now in (each.status for each in results):
        wanted = spec(now.name)
        try:
            need = sizes.need(wanted, build if wanted.torch else None)
            here = list(preflight.findings(places, need, now.name))
        except EnvironmentProblem as problem:  # there are no packages for this platform
            here = [Finding("packages", False, str(problem))]
        ready = now.state is State.READY
        found += [each for each in here if each not in found and not (ready and each.name == "space")]
    return found


def _pip() -> tuple[PipConfig, list[Finding]]:
    """pip's configuration; where it cannot be read, an empty one and the finding that says so."""
    try:
        return pipconfig.read(), []
    except EnvironmentProblem as problem:
        return PipConfig(), [Finding("pip", False, str(problem))]


def _free(root: Path) -> int | None:
    folder = next((path for path in (root, *root.parents) if path.is_dir()), None)
    return shutil.disk_usage(folder).free if folder else None


def _tail(path: Path) -> str | None:
    """The end of a log."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])
    except OSError:
        return None


def _network(config: PipConfig) -> Gathered:
    """How packages are fetched, without logins. Of a proxy only that there is one."""
    proxies = urllib.request.getproxies().keys() - {"no"}
    return {
        "indexes": " ".join(map(without_password, config.indexes)),
        "find-links": " ".join(map(without_password, config.find_links)),
        "proxy": "yes" if config.proxy or proxies else "no",
        "certificates of one's own": "yes" if config.cert or config.client_cert else "no",
    }


def _product() -> str:
    """Read and not imported: the worker is not ours to know."""
    found = re.search(r'__version__ = "(.+?)"', (package_root() / "worker" / "__init__.py").read_text(encoding="utf-8"))
    return found[1] if found else "unknown"
