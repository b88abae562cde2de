# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh that was stretched or bent, and a picture's outline that undoes it; thin parts."""

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.errors import Cancelled
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.outline_match import Outline, matched
from image_to_3d.worker.geometry.outline_pull import pulled
from image_to_3d.worker.geometry.outline_warp import warped
from image_to_3d.worker.geometry.texturing.projection import silhouette_iou
from image_to_3d.worker.geometry.texturing.rasterise import depth_buffer

VIEW = View(PinholeCamera.from_fov(240, 240, 35.0), np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.3, 6.0]))


def robot() -> trimesh.Trimesh:
    """A body on two feet, with a thin antenna with a ball on it."""
    upright = trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0))
    foot = trimesh.creation.box((0.3, 0.5, 0.5)).subdivide()
    parts = [
        trimesh.creation.box((1.2, 1.0, 0.8)).subdivide().subdivide(),
        foot.copy().apply_translation((0.4, -0.6, 0.0)),
        foot.copy().apply_translation((-0.4, -0.6, 0.0)),
        trimesh.creation.cylinder(0.04, 1.0).apply_transform(upright).apply_translation((0.2, 0.8, 0.0)),
        trimesh.creation.icosphere(2, 0.12).apply_translation((0.2, 1.3, 0.0)),
    ]
    return trimesh.util.concatenate([part.subdivide() for part in parts])


def seen(points: np.ndarray, faces: np.ndarray, view: View = VIEW) -> np.ndarray:
    return np.isfinite(depth_buffer(np.float32(points), faces, view))


def stretched(points: np.ndarray) -> np.ndarray:
    return points * [1.0, 0.8, 1.0]


def bent(points: np.ndarray) -> np.ndarray:
    return points + np.column_stack([0.15 * points[:, 1] ** 2, 0 * points[:, :2]])


@pytest.mark.parametrize("deformed", [stretched, bent])
def test_what_is_large_is_undone_and_thin_parts_stay(deformed):
    mesh = robot()
    points, faces = np.float32(deformed(mesh.vertices)), np.int32(mesh.faces)
    mask = seen(mesh.vertices, faces)
    before = silhouette_iou(points, faces, mask, VIEW, 240)
    found, view = warped(points, faces, mask, VIEW)
    assert silhouette_iou(found, faces, mask, view, 240) > 1.0 - (1.0 - before) / 2.0
    last = pulled(found, faces, mask, view)
    assert silhouette_iou(last, faces, mask, view, 240) > 0.95
    ball = np.arange(len(points)) >= len(points) - len(trimesh.creation.icosphere(3).vertices)
    of_ball = faces[ball[faces].all(axis=1)]
    true, own = seen(mesh.vertices, of_ball), seen(last, of_ball, view)
    assert (true & own).sum() / (true | own).sum() > 0.6
    np.testing.assert_allclose(last.mean(axis=0), points.mean(axis=0), atol=0.2)


def test_the_left_of_a_thin_part_is_not_taken_for_its_right():
    box = trimesh.creation.box((0.1, 2.0, 0.1)).subdivide().subdivide().subdivide()
    faces = np.int32(box.faces)
    aside = Outline.of(seen(box.vertices + [0.12, 0.0, 0.0], faces))
    pairs = matched(np.asarray(box.vertices), faces, VIEW, aside, 0.3)
    looks = np.abs(pairs.out[:, 0]) > 0.9
    left = box.vertices[pairs.point, 0] < 0.0
    assert looks.sum() > 20 and ((pairs.out[:, 0] < 0.0) == left)[looks].mean() > 0.95


def test_a_mesh_that_fits_stays_and_a_cancel_is_heard():
    mesh = robot()
    points, faces = np.float32(mesh.vertices), np.int32(mesh.faces)
    mask = seen(points, faces)
    found, _ = warped(points, faces, mask, VIEW)
    assert np.abs(found - points).max() < 0.06

    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        warped(points, faces, mask, VIEW, check)
