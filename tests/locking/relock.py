# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the locks and their sizes from the specs, for every platform, with uv. For developers; users only read them.

Locks are made from the main index alone, so that packages which only exist on one developer's machine cannot get in.
What a spec NAME.in wants is corrected by NAME.overrides (bounds that packages state and that do not hold) and by
NAME.excludes (packages that others want and that we never import), where there are such files.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...envs.errors import EnvironmentProblem
from ...envs.network import pipconfig
from ...envs.network.pipconfig import PipConfig
from ...envs.places import Places
from ...envs.progress import Report
from ...envs.specs import PYTHONS, TORCH, input_path, lock_path
from ...envs.uv import uvtool
from ...envs.uv.uvrun import Uv, uv_variables
from . import weigh

# uv's names for our platforms. glibc 2.28 and macOS 14 are what torch's wheels want.
_UV_PLATFORMS = {
    "linux-x86_64": "x86_64-manylinux_2_28",
    "linux-arm64": "aarch64-manylinux_2_28",
    "windows-x86_64": "x86_64-pc-windows-msvc",
    "macos-arm64": "aarch64-apple-darwin",
}
PLATFORMS = tuple(_UV_PLATFORMS)
INPUTS = {"core": ("core",), "test": ("core", "test"), "nerf": ("nerf",), "farm": ("core", "farm")}


def relock(root: Path, platforms: Sequence[str], report: Report) -> list[Path]:
    """Writes the locks of all environments for ``platforms`` and the sizes of what is in them; returns their paths."""
    unknown = set(platforms) - set(PLATFORMS)
    if unknown:
        raise EnvironmentProblem(f"no lock can be made for {', '.join(unknown)}: choose from {', '.join(PLATFORMS)}")
    places = Places(root)
    places.environments.mkdir(parents=True, exist_ok=True)
    config = pipconfig.read()
    main = dataclasses.replace(config, extra_index_urls=(), find_links=())
    variables = {**uv_variables(places, main.uv_variables()), "MACOSX_DEPLOYMENT_TARGET": "14.0"}
    places.log("lock").parent.mkdir(parents=True, exist_ok=True)
    with places.log("lock").open("w", encoding="utf-8") as log:
        uv = Uv(uvtool.find_or_fetch(places.tools, config), places, variables, log)
        made = [_lock(uv, name, platform, report) for platform in platforms for name in INPUTS]
        return [*made, _weigh(uv, platforms, config, report)]


def _lock(uv: Uv, name: str, platform: str, report: Report) -> Path:
    """Writes one lock, after each Python that may be used has been found to have a wheel of every package."""
    constraints = [] if name == "core" else ["--constraints", str(lock_path("core", platform))]
    overrides = ["--overrides", str(_beside(name, "overrides"))] if _beside(name, "overrides").exists() else []
    excludes = [path for path in (_beside("cuda", "excludes"), _beside(name, "excludes")) if path.exists()]
    options = [
        *(str(input_path(each)) for each in INPUTS[name]),
        *constraints,
        *overrides,
        *(word for path in excludes for word in ("--excludes", str(path))),
        *("--no-emit-package", "torch", "--generate-hashes"),
    ]
    text = _compile(uv, options, platform, f"locking {name} for {platform}", report)
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock.txt"
        lock.write_text(text, encoding="utf-8")
        for python in PYTHONS:
            _try_out(uv, lock, Path(folder), platform, python, f"trying {name} for {platform}", report)
    head = f"# Made by `python3 -m tests.locking` for {platform}, Python {PYTHONS[0]}, torch {TORCH}. Do not edit.\n"
    target = lock_path(name, platform)
    target.write_text(head + text, encoding="utf-8", newline="\n")
    return target


def _compile(uv: Uv, options: list[str], platform: str, what: str, report: Report) -> str:
    """What uv resolves ``options`` to, beside torch."""
    with tempfile.TemporaryDirectory() as folder:
        torch, made = Path(folder) / "torch.in", Path(folder) / "made.txt"
        torch.write_text(f"torch=={TORCH}\n", encoding="utf-8")
        command = ["pip", "compile", str(torch), *options, "--python-version", PYTHONS[0], "--only-binary", ":all:"]
        where = ["--python-platform", _UV_PLATFORMS[platform], "--output-file", str(made)]
        uv.run([*command, *where, "--no-annotate", "--no-header", "--quiet"], "packages", what, report)
        return made.read_text(encoding="utf-8")


def _try_out(uv: Uv, lock: Path, folder: Path, platform: str, python: str, what: str, report: Report) -> None:
    where = ["--target", str(folder / "target"), "--python-platform", _UV_PLATFORMS[platform]]
    how = ["--python-version", python, "--only-binary", ":all:", "--no-deps", "--require-hashes", "--dry-run"]
    command = ["pip", "install", *where, *how, "--requirements", str(lock)]
    uv.run(command, "packages", f"{what} with Python {python}", report)


def _weigh(uv: Uv, platforms: Sequence[str], config: PipConfig, report: Report) -> Path:
    wanted = {}
    for platform in platforms:
        torch = _compile(uv, [], platform, f"looking what torch brings on {platform}", report)
        locks = [lock_path(name, platform).read_text(encoding="utf-8") for name in INPUTS]
        wanted[platform] = weigh.Wanted("\n".join(locks), torch)
    return weigh.write(wanted, config, lambda message: report("packages", 0.0, message))


def _beside(name: str, kind: str) -> Path:
    return input_path(name).with_suffix(f".{kind}")
