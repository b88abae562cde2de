# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels under triangles, against a test of every pixel with every triangle and against a ray caster."""

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.texturing import rasterise
from scipy.spatial import Delaunay
from trimesh.ray.ray_pyembree import RayMeshIntersector

SIZE = 48


def weights_everywhere(corners):
    """(F, SIZE * SIZE, 3) barycentric weights of every pixel's centre in every triangle."""
    row, column = np.divmod(np.arange(SIZE * SIZE), SIZE)
    point = np.column_stack([column + 0.5, row + 0.5, np.ones(SIZE * SIZE)])
    system = np.concatenate([corners, np.ones((len(corners), 3, 1))], axis=2)
    return point @ np.linalg.inv(system)


def test_the_same_pixels_are_covered_as_when_each_is_asked():
    corners = np.random.default_rng(0).uniform(-10, SIZE + 10, (60, 3, 2))
    found = rasterise.covered(corners, SIZE, SIZE)
    truth = weights_everywhere(corners)
    inside = np.zeros(truth.shape[:2], bool)
    inside[found.face, found.pixel] = True
    assert len(found) == inside.sum()
    assert (inside == (truth.min(axis=2) >= 0)).mean() > 0.9999
    assert found.weights == pytest.approx(truth[found.face, found.pixel], abs=1e-4)


def test_triangles_that_share_edges_leave_no_gap():
    x, y = np.random.default_rng(1).uniform(0, SIZE, (2, 60))
    points = np.concatenate([np.column_stack([x, y]), [[0, 0], [SIZE, 0], [0, SIZE], [SIZE, SIZE]]])
    found = rasterise.covered(points[Delaunay(points).simplices], SIZE, SIZE)
    assert len(np.unique(found.pixel)) == SIZE * SIZE
    assert len(found) < 1.01 * SIZE * SIZE


@pytest.mark.parametrize(
    "triangle", [[[5, 5], [20, 20], [30, 30]], [[7, 7], [7, 7], [7, 7]], [[-9, 0], [-1, 0], [-1, 9]]]
)
def test_triangles_without_area_or_outside_cover_nothing(triangle):
    assert len(rasterise.covered(np.array([triangle]), SIZE, SIZE)) == 0


def test_a_picture_without_triangles_is_empty():
    assert len(rasterise.covered(np.zeros((0, 3, 2)), SIZE, SIZE)) == 0


def test_large_and_many_triangles_in_parts_are_the_same_as_at_once(monkeypatch):
    corners = np.random.default_rng(2).uniform(0, SIZE, (40, 3, 2))
    whole = rasterise.covered(corners, SIZE, SIZE)
    monkeypatch.setattr(rasterise, "_ROWS_AT_ONCE", 30)
    parts = rasterise.covered(corners, SIZE, SIZE)
    assert (whole.pixel == parts.pixel).all() and (whole.face == parts.face).all()


def test_even_a_chart_thinner_than_a_texel_gets_the_texels_around_it():
    uv = np.float32([[0.2, 0.5], [0.8, 0.501], [0.8, 0.5]])
    found = rasterise.atlas(uv, np.array([[0, 1, 2]]), SIZE)
    row, column = np.divmod(found.pixel, SIZE)
    assert {23, 24} <= set(row[(column > 12) & (column < 36)])
    assert found.weights.min() >= 0 and found.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert len(np.unique(found.pixel)) == len(found)


def test_depth_is_that_of_cast_rays():
    mesh = trimesh.creation.torus(1.0, 0.4)
    angle = np.radians(35.0)
    rotation = np.array([[1, 0, 0], [0, -np.cos(angle), -np.sin(angle)], [0, np.sin(angle), -np.cos(angle)]])
    view = View(PinholeCamera.from_fov(80, 64, 45.0), rotation, -4.0 * rotation[2])
    depth = rasterise.depth_buffer(mesh.vertices, mesh.faces, view)
    row, column = np.divmod(np.arange(80 * 64), 80)
    c = view.camera
    rays = np.column_stack([(column + 0.5 - c.cx) / c.fx, (row + 0.5 - c.cy) / c.fy, np.ones(80 * 64)]) @ rotation
    caster = RayMeshIntersector(mesh)
    point, ray, _ = caster.intersects_location(np.tile(view.position, (len(rays), 1)), rays, multiple_hits=False)
    truth = np.full(80 * 64, np.inf)
    truth[ray] = (point - view.position) @ rotation[2]
    both = np.isfinite(truth) & np.isfinite(depth.ravel())
    assert (np.isfinite(truth) == np.isfinite(depth.ravel())).mean() > 0.998
    assert np.abs(truth[both] - depth.ravel()[both]).max() < 2e-3


def test_what_lies_behind_the_camera_is_not_seen():
    view = View(PinholeCamera.from_fov(16, 16, 60.0), np.eye(3), np.zeros(3))
    points = np.array([[-1.0, -1, -2], [1, -1, -2], [0, 1, -2]])
    assert np.isinf(rasterise.depth_buffer(points, np.array([[0, 1, 2]]), view)).all()


def test_an_atlas_in_bands_of_rows_is_the_same():
    made = np.random.default_rng(2).uniform(0.05, 0.95, (40, 2))
    faces = Delaunay(made).simplices
    whole = rasterise.atlas(made, faces, 64)
    bands = [rasterise.atlas(made, faces, 64, rows=(first, min(first + 7, 64))) for first in range(0, 64, 7)]
    pixel, face, weights = (np.concatenate([getattr(band, k) for band in bands]) for k in ("pixel", "face", "weights"))
    order, other = np.argsort(whole.pixel), np.argsort(pixel)
    assert (whole.pixel[order] == pixel[other]).all() and (whole.face[order] == face[other]).all()
    assert (whole.weights[order] == weights[other]).all()
