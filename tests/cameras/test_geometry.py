# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.capture import TO_GLTF
from image_to_3d.worker.cameras.extent import extent
from image_to_3d.worker.cameras.hull import hull_box
from image_to_3d.worker.cameras.lens import Lens, straightened
from image_to_3d.worker.cameras.orient import focus, goes_around, up_axis, upright
from image_to_3d.worker.cameras.outline import outline
from image_to_3d.worker.core.view import PinholeCamera, View
from scipy.spatial.transform import Rotation

UP = np.array([0.0, 1.0, 0.0])  # of the scene's world


def stacked(views: list[View]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([v.rotation for v in views]), np.stack([v.position for v in views])


def rolled(views: list[View], degrees: float) -> list[View]:
    roll = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    return [dataclasses.replace(view, rotation=roll @ view.rotation) for view in views]


def off(axis: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(axis @ UP, -1.0, 1.0))))


@pytest.mark.parametrize("degrees", [40, 150, 360])
def test_level_cameras_tell_up_however_far_they_look_down(degrees):
    for pitch in (0.0, 30.0, 60.0):
        assert off(up_axis(*stacked(scene.ring(12, degrees, pitch)))) < 0.1


@pytest.mark.parametrize("roll", [90, -90])
@pytest.mark.parametrize("degrees", [180, 360])
def test_cameras_that_were_turned_upright_around_a_thing_tell_up_too(degrees, roll):
    assert off(up_axis(*stacked(rolled(scene.ring(12, degrees, 20.0), roll)))) < 0.1


def test_hands_that_shake_tell_up_within_two_degrees():
    views = scene.ring(24, 360, 30.0)
    shaken = [
        dataclasses.replace(v, rotation=Rotation.from_rotvec(np.radians(shake)).as_matrix() @ v.rotation)
        for v, shake in zip(views, np.random.default_rng(0).normal(0, 4.0, (24, 3)))
    ]
    assert off(up_axis(*stacked(shaken))) < 2.0


def test_a_camera_that_nods_in_one_place_keeps_its_up():
    views = [scene.ring(1, 360, pitch)[0] for pitch in np.linspace(-30, 30, 8)]
    assert off(up_axis(*stacked(views))) < 1.0


def test_upright_turns_up_to_z_and_most_cameras_to_the_front():
    rotations, positions = stacked(scene.ring(8, 90, 30.0))
    turn = upright(rotations, positions, given=False)
    assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) > 0.99
    placed = positions @ turn.T
    assert np.allclose(placed[:, 2], placed[0, 2]) and placed[0, 2] > 0
    assert placed.mean(0)[1] < -1.0 and abs(placed.mean(0)[0]) < 1e-6


@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (0, -1, 0), (0, 0, -1), (1, 0, 0)])
def test_a_world_that_somebody_chose_is_turned_by_quarters_only(up):
    to_up, _ = Rotation.align_vectors([up], [UP])
    rotations, positions = stacked(scene.ring(9, 360, 40.0))
    world = to_up.as_matrix()
    turn = upright(rotations @ world.T, positions @ world.T, given=True)
    assert np.allclose(turn @ up, (0, 0, 1)) and np.linalg.det(turn) > 0.99
    assert np.allclose(np.sort(np.abs(turn), axis=1), [[0, 0, 1]] * 3)
    if up == (0, 0, 1):
        assert np.allclose(turn, np.eye(3))


def test_to_gltf_keeps_up_and_front():
    assert np.allclose(TO_GLTF @ (0, 0, 1), (0, 1, 0)) and np.allclose(TO_GLTF @ (0, -1, 0), (0, 0, 1))
    assert np.linalg.det(TO_GLTF) > 0.99


def test_focus_is_where_the_cameras_look_and_one_stray_does_not_move_it():
    rotations, positions = stacked(scene.ring(12, 360, 20.0))
    assert np.linalg.norm(focus(positions, rotations[:, 2])) < 1e-3
    rotations[0] = Rotation.from_euler("y", 60, degrees=True).as_matrix() @ rotations[0]
    assert np.linalg.norm(focus(positions, rotations[:, 2])) < 0.1


def test_a_ring_goes_around_and_a_panorama_or_a_facade_does_not():
    rotations, positions = stacked(scene.ring(12, 360, 20.0))
    assert goes_around(rotations, positions)
    assert not goes_around(rotations * [[1.0], [1.0], [-1.0]] * [[-1.0], [1.0], [1.0]], positions)  # looking outwards
    facade = np.stack([np.linspace(-3, 3, 12), np.zeros(12), np.full(12, 5.0)], 1)
    assert not goes_around(np.repeat(rotations[:1], 12, 0), facade)


def test_a_hull_is_the_box_of_the_thing_from_all_sides():
    views = [view for pitch in (2.0, 40.0, -40.0) for view in scene.ring(4, 360, pitch, 160, 8.0, 12.0)]
    shape = scene.painted_box()
    outlines = [scene.photo(shape, view, "", alpha=True).alpha >= 128 for view in views]
    box = hull_box(views, outlines)
    assert np.abs(box - np.stack([-scene.SIZE / 2, scene.SIZE / 2])).max() < 0.08
    assert (box[0] <= -scene.SIZE / 2 + 0.02).all() and (box[1] >= scene.SIZE / 2 - 0.02).all()
    outlines[3] = np.zeros_like(outlines[3])  # a matte that has missed everything
    spoilt = hull_box(views, outlines)
    assert np.abs(spoilt - box).max() < 0.05


def test_points_of_a_thing_give_its_box_without_strays_and_without_what_is_behind():
    views, rng = scene.ring(12, 360, 25.0), np.random.default_rng(0)
    surface = rng.uniform(-0.5, 0.5, (2000, 3)) * scene.SIZE
    room = rng.normal(size=(600, 3))
    room *= 8.0 / np.linalg.norm(room, axis=1, keepdims=True)
    points = np.concatenate([surface, room])
    found = extent(views, [None] * 12, points, np.full(len(points), 4))
    assert found.unbounded and np.abs(found.box - np.stack([-scene.SIZE / 2, scene.SIZE / 2])).max() < 0.1
    assert not extent(views, [None] * 12, surface, np.full(2000, 4)).unbounded


def test_without_points_and_outlines_the_box_is_what_the_cameras_look_at():
    found = extent(scene.ring(12, 360, 25.0), [None] * 12, np.zeros((0, 3)), np.zeros(0, int))
    assert found.unbounded and np.abs(found.box.mean(0)).max() < 0.01 and 0.8 < np.ptp(found.box[:, 0]) < 2.0


def test_outlines_are_told_on_dark_and_on_plain_backdrops_and_not_in_a_photo_full_of_things():
    shape, view = scene.painted_box(), scene.ring(1)[0]
    true = scene.photo(shape, view, "", alpha=True).alpha >= 128
    for backdrop in (0, 255):
        found = outline(scene.photo(shape, view, "", backdrop=backdrop).rgb)
        assert found is not None and (found != true).mean() < 0.02
    assert outline(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)) is None


@pytest.mark.parametrize("terms", [(-0.25, 0.05, 0.0, 0.0), (0.2, 0.0, 0.003, -0.002)])
def test_a_straightened_picture_is_what_a_pinhole_camera_sees(terms):
    camera = PinholeCamera(160, 120, 120.0, 118.0, 83.0, 57.0)

    def pattern(x, y):  # a picture painted on the plane at depth 1
        return 128.0 + 100.0 * np.sin(6.0 * x) * np.cos(5.0 * y)

    lens = Lens(camera, *terms)
    fine = np.stack(np.meshgrid(np.linspace(-1.5, 1.5, 1201), np.linspace(-1.2, 1.2, 961)), -1).reshape(-1, 2)
    u, v = lens.distorted(fine[:, 0], fine[:, 1])
    inside = (u > 0) & (v > 0) & (u < 160) & (v < 120)
    total, count = np.zeros((120, 160)), np.zeros((120, 160))
    place = v[inside].astype(int), u[inside].astype(int)
    np.add.at(total, place, pattern(*fine[inside].T))
    np.add.at(count, place, 1.0)
    bent = np.repeat(np.uint8(total / np.maximum(count, 1))[..., None], 3, 2)
    straight, mask, pinhole = straightened(bent, np.full((120, 160), 255, np.uint8), lens)
    row, column = np.mgrid[:120, :160] + 0.5
    expected = pattern((column - pinhole.cx) / pinhole.fx, (row - pinhole.cy) / pinhole.fy)
    assert np.abs(straight[4:-4, 4:-4, 0] - expected[4:-4, 4:-4]).mean() < 2.0
    assert straight.shape == bent.shape and mask.min() == 255
    ends = lens.distorted(
        (np.array([0, 160]) - pinhole.cx) / pinhole.fx, (np.array([0, 120]) - pinhole.cy) / pinhole.fy
    )
    assert min(ends[0].min(), ends[1].min()) >= -1e-6 and ends[0].max() <= 160 and ends[1].max() <= 120


def test_a_lens_without_distortion_changes_nothing():
    rgb = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    straight, alpha, camera = straightened(rgb, None, Lens(PinholeCamera.from_fov(30, 20, 50.0)))
    assert straight is rgb and alpha is None and camera.width == 30
