# SPDX-License-Identifier: GPL-3.0-or-later
"""A first guess in the scene until the mesh is there, and a mesh that takes the place of another."""

import math

import pytest
from image_to_3d.tests.blender.conftest import run_until


def meshes(bpy) -> list:
    return [each for each in bpy.data.objects if each.type == "MESH"]


def begin(bpy, picture) -> None:
    bpy.context.window_manager.image_to_3d.picture = picture
    bpy.ops.image_to_3d.generate()


def test_a_first_guess_is_replaced_where_it_stands_and_one_undo_takes_both_away(
    bpy, addon, fake_worker, picture, quad, round_thing, tmp_path
):
    fake_worker({"generate": [{"coarse": quad}, {"wait_for": "go"}, {"copy": round_thing}]})
    bpy.ops.ed.undo_push(message="before")
    begin(bpy, picture)
    run_until(addon, lambda session: meshes(bpy))
    [coarse] = meshes(bpy)
    assert coarse.name == "mesh0" and len(coarse.data.polygons) == 2
    coarse.location = (3.0, 0.0, 1.0)  # the user moves it
    (tmp_path / "go").touch()
    run_until(addon, lambda session: session.results.last)
    [thing] = meshes(bpy)
    assert len(thing.data.polygons) > 1000 and thing.matrix_world.translation[:] == pytest.approx((3.0, 0.0, 1.0))
    assert len(bpy.data.meshes) == len(bpy.data.materials) == len(bpy.data.images) == 1
    bpy.ops.ed.undo()
    assert not meshes(bpy)


def test_a_first_guess_that_the_user_removes_is_not_missed(bpy, addon, fake_worker, picture, quad, tmp_path):
    fake_worker({"generate": [{"coarse": quad}, {"wait_for": "go"}, {"copy": quad}]})
    begin(bpy, picture)
    run_until(addon, lambda session: meshes(bpy))
    bpy.data.objects.remove(meshes(bpy)[0])
    (tmp_path / "go").touch()
    run_until(addon, lambda session: session.results.last)
    assert len(meshes(bpy)) == 1


def test_a_cancel_keeps_the_first_guess_as_an_undo_step_of_its_own(bpy, addon, fake_worker, picture, quad):
    fake_worker({"generate": [{"coarse": quad}, {"wait": "cancel"}]})
    bpy.ops.ed.undo_push(message="before")
    begin(bpy, picture)
    run_until(addon, lambda session: meshes(bpy))
    bpy.ops.image_to_3d.cancel()
    run_until(addon, lambda session: not session.moving)
    addon("ui.timer")._tick()
    assert len(meshes(bpy)) == 1
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    assert len(meshes(bpy)) == 1
    bpy.ops.ed.undo()
    assert not meshes(bpy)


def test_a_first_guess_that_cannot_be_read_is_done_without(bpy, addon, fake_worker, picture, quad, tmp_path):
    (tmp_path / "broken").write_bytes(b"glTF nonsense")
    fake_worker({"generate": [{"coarse": str(tmp_path / "broken")}, {"copy": quad}]})
    begin(bpy, picture)
    run_until(addon, lambda session: session.results.last)
    assert len(meshes(bpy)) == 1 and not addon("ui.timer").session().problem


def standing(bpy):
    """A box that is turned, moved and scaled."""
    from mathutils import Matrix  # on use: it comes with bpy

    bpy.ops.mesh.primitive_cube_add()
    thing = bpy.context.active_object
    thing.name = "Robot"
    thing.matrix_world = (
        Matrix.Translation((1.0, 2.0, 3.0)) @ Matrix.Rotation(math.radians(40), 4, "Z") @ Matrix.Diagonal((2, 1, 3, 1))
    )
    bpy.context.view_layer.update()
    return thing


def refine(bpy, addon, picture) -> None:
    bpy.context.window_manager.image_to_3d.picture = picture
    bpy.ops.image_to_3d.refine_selected()
    run_until(addon, lambda session: session.results.last or session.problem)


def test_a_refined_mesh_takes_the_place_the_size_and_the_name_and_one_undo_brings_the_old_one_back(
    bpy, addon, fake_worker, picture, quad
):
    fake_worker({"refine": [{"copy": quad}]})
    old = standing(bpy)
    before = old.matrix_world.copy()
    bpy.ops.ed.undo_push(message="before")
    refine(bpy, addon, picture)
    new, old = bpy.data.objects["Robot"], bpy.data.objects["Robot before"]
    assert len(new.data.polygons) == 2 and new.select_get() and not new.hide_get()
    assert old.hide_get() and old.hide_render and new.matrix_world == before == old.matrix_world
    # the quad of glTF's (1, 1, 0.5) stands in the world as it was made, around the old one's origin
    corners = sorted(tuple(round(v, 3) for v in new.matrix_world @ corner.co) for corner in new.data.vertices)
    assert corners == sorted([(0.0, 1.5, 3.0), (2.0, 1.5, 3.0), (0.0, 1.5, 4.0), (2.0, 1.5, 4.0)])
    [asked] = fake_worker.requests("refine")
    assert asked["params"]["picture"] == picture
    bpy.ops.ed.undo()
    assert [each.name for each in meshes(bpy)] == ["Robot"]
    assert len(meshes(bpy)[0].data.polygons) == 6 and not meshes(bpy)[0].hide_get()


def test_a_network_refines_it_with_the_options_that_were_set(bpy, addon, fake_worker, picture, quad):
    fake_worker({"refine": [{"copy": quad}]})
    standing(bpy)
    own, properties = bpy.context.window_manager.image_to_3d, addon("ui.properties")
    own.refine_by = "hybrid-triposg"
    method, _ = addon("session.catalogue").find(addon("ui.timer").session().methods, "hybrid-triposg")
    properties.of_method(own, method).option_strength = 0.25
    properties.of_method(own, method).option_guidance = 3.0
    refine(bpy, addon, picture)
    [asked] = fake_worker.requests("refine")
    assert asked["params"]["network"] == "hybrid-triposg" and asked["params"]["preset"] == "balanced"
    assert asked["params"]["options"] == {"strength": 0.25, "guidance": 3.0}


def test_what_is_sent_is_the_mesh_as_it_is_seen_with_its_texture(bpy, addon, quad, tmp_path):
    from mathutils import Vector

    thing = standing(bpy)
    [plain] = addon("ui.scene").add_meshes(bpy.context, addon("session.glb").Reading(quad), "quad")
    sending, path = addon("ui.scene.sending"), tmp_path / "sent.glb"
    sending.send(bpy.context, thing, str(path))
    [box] = addon("session.glb").read(str(path))
    corners = {tuple(round(v, 4) for v in box.points[3 * i : 3 * i + 3]) for i in range(8)}
    turned = [thing.matrix_world.to_3x3() @ Vector(corner) for corner in thing.bound_box]
    assert corners == {(round(v.x, 4), round(v.z, 4), round(-v.y, 4)) for v in turned}
    assert box.surface.texture is None and box.name == "Robot"
    sending.send(bpy.context, plain, str(path))
    [textured] = addon("session.glb").read(str(path))
    assert textured.surface.texture.ending == ".png"
    at = {
        (*map(round, textured.points[3 * c : 3 * c + 2]), *map(round, textured.uv[2 * k : 2 * k + 2]))
        for k, c in enumerate(textured.corners)
    }
    assert at == {(-1, 0, 0, 0), (1, 0, 1, 0), (1, 1, 1, 1), (-1, 1, 0, 1)}


def test_what_cannot_be_refined_is_said_and_nothing_begins(bpy, addon, fake_worker, picture, monkeypatch):
    fake_worker({})
    own = bpy.context.window_manager.image_to_3d
    thing = standing(bpy)
    assert not bpy.ops.image_to_3d.refine_selected.poll()  # no picture yet
    own.picture = picture
    assert bpy.ops.image_to_3d.refine_selected.poll()
    thing.scale = (1.0, 0.0, 1.0)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="scaled to nothing along an axis"):
        bpy.ops.image_to_3d.refine_selected()
    thing.scale = (1.0, 1.0, 1.0)
    bpy.context.view_layer.update()
    monkeypatch.setattr(addon("ui.scene.sending"), "MOST_FACES", 10)
    with pytest.raises(RuntimeError, match="Robot has 12 triangles, and 10 are the most"):
        bpy.ops.image_to_3d.refine_selected()
    thing.data.clear_geometry()
    with pytest.raises(RuntimeError, match="Robot has no faces"):
        bpy.ops.image_to_3d.refine_selected()
    assert not addon("ui.timer").session().moving


def test_outlines_that_do_not_fit_are_told_and_the_mesh_stays(bpy, addon, fake_worker, picture):
    fake_worker({"refine": [{"error": [-32000, "the outline of Robot agrees by 40 % only", {}]}]})
    thing = standing(bpy)
    refine(bpy, addon, picture)
    assert "agrees by 40 %" in addon("ui.timer").session().problem.message
    assert [each.name for each in meshes(bpy)] == ["Robot"] and not thing.hide_get()
