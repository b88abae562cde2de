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
from .machine.hardware import Hardware
from .machine.platforms import executable
from .machine.preflight import Finding
from .machine.torchbuild import TorchBuild
from .network import pipconfig
from .network.download import without_password
from .network.pipconfig import PipConfig
from .places import Places, package_root
from .redaction import redact
from .specs import Spec, spec
from .states import Depth, State
from .uv.uvtool import UV

TAIL = 40  # lines of a log
_MAIN_PACKAGES = ("torch", "numpy", "scipy", "pillow", "transformers", "diffusers", "nerfacc", "nerfstudio", "pycolmap")

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
        "root": str(root),
        "hardware": asdict(machine) if machine else None,
        "torch": asdict(build) if build else None,
        "free_bytes": _free(root),
        "findings": [asdict(each) for each in findings + (_findings(places, results, build) if machine else [])],
        "environments": [_environment(places, each, build) for each in results],
        "sizes": disk_usage(places) if depth == "deep" else None,
    }
    return {**gathered, "text": redact("\n".join(_text(gathered, machine, config)).rstrip() + "\n")}


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
        "versions": result.versions or None,
        "device": result.device or None,
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


def _text(gathered: Gathered, machine: Hardware | None, config: PipConfig) -> Iterator[str]:
    """The bug report in Markdown: what a maintainer asks first."""
    yield f"### Image to 3D {_product()}: environments"
    yield ""
    yield from [f"- machine: {machine.summary()}", *(f"- note: {each}" for each in machine.notes)] if machine else []
    yield f"- platform: {platform.platform()}; envs runs in Python {platform.python_version()} ({sys.executable})"
    yield f"- uv: {_uv(Places(Path(gathered['root'])))}"
    if torch := gathered["torch"]:
        yield f"- torch for this machine: {torch['requirement']} on {torch['device']}, since {torch['reason']}"
        yield from [f"- warning: {torch['warning']}"] if torch["warning"] else []
    yield f"- folder: {gathered['root']}, {_size(gathered['free_bytes'])} free"
    if gathered["sizes"]:
        yield "- sizes: " + ", ".join(f"{name} {_size(size)}" for name, size in gathered["sizes"].items())
    yield from _network(config)
    for each in gathered["environments"]:
        yield from ("", *_environment_text(each))
    yield ""
    yield from (f"- {each['text']}" for each in gathered["findings"] if not each["ok"])
    for each in gathered["environments"]:
        if each["state"] != State.READY.value and each["log_tail"]:
            log = each["log_tail"].replace("```", "'''")
            yield from ("", f"End of the log of {each['name']}:", "```", log, "```")


def _network(config: PipConfig) -> Iterator[str]:
    """How packages are fetched, without logins. Of a proxy only that there is one."""
    proxy = config.proxy or urllib.request.getproxies().keys() - {"no"}
    yield f"- indexes: {', '.join(map(without_password, config.indexes)) or 'none'}"
    yield f"- find-links: {', '.join(map(without_password, config.find_links)) or 'none'}"
    used = {"proxy": proxy, "certificates of one's own": config.cert, "client certificate": config.client_cert}
    yield f"- {', '.join(f'{what}: {_yes(each)}' for what, each in used.items())}"


def _environment_text(each: Gathered) -> Iterator[str]:
    yield f"**{each['name']}**: {each['state']} ({each['reason']})"
    yield from [f"- interpreter: {each['python']}"] if each["python"] else []
    yield from [f"- on the disk: {_size(each['bytes'])}"] if each["bytes"] is not None else []
    if need := each["need"]:
        about = "about " if need["estimated"] else ""
        sizes_ = f"{about}{_size(need['download'])} of downloads and {about}{_size(need['disk'])} on the disk"
        yield f"- takes {sizes_}, {need['packages']} packages"
    yield from [f"- tried on: {each['device']}"] if each["device"] else []
    if versions := each["versions"]:
        main = [f"{name} {version}" for name, version in versions.items() if name.lower() in _MAIN_PACKAGES]
        yield f"- {len(versions)} packages, among them {', '.join(main) or 'none of the main ones'}"


def _uv(places: Places) -> str:
    """Which uv would be used, as far as that is known without starting one."""
    if (places.tools / f"uv-{UV}" / executable("uv")).exists():
        return UV
    found = shutil.which("uv")
    return f"the one at {found}, if it is of the series of {UV}" if found else "not here yet"


def _product() -> str:
    """Read and not imported: the worker is not ours to know."""
    found = re.search(r'__version__ = "(.+?)"', (package_root() / "worker" / "__init__.py").read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def _size(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _yes(known: object) -> str:
    return "yes" if known else "no"
