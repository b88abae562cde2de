# SPDX-License-Identifier: GPL-3.0-or-later
"""The ray caster's depth is the true one, and data are what their number says."""

import numpy as np
import pytest
from image_to_3d.worker.training.outdoors import meadow, street
from image_to_3d.worker.training.render import Renderer, look_at
from image_to_3d.worker.training.scenes import FAMILIES, draw_camera
from image_to_3d.worker.training.shapes import box, plane
from image_to_3d.worker.training.shards import make_shard, write_shard
from image_to_3d.worker.training.staging import Air, Light, Scene
from image_to_3d.worker.training.stills import close_up, heap, indoor_creature, portrait, studio
from image_to_3d.worker.training.textures import PatternBank


@pytest.fixture(scope="module")
def bank() -> PatternBank:
    return PatternBank(0, per_kind=1)


def lit_scene(bank: PatternBank) -> Scene:
    scene = Scene(np.random.default_rng(0), bank)
    scene.air = Air(np.full(3, 0.5), np.full(3, 0.5), np.full(3, 0.3))
    scene.lights.append(Light(np.array([0.0, 0.0, 1.0]), np.ones(3), sun=True))
    return scene


def test_depth_of_a_floor_is_that_of_the_plane(bank: PatternBank) -> None:
    scene = lit_scene(bank)
    scene.add(plane(1000, 1000), scene.material("ground"))
    camera = look_at(np.array([0.0, 0.0, 2.0]), np.array([0.0, 4.0, 0.0]), 0.2, 60.0)
    view = Renderer(scene).view(camera, 48, 64, np.random.default_rng(1))
    pixel = 2 * np.tan(np.radians(30)) / 64
    y, x = np.mgrid[:48, :64]
    rays = np.stack([(x + 0.5 - 32) * pixel, (y + 0.5 - 24) * pixel, np.ones((48, 64))], -1) @ camera.axes
    expected = -2.0 / rays[..., 2]
    seen = np.isfinite(view.depth)
    assert seen.mean() > 0.9
    np.testing.assert_allclose(view.depth[seen], expected[seen], rtol=1e-3)
    np.testing.assert_allclose(view.normal[seen] - camera.axes[:, 2], 0, atol=1e-5)
    assert not view.normal[~seen].any()


def test_depth_runs_along_the_optical_axis_and_sky_is_infinite(bank: PatternBank) -> None:
    scene = lit_scene(bank)
    scene.add(box(1, 1, 1), scene.material("any"))
    camera = look_at(np.array([0.0, -3.0, 0.5]), np.array([0.0, 0.0, 0.5]), 0.0, 60.0)
    view = Renderer(scene).view(camera, 64, 64, np.random.default_rng(1))
    np.testing.assert_allclose(view.depth[view.part == 0], 2.5, rtol=1e-4)
    width = np.sum(view.part[32] == 0) / 64
    assert width == pytest.approx(0.5 / 2.5 / np.tan(np.radians(30)), abs=0.04)
    assert np.all(np.isinf(view.depth[view.part < 0]))


def test_a_lamp_behind_a_box_leaves_a_shadow(bank: PatternBank) -> None:
    scene = lit_scene(bank)
    scene.air = Air(np.zeros(3), np.zeros(3), np.zeros(3))
    ground = scene.material("wall", surprise=0)
    scene.add(plane(20, 20), ground)
    scene.add(box(2, 2, 0.1), ground, (0, 0, 1))
    camera = look_at(np.array([0.0, -6.0, 0.9]), np.array([0.0, 0.0, 0.3]), 0.0, 60.0)
    view = Renderer(scene).view(camera, 48, 48, np.random.default_rng(1))
    floor = np.where(view.part == 0, view.colour.mean(-1), np.nan)
    assert np.nanmin(floor) < 1e-3 < 0.05 < np.nanmax(floor)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_family_of_scenes_yields_views_with_depth(family, bank: PatternBank) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        scene, cameras = family(rng, PatternBank(1, per_kind=2))
        renderer = Renderer(scene)
        camera = draw_camera(renderer, cameras, rng, portrait_shape=False)
        if camera is not None:
            view = renderer.view(camera, 24, 32, rng)
            assert np.isfinite(view.colour).all() and (view.colour >= 0).all()
            assert (view.depth > 0).all() and np.isfinite(view.depth).mean() > 0.1
            return
    pytest.fail("no scene of this family offered a view")


def test_a_shard_depends_on_its_number_alone(tmp_path) -> None:
    first, again, other = (make_shard(number, 3, (24, 32)) for number in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first["image"], other["image"])


def test_a_shard_that_is_there_is_not_made_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("image_to_3d.worker.training.shards.make_shard", lambda number: np.zeros(1))
    path = write_shard(tmp_path, 3)
    monkeypatch.setattr("image_to_3d.worker.training.shards.make_shard", lambda number: pytest.fail("made again"))
    assert write_shard(tmp_path, 3) == path
    assert [file.name for file in tmp_path.iterdir()] == ["shard00003.npy"]


@pytest.mark.parametrize("family", [close_up, indoor_creature, meadow, portrait, studio], ids=lambda one: one.__name__)
def test_what_a_picture_is_of_is_near_its_middle(family, bank: PatternBank) -> None:
    rng = np.random.default_rng(5)
    scene, cameras = family(rng, bank)
    renderer, shares = Renderer(scene), []
    for _ in range(20):
        _, part = renderer.glance(cameras(rng), 15, 20)
        found = np.isin(part, list(scene.salient))
        if found.any():
            shares.append(found[3:12, 5:15].mean() - found.mean())
    assert len(shares) >= 10 and np.median(shares) > 0


def test_nobody_can_say_what_a_heap_is_of() -> None:
    rng, bank = np.random.default_rng(0), PatternBank(0, per_kind=1)
    assert heap(rng, bank)[0].salient is None
    assert street(rng, bank)[0].salient == set()


def test_snow_whitens_the_ground_and_no_wall(bank: PatternBank) -> None:
    scene = lit_scene(bank)
    scene.snow = True
    grass = [scene.materials[scene.material("grass", surprise=0)].palette.mean() for _ in range(10)]
    walls = [np.ptp(scene.materials[scene.material("paper", surprise=0)].palette.mean(0)) for _ in range(10)]
    assert min(grass) > 0.4 and max(walls) > 0.1
