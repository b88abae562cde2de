# SPDX-License-Identifier: GPL-3.0-or-later
"""What works on this machine, and what is missing: each check looks at one thing and says what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from . import __version__
from .methods import all_methods
from .store import folders
from .store.weights import WeightStore

PACKAGES = ("torch", "transformers", "safetensors", "numpy", "scipy", "pillow", "fast-simplification", "rich")
NEEDED_SPACE = 2 << 30


@dataclass(frozen=True)
class Check:
    """`found` says what is there, `advice` what to do if that is not `ok`; `needed`: nothing works without."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    needed: bool = True


def examine(weights: str | None = None, results: str | None = None) -> tuple[Check, ...]:
    """weights, results: folders, where they are not the usual ones."""
    lie, kept = Path(weights or folders.weights()).absolute(), Path(results or folders.cache()).absolute()
    checks = [_program(), *map(_package, PACKAGES), _package("pillow-heif", needed=False), _device()]
    return (*checks, *_networks(lie), _folder("weights", lie), _folder("results", kept))


def _program() -> Check:
    machine = f"{platform.platform()}, {os.cpu_count()} cores"
    found = f"image-to-3d {__version__}, Python {platform.python_version()}, {machine}"
    return Check("program", sys.version_info >= (3, 11), found, "Python 3.11 or later is needed")


def _package(name: str, needed: bool = True) -> Check:
    try:
        return Check(name, True, metadata.version(name), needed=needed)
    except metadata.PackageNotFoundError:
        return Check(name, False, "missing", "make the environment anew", needed)


def _device() -> Check:
    try:
        from .methods.runtime import devices

        device = devices.pick("auto")
    except ImportError as error:
        return Check("device", False, f"torch cannot be imported: {error}", "make the environment anew")
    import torch

    if device.type == "cuda":
        return Check("device", True, f"{device}, {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    return Check("device", True, f"{device}, {torch.get_num_threads()} threads")


def _networks(weights: Path) -> list[Check]:
    store, checks = WeightStore(weights), []
    rows = [(network, method.environment) for method in all_methods() for network in method.networks]
    for network, environment in rows:
        here = network.is_here(store)
        found = "here" if here else f"not here ({network.bytes / 1e6:.0f} MB, {network.licence})"
        if environment != "core":  # whether that is ready, `check` tells
            found = f"in the environment {environment}"
        advice = network.by_hand or f"fetch it with: python3 -m envs run download {network.name}"
        checks.append(Check(network.name, here, found, advice, needed=network.published is None))
    return checks


def _folder(name: str, path: Path) -> Check:
    existing: Path = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    found = f"{path}, {free / 1e9:.0f} GB free"
    if not os.access(existing, os.W_OK):
        return Check(f"folder of {name}", False, found, f"{existing} cannot be written to: choose another folder")
    return Check(f"folder of {name}", free > NEEDED_SPACE, found, "free some space", needed=False)
