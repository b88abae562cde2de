# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the files of an environment are those that were installed. Starts nothing, repairs nothing, knows no spec.

Every installed package brings a list of its files with sizes and hashes (packaging.python.org, "Recording installed
projects"). What these lists cannot tell, as they may be damaged or gone themselves, is in a manifest of ours.
"""

import base64
import csv
import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .machine.platforms import python_in, reachable

MANIFEST = "installed.json"
_BYTES = 1 << 20


@dataclass(frozen=True)
class Damage:
    """``package``: the one that brought the file, empty for what belongs to the virtual environment itself."""

    path: Path
    package: str
    why: Literal["gone", "of another size", "changed", "not readable"]


@dataclass(frozen=True)
class _Claim:
    """What a package's list says of one file; ``size`` and ``hash`` are empty where it says nothing."""

    package: str
    hash: str
    size: str


def inspect_files(folder: Path, every_byte: bool = False) -> list[Damage]:
    """What is damaged in the environment in ``folder``: half a second for 20 000 files, more with ``every_byte``."""
    site = _site_packages(folder)
    if site is None:
        return [Damage(folder, "", "gone")]
    return [*_against_lists(site, every_byte), *_against_manifest(folder, site)]


def damaged_in_cache(cache: Path, packages: list[str]) -> list[str]:
    """Those of ``packages`` that are damaged in uv's cache as well: its files may be the very same ones."""
    infos = [each for each in cache.glob("archive-v*/*/*.dist-info") if _package(each.name) in packages]
    return sorted({_package(each.name) for each in infos if _against_lists(each.parent, every_byte=True)})


def write_manifest(folder: Path) -> None:
    """To be called once, when everything is installed."""
    site, python = _site_packages(folder), python_in(folder)
    lists = {info.name: (info / "RECORD").stat().st_size for info in _packages(site)}
    # What Python reads when it starts and no package brought: the venv's configuration, and hooks of uv's.
    launcher = [] if python.is_symlink() else [python]
    files = [folder / "pyvenv.cfg", *launcher, *sorted(site.glob("_virtualenv.*"))]
    own = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    (folder / MANIFEST).write_text(json.dumps({"packages": lists, "own": own}, indent=1), encoding="utf-8")


def damaged_packages(damaged: list[Damage]) -> list[str]:
    return sorted({each.package for each in damaged if each.package})


def _site_packages(folder: Path) -> Path | None:
    """Where an environment's packages are: lib/python3.x/site-packages, on Windows Lib/site-packages."""
    candidates = (*folder.glob("lib/python3*/site-packages"), folder / "Lib" / "site-packages")
    return next((path for path in candidates if path.is_dir()), None)


def _packages(site: Path) -> list[Path]:
    return sorted(path for path in site.glob("*.dist-info") if path.is_dir())


def _package(info: str) -> str:
    """tiny for tiny-1.0.dist-info."""
    return info.partition("-")[0]


def _read_lists(site: Path) -> tuple[list[Damage], dict[str, list[_Claim]]]:
    """Lists that cannot be read, and what the others say: files by their path as it is in the lists."""
    damaged, claims = [], defaultdict(list)
    for info in _packages(site):
        package, record = _package(info.name), info / "RECORD"
        try:
            with record.open(encoding="utf-8", newline="") as file:
                rows = {name: _Claim(package, digest, size) for name, digest, size in csv.reader(file)}
        except FileNotFoundError:
            damaged.append(Damage(record, package, "gone"))
            continue
        except (OSError, ValueError, csv.Error):
            rows = {}
        if f"{info.name}/METADATA" not in rows:
            damaged.append(Damage(record, package, "not readable"))
        for name, claim in rows.items():
            claims[name].append(claim)
    return damaged, claims


def _against_lists(site: Path, every_byte: bool) -> list[Damage]:
    """What is not as the lists of the packages in ``site`` have it."""
    damaged, claims = _read_lists(site)
    for name, claimed in claims.items():
        path = reachable(os.path.join(site, name))  # pathlib takes twice as long, and there are many
        why = _wrong(path, claimed, every_byte)
        if why:
            damaged.append(Damage(Path(os.path.normpath(path)), claimed[0].package, why))
    return damaged


def _wrong(path: str, claims: list[_Claim], every_byte: bool) -> Literal["gone", "of another size", "changed"] | None:
    """Several packages may bring the same file: it is whole if it is that of one of them."""
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError):  # ValueError: a damaged list holds what is no path
        return "gone"
    fitting = [claim for claim in claims if claim.size in ("", str(size))]
    if not fitting:
        return "of another size"
    if every_byte and not any(_has_hash(path, claim.hash) for claim in fitting):
        return "changed"
    return None


def _has_hash(path: str, wanted: str) -> bool:
    """``wanted``: algorithm=digest, the digest in urlsafe base64 without padding; or nothing."""
    algorithm, _, digest = wanted.partition("=")
    if not digest or algorithm not in hashlib.algorithms_guaranteed:
        return True
    found = hashlib.new(algorithm)
    try:
        with open(path, "rb") as file:
            while block := file.read(_BYTES):
                found.update(block)
    except OSError:  # a bad block of the disk
        return False
    return base64.urlsafe_b64encode(found.digest()).decode().rstrip("=") == digest


def _against_manifest(folder: Path, site: Path) -> list[Damage]:
    """What the manifest knows of. Environments of earlier versions have none."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        expected = {site / f"{name}/RECORD": (_package(name), size) for name, size in manifest["packages"].items()}
        expected |= {folder / name: ("", size) for name, size in manifest["own"].items()}
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return [Damage(path, "", "not readable")]
    damaged = []
    for each, (package, size) in expected.items():
        try:
            if each.stat().st_size != size:
                damaged.append(Damage(each, package, "of another size"))
        except OSError:
            damaged.append(Damage(each, package, "gone"))
    return damaged
