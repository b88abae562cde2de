# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about this installation: gathered for a program, and as text for a bug report.

Asks the other modules of this room; decides nothing and changes nothing but the verdict that a check keeps.
"""

import platform
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import sizes
from ..checking import Checked, check
from ..errors import EnvironmentProblem
from ..machine import hardware, preflight, torchbuild
from ..machine.platforms import executable
from ..machine.preflight import Finding
from ..machine.torchbuild import TorchBuild
from ..network import pipconfig
from ..network.download import without_password
from ..network.pipconfig import PipConfig
from ..places import Places, package_root
from ..specs import Spec, spec
from ..states import Depth, State, Status
from ..uv.uvtool import UV
from . import usage
from .markdown import text
from .redaction import redact

__all__ = ["gather", "redact", "text"]

TAIL = 40  # lines of a log

Gathered = dict[str, Any]


def gather(root: Path, names: Iterable[str], depth: Depth = "quick", device: str = "auto") -> Gathered:
    """What ``check --json`` prints, with the environments ``names`` looked at as deeply as ``depth`` says.

    Quick reads small files only (milliseconds). Raises EnvironmentProblem only for a name we do not have.
    """
    places = Places(root)
    config, trouble = _pip()
    machine = None if depth == "quick" else hardware.find()
    build = torchbuild.choose(config, machine) if machine else None
    checked = [check(root, name, depth, device) for name in names]
    gathered: Gathered = {
        "root": str(root),
        "product": _product(),
        "platform": platform.platform(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "uv": _uv(places),
        "hardware": {**machine.as_dict(), "summary": machine.summary()} if machine else None,
        "torch": _torch(build),
        "network": _network(config),
        "free_bytes": _free(root),
        "findings": trouble + (_findings(places, checked, build) if machine else []),
        "environments": [_environment(places, each, build) for each in checked],
        "sizes": usage.measure(places) if depth == "deep" else None,
    }
    return {**gathered, "text": text(gathered)}


def _environment(places: Places, checked: Checked, build: TorchBuild | None) -> Gathered:
    now, wanted = checked.status, spec(checked.status.name)
    return {
        "name": now.name,
        "label": wanted.label,
        "state": now.state.value,
        "reason": now.reason,
        "python": str(now.python) if now.python else None,
        "bytes": usage.size_of([now.folder]) if checked.depth == "deep" and now.folder else None,
        "need": _need(wanted, build),
        "licence": wanted.licence,
        "versions": checked.versions or None,
        "device": checked.device or None,
        "log_tail": _tail(places.log(now.name)),
    }


def _need(wanted: Spec, build: TorchBuild | None) -> Gathered | None:
    """What making it takes; None where that depends on a build that was not chosen, or nothing is locked for here."""
    if wanted.torch and build is None:
        return None
    try:
        need = sizes.need(wanted, build if wanted.torch else None)
    except EnvironmentProblem:
        return None
    return {
        "download": need.download_bytes,
        "disk": need.disk_bytes,
        "packages": need.packages,
        "estimated": need.estimated,
    }


def _findings(places: Places, checked: Iterable[Checked], build: TorchBuild | None) -> list[Gathered]:
    """What would stop making those that are not ready; of the ready, what does not depend on their size."""
    found: list[Gathered] = []
    for each in checked:
        try:
            told = [asdict(finding) for finding in _look_ahead(places, each.status, build)]
        except EnvironmentProblem as problem:  # there are no packages for this platform
            told = [_finding("packages", str(problem))]
        found += [one for one in told if one not in found]
    return found


def _look_ahead(places: Places, now: Status, build: TorchBuild | None) -> list[Finding]:
    wanted, ready = spec(now.name), now.state is State.READY
    need = sizes.need(wanted, build if wanted.torch else None)
    return [each for each in preflight.findings(places, need, now.name) if not (ready and each.name == "space")]


def _finding(name: str, text: str) -> Gathered:
    return asdict(Finding(name, False, text))


def _pip() -> tuple[PipConfig, list[Gathered]]:
    """pip's configuration; where it cannot be read, an empty one and the finding that says so."""
    try:
        return pipconfig.read(), []
    except EnvironmentProblem as problem:
        return PipConfig(), [_finding("pip", str(problem))]


def _network(config: PipConfig) -> Gathered:
    """How packages are fetched, without logins. Of a proxy only that there is one."""
    proxies = {name for name in urllib.request.getproxies() if name != "no"}
    return {
        "indexes": [without_password(index) for index in config.indexes],
        "find_links": [without_password(link) for link in config.find_links],
        "proxy": bool(config.proxy or proxies),
        "certificates": bool(config.cert),
        "client_certificate": bool(config.client_cert),
        "trusted_hosts": len(config.trusted_hosts),
    }


def _torch(build: TorchBuild | None) -> Gathered | None:
    return build and {
        "requirement": build.requirement,
        "reason": build.reason,
        "device": build.device,
        "warning": build.warning,
    }


def _uv(places: Places) -> str | None:
    """Which uv would be used, as far as that is known without starting one; None: it would be fetched."""
    if (places.tools / f"uv-{UV}" / executable("uv")).exists():
        return UV
    found = shutil.which("uv")
    return f"the one at {found}, if it is of the series of {UV}" if found else None


def _product() -> str:
    """Read and not imported: the worker is not ours to know."""
    found = re.search(r'__version__ = "(.+?)"', (package_root() / "worker" / "__init__.py").read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def _free(root: Path) -> int | None:
    folder = next((path for path in (root, *root.parents) if path.is_dir()), None)
    return shutil.disk_usage(folder).free if folder else None


def _tail(path: Path) -> str | None:
    """The end of a log."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])
    except OSError:
        return None
