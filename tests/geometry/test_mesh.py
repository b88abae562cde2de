# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh itself, and the two ways in which reliefs get fewer triangles."""

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.geometry.mesh import Mesh, face_vectors, used_only, vertex_normals
from image_to_3d.worker.geometry.relief.tiles import tiles
from image_to_3d.worker.geometry.simplify import outline, simplified


def box():
    made = trimesh.creation.box((1, 2, 3))
    return Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


def covered(points, faces):
    corners = points[faces][:, :, :2]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return 0.5 * (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0])


def grid(height):
    y, x = np.mgrid[0 : height.shape[0], 0 : height.shape[1]]
    return np.column_stack([x.ravel(), y.ravel(), height.ravel()]).astype(float)


def test_measures_of_a_box():
    assert box().area == pytest.approx(22.0)
    assert box().bounds.tolist() == [[-0.5, -1.0, -1.5], [0.5, 1.0, 1.5]]
    moved = box().transformed(2.0, np.array([1.0, 0.0, 0.0])).with_normals()
    assert moved.bounds.tolist() == [[0.0, -2.0, -3.0], [2.0, 2.0, 3.0]]
    assert (np.sign(moved.normals) == np.sign(moved.vertices - (1.0, 0.0, 0.0))).all()


@pytest.mark.parametrize(
    "arrays",
    [
        {"vertices": np.zeros((3, 3)), "faces": np.zeros((1, 3), np.int32)},
        {"vertices": np.zeros((3, 3), np.float32), "faces": np.zeros((1, 4), np.int32)},
        {"vertices": np.zeros((3, 3), np.float32), "faces": np.zeros((1, 3), np.int32), "texture": np.zeros((2, 2))},
    ],
)
def test_wrong_arrays_are_refused(arrays):
    with pytest.raises(ValueError):
        Mesh(**arrays)


def test_used_only_drops_what_no_face_names():
    vertices, faces, kept = used_only(np.arange(15.0).reshape(5, 3), np.array([[1, 4, 2]]))
    assert kept.tolist() == [1, 2, 4] and faces.tolist() == [[0, 2, 1]] and vertices[:, 0].tolist() == [3, 6, 12]


def test_normals_are_those_of_trimesh_and_one_without_a_face_is_towards_the_viewer():
    ball = trimesh.creation.icosphere(2)
    ball.vertices *= (1.0, 2.0, 0.5)
    vertices, faces = ball.vertices.astype(np.float32), ball.faces.astype(np.int32)
    area = ball.area_faces[:, None]
    np.testing.assert_allclose(face_vectors(vertices, faces) / 2.0, ball.face_normals * area, atol=1e-6)
    weighted = trimesh.geometry.weighted_vertex_normals(len(vertices), faces, ball.face_normals, area.repeat(3, axis=1))
    np.testing.assert_allclose(vertex_normals(vertices, faces), weighted, atol=1e-5)
    assert vertex_normals(vertices, faces[:0])[0].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("shape", [(2, 2), (9, 9), (10, 30), (33, 17), (64, 50)])
@pytest.mark.parametrize("seed", [0, 1])
def test_tiles_cover_the_lattice_once_and_without_cracks(shape, seed):
    rng = np.random.default_rng(seed)
    height = np.where(rng.random(shape) < 0.02, 1.0, 0.0)  # flat but for single bumps
    usable = rng.random((shape[0] - 1, shape[1] - 1)) < 0.97
    points, faces = grid(height), tiles(height, usable, [0.01])
    rest = tiles(height, ~usable, [-1.0])  # -1: single cells only, as silhouettes make them
    together = np.concatenate([faces, rest])
    assert (covered(points, together) > 0.0).all()
    assert covered(points, together).sum() == pytest.approx((shape[0] - 1) * (shape[1] - 1))
    on_border = points[np.unique(outline(together))]
    last = np.array(shape[::-1]) - 1
    assert ((on_border[:, :2] == 0) | (on_border[:, :2] == last)).any(axis=1).all()


def test_tiles_are_large_where_it_is_flat():
    flat = tiles(np.zeros((65, 65)), np.ones((64, 64), bool), [0.01])
    assert len(flat) == 2 * 32 * 32


def test_tiles_are_no_larger_than_their_number_asks_for():
    rng = np.random.default_rng(0)
    height, usable, tolerances = 0.1 * rng.random((40, 51)) ** 4, rng.random((39, 50)) < 0.95, (0.0, 0.01, 0.03, 0.05)
    each = [tiles(height, usable, [tolerance]) for tolerance in tolerances]
    assert len(each[0]) > len(each[1]) > len(each[2]) > len(each[3])
    for fine, coarse in zip(each, [*each[1:], each[-1]]):
        assert np.array_equal(tiles(height, usable, tolerances, len(fine)), fine)
        assert np.array_equal(tiles(height, usable, tolerances, len(fine) - 1), coarse)


@pytest.mark.parametrize("target", [126, 100, 60])
def test_slightly_simplified_sheet_keeps_its_corners(target):
    faces = tiles(np.zeros((9, 9)), np.ones((8, 8), bool), [-1.0])
    points, fewer = simplified(grid(np.zeros((9, 9))), faces, target)
    assert len(fewer) < len(faces)
    assert covered(points, fewer).sum() == pytest.approx(64.0)


def test_simplified_sheet_keeps_its_outline_and_shape():
    y, x = np.mgrid[0:65, 0:65] / 10.0
    points = grid(6.0 * np.sin(x) * np.cos(y))
    faces = tiles(points[:, 2].reshape(65, 65), np.ones((64, 64), bool), [0.0])
    fewer_points, fewer_faces = simplified(points, faces, 2000)
    assert len(fewer_faces) <= 2000
    assert np.abs(covered(fewer_points, fewer_faces)).sum() == pytest.approx(64 * 64, rel=2e-3)
    border = fewer_points[np.unique(outline(fewer_faces)), :2]
    assert np.minimum(np.abs(border), np.abs(64.0 - border)).min(axis=1).max() < 0.2
    true = 6.0 * np.sin(fewer_points[:, 0] / 10.0) * np.cos(fewer_points[:, 1] / 10.0)
    assert np.abs(fewer_points[:, 2] - true).max() < 0.3
