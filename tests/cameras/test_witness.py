# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several readings of poses pictures are for: told also of cameras that are shaken or see narrowly."""

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene, synthetic
from image_to_3d.worker.cameras.readers import conventions, witness
from image_to_3d.worker.cameras.readers.conventions import Poses
from scipy.spatial.transform import Rotation

FLIP = np.diag([1.0, -1.0, -1.0])


def pairs(views: list, wrong: float) -> list[witness._Pair]:
    """Rays of neighbours at 200 points, seen with half a pixel of noise; that share of them at other points."""
    points, dice, found = synthetic.cloud(200), np.random.default_rng(1), []
    for i in range(len(views)):
        j, rays = (i + 1) % len(views), []
        for number in (i, j):
            shown = points.copy()
            if number == j:
                others = dice.random(len(points)) < wrong
                shown[others] = dice.permutation(points)[others]
            camera, view = views[number].camera, views[number]
            u, v = (synthetic.seen(view, shown) + dice.normal(0.0, 0.5, (len(points), 2))).T
            ray = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(len(u))], 1)
            rays.append(ray / np.linalg.norm(ray, axis=1, keepdims=True))
        found.append(witness._Pair(i, j, tuple(rays)))
    return found


def shaken(views: list, degrees: float, seed: int) -> Poses:
    """Rotations and positions, off by so many degrees and per cent of the distance."""
    dice = np.random.default_rng(seed)
    rotations, positions = np.stack([v.rotation for v in views]), np.stack([v.position for v in views])
    turns = Rotation.from_rotvec(np.radians(degrees) * dice.normal(size=(len(views), 3)) / 3**0.5).as_matrix()
    away = np.linalg.norm(positions, axis=1).mean()
    return turns @ rotations, positions + degrees / 100.0 * away * dice.normal(size=positions.shape) / 3**0.5


def readings(rotations: np.ndarray, positions: np.ndarray) -> list[Poses]:
    """The three ways in which such poses are written wrongly."""
    left = np.swapaxes(FLIP @ rotations, 1, 2)
    centres = -np.einsum("nij,ni->nj", left, positions)
    return [(FLIP @ rotations, positions), (left, centres), (FLIP @ left, centres)]


def told(monkeypatch, found: list[witness._Pair], poses: list[Poses]) -> list[float] | None:
    monkeypatch.setattr(witness, "_pairs", lambda *_: found)
    monkeypatch.setattr(witness, "find_spec", lambda name: name)
    return witness.witness([], [])(poses)


@pytest.mark.parametrize("degrees", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("fov, away", [(40.0, 2.6), (8.0, 13.0)])
def test_right_poses_are_told_from_wrong_readings_of_them(monkeypatch, fov, away, degrees):
    views = scene.ring(12, 360.0, 25.0, 1000, fov, away)
    found = pairs(views, 0.15)
    for seed in range(3):
        right = shaken(views, degrees, seed)
        for wrong in readings(*right):
            assert conventions._seen(told(monkeypatch, found, [wrong, right]))
            assert not conventions._seen(told(monkeypatch, found, [right, wrong]))


def test_of_matches_that_show_different_points_many_are_for_nobody(monkeypatch):
    """They lie in a small thing that is far away, so that many of their rays come near each other by chance."""
    views = scene.ring(12, 360.0, 25.0, 1000)
    right = shaken(views, 0.0, 0)
    for wrong in readings(*right):
        assert sum(told(monkeypatch, pairs(views, 1.0), [wrong, right])) < 0.8


def test_few_matches_tell_nothing(monkeypatch):
    views = scene.ring(12, 360.0, 25.0, 1000)
    few = [witness._Pair(p.first, p.second, tuple(rays[:2] for rays in p.rays)) for p in pairs(views, 0.0)]
    assert told(monkeypatch, few, [shaken(views, 0.0, 0)] * 2) is None
