# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on, enabled as an extension in a Blender without a window (`pip install bpy`), with folders of its own."""

import importlib
import json
import math
import os
import shutil
import struct
import tempfile
import time
import zlib
from pathlib import Path

import pytest

MODULE = "bl_ext.user_default.image_to_3d"
PATIENCE, PATIENCE_AT_WORK = 20.0, 400.0
"""Seconds: for a fake worker, and for the real one."""
CHECKOUT = Path(__file__).resolve().parent.parent.parent


def _install() -> Path:
    """A folder for Blender's user files in which the checkout is an installed extension."""
    user = Path(tempfile.mkdtemp(prefix="image-to-3d-test-"))
    extension = user / "extensions" / "user_default" / "image_to_3d"
    extension.mkdir(parents=True)
    for part in ("__init__.py", "blender_manifest.toml", "addon", "envs", "worker"):
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, extension / part, ignore=shutil.ignore_patterns("__pycache__", "training"))
        else:
            shutil.copy(source, extension / part)
    return user


def pytest_configure(config: pytest.Config) -> None:
    config.user_folder = _install()
    os.environ["BLENDER_USER_RESOURCES"] = str(config.user_folder)  # read when bpy is imported for the first time


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.user_folder, ignore_errors=True)


@pytest.fixture(scope="session")
def bpy():
    return pytest.importorskip("bpy", reason="bpy is not installed: python3 -m envs run test-blender --bpy 4.5")


@pytest.fixture
def addon(bpy, monkeypatch, tmp_path):
    """The enabled add-on in an empty scene, with this Python for its worker; gives its modules by name."""
    import addon_utils

    monkeypatch.setenv("IMAGE_TO_3D_PYTHON", os.path.realpath(os.sys.executable))
    monkeypatch.setenv("IMAGE_TO_3D_HOME", str(tmp_path / "home"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for kept in ("choices.json", "history.json", "catalogue.json"):  # of the test before
        for path in Path(os.environ["BLENDER_USER_RESOURCES"]).rglob(kept):
            if path.parent.name != "session":
                path.unlink()
    assert addon_utils.enable(MODULE, default_set=True)
    module("ui.timer")._tick()
    yield module
    addon_utils.disable(MODULE, default_set=True)


def module(name: str):
    """A module of the enabled add-on."""
    return importlib.import_module(f"{MODULE}.addon.{name}")


def run_until(addon, condition, patience: float = PATIENCE) -> None:
    """Ticks as Blender's timer would (in a Blender without a window timers do not run), for so many seconds at most."""
    timer, end = addon("ui.timer"), time.monotonic() + patience
    while not condition(timer.session()):
        assert time.monotonic() < end, timer.session().state
        timer._tick()
        time.sleep(0.005)


def work_until(addon, condition) -> None:
    """The same for the real worker, which takes its time, and must have no problem meanwhile."""

    def arrived(session) -> object:
        assert not session.problem, session.problem
        return condition(session)

    run_until(addon, arrived, PATIENCE_AT_WORK)


@pytest.fixture
def fake_worker(addon, monkeypatch, tmp_path):
    """Makes the worker follow a script; see tests/addon/fake_worker.py. `requests` are those that it got."""

    def follow(script: dict) -> None:
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        fake = CHECKOUT / "tests" / "addon" / "fake_worker.py"
        monkeypatch.setattr(
            addon("session.launch"), "worker_command", lambda python: [str(python), str(fake), str(path)]
        )

    def requests(method: str) -> list[dict]:
        lines = (tmp_path / "script.json.requests").read_text().splitlines()
        return [request for line in lines if (request := json.loads(line))["method"] == method]

    follow.requests = requests
    return follow


# ---- a GLB and a picture, made by hand


def png(width: int, height: int) -> bytes:
    """A picture whose red grows to the right and whose green grows downwards."""
    rows = b"".join(
        b"\0" + b"".join(bytes((255 * x // width, 255 * y // height, 0)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def glb(meshes: int = 1) -> bytes:
    """A textured quad, 2 wide and 1 tall, standing on the ground at z = 0.5 and facing +Z, in glTF's axes.

    `meshes` is how many nodes show it.
    """
    points = [(-1, 0, 0.5), (1, 0, 0.5), (1, 1, 0.5), (-1, 1, 0.5)]
    return encoded(points, [(0, 1), (1, 1), (1, 0), (0, 0)], [0, 1, 2, 0, 2, 3], meshes)


def ball(rows: int = 48, radius: float = 1.0) -> bytes:
    """A closed, lumpy ball on the ground, split along a meridian and at the poles."""
    columns, places, uv, number = 2 * rows, {}, [], {}
    indices = []

    def vertex(row: int, column: int) -> int:
        at = row, column
        if at not in number:
            number[at] = len(uv)
            around = 0 if row in (0, rows) else column % columns
            places[number[at]] = _on_ball(math.pi * row / rows, 2 * math.pi * around / columns, radius)
            uv.append((column / columns, row / rows))
        return number[at]

    for row in range(rows):
        for column in range(columns):
            a, b = vertex(row, column), vertex(row + 1, column)
            c, d = vertex(row + 1, column + 1), vertex(row, column + 1)
            indices += ([a, b, c] if row < rows - 1 else []) + ([a, c, d] if row else [])
    first: dict[tuple, int] = {}
    for index, place in places.items():
        first.setdefault(place, index)
    own, copies = [*first.values()], [index for index, place in places.items() if first[place] != index]
    arranged = own + copies
    new = {index: position for position, index in enumerate(arranged)}
    seams = [new[first[places[index]]] for index in copies]
    points, at = [places[index] for index in arranged], [uv[index] for index in arranged]
    return encoded(points, at, [new[index] for index in indices], 1, seams, False)


def _on_ball(down: float, around: float, radius: float) -> tuple[float, float, float]:
    far = radius * (1 + 0.15 * math.sin(3 * around) * math.sin(down) ** 2)
    beside = far * math.sin(down) if 0.001 < down < math.pi - 0.001 else 0.0
    return beside * math.sin(around), radius + far * math.cos(down), beside * math.cos(around)


def encoded(
    points: list[tuple],
    uv: list[tuple],
    indices: list[int],
    meshes: int = 1,
    seams: list[int] | None = None,
    double_sided: bool = True,
) -> bytes:
    """A GLB as the worker writes it."""

    def flat(code: str, values: list) -> bytes:
        return struct.pack(f"<{len(values)}{code}", *values)

    parts = [
        flat("f", [number for point in points for number in point]),
        flat("f", [number for at in uv for number in at]),
        flat("I", indices),
        png(64, 32),
    ]
    parts += [flat("I", seams)] if seams else []
    views, offset = [], 0
    for part in parts:
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(part)})
        offset += len(part) + (-len(part)) % 4
    binary = b"".join(part + b"\0" * ((-len(part)) % 4) for part in parts)
    mesh = {"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]}
    look = {"baseColorTexture": {"index": 0}, "metallicFactor": 0, "roughnessFactor": 0.9}
    body = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": list(range(meshes))}],
        "nodes": [{"mesh": 0, "name": f"mesh{i}"} for i in range(meshes)],
        "meshes": [mesh | ({"extras": {"seams": 4}} if seams else {})],
        "materials": [
            {
                "name": "material",
                "doubleSided": double_sided,
                "pbrMetallicRoughness": look,
                "extras": {"meanColour": [0.25, 0.2, 0.0]},
            }
        ],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(points), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": len(points), "type": "VEC2"},
            {"bufferView": 2, "componentType": 5125, "count": len(indices), "type": "SCALAR"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    text = json.dumps(body).encode()
    text += b" " * ((-len(text)) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


@pytest.fixture
def quad(tmp_path) -> str:
    path = tmp_path / "quad.glb"
    path.write_bytes(glb())
    return str(path)


@pytest.fixture
def make_glb(tmp_path):
    """Writes a GLB with so many meshes; returns its path."""

    def write(meshes: int) -> str:
        path = tmp_path / "made.glb"
        path.write_bytes(glb(meshes))
        return str(path)

    return write


@pytest.fixture(scope="session")
def round_thing(tmp_path_factory) -> str:
    """A closed thing, split along its seam."""
    path = tmp_path_factory.mktemp("results") / "ball.glb"
    path.write_bytes(ball())
    return str(path)


@pytest.fixture
def picture(tmp_path) -> str:
    path = tmp_path / "A photo.png"
    path.write_bytes(png(64, 48))
    return str(path)
