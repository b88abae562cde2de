# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.hull import Hull
from image_to_3d.worker.cameras.lens import Lens
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.cameras.sfm import resection
from image_to_3d.worker.cameras.sfm.bundle_adjustment import BundleAdjuster
from image_to_3d.worker.cameras.sfm.features import Detector, Features
from image_to_3d.worker.cameras.sfm.mapping import CameraGroup, Observations
from image_to_3d.worker.cameras.sfm.resection import agreeing, completed
from image_to_3d.worker.cameras.sfm.silhouette_pose import _Shown, silhouette_poses
from image_to_3d.worker.core.errors import Cancelled
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View
from scipy.spatial.transform import Rotation

pytest.importorskip("pycolmap", reason="cameras are found with COLMAP's library, which is not in this environment")

COUNT, START = 12, [0, 1, 2, 3]
VIEWS = scene.ring(COUNT, 150, 25.0, 240)
AROUND = scene.ring(COUNT, 360, 25.0, 240)


@dataclasses.dataclass(frozen=True, eq=False)
class Taken:
    """Pictures from VIEWS: their features and silhouettes."""

    features: list[Features]
    silhouettes: dict[int, np.ndarray]


def taken(shape) -> Taken:
    detector = Detector(1, True)
    photos = [scene.photo(shape, view, "", alpha=True) for view in VIEWS]
    return Taken(
        [detector.detect(photo) for photo in photos], {k: photo.alpha >= 128 for k, photo in enumerate(photos)}
    )


@pytest.fixture(scope="module")
def box() -> Taken:
    return taken(scene.painted_box())


@pytest.fixture(scope="module")
def printed_twice() -> Taken:
    """The box with its broad front's print also on its narrow side, so that pictures of both fit each other."""
    shape = scene.painted_box()
    uv = shape.uv.copy()
    front, side = 0, 2  # the quads that face +Z and +X
    uv[4 * side : 4 * side + 4] = uv[4 * front : 4 * front + 4]
    return taken(dataclasses.replace(shape, uv=uv))


def job() -> Job:
    return Job(lambda *_: None)


class Told(Job):
    """A job that keeps all reports, also those that come too soon after another to be shown."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None)
        self.reports: list[tuple[float, str]] = []

    def report(self, progress: float, stage: str, message: str = "") -> None:
        super().report(progress, stage, message)
        self.reports.append((progress, message))


def seen(features: list[Features]) -> Observations:
    return Observations([CameraGroup(240, 240, 40.0, tuple(range(len(features))))], features, [], [], 1)


def solution(numbers: list[int], views: list[View] = VIEWS) -> Registration:
    chosen = [views[number] for number in numbers]
    rotations, positions = np.stack([v.rotation for v in chosen]), np.stack([v.position for v in chosen])
    return Registration(tuple(numbers), tuple(Lens(v.camera) for v in chosen), rotations, positions, error=0.5)


def errors(found: Registration) -> np.ndarray:
    return scene.rotation_errors(found.views, [VIEWS[number] for number in found.pictures])


def test_pictures_that_were_left_out_are_registered_on_a_thing_with_a_print_on_two_sides(printed_twice):
    told = Told()
    found = completed(solution(START), seen(printed_twice.features), printed_twice.silhouettes, told)
    assert found.pictures == tuple(range(COUNT))
    assert errors(found).max() < 2.5
    assert len(found.points) > 300 and found.error < 1.5
    progress = [fraction for fraction, _ in told.reports]
    assert all(later >= before - 0.1 for before, later in zip(progress, progress[1:])) and progress[0] < 0.1
    pairs = [message for _, message in told.reports if message.startswith("pair")]
    assert len(pairs) > COUNT * (COUNT - 1) / 2 and "pair 6 of 6" in pairs  # each pair, of the four at first
    assert sum("adjusting" in message for _, message in told.reports) > 5  # again and again while COLMAP works
    assert any("looking at" in message for _, message in told.reports)


def test_a_picture_of_another_thing_is_left_out(box):
    other = taken(scene.painted_box(5))
    features = [*box.features[:6], other.features[6], *box.features[7:8]]
    silhouettes = {number: box.silhouettes[number] for number in range(8)}
    found = completed(solution(START), seen(features), silhouettes, job())
    assert found.pictures == (0, 1, 2, 3, 4, 5, 7)


def test_a_picture_that_was_registered_wrongly_on_the_way_is_resected_again(box, monkeypatch):
    usual = resection._Resection._clearest

    def mistaken(*args):
        clear = usual(*args)
        if 7 in clear:  # another side
            clear[7] = dataclasses.replace(clear[7], rotation=VIEWS[0].rotation, position=VIEWS[0].position * 1.02)
        return clear

    monkeypatch.setattr(resection._Resection, "_clearest", mistaken)
    found = completed(solution(START), seen(box.features), box.silhouettes, job())
    assert 7 in found.pictures and errors(found).max() < 2.5


def test_a_picture_that_too_few_points_fit_is_registered_by_its_silhouette_and_points_near_there(box, monkeypatch):
    usual = resection._Resection.pose
    monkeypatch.setattr(resection._Resection, "pose", lambda self, n, scene: None if n == 6 else usual(self, n, scene))
    found = completed(solution([k for k in range(COUNT) if k != 6]), seen(box.features), box.silhouettes, job())
    assert found.pictures == tuple(range(COUNT))
    assert errors(found).max() < 2.5


def test_a_silhouette_says_from_where_it_was_seen(around):
    hull = Hull.of([AROUND[k] for k in range(COUNT) if k != 4], [around[k] for k in range(COUNT) if k != 4])
    distance = float(np.linalg.norm(AROUND[0].position))
    found = silhouette_poses(hull, AROUND[4].camera, around[4], 1.2 * distance)
    assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)
    right = [
        view for view, share in found if scene.rotation_errors([view, AROUND[0]], [AROUND[4], AROUND[0]]).max() < 8
    ]
    assert right, "among all that it could be"
    assert np.linalg.norm(right[0].position - AROUND[4].position) < 0.15 * distance
    for pixels in (0, 1):
        assert not silhouette_poses(hull, AROUND[4].camera, np.arange(81).reshape(9, 9) < pixels, distance)


@pytest.fixture(scope="module")
def around() -> dict[int, np.ndarray]:
    shape = scene.painted_box()
    return {k: scene.photo(shape, view, "", alpha=True).alpha >= 128 for k, view in enumerate(AROUND)}


def test_outlines_agree_with_right_cameras_and_not_with_folded_ones(around):
    assert agreeing(solution(list(range(COUNT)), AROUND), around).pictures == tuple(range(COUNT))
    folded = [*AROUND[: COUNT // 2], *AROUND[COUNT // 4 : COUNT // 4 + COUNT // 2]]
    assert agreeing(solution(list(range(COUNT)), folded), around) is None


def test_a_camera_whose_outline_the_others_contradict_is_left_out(around):
    stray = [*AROUND[:5], AROUND[8], *AROUND[6:]]
    assert agreeing(solution(list(range(COUNT)), stray), around).pictures == tuple(k for k in range(COUNT) if k != 5)


def test_of_three_cameras_none_is_left_out(monkeypatch):
    """Two are too few to go on with."""
    monkeypatch.setattr(resection, "hull_of", lambda *_: SimpleNamespace(shares=np.array([0.86, 1.0, 1.0])))
    three = solution([0, 4, 8])
    assert agreeing(three, {0: None, 4: None, 8: None}) is three


def test_a_hull_tells_what_a_wrong_camera_takes_from_others(around):
    hull = Hull.of(AROUND[:9], [around[number] for number in range(9)])
    assert hull.agreement > 0.99
    own, others = hull.with_view(AROUND[9], around[9])
    assert own > 0.99 and (hull.shares - others).max() < 0.01
    own, others = hull.with_view(AROUND[11], around[9])  # from 60 degrees aside
    assert own < 0.95 or (hull.shares - others).max() > 0.05


def test_points_are_found_along_lines_and_adjusting_repairs_cameras(box):
    shaken = [
        dataclasses.replace(view, position=view.position + np.array([0.0, 0.004 * (-1) ** number, 0.0]))
        for number, view in enumerate(VIEWS)
    ]
    adjuster = BundleAdjuster(seen(box.features))
    found, tracks = adjuster.adjusted(solution(list(range(COUNT)), shaken), True, job())
    assert len(tracks.positions) > 300 and found.error < 1.0
    assert errors(found).max() < 2.5
    for number, shown in tracks.point_of.items():
        assert len(shown) == len(box.features[number].keypoints) and shown.max() < len(tracks.positions)


def test_adjusting_goes_on_until_cameras_fit(box):
    """One step leaves an error of 0.76 pixels, ten or more 0.65."""
    dice, shaken = np.random.default_rng(1), []
    for view in VIEWS:
        position = view.position + 0.01 * dice.normal(size=3)
        turn = Rotation.from_rotvec(np.radians(0.3) * dice.normal(size=3)).as_matrix()
        shaken.append(dataclasses.replace(view, position=position, rotation=turn @ view.rotation))
    found, _ = BundleAdjuster(seen(box.features)).adjusted(solution(list(range(COUNT)), shaken), True, job())
    assert found.error < 0.7


def test_a_silhouette_takes_most_of_the_picture_in_which_it_is_compared_and_leaves_a_border():
    silhouette = np.zeros((120, 160), bool)
    silhouette[30:90, 40:120] = True
    shown = _Shown.of(AROUND[0].camera, silhouette, *np.nonzero(silhouette))
    assert 0.5 < shown.mask.mean() < 0.9
    assert not (shown.mask[0].any() or shown.mask[-1].any() or shown.mask[:, 0].any() or shown.mask[:, -1].any())


def test_a_cancel_is_heard_while_pictures_are_resected(box):
    def stop(*_: object) -> None:
        stopped.cancel()

    stopped = Job(stop)
    with pytest.raises(Cancelled):
        completed(solution(START), seen(box.features), box.silhouettes, stopped)
