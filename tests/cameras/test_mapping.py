# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of a reconstruction, and which of several is taken. Each tuned number is held from both sides: a grossly
smaller or larger one fails here."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from image_to_3d.tests.cameras import synthetic
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.cameras.sfm import failures, mapping, reconstruct
from image_to_3d.worker.cameras.sfm.features import Features
from image_to_3d.worker.cameras.sfm.mapping import CameraPrior, Observations
from image_to_3d.worker.cameras.sfm.two_view import verified
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.pictures.load import Picture

pycolmap = pytest.importorskip(
    "pycolmap", reason="cameras are found with COLMAP's library, which is not in this environment"
)


def empty(count: int) -> Features:
    return Features(np.zeros((count, 2)), np.zeros((count, 128), np.uint8))


def plain(count: int) -> list[Picture]:
    return [Picture(np.full((8, 8, 3), 128, np.uint8), None, None, "", f"{k}") for k in range(count)]


@pytest.mark.parametrize(
    "points, step, is_deep",
    [(200, 0.3, True), (60, 0.3, True), (15, 0.3, False), (200, 0.08, True), (200, 0.01, False)],
)
def test_depth_needs_some_points_and_some_way_between_the_cameras(points, step, is_deep):
    views = synthetic.ring(3)
    moved = [dataclasses.replace(views[0], position=views[0].position + [k * step * 2.6 / 2.0, 0, 0]) for k in range(3)]
    assert synthetic.reconstruction(moved, points=synthetic.cloud(points)).shows_depth is is_deep


def test_cameras_that_hardly_any_point_holds_and_points_that_fit_badly_are_left_out():
    pose = SimpleNamespace(matrix=lambda: np.eye(3, 4))
    images = {
        number: SimpleNamespace(name=f"{number:06}", num_points3D=count, camera_id=1, cam_from_world=lambda: pose)
        for number, count in enumerate((5, 20, 300))
    }
    track = SimpleNamespace(length=lambda: 3)
    points = {
        k: SimpleNamespace(error=error, xyz=np.full(3, k), track=track) for k, error in enumerate((0.5, 1.5, 6.0))
    }
    camera = SimpleNamespace(params=[900.0, 500.0, 500.0, 0.0], width=1000, height=1000)
    model = SimpleNamespace(
        image=images.get, reg_image_ids=lambda: list(images), points3D=points, camera=lambda number: camera,
        compute_mean_reprojection_error=lambda: 0.7,
    )  # fmt: skip
    found = mapping.reconstruction_of(model)
    assert found.pictures == (1, 2) and found.points[:, 0].tolist() == [0.0, 1.0]


def test_colmaps_own_words_never_reach_the_terminal(capfd):
    """Pictures that match, but of which nothing can be made: its library says so with each try."""
    pycolmap.logging.minloglevel = pycolmap.logging.Level.INFO.value
    views, points, looks = synthetic.ring(2, 0.0), synthetic.cloud(40), synthetic.looks(40)
    each = [synthetic.features(view, points, looks) for view in views]
    seen = synthetic.observations(each)
    cameras = [seen.groups[0].camera(CameraPrior(1.4, False), 1)] * 2
    pairs = verified(each, cameras, seen.compared, synthetic.job())
    assert pairs
    assert mapping.mapped(dataclasses.replace(seen, matched=pairs), CameraPrior(1.4, False), synthetic.job()) is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shown, is_registered", [(11, False), (17, False), (26, True)])
def test_a_picture_joins_if_some_twenty_points_say_where_it_was_taken(shown, is_registered):
    """Eight pictures of all points, and one of a few of them; 17 are enough to be matched, but not for a pose."""
    views, points, looks = synthetic.ring(9, 120.0), synthetic.cloud(200), synthetic.looks(200)
    each = [synthetic.features(view, points, looks, 0.3, k) for k, view in enumerate(views)]
    each[8] = Features(each[8].keypoints[:shown], looks[:shown])
    seen = synthetic.observations(each)
    cameras = [seen.groups[0].camera(CameraPrior(1.4, False), 1)] * 9
    pairs = verified(each, cameras, seen.compared, synthetic.job())
    found = mapping.mapped(dataclasses.replace(seen, matched=pairs), CameraPrior(1.4, False), synthetic.job())
    assert (8 in found.pictures) is is_registered and len(found.pictures) >= 8


# ------------------------------------------------------------------------------------------------ which is taken


def found_of(count: int, error: float = 1.0, focal: float = 1.2) -> Registration:
    made = synthetic.reconstruction(synthetic.ring(count), points=synthetic.cloud(100))
    lenses = tuple(
        dataclasses.replace(lens, camera=dataclasses.replace(lens.camera, fx=1000.0 * focal)) for lens in made.lenses
    )
    return dataclasses.replace(made, error=error, lenses=lenses)


def best_of(monkeypatch, count: int, answer) -> tuple[Registration, list[CameraPrior]]:
    """What is taken of `count` pictures, and which priors were tried."""
    asked = []

    def mapped(seen, prior, job):
        asked.append(prior)
        return answer(prior)

    monkeypatch.setattr(reconstruct, "mapped", mapped)
    groups = [mapping.CameraGroup(1000, 1000, None, tuple(range(count)))]
    seen = Observations(groups, [empty(0)] * count, [], [], 1)
    return reconstruct._best(seen, reconstruct.FOCALS, synthetic.job()), asked


@pytest.mark.parametrize("registered, others_are_tried", [(20, False), (19, False), (15, True)])
def test_other_focal_lengths_are_tried_where_pictures_are_missing(monkeypatch, registered, others_are_tried):
    found, asked = best_of(monkeypatch, 20, lambda prior: found_of(registered if prior.focal < 2 else 20))
    assert (len({prior.focal for prior in asked if not prior.distorted}) > 1) is others_are_tried
    assert len(found.pictures) == max(registered, 20 if others_are_tried else 0)


def test_focal_lengths_that_are_tried_lie_within_reach_of_all_that_there_are():
    usual = np.geomspace(0.8, 7.0, 30)
    ratios = np.abs(np.log(usual[:, None] / np.array(reconstruct.FOCALS)))
    assert np.exp(ratios.min(1)).max() < 1.6 and len(reconstruct.FOCALS) <= 5


@pytest.mark.parametrize("error, is_bent", [(0.99, False), (0.8, True)])
def test_of_few_pictures_a_bent_lens_is_believed_where_it_fits_better(monkeypatch, error, is_bent):
    found, asked = best_of(monkeypatch, 20, lambda prior: found_of(20, error if prior.distorted else 1.0))
    assert [prior.distorted for prior in asked] == [False, True]
    assert (found.error == error) is is_bent


def test_of_many_pictures_a_bent_lens_is_believed_at_once(monkeypatch):
    _, asked = best_of(monkeypatch, 60, lambda prior: found_of(60))
    assert [prior.distorted for prior in asked] == [True]


@pytest.mark.parametrize("count, is_looked_at_again", [(300, True), (2000, False)])
def test_pictures_with_few_keypoints_are_looked_at_again_for_weak_ones(monkeypatch, count, is_looked_at_again):
    class Fake:
        def __init__(self, threads, sensitive, affine):
            self.sensitive = sensitive

        def detect(self, picture):
            return empty(9999 if self.sensitive else count)

    monkeypatch.setattr(reconstruct, "Detector", Fake)
    [features] = reconstruct._detected(plain(1), False, synthetic.job(), 1)
    assert (len(features.keypoints) == 9999) is is_looked_at_again


@pytest.mark.parametrize(
    "keypoints, registered, ways",
    [(900, 5, [False, True]), (900, 4, [False, True]), (5000, 5, [False]), (900, 10, [False]), (900, 8, [False, True])],
)
def test_affine_keypoints_are_tried_where_few_were_found_and_pictures_are_missing(
    monkeypatch, keypoints, registered, ways
):
    tried, begun = [], []

    def attempt(pictures, silhouettes, ordered, affine, focals, job, threads):
        tried.append(affine)
        begun.append(focals)
        seen = synthetic.observations([empty(keypoints)] * len(pictures))
        return reconstruct._Attempt(seen, found_of(registered), [], False)

    monkeypatch.setattr(reconstruct, "_attempt", attempt)
    reconstruct.registered(plain(10), False, synthetic.job(), 1)
    assert tried == ways
    assert begun[0] == reconstruct.FOCALS and begun[-1] in (reconstruct.FOCALS, (1.2,))
    if ways[1:]:
        assert (begun[1] == (1.2,)) is (registered >= 5), "half of the pictures tell the focal length"


@pytest.mark.parametrize("agreeing, count, is_taken", [(False, 9, False), (True, 4, True), (True, 2, False)])
def test_an_attempt_that_silhouettes_agree_with_is_worth_more_than_one_with_more_pictures(agreeing, count, is_taken):
    seen = synthetic.observations([empty(0)] * 10)
    usual = reconstruct._Attempt(seen, found_of(8), [], False)
    other = reconstruct._Attempt(seen, found_of(count), ["doubtful"], agreeing)
    assert (other.worth() > usual.worth()) is is_taken


@pytest.mark.parametrize("count, agrees, taken", [(30, True, "whole"), (30, False, "sure")])
def test_cameras_that_silhouettes_contradict_are_found_again_by_the_surer_half_of_the_pairs(
    monkeypatch, count, agrees, taken
):
    whole, sure, given = found_of(5), found_of(4), []
    pairs = [SimpleNamespace(inliers=k) for k in range(10)]
    seen = Observations([], [], pairs, [], 1)
    monkeypatch.setattr(reconstruct, "agreeing", lambda found, _: found if agrees or found is sure else None)
    monkeypatch.setattr(reconstruct, "mapped", lambda seen, prior, job: given.extend(seen.matched) or sure)
    found = reconstruct._agreeing(whole, seen, {}, synthetic.job())
    assert found is (whole if taken == "whole" else sure)
    assert [pair.inliers for pair in given] == ([] if agrees else [5, 6, 7, 8, 9])


# ------------------------------------------------------------------------------------------------ why not


def pair(angle: float, planar: bool = False) -> SimpleNamespace:
    return SimpleNamespace(angle=angle, planar=planar)


def dark(level: int) -> list[Picture]:
    return [Picture(np.full((8, 8, 3), level, np.uint8), None, None, "", "") for _ in range(4)]


@pytest.mark.parametrize(
    "pictures, keypoints, pairs, words",
    [
        (dark(7), 500, [pair(0.2)], "almost black"),
        (dark(30), 40, [pair(0.2)], "hardly any detail"),
        (dark(30), 300, [], "no two of the 4 pictures"),
        (dark(30), 300, [pair(0.008)] * 9 + [pair(0.2)], "from one place"),
        (dark(30), 300, [pair(0.2, True)] * 9 + [pair(0.2)], "from one place"),
        (dark(30), 300, [pair(0.008)] * 5 + [pair(0.2)] * 5, "only 2 of 4 pictures fit together"),
        (dark(30), 300, [pair(0.06)] * 9, "only 2 of 4 pictures fit together"),
    ],
)
def test_why_cameras_were_not_found_is_said_by_what_was_seen_on_the_way(pictures, keypoints, pairs, words):
    assert words in failures.why_not(pictures, [empty(keypoints)] * 4, pairs, 2)


def test_fewer_than_three_registered_pictures_are_a_failure(monkeypatch):
    seen = synthetic.observations([empty(5000)] * 5, [pair(0.2)])
    monkeypatch.setattr(reconstruct, "_attempt", lambda *_: reconstruct._Attempt(seen, found_of(2), [], False))
    with pytest.raises(Unable, match="only 2 of 5"):
        reconstruct.registered(plain(5), False, synthetic.job(), 1)
