# SPDX-License-Identifier: GPL-3.0-or-later
"""From the panel to the scene by the real worker: IMAGE_TO_3D_WORKER names a Python with its packages."""

import math
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from image_to_3d.tests.blender.conftest import work_until

PYTHON = os.environ.get("IMAGE_TO_3D_WORKER", "")
ROOT = Path(__file__).resolve().parents[2]
ROOM = ROOT / "docs" / "examples" / "room.jpg"

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


def generate(bpy, addon, photo: Path = ROOM, **more) -> None:
    """Makes the photo, of a room, with the preset fast, and waits until it is in the scene."""
    own = bpy.context.window_manager.image_to_3d
    own.picture, own.category, own.category_Depth.preset = str(photo), "Depth", "fast"
    own.fresh, own.camera = True, True
    for name, value in more.items():
        setattr(own.method_depth, f"option_{name}", value)
    bpy.ops.image_to_3d.generate()
    work_until(addon, lambda session: session.results.last)


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


def test_a_folder_of_frames_becomes_a_displaced_grid_that_the_scenes_frame_moves(bpy, addon, session, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        shutil.copy(ROOM if number != 1 else ROOM.with_name("street.jpg"), frames / f"{number}.jpg")
    own = bpy.context.window_manager.image_to_3d
    own.picture, own.category, own.category_Depth.preset = str(frames), "Depth", "fast"
    bpy.ops.image_to_3d.sequence()
    work_until(addon, lambda session: any(each.type == "MESH" for each in bpy.data.objects))
    assert (tmp_path / "frames depth" / "depth_0003.exr").is_file()
    [thing] = [each for each in bpy.data.objects if each.type == "MESH"]
    [camera] = [each for each in bpy.data.objects if each.type == "CAMERA"]
    assert thing.name == "frames depth" and camera.matrix_world == thing.matrix_world
    depths = []
    for number in range(3):
        bpy.context.scene.frame_set(bpy.context.scene.frame_start + number)
        graph = bpy.context.evaluated_depsgraph_get()
        points = [vertex.co.copy() for vertex in thing.evaluated_get(graph).data.vertices]
        depths.append(sorted(-point.z for point in points)[len(points) // 2])
        assert len(points) > 1000 and min(-point.z for point in points) > 0.1
        half = math.tan(camera.data.angle / 2)
        assert all(abs(point.x / point.z) <= half * 1.001 for point in points)
    assert depths[0] == pytest.approx(depths[2], rel=0.1) and depths[0] != pytest.approx(depths[1], rel=0.005)


def test_the_maps_of_a_photo_are_saved_where_the_panel_says(bpy, addon, session, tmp_path):
    bpy.context.window_manager.image_to_3d.maps = str(tmp_path)
    try:
        generate(bpy, addon)
    finally:
        bpy.context.window_manager.image_to_3d.maps = ""
    assert {path.name for path in tmp_path.glob("*.exr")} == {
        f"{name}_room.exr" for name in ("depth", "mask", "normals")
    }


def test_a_thing_before_a_background_and_the_scene_behind_it_come_as_two_objects(bpy, addon, session):
    generate(bpy, addon, ROOM.with_name("table.jpg"), subject="both")
    assert {each.name for each in bpy.data.objects if each.type == "MESH"} == {"table", "table scene"}
