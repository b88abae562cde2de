# SPDX-License-Identifier: GPL-3.0-or-later
"""From the panel to the scene by the real worker: IMAGE_TO_3D_WORKER names a Python with its packages."""

import os
import subprocess
import time
from pathlib import Path

import pytest

PYTHON = os.environ.get("IMAGE_TO_3D_WORKER", "")
ROOT = Path(__file__).resolve().parents[2]
ROOM = ROOT / "docs" / "examples" / "room.jpg"
PATIENCE = 400.0

TINY = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/bench")
import checkout
from image_to_3d.tests.methods.depth import tiny_moge
tiny_moge.write(Path(sys.argv[1]))
"""

pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="IMAGE_TO_3D_WORKER names no Python with the worker's packages"),
    pytest.mark.timeout(1200),
]


@pytest.fixture
def session(addon, monkeypatch):
    monkeypatch.setenv("IMAGE_TO_3D_PYTHON", PYTHON)
    found = addon("ui.timer").session()
    found.look()
    return found


def run(addon, until) -> None:
    timer, end = addon("ui.timer"), time.monotonic() + PATIENCE
    while not until(timer.session()):
        assert time.monotonic() < end and not timer.session().problem, timer.session().problem
        timer._tick()
        time.sleep(0.02)


def generate(bpy, addon, **more) -> None:
    """Makes the room with the preset fast, and waits until it is in the scene."""
    own = bpy.context.window_manager.image_to_3d
    own.picture, own.category, own.category_Depth.preset = str(ROOM), "Depth", "fast"
    own.fresh, own.camera = True, True
    for name, value in more.items():
        setattr(own.method_depth, f"option_{name}", value)
    bpy.ops.image_to_3d.generate()
    run(addon, lambda session: session.results.last)


def test_moge_is_taken_by_itself_as_soon_as_its_weights_are_there(bpy, addon, session):
    """Tiny ones of random numbers, in the published layout: a relief of them comes into the scene, with its camera."""
    folder = Path(os.environ["IMAGE_TO_3D_HOME"]) / "weights" / "moge-2"
    subprocess.run([PYTHON, "-c", TINY, str(folder)], check=True, cwd=ROOT)
    generate(bpy, addon)
    made = session.results.last
    assert made.network == "moge-2" and made.provenance.licence == "MIT" and made.faces > 10
    [thing] = [each for each in bpy.data.objects if each.type == "MESH"]
    assert thing.name == "room" and len(thing.data.polygons) == made.faces
    [camera] = [each for each in bpy.data.objects if each.type == "CAMERA"]
    assert camera.data.angle > 0.1
