# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure focal lengths are: told where other ones fit nearly as well, or EXIF says another; and only there."""

import dataclasses

import pytest
from image_to_3d.tests.cameras import synthetic
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.cameras.sfm import focal
from image_to_3d.worker.cameras.sfm.bundle_adjustment import BundleAdjuster
from image_to_3d.worker.cameras.sfm.mapping import CameraGroup, CameraPrior, Observations
from image_to_3d.worker.cameras.sfm.two_view import verified
from image_to_3d.worker.core.errors import Cancelled

pytest.importorskip("pycolmap", reason="cameras are found with COLMAP's library, which is not in this environment")


def taken(
    count: int, degrees: float, noise: float = 0.8, groups: int = 1, told: float | None = None
) -> tuple[Observations, Registration]:
    """Pictures of 200 points on an arc, with EXIF or without, by several cameras in turns, and their places."""
    views, points, looks = synthetic.ring(count, degrees), synthetic.cloud(200), synthetic.looks(200)
    each = [synthetic.features(view, points, looks, noise, k) for k, view in enumerate(views)]
    seen = synthetic.observations(each)
    cameras = [seen.groups[0].camera(CameraPrior(1.4, False), 1)] * count
    pairs = verified(each, cameras, seen.compared, synthetic.job())
    side = synthetic.SIDE
    split = [CameraGroup(side, side, told, tuple(range(k, count, groups))) for k in range(groups)]
    seen = dataclasses.replace(seen, groups=split, matched=pairs)
    return seen, synthetic.reconstruction(views, points=points)


@pytest.mark.parametrize(
    "count, degrees, is_sure", [(8, 120.0, True), (6, 60.0, True), (6, 30.0, False), (4, 8.0, False)]
)
def test_a_focal_length_is_sure_where_others_fit_worse(count, degrees, is_sure):
    seen, found = taken(count, degrees)
    doubts = focal.focal_doubts(found, seen, synthetic.job())
    assert (doubts == []) is is_sure
    if not is_sure:
        assert "40 degrees are taken, but 37 or 44 fit nearly as well" in doubts[0] and len(doubts) == 1


def test_with_exif_that_says_the_same_a_short_arc_is_sure_too():
    seen, found = taken(4, 8.0, told=40.0)
    assert focal.focal_doubts(found, seen, synthetic.job()) == []


@pytest.mark.parametrize("told, is_other", [(40.0, False), (38.0, False), (46.0, True), (30.0, True)])
def test_a_field_of_view_other_than_exifs_is_told(told, is_other):
    seen, found = taken(3, 60.0, told=told)
    doubts = focal.focal_doubts(found, seen, synthetic.job())
    assert bool(doubts) is is_other
    if is_other:
        assert f"a field of view of 40 degrees, while their EXIF says {told:.0f}" in doubts[0]


def test_pictures_of_several_cameras_in_turns_are_adjusted_too():
    """As where some photos were held upright: COLMAP numbers pictures by camera, unless it is told their numbers."""
    seen, found = taken(6, 90.0, groups=2)
    assert focal.growth(found, seen, synthetic.job()) > focal.LEAST_GROWTH
    better, _ = BundleAdjuster(seen).adjusted(found, False, synthetic.job())
    assert better.pictures == found.pictures
    for one, other in zip(found.rotations, better.rotations):
        assert synthetic.degrees(one @ found.rotations[0].T, other @ better.rotations[0].T) < 0.5


def test_a_cancel_is_heard_while_focal_lengths_are_tried():
    seen, found = taken(4, 60.0)
    stopped = synthetic.job()
    stopped.cancel()
    with pytest.raises(Cancelled):
        focal.growth(found, seen, stopped)


def test_without_any_point_nothing_is_sure():
    seen, found = taken(3, 60.0)
    assert focal.growth(found, dataclasses.replace(seen, matched=[]), synthetic.job()) == 0.0
