# SPDX-License-Identifier: GPL-3.0-or-later
"""Detail from normals: what the depth has lost comes back, what it knows stays, and steps are not bridged."""

import numpy as np
import pytest
from image_to_3d.worker.core.view import PinholeCamera
from image_to_3d.worker.geometry.relief.integrate import integrated
from scipy.ndimage import gaussian_filter

CAMERA = PinholeCamera(96, 72, 90.0, 90.0, 48.0, 36.0)
Y, X = np.mgrid[0:72, 0:96] + 0.5
ALL = np.ones((72, 96), bool)


def normals_of(depth):
    """Towards the camera, by differences between the points that pixels see."""
    points = np.stack([(X - CAMERA.cx) / CAMERA.fx * depth, (Y - CAMERA.cy) / CAMERA.fy * depth, depth], axis=2)
    found = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    return (found / np.linalg.norm(found, axis=2, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("across", [True, False])
def test_folds_that_the_depth_has_lost_come_back_from_the_normals(across):
    floor = 2.0 + 0.01 * Y + 0.004 * X
    folded = floor + 0.02 * np.sin((X if across else Y) / 1.5)
    found = 1.0 / integrated((1.0 / floor).astype(np.float32), ALL, normals_of(folded), CAMERA)
    assert np.abs(found - folded)[4:-4, 4:-4].mean() < 0.25 * np.abs(floor - folded)[4:-4, 4:-4].mean()


def test_what_is_large_stays_the_depths():
    bowl = 3.0 + 0.2 * np.cos(X / 30.0) * np.cos(Y / 30.0)
    found = 1.0 / integrated((1.0 / bowl).astype(np.float32), ALL, normals_of(np.full_like(bowl, 3.0)), CAMERA)
    assert np.abs(found - bowl).max() < 0.35 * np.ptp(bowl)


def test_a_step_is_not_bridged_and_what_is_not_known_stays():
    depth = np.where(X < 48, 1.0, 2.0)
    known = Y > 10
    facing = np.zeros((72, 96, 3), np.float32)
    facing[..., 2] = -1.0
    found = 1.0 / integrated((1.0 / depth).astype(np.float32), known, facing, CAMERA)
    assert np.abs(found / depth - 1.0).max() < 0.02
    assert (found[~known] == depth[~known].astype(np.float32)).all()


@pytest.mark.parametrize("wrong", [0.0, np.nan])
def test_normals_that_tell_nothing_change_nothing(wrong):
    depth = 2.0 + gaussian_filter(np.random.default_rng(0).standard_normal((72, 96)), 4.0)
    found = integrated((1.0 / depth).astype(np.float32), ALL, np.full((72, 96, 3), wrong, np.float32), CAMERA)
    assert np.abs(found * depth - 1.0).max() < 1e-5
