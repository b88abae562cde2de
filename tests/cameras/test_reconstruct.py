# SPDX-License-Identifier: GPL-3.0-or-later
import time

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.estimate import capture_of, registered
from image_to_3d.worker.cameras.lens import Lens
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.cameras.sfm import features as detection
from image_to_3d.worker.cameras.sfm import matching
from image_to_3d.worker.cameras.sfm.features import Detector, Features
from image_to_3d.worker.cameras.sfm.mapping import CameraPrior
from image_to_3d.worker.cameras.sfm.matching import matches, worth_matching
from image_to_3d.worker.cameras.sfm.reconstruct import camera_groups
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.pictures.gather import Inputs
from image_to_3d.worker.pictures.load import Picture
from scipy import ndimage
from scipy.spatial.transform import Rotation

pycolmap = pytest.importorskip(
    "pycolmap", reason="cameras are found with COLMAP's library, which is not in this environment"
)

VIEWS = scene.ring(6, 90, 30.0, 240)


class Told(Job):
    """A job that keeps what it was told, and is cancelled when `stage` begins."""

    def __init__(self, stage: str | None = None) -> None:
        self.reports: list[tuple[float, str, str]] = []
        self._until = stage
        super().__init__(self._keep)

    def _keep(self, progress: float, stage: str, message: str, seconds: float | None) -> None:
        self.reports.append((progress, stage, message))
        if stage == self._until:
            self.cancel()


@pytest.fixture(scope="module")
def photos() -> list[Picture]:
    shape = scene.painted_box()
    return [scene.photo(shape, view, f"photo {number}", alpha=True) for number, view in enumerate(VIEWS)]


@pytest.fixture(scope="module")
def unrelated() -> Picture:
    return scene.photo(scene.painted_box(5), VIEWS[0], "another thing", alpha=True)


def found(pictures: list[Picture], job: Job | None = None) -> Registration:
    return registered(Inputs(tuple(pictures)), job or Told(), 1)


def blank(level: float, noise: float, count: int = 4) -> list[Picture]:
    rng = np.random.default_rng(0)
    values = [np.uint8(np.clip(rng.normal(level, noise, (200, 200, 3)), 0, 255)) for _ in range(count)]
    return [Picture(rgb, None, None, str(k), f"photo {k}") for k, rgb in enumerate(values)]


def test_cameras_are_found_and_what_does_not_belong_is_left_out_and_named(photos, unrelated):
    told = Told()
    inputs = Inputs((*photos[:3], unrelated, *photos[3:]))
    capture = capture_of(inputs, registered(inputs, told.span(0.0, 0.9), 1), told.span(0.9, 1.0))
    assert [view.name for view in capture.views] == [photo.name for photo in photos]
    assert scene.rotation_errors(capture.views, VIEWS).max() < 2.5
    assert not capture.unbounded and len(capture.points) > 200
    assert "6 of 7 pictures" in capture.notes[0] and "pixels" in capture.notes[0]
    assert capture.notes[1].startswith("another thing has found no place")
    inside = (capture.points >= capture.bounds[0]) & (capture.points <= capture.bounds[1])
    assert inside.all(1).mean() > 0.97
    progress = [report[0] for report in told.reports]
    assert progress == sorted(progress) and len({stage for _, stage, _ in told.reports}) >= 4
    up = np.array([view.rotation @ (0, 0, 1) for view in capture.views])
    truth = np.array([view.rotation @ (0, 1, 0) for view in VIEWS])
    assert np.degrees(np.arccos((up * truth).sum(1))).max() < 3.0


def test_finding_cameras_twice_finds_the_same(photos):
    first, second = (found(photos[:4]) for _ in range(2))
    assert np.array_equal(first.rotations, second.rotations) and np.array_equal(first.positions, second.positions)


@pytest.mark.parametrize("stage", ["finding points", "comparing", "placing cameras"])
def test_a_cancel_is_heard_in_every_stage(photos, stage):
    start = time.monotonic()
    with pytest.raises(Cancelled):
        found(photos[:4], Told(stage))
    assert time.monotonic() - start < 20.0


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_pictures_are_too_few(photos, count):
    with pytest.raises(Unable, match="too few.*take 20 to 60"):
        found(photos[:count])


@pytest.mark.parametrize(
    "pictures, words",
    [
        (blank(4.0, 1.0), "almost black"),
        (blank(120.0, 0.5), "hardly any detail"),
    ],
)
def test_pictures_of_nothing_are_told_in_one_sentence(pictures, words):
    with pytest.raises(Unable, match=words):
        found(pictures)


def test_pictures_of_different_things_are_told_in_one_sentence():
    strangers = [scene.photo(scene.painted_box(k), VIEWS[k], "", alpha=True) for k in range(3)]
    with pytest.raises(Unable, match="no two of the 3 pictures show the same"):
        found(strangers)


def test_blurred_pictures_are_told_in_one_sentence(photos):
    blurred = [
        Picture(ndimage.gaussian_filter(photo.rgb, (12, 12, 0)), photo.alpha, None, "", photo.name)
        for photo in photos[:3]
    ]
    with pytest.raises(Unable, match="hardly any detail.*sharp"):
        found(blurred)


def test_a_panorama_is_told_in_one_sentence():
    """Pictures of a painted room from its middle: the camera turns and does not move."""
    shape = scene.painted_box(2)
    camera = PinholeCamera.from_fov(200, 200, 60.0)
    turns = Rotation.from_euler("y", np.arange(4)[:, None] * 12.0, degrees=True).as_matrix()
    pictures = [
        scene.photo(shape, View(camera, scene.FLIP @ turn, np.zeros(3)), f"{k}") for k, turn in enumerate(turns)
    ]
    with pytest.raises(Unable, match="from one place"):
        found(pictures)


def test_the_same_points_match_and_others_do_not():
    rng = np.random.default_rng(0)
    descriptors = np.uint8(np.clip(rng.gamma(0.5, 40.0, (200, 128)), 0, 255))
    noisy = np.uint8(np.clip(descriptors[:100] + rng.normal(0, 4, (100, 128)), 0, 255))
    order = rng.permutation(100)
    first, second = Features(np.zeros((200, 2)), descriptors), Features(np.zeros((100, 2)), noisy[order])
    found = matches(first, second)
    assert len(found) == 100 and (order[found[:, 1]] == found[:, 0]).all()
    twice = Features(np.zeros((200, 2)), np.concatenate([noisy, noisy]))
    assert len(matches(first, twice)) == 0  # which of the two is meant cannot be told
    assert len(matches(first, Features(np.zeros((0, 2)), np.zeros((0, 128), np.uint8)))) == 0


def test_points_lie_on_the_thing_and_are_in_pixels_of_the_whole_picture(photos, monkeypatch):
    whole = Detector(1, False).detect(photos[0]).keypoints
    rows, columns = whole[:, 1].astype(int), whole[:, 0].astype(int)
    assert len(whole) > 100 and (photos[0].alpha[rows, columns] > 0).all()
    monkeypatch.setattr(detection, "SIDE", 150)
    small = Detector(1, False).detect(photos[0]).keypoints
    assert np.abs(small.mean(0) - whole.mean(0)).max() < 12.0 and np.ptp(small[:, 0]) > 0.7 * np.ptp(whole[:, 0])


def test_of_many_pictures_only_those_that_look_alike_are_compared(monkeypatch):
    monkeypatch.setattr(matching, "ALL_PAIRS", 4)
    monkeypatch.setattr(matching, "_PARTNERS", 2)
    rng = np.random.default_rng(0)
    things = [np.uint8(np.clip(rng.gamma(0.5, 40.0, (50, 128)), 0, 255)) for _ in range(4)]
    features = [Features(np.zeros((50, 2)), things[k % 4]) for k in range(12)]
    wanted = worth_matching(features, False, Told())
    assert wanted and all((j - i) % 4 == 0 for i, j in wanted)
    ordered = worth_matching(features, True, Told())
    assert set(wanted) < set(ordered) and all((k, k + 1) in ordered for k in range(11))


def test_a_lens_bends_as_colmaps_does():
    values = (120.0, 118.0, 83.0, 57.0, -0.2, 0.05, 0.003, -0.002)
    theirs = pycolmap.Camera.create_from_model_name(1, "OPENCV", 100.0, 160, 120)
    theirs.params = np.array(values)
    rays = np.random.default_rng(0).uniform(-0.6, 0.6, (20, 2))
    seen = Lens(PinholeCamera(160, 120, *values[:4]), *values[4:]).distorted(*rays.T)
    assert np.allclose(np.stack(seen, 1), theirs.img_from_cam(np.column_stack([rays, np.ones(20)])))


def test_pictures_of_one_size_share_a_camera_and_zooming_makes_another():
    def picture(height: int, width: int, fov: float | None) -> Picture:
        return Picture(np.zeros((height, width, 3), np.uint8), None, fov, "", "")

    groups = camera_groups([picture(6, 8, 50.0), picture(8, 6, 50.0), picture(6, 8, 50.0), picture(6, 8, 30.0)])
    assert [group.members for group in groups] == [(0, 2), (1,), (3,)]
    camera = groups[0].camera(CameraPrior(1.2, False), 7)
    assert camera.has_prior_focal_length and np.isclose(camera.params[0], 4.0 / np.tan(np.radians(25.0)))
