# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps as fronts of things, how far they are trusted, and how two fronts become one: on a half ball."""

import numpy as np
import pytest
from image_to_3d.worker.core.representations import DepthMap, Layers
from image_to_3d.worker.core.view import PinholeCamera, View, Window
from image_to_3d.worker.methods.hybrid.fronts import front_of, settled
from image_to_3d.worker.methods.hybrid.fusion import apart, behind, fused

PIXELS, SIZE, FOV, RADIUS = 160, 64, 35.0, 0.8
CAMERA = PinholeCamera.from_fov(PIXELS, PIXELS, FOV)
UNIT = PIXELS / 2 / CAMERA.fx


def ball(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Half the thickness of a ball in half sides, and where it is."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    under = RADIUS**2 - x**2 - y**2
    return np.sqrt(np.maximum(under, 0.0)).astype(np.float32), under > 0


def guess(scale: float = 1.0) -> Layers:
    height, _ = ball(SIZE)
    mask = np.where(ball(PIXELS)[1], 255, 0).astype(np.uint8)
    view = View(CAMERA, rgb=np.zeros((PIXELS, PIXELS, 3), np.uint8), mask=mask)
    return Layers(-scale * height, height, np.zeros((SIZE, SIZE, 3), np.uint8), Window(0, 0, PIXELS), view)


def depth(front: np.ndarray, kind: str = "metric", distance: float = 3.0) -> DepthMap:
    """The depth map (PIXELS, PIXELS) of a front in half sides."""
    inverse = (1.0 / (distance * (1.0 + UNIT * front))).astype(np.float32)
    if kind == "relative":
        inverse = 2.0 * inverse + 0.3
    metric, proportional = kind == "metric", kind == "proportional"
    return DepthMap(inverse, metric, ball(PIXELS)[1], View(CAMERA), proportional=proportional)


@pytest.mark.parametrize("kind", ["metric", "relative"])
@pytest.mark.parametrize("distance", [0.3, 3.0, 40.0])
def test_a_true_depth_becomes_the_front_at_whatever_distance_and_is_trusted(kind, distance):
    front, share = front_of(depth(-ball(PIXELS)[0], kind, distance), guess(), 2 * SIZE, 0.5)
    truth = -ball(2 * SIZE)[0]
    wrong = (settled(front, truth) - truth)[front.where]
    assert np.abs(wrong).max() < 0.05 and share > 0.75
    assert front.scale == (kind == "metric") and not front.shift


def test_what_is_seen_wins_over_the_guess_where_its_scale_is_known():
    front, _ = front_of(depth(-0.6 * ball(PIXELS)[0]), guess(), SIZE, 0.5)
    assert np.ptp(front.depth[front.where]) == pytest.approx(0.6 * np.ptp(ball(SIZE)[0][front.where]), rel=0.1)


def test_pixels_at_the_outline_mix_two_distances_and_are_not_taken():
    front, _ = front_of(depth(-ball(PIXELS)[0]), guess(), SIZE, 0.5)
    inside = ball(SIZE)[1]
    assert front.where.sum() < inside.sum() and not (front.where & ~inside).any()


@pytest.mark.parametrize("kind", ["metric", "proportional", "relative"])
def test_a_front_that_bulges_where_it_recedes_is_not_taken(kind):
    assert front_of(depth(ball(PIXELS)[0], kind), guess(), SIZE, 0.5) is None


def test_a_thing_that_leans_far_more_than_was_guessed_is_believed_of_metres_alone():
    y = (np.mgrid[:PIXELS, :PIXELS][0] + 0.5) / PIXELS * 2 - 1
    leaning, guessed = -ball(PIXELS)[0] + 1.2 * y, guess()
    guessed.front[...] += 0.3 * np.linspace(-1, 1, SIZE)[:, None]
    assert front_of(depth(leaning), guessed, SIZE, 0.5)[1] > 0.8
    assert front_of(depth(leaning, "proportional"), guessed, SIZE, 0.5) is None
    assert front_of(depth(leaning[::-1]), guessed, SIZE, 0.5) is None  # to the other side


def test_where_the_guess_does_not_lean_a_thing_may_lean_as_what_is_seen_from_above():
    y = (np.mgrid[:PIXELS, :PIXELS][0] + 0.5) / PIXELS * 2 - 1
    nearer_below = depth(-ball(PIXELS)[0] - 1.2 * y)
    assert front_of(nearer_below, guess(), SIZE, 0.5)[1] > 0.8
    assert front_of(depth(-ball(PIXELS)[0] + 1.2 * y), guess(), SIZE, 0.5) is None


def test_trust_of_nothing_looks_at_no_depth_and_blind_trust_takes_any():
    lie = depth(ball(PIXELS)[0])
    assert front_of(depth(-ball(PIXELS)[0]), guess(), SIZE, 0.0) is None
    _, share = front_of(lie, guess(), SIZE, 1.0)
    assert share == 1.0


def test_the_more_a_depth_is_trusted_the_larger_its_share():
    shares = [front_of(depth(-0.9 * ball(PIXELS)[0]), guess(), SIZE, trust)[1] for trust in (0.2, 0.4, 0.6, 0.9)]
    assert shares == sorted(shares) and shares[0] < shares[-1]


def test_a_depth_map_that_says_nothing_of_the_thing_is_of_no_use():
    nothing = depth(-ball(PIXELS)[0])
    nothing.valid[...] = False
    assert front_of(nothing, guess(), SIZE, 0.5) is None


def test_fused_has_the_detail_of_one_and_the_large_shape_of_the_other():
    height, inside = ball(SIZE)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    ripple = 0.02 * np.sin(40.0 * x)
    detail = -height + ripple + 0.5 * y  # whose large shape is wrong
    found = fused(-height, detail, inside.astype(float), inside, inside)
    core = np.hypot(x - 0.5, y - 0.5) < 0.25
    tilt = np.polyval(np.polyfit(y[core], (found + height)[core], 1), y[core])
    assert np.corrcoef((found + height)[core] - tilt, ripple[core])[0, 1] > 0.9
    assert abs(np.polyfit(y[core], (found + height)[core], 1)[0]) < 0.2  # of the 0.5 that the detail leans


def test_without_sure_detail_the_large_shape_stays_and_beyond_the_outline_too():
    height, inside = ball(SIZE)
    found = fused(-height, height, np.zeros_like(height), np.zeros_like(inside), inside)
    np.testing.assert_allclose(found, -height, atol=0.03)
    assert (found[~inside] == -height[~inside]).all()


def test_where_one_part_stands_before_another_the_seen_step_stays():
    _, inside = ball(SIZE)
    hollow = np.where(np.mgrid[:SIZE, :SIZE][0] < SIZE // 2, 0.8, -0.2)  # as a cup's far wall behind its rim
    found = fused(hollow, hollow, inside.astype(float), inside, inside)
    assert np.abs(found - hollow)[inside].max() < 0.02


def test_the_back_follows_another_front_where_the_thing_is_thin_and_not_in_its_detail():
    inside, ripple = np.ones((SIZE, SIZE), bool), np.indices((SIZE, SIZE)).sum(axis=0) % 2 * 0.1
    own = np.zeros((SIZE, SIZE))
    for thick, moved in ((0.02, 0.4), (1.0, 0.0)):
        back = behind(own + 0.35 + ripple, own, own + thick, inside)
        np.testing.assert_allclose(back - thick, moved, atol=0.02)
    lonely = np.zeros((SIZE, SIZE), bool)
    lonely[30:34, 30:34] = True
    np.testing.assert_allclose(behind(own + 0.4, own, own, lonely)[lonely], 0.4)  # not less beside nothing


def test_nothing_lies_inside_out_and_what_is_seen_stays():
    front, back = np.full((4, 4), 0.5), np.full((4, 4), 0.3)
    where = np.zeros((4, 4), bool)
    where[:2] = True
    found, behind_it = apart(front, back, where, np.ones((4, 4), bool))
    assert (behind_it > found).all()
    assert (found[where] == 0.5).all() and (behind_it[~where] == 0.3).all()
