# SPDX-License-Identifier: GPL-3.0-or-later
"""Pose candidates by points and by silhouettes, and which of them is believed, on synthetic points and bodies. Each
tuned number is held from both sides: a grossly smaller or larger one fails here."""

import dataclasses

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene, synthetic
from image_to_3d.worker.cameras.hull import Hull
from image_to_3d.worker.cameras.lens import Lens
from image_to_3d.worker.cameras.sfm import pose_candidates, resection
from image_to_3d.worker.cameras.sfm.bundle_adjustment import BundleAdjuster, Tracks
from image_to_3d.worker.cameras.sfm.features import Features
from image_to_3d.worker.cameras.sfm.pose_candidates import (
    PoseCandidate,
    Scene,
    _GuidedMatching,
    candidates_by_points,
    candidates_by_silhouette,
)
from image_to_3d.worker.cameras.sfm.resection import clearest, completed, fits_silhouettes
from image_to_3d.worker.cameras.sfm.silhouette_pose import silhouette_poses
from image_to_3d.worker.core.view import View
from scipy import ndimage
from scipy.spatial.transform import Rotation

pytest.importorskip("pycolmap", reason="cameras are found with COLMAP's library, which is not in this environment")


def turned(view: View, degrees: float, axis: str = "y") -> View:
    """The camera swung around the origin."""
    turn = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    return View(view.camera, view.rotation @ turn.T, turn @ view.position)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """Registered cameras that show points, and one more picture, the last."""

    scene: Scene
    adjuster: BundleAdjuster
    lens: Lens
    view: View
    number: int


def case(
    views: list[View], view: View, points: np.ndarray, looks: np.ndarray, keypoints: np.ndarray, own: np.ndarray
) -> Case:
    """Every one of the views shows all points; the last picture has its own keypoints and descriptors."""
    shown = [synthetic.features(each, points, looks) for each in views]
    tracks = Tracks(points, {number: np.arange(len(points)) for number in range(len(views))})
    hull = Hull(np.zeros((2, 3)), points.astype(np.float32), 0.1, (), np.zeros((0, 0)), (), np.ones(1))
    adjuster = BundleAdjuster(synthetic.observations([*shown, Features(keypoints, own)]))
    return Case(Scene(synthetic.reconstruction(views), tracks, hull), adjuster, Lens(view.camera), view, len(views))


def by_points(given: Case) -> list[PoseCandidate]:
    return list(candidates_by_points(given.number, given.lens, given.scene, given.adjuster))


def plain(count: int, off: float = 0.0, stray: int = 0) -> Case:
    """A picture of so many points, found with an error of `off` pixels; so many more of other places."""
    views, points, looks = synthetic.ring(4, 90.0), synthetic.cloud(count + stray), synthetic.looks(count + stray)
    view, dice = synthetic.ring(1, pitch=35.0)[0], np.random.default_rng(1)
    way = dice.normal(size=(count + stray, 2))
    keypoints = synthetic.seen(view, points) + off * way / np.linalg.norm(way, axis=1, keepdims=True)
    keypoints[count:] = dice.uniform(0, 1000, (stray, 2))
    return case(views, view, points, looks, keypoints, looks)


@pytest.mark.parametrize("count, are_enough", [(5, False), (14, True), (100, True)])
def test_a_dozen_points_give_a_pose(count, are_enough):
    given = plain(count)
    found = by_points(given)
    assert bool(found) is are_enough
    if are_enough:
        assert synthetic.degrees(found[0].rotation, given.view.rotation) < 1.0 and found[0].inliers == count
        assert np.linalg.norm(found[0].position - given.view.position) < 0.03


@pytest.mark.parametrize("off, fit", [(2.5, True), (14.0, False)])
def test_points_fit_a_pose_within_some_pixels(off, fit):
    found = by_points(plain(80, off))
    assert (max((each.inliers for each in found), default=0) > 60) is fit


def test_a_pose_is_found_among_many_wrong_matches():
    given = plain(40, 0.5, 160)
    [best, *_] = by_points(given)
    assert synthetic.degrees(best.rotation, given.view.rotation) < 1.0 and best.inliers >= 38


@pytest.mark.parametrize("sides, found", [(1, 1), (3, 3), (8, 4)])
def test_a_print_on_several_sides_gives_as_many_candidates_up_to_four(sides, found):
    """The same forty points all around; a picture of one side fits each."""
    patch, looks = synthetic.cloud(40, radius=0.15) + [0.0, 0.0, 0.3], synthetic.looks(40)
    turns = [Rotation.from_euler("y", k * 360.0 / sides, degrees=True).as_matrix() for k in range(sides)]
    views, view = [turned(synthetic.ring(1)[0], k * 360.0 / sides) for k in range(sides)], synthetic.ring(1)[0]
    given = case(views, view, patch, looks, synthetic.seen(view, patch), looks)
    points = np.concatenate([patch @ turn.T for turn in turns])
    tracks = Tracks(points, {k: 40 * k + np.arange(40) for k in range(sides)})
    given = dataclasses.replace(given, scene=dataclasses.replace(given.scene, tracks=tracks))
    assert len(by_points(given)) == found


def test_known_points_are_looked_for_near_where_a_view_shows_them():
    given = plain(60, 8.0)
    near = _GuidedMatching(given.number, given.lens, given.scene, given.adjuster)
    for reach, are_found in ((4.0, False), (16.0, True)):
        keypoints, points = near.matches(given.view, reach)
        assert (len(keypoints) == 60 and bool((keypoints == points).all())) is are_found


def test_points_are_looked_for_of_the_handful_of_cameras_from_about_the_same_direction():
    views, looks = synthetic.ring(24, 360.0, pitch=0.0), synthetic.looks(24 * 5)
    view, points = synthetic.ring(1, pitch=0.0)[0], synthetic.cloud(24 * 5)
    given = case(views, view, points, looks, synthetic.seen(view, points), looks)
    own = {k: np.where(np.arange(120) // 5 == k, np.arange(120), -1) for k in range(24)}  # five points for each camera
    for first, kept in ((0, range(3, 8)), (8, ())):  # those near the view, and those from 120 degrees aside on
        numbers = [k for k in range(24) if first <= min(k, 24 - k)]
        found = synthetic.reconstruction(views, numbers)
        tracks = Tracks(points, {k: own[k] for k in numbers})
        scene_ = dataclasses.replace(given.scene, found=found, tracks=tracks)
        _, seen = _GuidedMatching(given.number, given.lens, scene_, given.adjuster).matches(view, 5.0)
        cameras = {int(point) // 5 for point in seen}
        assert len(cameras) in kept or (not kept and not cameras)
        assert all(min(k, 24 - k) <= 4 for k in cameras)


def test_cameras_from_sixty_degrees_aside_are_asked_for_their_points():
    views, points, looks = [turned(synthetic.ring(1)[0], 60.0)], synthetic.cloud(30), synthetic.looks(30)
    view = synthetic.ring(1)[0]
    given = case(views, view, points, looks, synthetic.seen(view, points), looks)
    assert len(_GuidedMatching(given.number, given.lens, given.scene, given.adjuster).matches(view, 5.0)[0]) == 30


def repeated(monkeypatch, start: View, view: View) -> list[PoseCandidate]:
    """Candidates of a picture of points of which every four look the same, where a silhouette says `start`."""
    looks = np.repeat(synthetic.looks(40), 4, axis=0)
    points = synthetic.cloud(160)
    noisy = synthetic.features(view, points, looks, 0.4).keypoints
    given = case(synthetic.ring(4, 60.0), view, points, looks, noisy, looks)
    monkeypatch.setattr(pose_candidates, "silhouette_poses", lambda *_: [(start, 1.0)])
    found = candidates_by_silhouette(np.ones((4, 4), bool), given.number, given.lens, given.scene, given.adjuster)
    return list(found)


def test_a_silhouettes_pose_that_is_some_degrees_off_is_made_exact_by_points_that_all_look_alike(monkeypatch):
    view = synthetic.ring(1, pitch=35.0)[0]
    found = repeated(monkeypatch, turned(view, 4.0), view)
    right = [each for each in found if synthetic.degrees(each.rotation, view.rotation) < 0.5 and each.inliers > 90]
    assert right and all(each.chance < 10.0 for each in right)  # of 160 in a window of 20 pixels, 1.5 around each fits


# ------------------------------------------------------------------------------------------------ which is believed


def candidate(inliers: int, degrees: float = 0.0, chance: float = 0.0) -> PoseCandidate:
    rotation = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    return PoseCandidate(rotation, np.zeros(3), inliers, chance)


@pytest.mark.parametrize(
    "others, is_clear",
    [
        ([], True),
        ([candidate(70, 90.0)], True),
        ([candidate(92, 90.0)], False),
        ([candidate(92, 6.0)], True),  # the same pose once more
        ([candidate(92, 35.0)], False),
    ],
)
def test_a_pose_is_clear_if_another_one_has_far_fewer_points(others, is_clear):
    best = candidate(100)
    assert (clearest([*others, best], 15, resection._CLEARER) is best) is is_clear


@pytest.mark.parametrize("inliers, chance, is_clear", [(100, 60.0, False), (100, 40.0, False), (100, 20.0, True)])
def test_a_pose_has_some_times_as_many_points_as_chance_would_give(inliers, chance, is_clear):
    assert bool(clearest([candidate(inliers, chance=chance)], 15, 1.3)) is is_clear


def resecting(monkeypatch, given: Case, candidates: list[PoseCandidate]) -> resection._Resection:
    """Whose candidates are these, all of them allowed by silhouettes."""
    for name in ("candidates_by_points", "candidates_by_silhouette"):
        monkeypatch.setattr(resection, name, lambda *_: candidates)
    monkeypatch.setattr(resection, "fits_silhouettes", lambda *_: True)
    return resection._Resection(given.adjuster, {given.number: np.ones((4, 4), bool)}, synthetic.job())


@pytest.mark.parametrize(
    "inliers, other, plain_is_clear, guided_is_clear",
    [
        (10, 0, False, False),
        (17, 0, True, False),
        (30, 0, True, True),
        (100, 90, False, False),
        (100, 70, True, True),
    ],
)
def test_a_pose_needs_a_handful_of_points_and_one_that_was_guided_some_more(
    monkeypatch, inliers, other, plain_is_clear, guided_is_clear
):
    given = plain(20)
    search = resecting(monkeypatch, given, [candidate(inliers), candidate(other, 90.0)])
    assert bool(search.pose(given.number, given.scene)) is plain_is_clear
    assert bool(search.guided_pose(given.number, given.scene)) is guided_is_clear


def test_the_clearest_pictures_of_a_round_come_first(monkeypatch):
    given = plain(20)
    search = resecting(monkeypatch, given, [])
    said = {10: candidate(100), 11: candidate(70), 12: candidate(25)}
    monkeypatch.setattr(resection._Resection, "_clear", lambda self, left, scene, pose_of: said)
    assert set(search._clearest(given.scene, 20)) == {10, 11}


@pytest.mark.parametrize("left, count, are_guided", [(1, 20, True), (3, 16, False), (20, 30, False)])
def test_silhouettes_guide_the_last_pictures_only(monkeypatch, left, count, are_guided):
    given = plain(20)
    search = dataclasses.replace(
        resecting(monkeypatch, given, []), silhouettes={10 + k: np.ones((4, 4), bool) for k in range(left)}
    )
    asked = []
    monkeypatch.setattr(resection._Resection, "pose", lambda self, number, scene: None)
    monkeypatch.setattr(resection._Resection, "guided_pose", lambda self, number, scene: asked.append(number))
    search._clearest(given.scene, count)
    assert bool(asked) is are_guided


@pytest.mark.parametrize("count, are_looked_for", [(60, True), (120, False)])
def test_of_very_many_pictures_what_is_left_out_stays_out(monkeypatch, count, are_looked_for):
    seen = synthetic.observations([Features(np.zeros((0, 2)), np.zeros((0, 128), np.uint8))] * count)
    found, asked = synthetic.reconstruction(synthetic.ring(4)), []
    monkeypatch.setattr(BundleAdjuster, "adjusted", lambda *_: asked.append(1))
    assert completed(found, seen, {}, synthetic.job()) is found
    assert bool(asked) is are_looked_for


# ------------------------------------------------------------------------------------------------ bodies


def body() -> np.ndarray:
    """(K, 3) float32: points that fill a thing without symmetry, an L with a fin."""
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 26)] * 3, indexing="ij"), -1).reshape(-1, 3)
    x, y, z = grid.T
    inside = ((y < -0.2) & (np.abs(z) < 0.25)) | ((x < -0.2) & (np.abs(z) < 0.15)) | ((z > 0) & (x < 0.1) & (y < 0))
    return grid[inside].astype(np.float32)


BODY = body()


def silhouette(view: View, points: np.ndarray = BODY, side: int = 125) -> np.ndarray:
    """(side, side) bool: where the body is seen."""
    column, row = np.round(synthetic.seen(view, points) / synthetic.SIDE * side - 0.5).astype(int).T
    shown = np.zeros((side, side), bool)
    shown[row.clip(0, side - 1), column.clip(0, side - 1)] = True
    return ndimage.binary_closing(shown, np.ones((7, 7)))


def somewhere(seed: int, away: float = 2.6) -> View:
    """A camera that looks at the body, turned anyhow."""
    rotation = Rotation.random(random_state=seed).as_matrix()
    return View(scene.ring(1, size=synthetic.SIDE)[0].camera, rotation, -away * rotation[2] + BODY.mean(0))


@pytest.fixture(scope="module")
def hull() -> Hull:
    views = [somewhere(seed) for seed in range(30, 54)]
    return Hull.of(views, [silhouette(view) for view in views])


def test_a_silhouette_says_from_where_it_was_seen_within_some_degrees(hull):
    off = []
    for seed in (0, 2, 4):
        view = somewhere(seed)
        found = silhouette_poses(hull, view.camera, silhouette(view), 2.2)
        shares = [share for _, share in found]
        assert shares == sorted(shares, reverse=True) and shares[0] > 0.85 and 10 <= len(found) <= 60
        errors = np.array([synthetic.degrees(each.rotation, view.rotation) for each, _ in found])
        assert errors.argmin() < 5
        assert np.linalg.norm(found[errors.argmin()][0].position - view.position) < 0.4
        others = [synthetic.degrees(a.rotation, b.rotation) for k, (a, _) in enumerate(found) for b, _ in found[:k]]
        assert min(others) > 8.0
        off.append(errors.min())
    assert np.mean(off) < 6.5


@pytest.mark.parametrize("off, fits", [(0.0, True), (0.4, True), (25.0, False), (60.0, False)])
def test_a_pose_that_is_wrong_by_degrees_loses_a_part_of_the_silhouettes(hull, off, fits):
    view = somewhere(77)
    assert fits_silhouettes(hull, turned(view, off), silhouette(view)) is fits
