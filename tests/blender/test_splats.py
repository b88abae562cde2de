# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats in Blender: 5.3 shows them by itself, earlier ones get a mesh and are told so."""

from __future__ import annotations

import dataclasses
import math

import pytest
from image_to_3d.tests.blender.test_environments import Layout, Region
from image_to_3d.tests.blender.test_objects import result

SIZE = 96


@pytest.fixture
def shown(addon):
    """Skips where this Blender shows none."""
    if not addon("ui.scene.splats").can_show():
        pytest.skip("this Blender reads no SPZ files")


@pytest.fixture
def bring_splats(bpy, addon, tmp_path):
    """Brings known splats into the scene as a result."""

    def bring():
        path = write(known(), tmp_path / "result.spz")
        making, protocol = addon("session.jobs").making, addon("session.client").protocol
        told = protocol.read(making.GenerateResult, result(path, splats=400))
        finished = addon("session.jobs").Finished(told, tmp_path, addon("session.glb").Reading(path))
        return addon("ui.arrival").bring_in(bpy.context, finished)

    return bring


def known(count: int = 400):
    """Opaque splats on a ball of radius .8 around (0, 1, 0), red to the right and green upwards."""
    np = pytest.importorskip("numpy")
    from bl_ext.user_default.image_to_3d.worker.core.harmonics import of_colours
    from bl_ext.user_default.image_to_3d.worker.core.representations import Splats

    turn = np.arange(count) * math.pi * (3.0 - math.sqrt(5.0))
    height = 1.0 - 2.0 * (np.arange(count) + 0.5) / count
    flat = np.sqrt(1.0 - height**2)
    normals = np.stack([flat * np.cos(turn), height, flat * np.sin(turn)], 1)
    colours = 0.15 + 0.7 * np.stack([(normals[:, 0] + 1) / 2, (normals[:, 1] + 1) / 2, np.full(count, 0.5)], 1)
    rotations = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    values = 0.8 * normals + (0, 1, 0), np.full((count, 3), 0.07), rotations, np.full(count, 0.98), of_colours(colours)
    return Splats(*(value.astype(np.float32) for value in values))


def write(splats, path) -> str:
    from bl_ext.user_default.image_to_3d.worker.geometry.splats import spz

    path.write_bytes(spz.encode(splats))
    return str(path)


def test_they_come_in_whole_named_and_in_blenders_axes(bpy, addon, shown, tmp_path):
    splats = known()
    [thing] = addon("ui.scene").add_splats(bpy.context, write(splats, tmp_path / "a.spz"), "Ball")
    assert thing.name == "Ball" and thing.type == "POINTCLOUD" and thing.data.type == "GAUSSIAN_SPLAT"
    assert len(thing.data.points) == len(splats) and bpy.context.view_layer.objects.active is thing
    places = thing.data.attributes["position"].data
    for point, (x, y, z) in zip(places, splats.centres):
        assert all(abs(a - b) < 1e-4 for a, b in zip(point.vector, (x, -z, y)))
    base = thing.data.attributes["radiance:base"].data
    assert all(abs(a - b) < 0.02 for a, b in zip(list(base[7].vector)[:3], splats.harmonics[7, 0]))


def test_a_result_of_splats_stands_free_and_knows_how_it_was_made(bpy, addon, shown, bring_splats):
    bpy.ops.mesh.primitive_cube_add()
    thing = bring_splats()
    boxes = [addon("ui.scene.place").box(each) for each in (thing, bpy.data.objects["Cube"])]
    assert not boxes[0].overlaps(boxes[1], 0.05)
    assert addon("ui.scene.provenance").kept(thing)


def test_an_older_blender_says_so_and_changes_nothing(bpy, addon, monkeypatch, tmp_path):
    splats = addon("ui.scene.splats")
    monkeypatch.setattr(splats, "can_show", lambda: False)
    before = len(bpy.data.objects)
    with pytest.raises(addon("ui.scene").CannotAdd, match="5.3"):
        splats.add_splats(bpy.context, str(tmp_path / "a.spz"), "A")
    assert len(bpy.data.objects) == before


@pytest.mark.parametrize("content", [None, b"", b"not a file of splats", b"\x1f\x8b" + b"\0" * 60])
def test_a_file_that_is_damaged_adds_nothing(bpy, addon, shown, tmp_path, content):
    path, before = tmp_path / "a.spz", len(bpy.data.objects)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(addon("ui.scene").CannotAdd):
        addon("ui.scene").add_splats(bpy.context, str(path), "A")
    assert len(bpy.data.objects) == before


@pytest.mark.parametrize("here", [True, False])
def test_the_file_is_of_splats_where_blender_shows_them(bpy, addon, here, picture, tmp_path):
    jobs, catalogue = addon("session.jobs"), addon("session.catalogue")
    method, network = catalogue.find(catalogue.shipped(), "splats")
    recipe = jobs.Recipe(jobs.SelectParams((picture,), "NeRF", "splats", {}), {method.name: "fast"}, {method.name: {}})
    job = jobs.generation(dataclasses.replace(recipe, splats=here), method, network, tmp_path)
    assert job.params.output.endswith(".spz" if here else ".glb")


def test_what_can_be_saved_beside_a_result_is_what_its_method_makes(addon):
    choices, catalogue = addon("ui.choices"), addon("session.catalogue")
    saved = [choices.saves(catalogue.find(catalogue.shipped(), name)[0]) for name in ("included", "photos", "splats")]
    assert saved == ["Depth Maps", "", "Splats"]


def test_the_panel_says_whether_this_blender_shows_them(bpy, addon, monkeypatch):
    @dataclasses.dataclass
    class Context:
        preferences = bpy.context.preferences
        window_manager = bpy.context.window_manager
        region = Region()

    def said() -> str:
        layout, choices = Layout(), addon("ui.choice_panel")
        choices._draw_how(layout, Context(), catalogue.find(catalogue.shipped(), "splats")[0])
        return " ".join(layout.texts)

    catalogue, newer = addon("session.catalogue"), bpy.app.version >= (5, 3)
    assert addon("ui.scene.splats").can_show() is newer
    assert ("Shown as splats, by Blender itself" in said()) is newer
    monkeypatch.setattr(addon("ui.choice_panel"), "can_show", lambda: False)
    assert "here they become a mesh" in said() and "Scene > Save Splats In" in said()


@pytest.mark.parametrize("yaw", [0.0, 40.0])
def test_cycles_shows_what_the_splats_say(bpy, addon, shown, tmp_path, yaw):
    """26 dB or more against a reference that blends in linear light, as Cycles does."""
    np = pytest.importorskip("numpy")
    splats = known(800)
    addon("ui.scene").add_splats(bpy.context, write(splats, tmp_path / "a.spz"), "Ball")
    turn = math.radians(yaw)
    towards = np.array([math.sin(turn), 0.0, math.cos(turn)])
    position = (0, 1, 0) + 4.0 * towards
    rendered = cycles(bpy, position, turn, tmp_path / "seen.png")
    wanted = reference(splats, position, turn)
    assert wanted.max(2).max() > 0.5 and (wanted.max(2) > 0.1).mean() > 0.1
    assert -10.0 * math.log10(np.square(rendered - wanted).mean()) > 26.0


def cycles(bpy, position, turn: float, path):
    """(SIZE, SIZE, 3) sRGB in [0, 1] before black; the position in glTF's axes, turned about what is up."""
    import numpy as np

    scene, camera = bpy.context.scene, bpy.data.cameras.new("eye")
    camera.angle = math.radians(40.0)
    eye = bpy.data.objects.new("eye", camera)
    scene.collection.objects.link(eye)
    eye.location, eye.rotation_euler = (position[0], -position[2], position[1]), (math.pi / 2, 0.0, turn)
    scene.camera, scene.world = eye, None
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 16, False
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.view_settings.view_transform, scene.render.image_settings.file_format = "Standard", "PNG"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    return np.array(image.pixels[:]).reshape(SIZE, SIZE, 4)[::-1, :, :3]


def reference(splats, position, turn: float):
    """The same by plain sums: round splats, nearest first."""
    import numpy as np
    from bl_ext.user_default.image_to_3d.worker.core.harmonics import colours

    right = np.array([math.cos(turn), 0.0, -math.sin(turn)])
    axes = np.stack([right, (0.0, -1.0, 0.0), (-math.sin(turn), 0.0, -math.cos(turn))])
    local, focal = (splats.centres - position) @ axes.T, SIZE / 2 / math.tan(math.radians(20.0))
    shown = colours(splats.harmonics, np.zeros((len(splats), 3)))
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    picture, passed = np.zeros((SIZE, SIZE, 3)), np.ones((SIZE, SIZE))
    for k in np.argsort(local[:, 2]):
        x, y, z = local[k]
        wide = (splats.scales[k, 0] * focal / z) ** 2
        square = (columns - focal * x / z) ** 2 + (rows - focal * y / z) ** 2
        alpha = splats.opacities[k] * np.exp(-square / wide / 2)
        picture += (alpha * passed)[..., None] * linear[k]
        passed *= 1.0 - alpha
    return np.where(picture <= 0.0031308, picture * 12.92, 1.055 * np.maximum(picture, 1e-9) ** (1 / 2.4) - 0.055)
