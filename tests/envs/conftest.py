# SPDX-License-Identifier: GPL-3.0-or-later
"""A data folder with a uv that only pretends: a shell script that does what the variables FAKE_* tell it to."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from image_to_3d.envs.uv.uvtool import UV

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = 30.0

UV_SCRIPT = r"""#!/bin/sh
echo "$*" >> "$FAKE_CALLS"
case "$*" in *"${FAKE_FAILS_AT:-nothing fails}"*) echo "$FAKE_SAYS"; exit 2;; esac
case "$*" in *"${FAKE_HANGS_AT:-nothing hangs}"*)
    echo $$ > "$FAKE_CALLS.part"; mv "$FAKE_CALLS.part" "$FAKE_CALLS.hangs"
    while [ ! -e "$FAKE_CALLS.go" ]; do sleep 0.05; done;;
esac
case "$1" in
    python) echo /a/base/python;;
    venv) for folder; do :; done; mkdir -p "$folder/bin" "$folder/lib/python3.11/site-packages"
        touch "$folder/pyvenv.cfg"; cp "$FAKE_PYTHON" "$folder/bin/python";;
esac
"""

# Stands for an environment's interpreter: answers the verification, and shows how it was started for anything else.
PYTHON_SCRIPT = r"""#!/bin/sh
case "$*" in
    *inside.py*) echo "${FAKE_VERDICT:-{\"failed\": {\}, \"versions\": {\}\}}"; exit 0;;
    *"worker hello"*) echo "${FAKE_HELLO:-{\"product\": \"1\"\}}"; exit "${FAKE_HELLO_EXIT:-0}";;
esac
printf '%s\n' "$PWD" "$PYTHONPATH" "$PYTHONPYCACHEPREFIX" "$@"
exit "${FAKE_EXIT:-0}"
"""


@dataclass
class Home:
    """A data folder below ``root``, and the variables of processes that use it."""

    root: Path
    variables: dict[str, str]
    running: list[subprocess.Popen] = field(default_factory=list)

    def extend_uv(self, line: str) -> None:
        """Has the uv that pretends run ``line`` at its end."""
        play_uv(self.root / "tools", f"{UV_SCRIPT}\n{line}\n")

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    def calls(self) -> list[str]:
        """What uv was asked to do, in order."""
        path = Path(self.variables["FAKE_CALLS"])
        return path.read_text().splitlines() if path.exists() else []

    def start(self, *arguments: str, cwd: Path = ROOT) -> subprocess.Popen:
        command = [sys.executable, "-m", "envs", *arguments]
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=self.variables,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.running.append(process)
        return process

    def run(self, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
        process = self.start(*arguments, cwd=cwd)
        out, err = process.communicate(timeout=LIMIT)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def hanging_uv(self) -> int:
        """Waits until uv hangs where it was told to; its process id."""
        path = Path(self.variables["FAKE_CALLS"] + ".hangs")
        wait_for(path.exists)
        return int(path.read_text())

    def let_uv_go(self) -> None:
        Path(self.variables["FAKE_CALLS"] + ".go").touch()


def wait_for(condition: Callable[[], bool]) -> None:
    """Returns as soon as ``condition`` holds; fails after LIMIT seconds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


def play_uv(tools: Path, script: str) -> None:
    """Puts ``script`` where our uv is, as if it had been unpacked from a wheel."""
    uv = tools / f"uv-{UV}" / "uv"
    uv.parent.mkdir(parents=True, exist_ok=True)
    uv.write_text(script)
    uv.chmod(0o755)
    uv.with_name("uv.sha256").write_text(hashlib.sha256(script.encode()).hexdigest())


@pytest.fixture
def home(tmp_path, monkeypatch):
    if sys.platform == "win32":
        pytest.skip("the uv that pretends is a shell script")
    root = tmp_path / "data"
    python = tmp_path / "python"
    play_uv(root / "tools", UV_SCRIPT)
    python.write_text(PYTHON_SCRIPT)
    python.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "FAKE_"))}
    variables = {
        **kept,
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "IMAGE_TO_3D_HOME": str(root),
        "FAKE_CALLS": str(tmp_path / "calls"),
        "FAKE_PYTHON": str(python),
    }
    for name in set(os.environ) - set(variables):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made = Home(root, variables)
    yield made
    made.let_uv_go()
    for process in made.running:
        process.kill()
        process.communicate()
