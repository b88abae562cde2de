# SPDX-License-Identifier: GPL-3.0-or-later
"""What would make an installation fail, found before anything is downloaded: system, folder, disk, length of paths.

Installs and downloads nothing; a file of a few bytes is made and removed to see whether a folder can be written.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import EnvironmentProblem, Kind
from ..places import Places
from ..sizes import Need, Size, normal, pins_in
from ..specs import TORCH, spec
from .host import PLATFORMS, System, this_system, why_not

MARGIN = 300_000_000  # bytes; for uv, a Python where there is none, logs, and what the rest of the machine does
LONGEST_PATH = 259  # characters; Windows' MAX_PATH without its zero (learn.microsoft.com, "Maximum Path Length")
LONGEST_MODULE = 120  # characters; what Python must reach below site-packages. transformers has the longest, with 101
_WITH_TORCH = ("nvidia-", "cuda-", "triton", "rocm")  # what packages are called that builds of torch bring


@dataclass(frozen=True)
class Finding:
    """``name``: which thing was looked at, for example space; ``text``: a sentence, with what to do unless ``ok``."""

    name: str
    ok: bool
    text: str


_KINDS: dict[str, Kind] = {"system": "architecture", "space": "space", "folder": "permission"}


def examine(places: Places, need: Need, name: str) -> None:
    """Raises EnvironmentProblem with the first thing that would make the installation of ``name`` fail."""
    for finding in findings(places, need, name):
        if not finding.ok:
            raise EnvironmentProblem(finding.text, _KINDS.get(finding.name, "other"))


def findings(places: Places, need: Need, name: str, system: System | None = None) -> tuple[Finding, ...]:
    """Everything that was looked at, the gravest first. Takes some ten milliseconds."""
    system = system or this_system()
    trouble = why_not(system)
    fits = Finding("system", not trouble, trouble or f"there are packages for {PLATFORMS[system.platform]}")
    found = [fits, _folder(places)]
    if all(each.ok for each in found):
        found.append(_space(places, need, name))
    if sys.platform == "win32":
        found.append(path_length(places.root, name, _long_paths_allowed()))
    return tuple(found)


def path_length(root: Path, name: str, long_paths_allowed: bool) -> Finding:
    """Whether Windows lets Python reach every module of the environment ``name`` below ``root``.

    uv itself writes paths of any length. Longer ones than LONGEST_MODULE are licences in the packages, which nobody
    opens.
    """
    most = LONGEST_PATH - LONGEST_MODULE - len(f"\\environments\\{name}@12345678\\Lib\\site-packages\\")
    if long_paths_allowed or len(str(root)) <= most:
        return Finding("path length", True, f"{root} is short enough")
    trouble = f"the path of the folder {root} is too long for Windows"
    advice = f"choose one of at most {most} characters, for example C:\\image_to_3d, or allow long paths in Windows"
    return Finding("path length", False, f"{trouble}: {advice}")


def _folder(places: Places) -> Finding:
    """Tries to write where the environments and the packages will be."""
    for folder in (places.environments, places.cache):
        existing = _existing(folder)
        try:
            with tempfile.TemporaryFile(dir=existing) as file:
                file.write(b"a few bytes")
        except OSError as error:
            text = f"the folder {existing} cannot be written ({error.strerror}): choose another folder"
            return Finding("folder", False, text)
    return Finding("folder", True, f"{places.root} can be written")


def _space(places: Places, need: Need, name: str) -> Finding:
    """Packages lie unpacked in the cache; an environment is made of links to them, or copies where links cannot be.

    What is free is what the file system says (statvfs(3)); few of them tell a user's quota there.
    """
    here, cache = _existing(places.environments), _existing(places.cache)
    wanted = max(0, need.disk - reusable(places, name)) + MARGIN
    copied = need.disk if not _can_link(cache, here) else 0
    same_disk = os.stat(here).st_dev == os.stat(cache).st_dev
    about = "about " if need.estimated else ""
    for folder, count in [(cache, wanted + copied)] if same_disk else [(cache, wanted), (here, copied)]:
        free = shutil.disk_usage(folder).free
        if free < count:
            lack = f"{name} needs {about}{_size(count)} on the disk of {folder}, where {_size(free)} are free"
            advice = f"free {_size(count - free)} there, or choose a folder on another disk"
            return Finding("space", False, f"{lack}: {advice}")
    free = shutil.disk_usage(here).free
    return Finding("space", True, f"{name} needs {about}{_size(wanted)}, and {_size(free)} are free")


def reusable(places: Places, name: str) -> int:
    """Bytes on the disk of those packages of ``name`` that lie unpacked in uv's cache already."""
    pins = {(normal(package), version) for package, version in pins_in(spec(name).text).items()}
    total = 0
    for info in places.cache.glob("archive-v*/*/*.dist-info"):
        package, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        package = normal(package)
        brought = package.startswith(_WITH_TORCH) or (package == "torch" and version.startswith(TORCH))
        if (package, version) in pins or (brought and spec(name).torch):
            with contextlib.suppress(OSError, UnicodeDecodeError):  # the package's list, whose lines end in sizes
                lines = (info / "RECORD").read_text(encoding="utf-8").splitlines()
                numbers = [line.rpartition(",")[2] for line in lines]
                total += Size(0, sum(int(number) for number in numbers if number.isdigit()), len(lines)).disk
    return total


def _can_link(cache: Path, environments: Path) -> bool:
    """Whether files in ``cache`` can have a second name in ``environments``: not on another disk, nor on FAT."""
    try:
        with tempfile.TemporaryDirectory(dir=cache) as one, tempfile.TemporaryDirectory(dir=environments) as other:
            Path(one, "file").touch()
            os.link(Path(one, "file"), Path(other, "file"))
    except OSError:
        return False
    return True


def _existing(folder: Path) -> Path:
    """``folder``, or the nearest above that exists, also if it is a file in the way; the topmost where not even its
    drive does."""
    return next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder.parents[-1])


def _long_paths_allowed() -> bool:
    import winreg  # exists on Windows only

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1
    except OSError:
        return False


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"
