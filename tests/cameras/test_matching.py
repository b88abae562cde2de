# SPDX-License-Identifier: GPL-3.0-or-later
"""Keypoints, their matches and two-view geometry, on synthetic descriptors and points. Each tuned number is held from
both sides: a grossly smaller or larger one fails here."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from image_to_3d.tests.cameras import synthetic
from image_to_3d.worker.cameras.sfm import bundle_adjustment
from image_to_3d.worker.cameras.sfm.bundle_adjustment import BundleAdjuster, Tracks
from image_to_3d.worker.cameras.sfm.epipolar import EpipolarGeometry, epipolar_matches
from image_to_3d.worker.cameras.sfm.features import Detector, Features
from image_to_3d.worker.cameras.sfm.mapping import CameraPrior
from image_to_3d.worker.cameras.sfm.matching import matches, worth_matching
from image_to_3d.worker.cameras.sfm.pose_candidates import Scene, _GuidedMatching
from image_to_3d.worker.cameras.sfm.two_view import verified
from image_to_3d.worker.pictures.load import Picture
from scipy import ndimage

pytest.importorskip("pycolmap", reason="cameras are found with COLMAP's library, which is not in this environment")


def picture(rgb: np.ndarray) -> Picture:
    return Picture(np.repeat(rgb[..., None], 3, 2), None, None, "", "")


def noise(height: int, width: int, contrast: float = 60.0) -> np.ndarray:
    return np.uint8(np.random.default_rng(0).normal(128.0, contrast, (height, width)).clip(0, 255))


def test_a_picture_full_of_detail_keeps_some_thousand_keypoints_the_largest_first():
    detector, sizes = Detector(1, False), np.random.default_rng(0).uniform(1.0, 9.0, 20_000)

    class Overflowing:
        def extract_from_uint8_array(self, values):
            return np.stack([sizes, sizes, sizes, sizes], 1), SimpleNamespace(data=np.zeros((20_000, 128), np.uint8))

    detector._extractor, detector._matrix_of = Overflowing(), lambda keypoints: keypoints
    found = detector.detect(picture(noise(40, 40)))
    assert 4000 <= len(found.keypoints) <= 9000 and (np.diff(found.keypoints[:, 0]) <= 0).all()
    assert 200 <= len(found.coarse.keypoints) <= 2000
    assert (found.coarse.keypoints == found.keypoints[: len(found.coarse.keypoints)]).all()


@pytest.mark.parametrize("side, least, most", [(900, 900, 900), (4000, 1000, 2400)])
def test_keypoints_are_looked_for_in_pictures_of_some_size(side, least, most):
    asked, detector = [], Detector(1, False)

    class Recorded:
        def extract_from_uint8_array(self, values):
            asked.append(max(values.shape))
            return real.extract_from_uint8_array(values)

    real, detector._extractor = detector._extractor, Recorded()
    detector.detect(picture(np.zeros((40, side), np.uint8)))
    assert least <= asked[0] <= most


def test_a_sensitive_detector_finds_weak_and_long_keypoints():
    faint = np.uint8(128 + 5.0 * ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 6, (200, 200)), 2))
    usual, sensitive = (len(Detector(1, which).detect(picture(faint)).keypoints) for which in (False, True))
    assert sensitive > 3 * usual and sensitive > 100
    dots = np.zeros((400, 400))
    dots[40:380:60, 40:380:60] = 1.0
    long = np.uint8(128 + 120 * (blurred := ndimage.gaussian_filter(dots, (2, 9))) / blurred.max())
    assert len(Detector(1, True).detect(picture(long)).keypoints) >= 36


def pair_at(angle: float, next_angle: float) -> tuple[Features, Features]:
    """A keypoint whose best match is at an angle, and the next best at another; far from both a second one."""
    one = synthetic.half()
    stranger = np.where(np.arange(128) == 127, 250, 0).astype(np.uint8)  # like none of them
    first = np.stack([one, stranger])
    second = np.stack([synthetic.beside(one, angle), synthetic.beside(one, next_angle), stranger])
    return Features(np.full((2, 2), 500.0), first), Features(np.full((3, 2), 500.0), second)


def unguided(first: Features, second: Features) -> np.ndarray:
    return matches(first, second)


def along_lines(first: Features, second: Features) -> np.ndarray:
    views = synthetic.ring(2, 40.0)
    lines = EpipolarGeometry.between(synthetic.reconstruction(views), 0, 1, [first, second])
    return epipolar_matches(dataclasses.replace(lines, pixel=1e9), first, second)


def guided(first: Features, second: Features) -> np.ndarray:
    """Both exchanged: the second's keypoints show points, the first's are looked for."""
    views = synthetic.ring(2, 40.0)
    tracks = Tracks(np.zeros((len(second.keypoints), 3)), {1: np.arange(len(second.keypoints))})
    found = synthetic.reconstruction(views, [1])
    adjuster = BundleAdjuster(synthetic.observations([first, second]))
    near = _GuidedMatching(0, found.lenses[0], Scene(found, tracks, None), adjuster)
    return np.stack(near.matches(views[0], 1e9), 1)


@pytest.mark.parametrize("how", [unguided, along_lines, guided])
@pytest.mark.parametrize(
    "angle, next_angle, is_match",
    [
        (0.1, 0.9, True),
        (0.55, 1.2, True),
        (1.0, 1.5, False),  # too unlike, though nothing is more alike
        (0.40, 0.62, True),
        (0.40, 0.42, False),  # the next best is as good
    ],
)
def test_a_match_is_alike_and_clearly_so(how, angle, next_angle, is_match):
    assert ([0, 0] in how(*pair_at(angle, next_angle)).tolist()) is is_match


def kin(common: int, count: int, own: int = 60) -> list[Features]:
    """Pictures that have so many keypoints in common, and others of their own."""
    shared = synthetic.looks(common)
    each = [np.concatenate([shared, synthetic.looks(own - common, 1 + k)]) for k in range(count)]
    return [Features(np.zeros((own, 2)), values) for values in each]


def test_some_pictures_are_all_matched_and_of_many_each_with_a_dozen_or_two():
    assert len(worth_matching(kin(30, 20), False, synthetic.job())) == 190
    many = worth_matching(kin(30, 70), False, synthetic.job())
    partners = np.bincount(np.array(many).ravel(), minlength=70)
    assert partners.min() >= 8 and len(many) <= 70 * 25 < 70 * 69 / 2


@pytest.mark.parametrize("common, are_matched", [(1, False), (15, True)])
def test_of_many_pictures_those_are_matched_that_have_something_in_common(common, are_matched):
    assert bool(worth_matching(kin(common, 40), False, synthetic.job())) is are_matched


def test_frames_of_a_video_are_matched_with_those_before_and_some_way_back():
    wanted = set(worth_matching(kin(0, 60), True, synthetic.job()))
    steps = {j - i for i, j in wanted}
    assert {1, 2} < steps and max(steps) in range(8, 33) and len(steps) <= 16
    assert all((k, k + 1) in wanted for k in range(59))


def two_pictures(right: int, wrong: int = 0, error: float = 0.5) -> tuple[list[Features], list]:
    """Two pictures with so many right matches, and such that were matched by mistake."""
    views, dice = synthetic.ring(2, 60.0), np.random.default_rng(3)
    descriptors = synthetic.looks(right + wrong)
    both = [synthetic.features(v, synthetic.cloud(right), descriptors[:right], error, k) for k, v in enumerate(views)]
    strays = [dice.uniform(200, 800, (wrong, 2)) for _ in views]
    found = [Features(np.concatenate([f.keypoints, s]), descriptors) for f, s in zip(both, strays)]
    cameras = [synthetic.observations(found).groups[0].camera(CameraPrior(1.2, False), 1)] * 2
    return found, cameras


@pytest.mark.parametrize("right, is_pair", [(9, False), (25, True), (60, True)])
def test_pictures_show_the_same_if_a_handful_of_matches_fit_one_motion(right, is_pair):
    found, cameras = two_pictures(right)
    assert bool(verified(found, cameras, [(0, 1)], synthetic.job())) is is_pair


def test_a_motion_is_found_among_many_wrong_matches():
    found, cameras = two_pictures(60, 140)
    [pair] = verified(found, cameras, [(0, 1)], synthetic.job())
    inliers = np.asarray(pair.geometry.inlier_matches)
    assert (inliers[:, 0] < 60).sum() > 50 and (inliers[:, 0] >= 60).sum() < 15
    assert 0.3 < pair.angle < 1.0 and not pair.planar


class Written(Exception):
    """The pairs that would be triangulated."""


@pytest.fixture
def pairs_of(monkeypatch):
    """Which pairs `BundleAdjuster.adjusted` matches: how many matches by (first, second)."""

    def write(path, seen, pairs, prior):
        raise Written({(pair.first, pair.second): pair.inliers for pair in pairs})

    monkeypatch.setattr(bundle_adjustment, "write_database", write)

    def pairs(views, all_features, rough=True):
        adjuster = BundleAdjuster(synthetic.observations(all_features))
        with pytest.raises(Written) as written:
            adjuster.adjusted(synthetic.reconstruction(views), rough, synthetic.job())
        return written.value.args[0]

    return pairs


@pytest.mark.parametrize(
    "off, rough, kept",
    [(1.0, False, True), (1.0, True, True), (4.5, True, True), (4.5, False, False), (15.0, True, False)],
)
def test_matches_lie_near_their_epipolar_lines(pairs_of, off, rough, kept):
    views, points, descriptors = synthetic.ring(2, 40.0), synthetic.cloud(40), synthetic.looks(40)
    both = [synthetic.features(view, points, descriptors) for view in views]
    lines = EpipolarGeometry.between(synthetic.reconstruction(views), 0, 1, both)
    across = lines.rays[0] @ lines.matrix.T  # of each point, its line in the second picture
    across = across[:, :2] / np.linalg.norm(across[:, :2], axis=1, keepdims=True)
    moved = Features(both[1].keypoints + off * across, descriptors)
    found = pairs_of(views, [both[0], moved], rough)
    assert found == ({(0, 1): 40} if kept else {})


@pytest.mark.parametrize("count, is_pair", [(3, False), (12, True)])
def test_pairs_with_a_few_matches_along_lines_are_chance(pairs_of, count, is_pair):
    views, points, descriptors = synthetic.ring(2, 40.0), synthetic.cloud(count), synthetic.looks(count)
    assert bool(pairs_of(views, [synthetic.features(view, points, descriptors) for view in views])) is is_pair


@pytest.mark.parametrize("degrees, is_pair", [(70.0, True), (110.0, False)])
def test_pictures_from_opposite_sides_have_no_point_in_common(pairs_of, degrees, is_pair):
    views, points, descriptors = synthetic.ring(2, 2 * degrees, pitch=0.0), synthetic.cloud(40), synthetic.looks(40)
    assert bool(pairs_of(views, [synthetic.features(view, points, descriptors) for view in views])) is is_pair


def test_some_thousand_of_the_largest_keypoints_are_matched_along_lines(pairs_of):
    views, points, descriptors = synthetic.ring(2, 40.0), synthetic.cloud(5000), synthetic.looks(5000)
    [count] = pairs_of(views, [synthetic.features(view, points, descriptors) for view in views]).values()
    assert 1000 < count <= 3500


@pytest.mark.parametrize("count, is_refined", [(4, False), (12, True)])
def test_a_wrong_focal_length_is_refined_with_enough_cameras(count, is_refined):
    views, points, descriptors = synthetic.ring(count, 150.0), synthetic.cloud(150), synthetic.looks(150)
    both = [synthetic.features(view, points, descriptors, 0.3, k) for k, view in enumerate(views)]
    dice = np.random.default_rng(0)
    wrong = [
        dataclasses.replace(
            v,
            camera=dataclasses.replace(v.camera, fx=0.96 * v.camera.fx),
            position=v.position + dice.normal(0, 0.004, 3),
        )
        for v in views
    ]
    found, tracks = BundleAdjuster(synthetic.observations(both)).adjusted(
        synthetic.reconstruction(wrong), True, synthetic.job()
    )
    true = views[0].camera.fx
    assert (abs(found.lenses[0].camera.fx - true) < 0.01 * true) is is_refined
    assert len(tracks.positions) > 100
    if is_refined:  # and with it the cameras are where they are: the adjustment has come to its end
        assert found.error < 0.5
