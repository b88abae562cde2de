# SPDX-License-Identifier: GPL-3.0-or-later
"""Improve: each round's mesh replaces the one before in the scene, and one undo brings back what was improved."""

import pytest
from image_to_3d.tests.blender.conftest import run_until
from image_to_3d.tests.blender.test_coarse import meshes, standing


def faces(bpy) -> int:
    return len(bpy.data.objects["Robot"].data.polygons)


def begin(bpy, picture):
    thing = standing(bpy)
    bpy.ops.ed.undo_push(message="before")
    bpy.context.window_manager.image_to_3d.picture = picture
    bpy.ops.image_to_3d.improve()
    return thing.matrix_world.copy()


def test_each_round_takes_the_place_of_the_one_before_and_one_undo_brings_back_the_start(
    bpy, addon, fake_worker, picture, quad, round_thing, tmp_path
):
    steps = [{"coarse": quad}, {"wait_for": "go"}, {"coarse": round_thing}, {"wait_for": "on"}, {"copy": quad}]
    fake_worker({"improve": steps})
    before = begin(bpy, picture)
    run_until(addon, lambda session: len(meshes(bpy)) == 2)
    assert faces(bpy) == 2 and bpy.data.objects["Robot before"].hide_get()
    assert bpy.data.objects["Robot"].matrix_world == before
    corners = [tuple(each.co) for each in bpy.data.objects["Robot"].data.vertices]
    (tmp_path / "go").touch()
    run_until(addon, lambda session: faces(bpy) > 1000)
    assert bpy.data.objects["Robot"].matrix_world == before and len(meshes(bpy)) == 2
    (tmp_path / "on").touch()
    run_until(addon, lambda session: session.results.last)
    assert faces(bpy) == 2 and len(meshes(bpy)) == 2 and bpy.data.objects["Robot"].matrix_world == before
    assert [tuple(each.co) for each in bpy.data.objects["Robot"].data.vertices] == corners
    [asked] = fake_worker.requests("improve")
    assert asked["params"]["pictures"] == [picture] and asked["params"]["preset"] == "balanced"
    bpy.ops.ed.undo()
    assert [each.name for each in meshes(bpy)] == ["Robot"] and faces(bpy) == 6


def test_stop_and_keep_is_offered_once_a_round_is_there_and_ends_with_it(
    bpy, addon, fake_worker, picture, quad, round_thing
):
    fake_worker({"improve": [{"progress": [0.1, "painting"]}, {"coarse": quad}, {"wait": "enough"}, {"copy": quad}]})
    begin(bpy, picture)
    run_until(addon, lambda session: session.shown.stage == "painting")
    run_until(addon, lambda session: session.can_end_early)
    assert bpy.ops.image_to_3d.enough.poll()
    bpy.ops.image_to_3d.enough()
    run_until(addon, lambda session: session.results.last)
    assert faces(bpy) == 2 and not addon("ui.timer").session().problem


def test_a_cancel_keeps_the_last_round_in_its_place(bpy, addon, fake_worker, picture, quad):
    fake_worker({"improve": [{"coarse": quad}, {"wait": "cancel"}]})
    begin(bpy, picture)
    run_until(addon, lambda session: len(meshes(bpy)) == 2)
    bpy.ops.image_to_3d.cancel()
    run_until(addon, lambda session: not session.moving)
    addon("ui.timer")._tick()
    assert faces(bpy) == 2
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert [each.name for each in meshes(bpy)] == ["Robot"] and faces(bpy) == 6


def test_what_cannot_be_improved_is_said_and_nothing_begins(bpy, addon, fake_worker, picture):
    fake_worker({})
    thing = standing(bpy)
    assert not bpy.ops.image_to_3d.improve.poll()  # no picture yet
    bpy.context.window_manager.image_to_3d.picture = picture
    assert bpy.ops.image_to_3d.improve.poll()
    thing.data.clear_geometry()
    with pytest.raises(RuntimeError, match="Robot has no faces"):
        bpy.ops.image_to_3d.improve()
    assert not addon("ui.timer").session().moving


def test_what_rounds_take_is_told_before_they_begin(bpy, addon, fake_worker, picture):
    names = ("fast", "balanced", "high")
    own = {"seconds": 42.0, "faces": 5, "texture": 6, "guessed": True, "memory": 1_300_000_000}
    answer = {"result": {"presets": [{"preset": name, **own} for name in names], "memory": 0}}
    fake_worker({"initialize": [{"shipped": True}], "estimate": [answer]})
    standing(bpy)
    bpy.context.window_manager.image_to_3d.picture = picture
    run_until(addon, lambda session: session.improving.answer)
    asked = [each["params"]["network"] for each in fake_worker.requests("estimate")]
    assert "improve" in asked
    told = addon("ui.wording").estimate(addon("ui.timer").session().improving.answer, "high")
    assert told == "about 40 s the first time, 1.3 GB of memory"
