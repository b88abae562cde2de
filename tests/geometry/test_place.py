# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes are handed over in a sensible size and place, with the camera that sees them as the photo does."""

import numpy as np
import pytest
from image_to_3d.worker.core.view import PinholeCamera
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.place import place

CAMERA = PinholeCamera(640, 480, 500.0, 510.0, 330.0, 225.0)


def mesh():
    points = np.random.default_rng(0).uniform((-3, -1, -9), (2, 4, -4), (30, 3)).astype(np.float32)
    return Mesh(points, np.arange(30, dtype=np.int32).reshape(10, 3))


@pytest.mark.parametrize("origin", ["base", "centre"])
def test_longest_side_and_origin_are_as_asked(origin):
    low, high = place(mesh(), 2.0, origin).mesh.bounds
    assert (high - low).max() == pytest.approx(2.0, rel=1e-5)
    assert (low + high)[[0, 2]] == pytest.approx(0.0, abs=1e-5)
    assert (low[1] if origin == "base" else low[1] + high[1]) == pytest.approx(0.0, abs=1e-5)


def test_size_and_origin_are_of_what_counts():
    counted = (np.abs(mesh().vertices - (-0.5, 1.5, -6.5)) < 1.7).all(1)
    placed = place(mesh(), 2.0, "base", counted).mesh.vertices
    shown = placed[counted]
    assert np.ptp(shown, axis=0).max() == pytest.approx(2.0, rel=1e-5)
    assert np.ptp(placed, axis=0).max() > 2.1
    assert shown[:, 1].min() == pytest.approx(0.0, abs=1e-5)


def test_metric_size_is_kept():
    original, placed = mesh(), place(mesh(), None)
    assert placed.scale == 1.0
    assert np.ptp(placed.mesh.vertices, axis=0) == pytest.approx(np.ptp(original.vertices, axis=0), rel=1e-5)


def test_a_camera_that_stood_at_the_origin_sees_every_vertex_where_the_photo_has_it():
    original, placed = mesh(), place(mesh())

    def pixels(points):
        x, y, z = points.astype(np.float64).T
        return np.stack([CAMERA.fx * x / -z + CAMERA.cx, CAMERA.fy * -y / -z + CAMERA.cy])

    assert pixels(placed.mesh.vertices - placed.offset) == pytest.approx(pixels(original.vertices), abs=1e-2)


def test_flat_point_of_a_mesh_is_not_scaled_to_infinity():
    point = Mesh(np.ones((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    assert np.isfinite(place(point).mesh.vertices).all()


def test_size_must_be_positive():
    with pytest.raises(ValueError, match="positive"):
        place(mesh(), 0.0)
