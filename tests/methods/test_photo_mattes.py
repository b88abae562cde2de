# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting the thing out of many photos: by a plain backdrop, by a network where all photos agree, or not at all."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.core.errors import Unable, WeightsMissing
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.methods.matting import saliency
from image_to_3d.worker.methods.multiview_fit import mattes as photo_mattes
from image_to_3d.worker.store.weights import WeightStore

SIDE, AWAY, RADIUS = 64, 6.0, 1.0


def looking(yaw: float, pitch: float) -> View:
    back = np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    position, forward = AWAY * back, -back
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return View(
        PinholeCamera.from_fov(SIDE, SIDE, 60.0), np.stack([right, np.cross(forward, right), forward]), position
    )


def disc(view: View, middle: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) bool: where a ball of RADIUS around `middle` is seen."""
    camera = view.camera
    row, column = np.mgrid[:SIDE, :SIDE] + 0.5
    way = np.stack([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, np.ones((SIDE, SIDE))], 2)
    way /= np.linalg.norm(way, axis=2, keepdims=True)
    towards = view.rotation @ (middle - view.position)
    along = way @ towards
    return along**2 > towards @ towards - RADIUS**2


@pytest.fixture
def room() -> Capture:
    """A ball in the middle of a place full of noise, seen from twelve sides around it."""
    views = [looking(number * 2.4, (0.2, 0.5)[number % 2]) for number in range(12)]
    dice = np.random.default_rng(0)
    seen = []
    for number, view in enumerate(views):
        rgb = dice.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        rgb[disc(view, np.zeros(3))] = (250, 30, 30)
        seen.append(replace(view, rgb=rgb, name=f"{number}"))
    return Capture(tuple(seen), np.zeros((0, 3), np.float32), np.array([[-4.0] * 3, [4.0] * 3]), True)


@pytest.fixture
def network(monkeypatch):
    """A network that is here, and sees what is red."""
    monkeypatch.setattr(saliency, "installed", lambda weights: saliency.U2NETP)

    def red(network, weights, rgb):
        return ((rgb[..., 0] == 250) & (rgb[..., 1] == 30)).astype(np.float32)

    monkeypatch.setattr(saliency, "matte", red)


def test_the_thing_that_all_photos_go_around_is_cut_out_and_becomes_the_world(room, network, tmp_path):
    found = photo_mattes.cut_out(room, "auto", WeightStore(tmp_path), "photos")
    assert not found.unbounded and any("u2netp" in note for note in found.notes)
    assert np.ptp(found.bounds, axis=0) == pytest.approx([1.0] * 3, abs=0.1)
    assert found.bounds.mean(0) == pytest.approx([0.0] * 3, abs=1e-6)
    assert 0.8 < np.linalg.norm(found.views[0].position) / (AWAY / (2 * RADIUS)) < 1.0  # the box has a margin
    truth = disc(room.views[3], np.zeros(3))
    assert ((found.views[3].mask >= 128) == truth).mean() > 0.97


def assert_a_place(found: Capture, before: Capture) -> None:
    """With all that the photos show, and a word about it."""
    assert found.views == before.views and found.unbounded
    assert len(found.notes) == 1 and "of a place" in found.notes[0] and "set the subject to object" in found.notes[0]


def test_what_is_another_thing_in_each_photo_is_left_in_its_place(room, monkeypatch, network, tmp_path):
    dice = np.random.default_rng(1)

    def astray(network, weights, rgb):
        row, column = dice.integers(4, 44, 2)
        seen = np.zeros(rgb.shape[:2], np.float32)
        seen[row : row + 14, column : column + 14] = 1.0
        return seen

    monkeypatch.setattr(saliency, "matte", astray)
    assert_a_place(photo_mattes.cut_out(room, "auto", WeightStore(tmp_path), "photos"), room)
    with pytest.raises(Unable, match="do not agree on one object"):
        photo_mattes.cut_out(room, "object", WeightStore(tmp_path), "photos")


def test_a_thing_with_another_one_beside_it_in_each_photo_is_left_in_its_place(room, monkeypatch, network, tmp_path):
    """Its outlines have the thing in common, but that is half of each."""
    usual, dice = saliency.matte, np.random.default_rng(1)

    def half_astray(*photo):
        seen, row, column = usual(*photo), *dice.integers(2, 12, 2)
        seen[row : row + 15, column : column + 15] = 1.0
        return seen

    monkeypatch.setattr(saliency, "matte", half_astray)
    assert_a_place(photo_mattes.cut_out(room, "auto", WeightStore(tmp_path), "photos"), room)


@pytest.mark.parametrize(
    "degrees, agreement, ground, is_thing",
    [
        (360, 0.88, False, True),
        (360, 0.83, False, False),
        (360, 0.83, True, True),
        (132, 0.88, False, True),  # about where one threshold of the arc made a fox a scene
        (126, 0.88, False, True),
        (90, 0.88, False, False),
        (90, 0.9, True, True),
        (90, 0.96, False, True),
        (50, 1.0, True, False),
    ],
)
def test_thing_or_place_is_told_by_arc_outlines_and_ground_together(
    monkeypatch, network, tmp_path, degrees, agreement, ground, is_thing
):
    views = [
        replace(looking(math.radians(k * degrees / 12), 0.3), rgb=np.zeros((SIDE, SIDE, 3), np.uint8))
        for k in range(12)
    ]
    monkeypatch.setattr(photo_mattes.matte, "subject_alpha", lambda *_: np.full((SIDE, SIDE), 255, np.uint8))
    hull = SimpleNamespace(agreement=agreement, box=np.array([[-1.0] * 3, [1.0] * 3]))
    monkeypatch.setattr(photo_mattes.Hull, "of", lambda *_: hull)
    dice = np.random.default_rng(0)
    points = dice.uniform(-4.0, 4.0, (400, 3))
    points[:200, 2] = -1.0 if ground else points[:200, 2]
    capture = Capture(tuple(views), points, np.array([[-4.0] * 3, [4.0] * 3]), True)
    found = photo_mattes.cut_out(capture, "auto", WeightStore(tmp_path), "photos")
    if is_thing:
        assert not found.unbounded and f"{100 * agreement:.0f} % of its outlines agree" in found.notes[-1]
    else:
        assert_a_place(found, capture)


def test_a_scene_is_not_cut_out(room, network, tmp_path):
    found = photo_mattes.cut_out(replace(room, unbounded=False), "scene", WeightStore(tmp_path), "photos")
    assert found.unbounded and all(view.mask is None for view in found.views)


def test_an_object_that_no_network_can_find_asks_for_one(room, tmp_path):
    assert photo_mattes.cut_out(room, "auto", WeightStore(tmp_path), "photos") is room
    with pytest.raises(WeightsMissing) as caught:
        photo_mattes.cut_out(room, "object", WeightStore(tmp_path), "photos")
    assert caught.value.network == "photos"


def test_a_thing_before_black_needs_no_network(room, tmp_path):
    seen = []
    for view in room.views:
        rgb = np.where(disc(view, np.zeros(3))[..., None], np.uint8(200), np.uint8(5))
        seen.append(replace(view, rgb=np.broadcast_to(rgb, view.rgb.shape).copy(), name="same"))
    found = photo_mattes.cut_out(
        replace(room, views=tuple(seen), unbounded=False), "auto", WeightStore(tmp_path), "photos"
    )
    for view, before in zip(found.views, room.views, strict=True):
        assert ((view.mask >= 128) == disc(before, np.zeros(3))).mean() > 0.97
