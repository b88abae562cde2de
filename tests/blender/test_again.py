# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that are made again, and others like them, by the real worker: IMAGE_TO_3D_WORKER names a Python with its
packages."""

import os
from pathlib import Path

import pytest
from image_to_3d.tests.blender.conftest import work_until

PYTHON = os.environ.get("IMAGE_TO_3D_WORKER", "")
ROBOT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "robot.png"
STEPS = 4  # of the generator: what comes out is not looked at

pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="IMAGE_TO_3D_WORKER names no Python with the worker's packages"),
    pytest.mark.timeout(1200),
]


@pytest.fixture
def brought(bpy, addon, monkeypatch) -> list[bytes]:
    """The files that came into the scene, one after the other."""
    scene, files = addon("ui.scene"), []
    add = scene.add_meshes

    def adding(context, file, name):
        files.append(Path(file.path).read_bytes())
        return add(context, file, name)

    monkeypatch.setattr(scene, "add_meshes", adding)
    monkeypatch.setenv("IMAGE_TO_3D_PYTHON", PYTHON)
    addon("ui.timer").session().look()
    return files


def shape(thing) -> tuple:
    """All of its corners, faces and texture coordinates, and the texture as it is packed."""
    mesh, [node] = thing.data, [n for n in thing.data.materials[0].node_tree.nodes if n.type == "TEX_IMAGE"]
    points = [tuple(vertex.co) for vertex in mesh.vertices]
    faces = [tuple(face.vertices) for face in mesh.polygons]
    return points, faces, [tuple(at.vector) for at in mesh.uv_layers[0].uv], node.image.packed_file.data


def generate(bpy) -> None:
    own = bpy.context.window_manager.image_to_3d
    own.picture, own.category = str(ROBOT), "Diffusion"
    own.category_Diffusion.network, own.category_Diffusion.preset = "included-generator", "fast"
    own.method_generator.option_steps = STEPS
    bpy.ops.image_to_3d.generate()


def test_a_reopened_result_is_made_again_to_the_last_byte_and_varied_in_a_row(bpy, addon, brought, tmp_path):
    session = addon("ui.timer").session()
    generate(bpy)
    work_until(addon, lambda session: len(brought) == 1 and not session.results.waiting)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    own = bpy.context.window_manager.image_to_3d
    own.category = "Depth"  # what the panel is set to does not matter

    for fresh, count in ((False, 2), (True, 3)):
        own.fresh = fresh
        addon("ui.scene.selection").select_only(bpy.context, bpy.data.objects["robot"])
        bpy.ops.image_to_3d.regenerate()
        work_until(addon, lambda session, count=count: len(brought) == count and not session.results.waiting)
        assert session.results.last.from_cache is not fresh
    own.fresh = False
    assert brought[0] == brought[1] == brought[2]
    assert shape(bpy.data.objects["robot"]) == shape(bpy.data.objects["robot.001"]) == shape(bpy.context.object)

    addon("ui.scene.selection").select_only(bpy.context, bpy.data.objects["robot"])
    bpy.ops.image_to_3d.vary(count=4)
    assert len(session.queue) == 3 and session.job
    work_until(addon, lambda session: len(brought) == 7 and not session.results.waiting)
    boxes = [addon("ui.scene.place").box(thing) for thing in sorted(bpy.data.objects, key=lambda each: each.location.x)]
    assert all(left.high.x < right.low.x for left, right in zip(boxes, boxes[1:]))
    assert len(set(brought[2:])) == 5
    work_until(addon, lambda session: len(session.history.told.entries) == 5)
    seeds = [entry.provenance.options["seed"] for entry in session.history.told.entries]
    assert sorted(seeds) == [0, 1, 2, 3, 4]


def test_what_was_finished_but_not_in_the_scene_yet_is_in_the_history_after_a_restart(bpy, addon, brought):
    import addon_utils

    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")  # a result waits for its end
    generate(bpy)
    own = bpy.context.window_manager.image_to_3d
    own.method_generator.option_seed = 1
    bpy.ops.image_to_3d.generate()
    work_until(addon, lambda session: session.results.waiting and session.job)
    addon_utils.disable("bl_ext.user_default.image_to_3d", default_set=True)
    assert not brought
    bpy.ops.object.mode_set(mode="OBJECT")
    assert addon_utils.enable("bl_ext.user_default.image_to_3d", default_set=True)
    addon("ui.timer")._tick()
    own = bpy.context.window_manager.image_to_3d
    own.picture, own.category = str(ROBOT), "Depth"  # the worker starts to say what it would take, and what it has
    work_until(addon, lambda session: session.history.told.entries)
    [entry] = addon("ui.timer").session().history.told.entries
    bpy.ops.image_to_3d.place_again(key=entry.key)
    work_until(addon, lambda session: session.results.last)
    assert len(brought) == 1
