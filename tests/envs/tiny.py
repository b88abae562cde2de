# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment called `tiny`, of a few small packages in a wheelhouse made here, installed by the real uv."""

import base64
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.network.pipconfig import PipConfig
from image_to_3d.envs.places import Places, default_root
from image_to_3d.envs.uv.uvtool import find_or_fetch

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = 60.0  # seconds; nothing takes that long
PACKAGES = ("tiny_a", "tiny_b", "tiny_c")
MODULE = b"answer = 42\n"
_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def contents(package: str) -> dict[str, bytes]:
    """The files of ``package`` below site-packages, the same each time."""
    bytes_of = random.Random(package).randbytes
    files = {f"{package}/data/{number}.bin": bytes_of(5_000) for number in range(9)}
    return {f"{package}/__init__.py": MODULE, f"{package}/data/big.bin": bytes_of(300_000), **files}


def make_wheel(folder: Path, package: str, module: bytes = MODULE) -> Path:
    """``module``: what its __init__.py holds."""
    info = f"{package}-1.0.dist-info"
    files = contents(package) | {
        f"{package}/__init__.py": module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_encoded(content)},{len(content)}\n" for name, content in files.items())
    path = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}).items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # of 1980: the same each time
    return path


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def write_lock(wheels: Path, lock: Path) -> None:
    """Pins all wheels in ``wheels`` by version and hash."""
    pins = [(each.name.split("-")[0], hashlib.sha256(each.read_bytes()).hexdigest()) for each in wheels.glob("*.whl")]
    lock.write_text("".join(f"{name}==1.0 --hash=sha256:{digest}\n" for name, digest in sorted(pins)))


def real_uv() -> Path:
    """A uv that is here already; the test is skipped if there is none."""
    try:
        return find_or_fetch(Places(default_root()).tools, PipConfig(no_index=True))
    except EnvironmentProblem:
        pytest.skip("no uv is here yet: python3 -m envs create core")


@dataclass
class Installation:
    """A data folder ``root`` and processes of `python3 -m envs` that work on it."""

    root: Path
    driver: subprocess.Popen
    said: Path
    begun: list[int] = field(default_factory=list)

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    @property
    def marker(self) -> Path:
        return self.environments / "tiny.json"

    @property
    def folder(self) -> Path:
        """The one that the marker names."""
        return self.environments / json.loads(self.marker.read_text())["folder"]

    @property
    def site(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))

    def start(
        self, *arguments: str, skew: float = 0.0, margin: int = 0, variables: Mapping[str, str] = MappingProxyType({})
    ) -> int:
        """``skew``: seconds by which its clock is wrong; ``margin``: bytes that it wants free besides what it needs."""
        order = {"arguments": [*arguments, "--root", str(self.root)], "said": str(self.said), "skew": skew}
        process = self._order(order | {"margin": margin, "variables": dict(variables)})
        self.begun.append(process)
        return process

    def wait(self, process: int, seconds: float = LIMIT) -> int | None:
        """The exit code, None if it still runs after ``seconds``."""
        return self._order({"wait": process, "seconds": seconds})

    def run(
        self, *arguments: str, skew: float = 0.0, margin: int = 0, variables: Mapping[str, str] = MappingProxyType({})
    ) -> int:
        code = self.wait(self.start(*arguments, skew=skew, margin=margin, variables=variables))
        assert code is not None, f"{arguments} took longer than {LIMIT} s"
        return code

    def output(self) -> str:
        """What the last one has said."""
        return self.said.read_text()

    def checked(self, *options: str, skew: float = 0.0) -> str:
        """The state as `check` has it."""
        self.run("check", "tiny", "--json", *options, skew=skew)
        return json.loads(self.output())["environments"][0]["state"]

    def is_whole(self) -> bool:
        """Whether there is an environment to use with every file as in the wheels; not known from our own code."""
        try:
            site = self.site
            python = self.folder / "bin" / "python"
            return (
                os.access(python, os.X_OK)
                and (self.folder / "pyvenv.cfg").stat().st_size > 0
                and all(
                    (site / name).read_bytes() == content
                    for package in PACKAGES
                    for name, content in contents(package).items()
                )
            )
        except (OSError, ValueError, KeyError, TypeError, StopIteration):
            return False

    def _order(self, order: dict) -> int | None:
        self.driver.stdin.write(json.dumps(order) + "\n")
        self.driver.stdin.flush()
        return json.loads(self.driver.stdout.readline())


@dataclass
class Workshop:
    """Makes installations, each with an empty folder, that share one driver and one wheelhouse."""

    folder: Path
    wheels: Path
    lock: Path
    driver: subprocess.Popen
    made: list[Installation] = field(default_factory=list)

    def installation(self, root: Path | None = None) -> Installation:
        number = len(self.made)
        made = Installation(root or self.folder / f"home {number}", self.driver, self.folder / f"said {number}")
        self.made.append(made)
        return made

    def compiled(self, root: Path) -> Installation:
        """One with nothing but compiled files of Python's own modules, as in ``root``: to compile takes a second."""
        made = self.installation()
        shutil.copytree(root / "cache" / "compiled", made.root / "cache" / "compiled")
        return made

    def close(self) -> None:
        self.driver.stdin.close()
        self.driver.wait(LIMIT)
        for made in self.made:
            for process in made.begun:  # a uv that was left an orphan is still of its group
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process, signal.SIGKILL)


def _only_one_python(folder: Path) -> Path:
    """For PATH: uv starts each Python that it finds there to know its version, and that takes most of the time."""
    folder.mkdir()
    (folder / f"python{_PYTHON}").symlink_to(Path(sys.base_prefix) / "bin" / f"python{_PYTHON}")
    return folder


def open_workshop(folder: Path) -> Workshop:
    """Skips the test where there is no real uv, no interpreter that we support, or no POSIX."""
    if os.name != "posix":
        pytest.skip("processes are forked and killed as on POSIX")
    if _PYTHON not in ("3.11", "3.12"):
        pytest.skip("needs Python 3.11 or 3.12 as a base")
    uv = real_uv()
    wheels, lock = folder / "wheels", folder / "lock.txt"
    wheels.mkdir()
    for package in PACKAGES:
        make_wheel(wheels, package)
    write_lock(wheels, lock)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTHON"))}
    variables = {
        **kept,
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PATH": os.pathsep.join([str(_only_one_python(folder / "bin")), str(uv.parent)]),
    }
    driver = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("driver.py")), str(lock), _PYTHON],
        env=variables,
        cwd=folder,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    return Workshop(folder, wheels, lock, driver)
