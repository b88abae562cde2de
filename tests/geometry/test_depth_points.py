# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps of every kind laid onto the mesh that their camera sees."""

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.depth_points import points_on
from image_to_3d.worker.geometry.texturing.rasterise import depth_buffer

SHIFT, SIZE = np.array([5.0, -2.0, 7.0]), 3.0
BALL = trimesh.creation.icosphere(4, radius=SIZE)
VERTICES = np.asarray(BALL.vertices) + SHIFT
CAMERA = PinholeCamera.from_fov(120, 90, 35.0)
FRONT = View(CAMERA, np.diag([1.0, -1.0, -1.0]), SHIFT + [0.0, 0.0, 16.0])
SOLID = depth_buffer(VERTICES, BALL.faces, FRONT)
HERE = np.isfinite(SOLID)
VIEW = View(CAMERA, FRONT.rotation, FRONT.position, mask=np.where(HERE, 255, 0).astype(np.uint8))


def depth(z: np.ndarray, kind: str = "metric") -> DepthMap:
    inverse = np.where(HERE, 1.0 / np.where(HERE, z, 1.0), 0.0).astype(np.float32)
    if kind == "relative":
        inverse = 7.0 * inverse + 0.2
    return DepthMap(inverse, kind == "metric", HERE, View(CAMERA), proportional=kind == "proportional")


@pytest.mark.parametrize("kind", ["metric", "proportional", "relative"])
def test_depth_in_any_unit_lies_on_the_surface_that_it_is_of(kind):
    points = points_on(depth(0.01 * SOLID, kind), VERTICES, BALL.faces, VIEW)
    assert len(points) > 1000
    assert np.abs(np.linalg.norm(points - SHIFT, axis=1) - SIZE).max() < 0.02 * SIZE
    assert (points[:, 2] > SHIFT[2]).all()  # of the side that is seen


def test_detail_that_the_mesh_has_not_is_kept():
    bumps = 0.1 * np.sin(np.arange(120) / 3.0)[None]
    points = points_on(depth(SOLID + bumps), VERTICES, BALL.faces, VIEW)
    assert 0.02 < np.abs(np.linalg.norm(points - SHIFT, axis=1) - SIZE).std() < 0.12


@pytest.mark.parametrize("kind", ["metric", "relative"])
def test_a_depth_that_contradicts_the_mesh_is_left_out(kind):
    hollow = 2.0 * np.median(SOLID[HERE]) - SOLID
    assert points_on(depth(hollow, kind), VERTICES, BALL.faces, VIEW) is None


def test_a_depth_that_says_nothing_of_the_thing_is_left_out():
    nothing = depth(SOLID)
    nothing.valid[...] = False
    assert points_on(nothing, VERTICES, BALL.faces, VIEW) is None


def test_depth_maps_of_fewer_pixels_than_the_picture_will_do():
    small = View(CAMERA.scaled(60, 45), FRONT.rotation, FRONT.position)
    z = depth_buffer(VERTICES, BALL.faces, small)
    here = np.isfinite(z)
    found = DepthMap(np.where(here, 1 / np.where(here, z, 1), 0).astype(np.float32), True, here, View(CAMERA))
    points = points_on(found, VERTICES, BALL.faces, VIEW)
    assert np.abs(np.linalg.norm(points - SHIFT, axis=1) - SIZE).max() < 0.02 * SIZE
