# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds uv, or fetches its pinned wheel, without pip: with urllib, checked by sha256. Knows no environment.

A uv on PATH is used when it is of the series that we test with. Otherwise the wheel comes from the user's wheelhouse or
index when pip is configured with one, else from PyPI's file server.
"""

import functools
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from ..errors import EnvironmentProblem
from ..failures import classify
from ..machine.platforms import executable, platform_name
from ..network.download import read, without_password
from ..network.pipconfig import PYPI, PipConfig

UV = "0.13.9"
_SERIES = UV.rpartition(".")[0]
_DIGEST = "uv.sha256"  # beside the program: what it was when it was unpacked
_FILES = "https://files.pythonhosted.org/packages"


@dataclass(frozen=True)
class Wheel:
    """A wheel of uv: platform tag, folder on PyPI's file server, and sha256 of the file."""

    tag: str
    folder: str
    sha256: str

    @property
    def name(self) -> str:
        return f"uv-{UV}-py3-none-{self.tag}.whl"


WHEELS = {
    "linux-x86_64": Wheel(
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "3d/aa/26d64642d808de4a652579ef950d7cd2d37f080a8babf9c67c6b75fc4c3f",
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ),
    "linux-arm64": Wheel(
        "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
        "57/15/94b6cd62ac3ff6550288328e8035288875197cbc183f51554b266a69877b",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
    "windows-x86_64": Wheel(
        "win_amd64",
        "dd/ef/ceeabf3631117f7354787d9fb1ffe943899e59ed4b887a696ed547e47e76",
        "6a44b2ed8111d2f60d2b92627c5dccda3f7ed7570b18ce115e569cd68c28246b",
    ),
    "macos-arm64": Wheel(
        "macosx_11_0_arm64",
        "f3/a7/a8d7b074798c7fb3b26b37584b8fe2e29df2ccdc24ce7902caab2a53edbf",
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
    ),
}


def find_or_fetch(tools: Path, config: PipConfig) -> Path:
    """The path of a uv that can be used; fetched into ``tools`` if there is none yet, or a damaged one."""
    own = tools / f"uv-{UV}" / executable("uv")
    on_path = shutil.which("uv")
    if own.exists() and _is_whole(own):
        return own
    if on_path and _is_of_our_series(on_path):
        return Path(on_path)
    wheel = WHEELS.get(platform_name())
    if wheel is None:
        raise EnvironmentProblem(f"uv has no build for {platform_name()}: install uv {UV} yourself and put it on PATH")
    return _unpack(_fetch(wheel, config), own)


def _is_whole(uv: Path) -> bool:
    """Whether it is still what was unpacked. A tenth of a second; a damaged one would fail in odd ways, for ever."""
    try:
        return uv.with_name(_DIGEST).read_text(encoding="ascii") == sha256(uv.read_bytes()).hexdigest()
    except FileNotFoundError:  # it was put there by hand, or by an earlier version
        return _is_of_our_series(str(uv))
    except (OSError, UnicodeDecodeError):
        return False


def _is_of_our_series(uv: str) -> bool:
    try:
        answer = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.startswith(f"uv {_SERIES}.")


def _fetch(wheel: Wheel, config: PipConfig) -> bytes:
    """The wheel's bytes from the first source that has it; only a file with the right sha256 counts."""
    failures = []
    for source, get in _sources(wheel, config):
        try:
            content = get()
        except (OSError, ValueError) as error:  # ValueError: not an address at all
            failures.append(f"{without_password(source)}: {getattr(error, 'reason', error)}")
            continue
        if sha256(content).hexdigest() == wheel.sha256:
            return content
        failures.append(f"{without_password(source)}: the file is damaged or not the right one")
    tried = "; ".join(failures) or "no index and no wheelhouse is configured"
    failure = classify(tried)
    advice = failure.advice if failure.kind == "proxy" else "check the network and proxy"
    raise EnvironmentProblem(
        f"the installer uv could not be fetched ({tried}): {advice}, "
        f"or put {wheel.name} in a folder named by PIP_FIND_LINKS",
        failure.kind,
    )


def _sources(wheel: Wheel, config: PipConfig) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Where the wheel may be, and how to get it from there: wheelhouses first, they cost nothing."""
    for folder in config.folders:
        if (folder / wheel.name).exists():
            yield str(folder), (folder / wheel.name).read_bytes
    for index in config.indexes:
        yield index, functools.partial(_from_index, wheel, index, config)


def _from_index(wheel: Wheel, index: str, config: PipConfig) -> bytes:
    """The wheel's bytes from PyPI's file server, or from another index by its page (PEP 503)."""
    if index.rstrip("/") == PYPI:
        return read(f"{_FILES}/{wheel.folder}/{wheel.name}", config)
    page = f"{index.rstrip('/')}/uv/"
    if urlsplit(page).scheme == "file":
        page += "index.html"
    text = unquote(read(page, config).decode("utf-8", "replace"))
    found = re.search(rf'href="([^"#]*{re.escape(wheel.name)})', text)
    if not found:
        raise FileNotFoundError(f"has no {wheel.name}")
    address, home = urlsplit(urljoin(page, found[1])), urlsplit(page)
    if address.hostname == home.hostname:  # user and password of the index are those of its files
        address = address._replace(netloc=home.netloc)
    return read(urlunsplit(address), config)


def _unpack(content: bytes, target: Path) -> Path:
    """Writes the executable of the wheel to ``target``, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.part")  # replaced next time, if this one is killed
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        program = archive.read(f"uv-{UV}.data/scripts/{executable('uv')}")
    target.with_name(_DIGEST).write_text(sha256(program).hexdigest(), encoding="ascii")
    try:
        beside.write_bytes(program)
        if sys.platform != "win32":
            beside.chmod(0o755)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target
