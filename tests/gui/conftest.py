# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zip, installed into a real Blender with folders of its own, on a virtual screen of its own.

BLENDER=blender                 the program to drive, with arguments if it needs some
IMAGE_TO_3D_PYTHON=PATH         a Python with the worker's packages; without it the add-on would have to set one up
IMAGE_TO_3D_SCREENSHOTS=FOLDER  where to keep the pictures of what was seen
"""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import SCREEN, Blender

CHECKOUT = Path(__file__).resolve().parent.parent.parent
TOOLS = ("Xvfb", "xdotool", "import")


@pytest.fixture(scope="session")
def blender() -> str:
    command = os.environ.get("BLENDER")
    if not command:
        pytest.skip("BLENDER names no Blender to drive")
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        pytest.skip(f"needs {', '.join(missing)} (Debian: xvfb, xdotool, imagemagick)")
    if not os.environ.get("IMAGE_TO_3D_PYTHON"):
        pytest.skip("IMAGE_TO_3D_PYTHON names no Python for the worker")
    return command


@pytest.fixture(scope="session")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="session")
def command_line(blender: str, user_folder: Path):
    """Runs Blender without a window; returns what it said."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*shlex.split(blender), *arguments],
            env={**os.environ, "BLENDER_USER_RESOURCES": str(user_folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            cwd=CHECKOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="session")
def archive(command_line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip, built by Blender from the checkout."""
    folder = tmp_path_factory.mktemp("archive")
    command_line("--command", "extension", "build", "--source-dir", str(CHECKOUT), "--output-dir", str(folder))
    [path] = folder.glob("*.zip")
    return path


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """DISPLAY, or a virtual screen that ends with the tests."""
    if given := os.environ.get("DISPLAY"):
        yield given
        return
    reading, writing = os.pipe()
    command = [
        "Xvfb",
        "-displayfd",
        str(writing),
        "-screen",
        "0",
        f"{SCREEN[0]}x{SCREEN[1]}x24",
        "+extension",
        "GLX",
        "-nolisten",
        "tcp",
    ]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        yield f":{pipe.readline().strip()}"  # it writes its number when it is ready
    server.terminate()
    server.wait(10)


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("IMAGE_TO_3D_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def screen(blender: str, display: str, user_folder: Path, tmp_path: Path, screenshots: Path) -> Iterator[Blender]:
    """A Blender with its window; how it looked in the end is kept as well, for when a test has failed."""
    variables = {"BLENDER_USER_RESOURCES": str(user_folder), "IMAGE_TO_3D_HOME": str(tmp_path / "home")}
    running = Blender(blender, tmp_path, display, variables)
    yield running
    running.screenshot(screenshots / "end.png")
    running.close()


@pytest.fixture
def shot(screen: Blender, screenshots: Path):
    """Takes a screenshot of that name."""
    return lambda name: screen.screenshot(screenshots / f"{name}.png")


@pytest.fixture
def gone():
    """Waits until a process has ended; returns the seconds that took."""

    def wait(pid: int, limit: float) -> float:
        began = time.monotonic()
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < began + limit, f"process {pid} still runs after {limit} seconds"
            time.sleep(0.02)
        return time.monotonic() - began

    return wait
