# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh that follows a picture's outline."""

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.outline_pull import pulled
from image_to_3d.worker.geometry.texturing.projection import silhouette_iou
from image_to_3d.worker.geometry.texturing.rasterise import depth_buffer

CAMERA = PinholeCamera.from_fov(200, 160, 35.0)
VIEW = View(CAMERA, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 5.0]))


def ball(detail: int = 3) -> tuple[np.ndarray, np.ndarray]:
    made = trimesh.creation.icosphere(detail)
    return np.float32(made.vertices), np.int32(made.faces)


def outline(mesh: trimesh.Trimesh) -> np.ndarray:
    return np.isfinite(depth_buffer(np.float32(mesh.vertices), np.int32(mesh.faces), VIEW))


def box() -> np.ndarray:
    return outline(trimesh.creation.box((1.7, 1.5, 1.0)))


def test_a_ball_gets_the_outline_of_a_box_and_keeps_its_depth():
    vertices, faces = ball()
    mask = box()
    found = pulled(vertices, faces, mask, VIEW)
    assert silhouette_iou(vertices, faces, mask, VIEW, 200) < 0.9
    assert silhouette_iou(found, faces, mask, VIEW, 200) > 0.975
    np.testing.assert_allclose(found[:, 2], vertices[:, 2], atol=1e-4)
    assert (pulled(vertices, faces, mask, VIEW) == found).all()  # the same again


def test_a_mesh_that_fits_stays_as_it_is():
    vertices, faces = ball()
    mask = outline(trimesh.Trimesh(vertices, faces))
    assert np.abs(pulled(vertices, faces, mask, VIEW) - vertices).max() < 0.03


@pytest.mark.parametrize("kind", ["open", "two parts", "many faces"])
def test_meshes_of_all_kinds_follow(kind):
    vertices, faces = ball(3)
    if kind == "open":
        faces = faces[vertices[faces].mean(axis=1)[:, 2] > -0.5]
    if kind == "two parts":
        other = vertices * 0.2 + np.float32([0.0, 0.0, 1.3])
        vertices, faces = np.concatenate([vertices, other]), np.concatenate([faces, faces + len(vertices)])
    if kind == "many faces":
        vertices, faces = ball(6)
    found = pulled(vertices, faces, box(), VIEW)
    assert found.shape == vertices.shape and np.isfinite(found).all()
    assert silhouette_iou(found, faces, box(), VIEW, 200) > 0.96
    volume = [trimesh.Trimesh(each, faces, process=False).area for each in (vertices, found)]
    assert 0.7 < volume[1] / volume[0] < 1.5


def test_a_cancel_is_heard():
    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pulled(*ball(), box(), VIEW, check)
