# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.capture import TO_GLTF
from image_to_3d.worker.cameras.extent import extent, wider
from image_to_3d.worker.cameras.hull import Hull, carved, hull_box
from image_to_3d.worker.cameras.lens import Lens, straightened
from image_to_3d.worker.cameras.orient import focus, goes_around, up_axis, upright
from image_to_3d.worker.cameras.outline import outline, outlines
from image_to_3d.worker.core.view import PinholeCamera, View
from scipy import ndimage
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


def test_hands_that_shake_in_front_of_a_thing_tell_up_though_they_look_down_on_it():
    shaken = [
        dataclasses.replace(v, rotation=Rotation.from_rotvec(np.radians(shake)).as_matrix() @ v.rotation)
        for v, shake in zip(scene.ring(24, 110, 40.0), np.random.default_rng(0).normal(0, 3.0, (24, 3)))
    ]
    assert off(up_axis(*stacked(shaken))) < 8.0


def test_axes_that_hardly_spread_tell_no_plane():
    """Cameras that look one way and shake by two degrees about an axis between up and ahead: the plane of their x axes
    is 45 degrees off."""
    [view] = scene.ring(1, 360, 0.0)
    axis = np.radians(2.0) * np.array([0.0, -1.0, 1.0]) / 2**0.5
    shakes = np.random.default_rng(0).normal(size=12)
    shaken = [
        dataclasses.replace(view, rotation=Rotation.from_rotvec(shake * axis).as_matrix() @ view.rotation)
        for shake in shakes
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
    box, unbounded = extent(views, [None] * 12, points, np.full(len(points), 4))
    assert unbounded and np.abs(box - np.stack([-scene.SIZE / 2, scene.SIZE / 2])).max() < 0.1
    assert not extent(views, [None] * 12, surface, np.full(2000, 4))[1]


def test_without_points_and_outlines_the_box_is_what_the_cameras_look_at():
    box, unbounded = extent(scene.ring(12, 360, 25.0), [None] * 12, np.zeros((0, 3)), np.zeros(0, int))
    assert unbounded and np.abs(box.mean(0)).max() < 0.01 and 0.8 < np.ptp(box[:, 0]) < 2.0


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
    assert np.abs(straight[4:-4, 4:-4, 0] - expected[4:-4, 4:-4]).mean() < 0.9  # by half a pixel aside: 1.4
    assert straight.shape == bent.shape and mask.min() == 255
    ends = lens.distorted(
        (np.array([0, 160]) - pinhole.cx) / pinhole.fx, (np.array([0, 120]) - pinhole.cy) / pinhole.fy
    )
    assert min(ends[0].min(), ends[1].min()) >= -1e-6 and ends[0].max() <= 160 and ends[1].max() <= 120


def test_a_lens_without_distortion_changes_nothing():
    rgb = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    straight, alpha, camera = straightened(rgb, None, Lens(PinholeCamera.from_fov(30, 20, 50.0)))
    assert straight is rgb and alpha is None and camera.width == 30


# ------------------------------------------------------------------------------------------------ tuned numbers
# each is held from both sides: a grossly smaller or larger one fails here


@pytest.mark.parametrize("degrees, is_around", [(60, False), (110, False), (170, True), (360, True)])
def test_an_arc_of_half_a_circle_goes_around_and_a_step_aside_does_not(degrees, is_around):
    assert goes_around(*stacked(scene.ring(12, degrees, 10.0))) is is_around


def test_a_box_is_a_little_larger_than_what_was_found():
    margin = (wider(np.array([[0.0] * 3, [2.0, 1.0, 1.0]])) - [[0.0] * 3, [2.0, 1.0, 1.0]])[1] / 2.0
    assert margin.min() > 0.01 and margin.max() < 0.06


@pytest.mark.parametrize("tilt, snaps", [(5.0, True), (30.0, False)])
def test_a_chosen_world_keeps_its_axes_where_one_is_about_up(tilt, snaps):
    world = Rotation.from_euler("x", tilt, degrees=True).as_matrix()
    rotations, positions = stacked(scene.ring(9, 360, 40.0))
    turn = upright(rotations @ world.T, positions @ world.T, given=True)
    assert bool(np.isclose(np.abs(turn).max(1), 1.0).all()) is snaps


def test_cameras_that_hardly_tilt_or_turn_any_way_take_up_from_what_they_show():
    rotations, positions = stacked(scene.ring(8, 6.0, 20.0))  # all but one direction: planes fit any way
    assert off(up_axis(rotations, positions)) < 25.0
    dice = np.random.default_rng(0)
    anyhow = [
        dataclasses.replace(v, rotation=Rotation.from_euler("z", roll, degrees=True).as_matrix() @ v.rotation)
        for v, roll in zip(scene.ring(24, 360, 25.0), dice.normal(0.0, 40.0, 24))
    ]
    assert off(up_axis(*stacked(anyhow))) < 15.0


BALL = 0.35


def disc(view: View, radius: float = BALL, middle: tuple = (0.0, 0.0, 0.0)) -> np.ndarray:
    """(H, W) bool: where a ball is seen."""
    row, column = np.mgrid[: view.camera.height, : view.camera.width] + 0.5
    c = view.camera
    way = np.stack([(column - c.cx) / c.fx, (row - c.cy) / c.fy, np.ones_like(row)], -1)
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    towards = view.rotation @ (np.array(middle) - view.position)
    return (way @ towards) ** 2 > towards @ towards - radius**2


def sphere(count: int, pitches: tuple = (-50.0, 0.0, 50.0)) -> list[View]:
    each = count // len(pitches)
    return [view for pitch in pitches for view in scene.ring(each, 360, pitch, 200)]


def test_a_hull_is_fine_enough_for_a_box_within_two_percent():
    views = sphere(24)
    box = hull_box(views, [disc(view) for view in views])
    assert np.abs(np.abs(box) - BALL).max() < 0.035 * 2 * BALL
    hull = Hull.of(views, [disc(view) for view in views])
    assert 30**3 < np.prod(np.ptp(hull.box, axis=0) / hull.side) < 80**3 and hull.shares.min() > 0.98


def test_a_hull_of_very_many_outlines_is_that_of_some_dozens_of_them(monkeypatch):
    asked = []
    module = hull_box.__globals__
    usual = module["carved"]
    monkeypatch.setitem(
        module, "carved", lambda cells, views, *rest: asked.append(len(views)) or usual(cells, views, *rest)
    )
    views = sphere(120)
    hull_box(views, [disc(view) for view in views])
    assert 20 <= asked[0] <= 80


@pytest.mark.parametrize("wrong, is_there", [(1, True), (6, False)])
def test_a_piece_may_be_missing_in_a_few_outlines(wrong, is_there):
    """Of forty: a small ball on the large one, which some outlines from aside lack."""
    views, beside = sphere(39), (0.0, 0.42, 0.0)
    both = [
        disc(view) | (disc(view, 0.15, beside) if not 13 <= k < 13 + wrong else False) for k, view in enumerate(views)
    ]
    box = hull_box(views, both)
    assert bool(box[1, 1] > 0.5) is is_there


def test_cells_that_few_pictures_see_hold_no_matter():
    views = sphere(12)
    cells = np.float32([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    masks = [disc(view) for view in views]
    assert carved(cells, views, masks, [0] * 12, 2, 0.0).tolist() == [True, False]
    assert carved(cells, views, [None] * 12, [0] * 12, 2, 0.0).tolist() == [True, False]
    assert carved(np.float32([[0.0, 0.0, 0.5]]), views, masks, [0] * 12, 2, 0.0).tolist() == [False]
    assert carved(np.float32([[0.0, 0.0, 0.4]]), views, masks, [20] * 12, 2, 0.0).tolist() == [True]


def test_what_most_cameras_look_at_belongs_to_the_thing_and_what_half_of_them_see_does_not():
    views, dice = scene.ring(12, 360, 10.0), np.random.default_rng(0)
    thing = dice.uniform(-0.3, 0.3, (900, 3))
    behind = dice.normal(size=(900, 3)) * [0.1, 0.1, 0.1] + [1.7, 0.0, 0.0]  # a lamp that half of the pictures show
    points = np.concatenate([thing, behind])
    box = extent(views, [None] * 12, points, np.full(1800, 4))[0]
    assert np.abs(box).max() < 0.6


def stray_points(share: float, sightings: np.ndarray) -> bool:
    views, dice = scene.ring(12, 360, 10.0), np.random.default_rng(0)
    count = int(1000 * share)
    strays = dice.normal(size=(count, 3))
    points = np.concatenate(
        [dice.uniform(-0.3, 0.3, (1000, 3)), 4.0 * strays / np.linalg.norm(strays, axis=1)[:, None]]
    )
    return extent(views, [None] * 12, points, np.full(len(points), sightings))[1]


@pytest.mark.parametrize("share, is_unbounded", [(0.005, False), (0.2, True)])
def test_a_few_stray_points_are_mistakes_and_many_are_a_room(share, is_unbounded):
    assert stray_points(share, 4) is is_unbounded


def test_what_lies_far_behind_a_facade_does_not_make_its_box_larger():
    views = [dataclasses.replace(scene.ring(1)[0], position=np.array([x, 0.0, 3.0])) for x in np.linspace(-1, 1, 8)]
    dice = np.random.default_rng(0)
    wall = dice.uniform(-1.0, 1.0, (1000, 3)) * [1.0, 1.0, 0.05]
    hills = dice.uniform(-1.0, 1.0, (60, 3)) - [0.0, 0.0, 30.0]
    box = extent(views, [None] * 8, np.concatenate([wall, hills]), np.full(1060, 4))[0]
    assert np.abs(box).max() < 1.2


@pytest.mark.parametrize("bright, is_told", [(1, False), (9, True)])
def test_backdrops_tell_the_outline_where_almost_all_pictures_have_one(bright, is_told):
    """Of ten."""
    thing = np.zeros((60, 60, 3), np.uint8)
    thing[20:40, 20:40] = 200
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)
    told = outlines([(thing if k < bright else noise, None) for k in range(10)])
    assert [shape is not None for shape in told] == [is_told and k < bright for k in range(10)]
    told = outlines([(thing if k < 7 else noise, None) for k in range(10)])
    assert told == [None] * 10


def grey(border: float, thing: float, shade: float | None = None, side: int = 30, spots: int = 0) -> np.ndarray:
    """(100, 100, 3) uint8 with a little noise: a square thing, a third of which may lie in shade, and lint."""
    values = np.full((100, 100), border)
    low = 50 - side // 2
    values[low : low + side, low : low + side] = thing
    if shade is not None:
        values[low : low + side // 3, low : low + side] = shade
    for k in range(spots):
        values[5 : 5 + 4, 5 + 10 * k : 5 + 10 * k + 4] = thing
    noisy = values + np.random.default_rng(0).normal(0, 2, values.shape)
    return np.repeat(np.uint8(noisy.clip(0, 255))[..., None], 3, 2)


@pytest.mark.parametrize(
    "picture, share",
    [
        (grey(10, 200), 0.09),
        (grey(50, 220), 0.09),  # a backdrop of dark grey
        (grey(10, 200, shade=95), 0.09),  # a part in shade
        (grey(10, 200, spots=5), 0.09),  # lint
        (grey(10, 200, side=4), None),  # a speck
        (grey(10, 14, side=60), None),  # nothing that stands out
    ],
)
def test_what_is_bright_before_a_dark_backdrop_is_the_thing(picture, share):
    found = outline(picture)
    assert found is None if share is None else found is not None and found.mean() == pytest.approx(share, abs=0.008)


def test_a_backdrop_of_middle_grey_is_not_dark():
    """A bright thing with a darker half is then told by the backdrop's colour, all of it."""
    found = outline(grey(110, 230, shade=20, side=60))
    assert found is not None and found.mean() == pytest.approx(0.36, abs=0.03)


def test_a_dim_picture_of_all_kinds_of_grey_has_no_outline():
    blotches = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(100, 100)), 4.0)
    dim = np.uint8((30.0 + 12.0 * blotches / blotches.std()).clip(0, 255))
    assert outline(np.repeat(dim[..., None], 3, 2)) is None


def test_a_picture_full_of_its_thing_has_no_outline():
    assert outline(grey(10, 200, side=98)) is None and outline(grey(10, 200, side=80)) is not None


@pytest.mark.parametrize("k1, is_straight", [(1e-5, True), (-0.02, False), (0.02, False)])
def test_a_lens_that_moves_pixels_by_less_than_can_be_seen_needs_no_straightening(k1, is_straight):
    assert Lens(PinholeCamera.from_fov(1000, 800, 50.0), k1).is_straight() is is_straight


@pytest.mark.parametrize("k1, least, most", [(0.0, 1.0, 1.0), (0.35, 1.15, 1.8), (30.0, 1.5, 3.0)])
def test_a_bent_pictures_borders_are_hidden_by_zooming_within_reason(k1, least, most):
    camera = PinholeCamera.from_fov(100, 80, 80.0)
    _, _, zoomed = straightened(np.zeros((80, 100, 3), np.uint8), None, Lens(camera, k1))
    assert least <= zoomed.fx / camera.fx <= most
