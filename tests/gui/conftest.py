# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zip, installed into a real Blender with folders of its own, on a virtual screen of its own.

BLENDER=blender                 the program to drive, with arguments if it needs some
IMAGE_TO_3D_PYTHON=PATH         a Python with the worker's packages, for the tests that set none up
IMAGE_TO_3D_SET_UP=1            also sets up an environment from PyPI (some minutes, some 0.3 GB or more)
IMAGE_TO_3D_SCREEN=1280x800     the window's size
IMAGE_TO_3D_SCREENSHOTS=FOLDER  where to keep the pictures of what was seen
"""

import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import ROOM, SCREEN, Blender
from image_to_3d.tests.gui.hand import open_the_tab

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SETTLE = 2.0  # seconds: panels that change their size slide to their new places
PHOTOS = 8
FAKE = CHECKOUT / "tests" / "addon" / "fake_worker.py"
TOOLS = ("Xvfb", "xdotool", "import")


@pytest.fixture(scope="session")
def blender() -> str:
    command = os.environ.get("BLENDER")
    if not command:
        pytest.skip("BLENDER names no Blender to drive")
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        pytest.skip(f"needs {', '.join(missing)} (Debian: xvfb, xdotool, imagemagick)")
    return command


@pytest.fixture(scope="session")
def workers_python() -> str:
    python = os.environ.get("IMAGE_TO_3D_PYTHON")
    if not python:
        pytest.skip("IMAGE_TO_3D_PYTHON names no Python for the worker")
    return python


@pytest.fixture(scope="session")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="session")
def command_line(blender: str, user_folder: Path):
    """Runs Blender without a window; returns what it said."""

    def run(*arguments: str, user: Path = user_folder) -> str:
        done = subprocess.run(
            [*shlex.split(blender), *arguments],
            env={**os.environ, "BLENDER_USER_RESOURCES": str(user)},
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


@pytest.fixture
def user(command_line, archive, tmp_path: Path) -> Path:
    """User files in which the extension is installed and enabled."""
    folder = tmp_path / "user"
    arguments = ("--command", "extension", "install-file", "--repo", "user_default", "--enable", str(archive))
    command_line(*arguments, user=folder)
    return folder


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
        f"{ROOM[0]}x{ROOM[1]}x24",
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
def screen(start, workers_python: str, user_folder: Path, tmp_path: Path) -> Blender:
    """A Blender with its window."""
    return start(user_folder, tmp_path / "home", python=workers_python)


@pytest.fixture
def start(blender: str, display: str, tmp_path: Path, screenshots: Path):
    """Starts Blenders with their window, one after the other, with user files and the product's data in those folders;
    how the last one looked in the end is kept, for when a test has failed."""
    running: list[Blender] = []

    def begin(user: Path, home: Path, *arguments: str, python: str = "", size: tuple[int, int] = SCREEN) -> Blender:
        for before in running:
            before.close()
        folder = tmp_path / f"talk-{len(running)}"
        folder.mkdir()
        variables = {
            "BLENDER_USER_RESOURCES": str(user),
            "IMAGE_TO_3D_HOME": str(home),
            "IMAGE_TO_3D_PYTHON": python,
        }
        running.append(Blender(shlex.join([*shlex.split(blender), *arguments]), folder, display, variables, size))
        return running[-1]

    yield begin
    if running:
        running[-1].screenshot(screenshots / "end.png")
        running[-1].close()


@pytest.fixture
def watched(start, user, tmp_path):
    """Starts a Blender with our tab open, whose panels are watched, with that Python and those panels `opened`."""

    def begin(python: str, size: tuple[int, int] = SCREEN, opened: tuple[str, ...] = ()) -> Blender:
        screen = start(user, tmp_path / "home", python=python, size=size)
        screen.until("environment()")
        if opened:
            screen.ask(f"opens(*{opened!r})")
        open_the_tab(screen)
        screen.ask("watch_panels()")
        print("longest tick at the start", screen.ask("longest_tick()"))
        return screen

    return begin


@pytest.fixture
def scripted(watched, tmp_path):
    """As `watched`, with a worker that follows a script."""

    def begin(script: dict, size: tuple[int, int] = SCREEN, opened: tuple[str, ...] = ()) -> Blender:
        path, python = tmp_path / "script.json", tmp_path / "python"
        path.write_text(json.dumps({"initialize": [{"shipped": True}]} | script))
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "{path}"\n')
        python.chmod(0o755)
        return watched(str(python), size, opened)

    return begin


@pytest.fixture
def shot(screenshots: Path):
    """Takes a screenshot of that name."""
    return lambda screen, name: screen.screenshot(screenshots / f"{name}.png", settle=SETTLE)


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


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of our own: IMAGE_TO_3D_PICTURE, or a plain gradient."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    if given := os.environ.get("IMAGE_TO_3D_PICTURE"):
        copy = folder / Path(given).name
        copy.write_bytes(Path(given).read_bytes())
        return copy
    path = folder / "gradient.png"
    path.write_bytes(_gradient(2000, 1500))
    return path


@pytest.fixture
def result_file(tmp_path: Path) -> str:
    """A result for a worker that follows a script."""
    glb = pytest.importorskip(
        "image_to_3d.worker.geometry.glb", reason="needs the worker's packages", exc_type=ImportError
    )
    mesh = pytest.importorskip("image_to_3d.worker.geometry.mesh")
    numpy = pytest.importorskip("numpy")
    corners = numpy.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    faces = numpy.int32([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    glb.write_glb(mesh.Mesh(corners, faces), tmp_path / "result.glb", "a")
    return str(tmp_path / "result.glb")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with pictures of a painted box, cut out, from an arc around it."""
    scene = pytest.importorskip(
        "image_to_3d.tests.cameras.scene", reason="needs the worker's packages and embreex", exc_type=ImportError
    )
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pycolmap", reason="cameras are found with COLMAP's library, which is not in this environment")
    folder, shape = tmp_path / "painted box", scene.painted_box()
    folder.mkdir()
    for number, view in enumerate(scene.ring(PHOTOS, 20.0 * PHOTOS)):
        taken = scene.photo(shape, view, str(number), alpha=True)
        cut_out = image.fromarray(taken.rgb)
        cut_out.putalpha(image.fromarray(taken.alpha))
        cut_out.save(folder / f"side {number + 1}.png")
    return folder


def _gradient(width: int, height: int) -> bytes:
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 90)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
