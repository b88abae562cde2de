# SPDX-License-Identifier: GPL-3.0-or-later
"""What normals add to an outline: on which side a camera stands, and what no outline tells of a mesh."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.outline_warp import warped
from image_to_3d.worker.geometry.texturing.facing import Faced, faced
from image_to_3d.worker.geometry.texturing.projection import fitted_from, moved
from image_to_3d.worker.geometry.texturing.rasterise import depth_buffer, first_seen

CAMERA = PinholeCamera.from_fov(160, 120, 35.0)
FRONT = View(CAMERA, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 6.0]))


def wedge() -> trimesh.Trimesh:
    """A box that is as wide in front as behind, with a slanting front: from behind its outline is the same."""
    mesh = trimesh.creation.box((1.6, 1.2, 0.6)).subdivide().subdivide().subdivide()
    mesh.vertices[:, 2] += np.where(mesh.vertices[:, 2] > 0, 0.6 * mesh.vertices[:, 0], 0.0)
    return mesh


def swung(view: View, up: float, sideways: float) -> View:
    return moved(view, np.array([0, 0, 0, *np.radians([up, sideways])]), np.zeros(3), 1.0)


def seen(mesh: trimesh.Trimesh, view: View) -> tuple[np.ndarray, View]:
    """The mask, and the view with true normals in fewer pixels than the picture's."""
    small = View(view.camera.scaled(80, 60), view.rotation, view.position)
    normals = faced(mesh.vertices, mesh.faces, small).astype(np.float32)
    return np.isfinite(depth_buffer(mesh.vertices, mesh.faces, view)), replace(view, normals=normals)


def test_normals_are_towards_the_camera_in_its_axes_whichever_way_faces_turn():
    ball = trimesh.creation.icosphere(4)
    for faces in (ball.faces, ball.faces[:, ::-1]):
        normals = faced(ball.vertices, faces, FRONT)
        there = np.abs(normals).sum(axis=2) > 0
        assert (there == np.isfinite(depth_buffer(ball.vertices, faces, FRONT))).all()
        np.testing.assert_allclose(normals[60, 80], [0.0, 0.0, -1.0], atol=0.1)
        assert normals[60, 95][0] > 0.3 and normals[75, 80][1] > 0.3


def test_the_first_face_is_the_nearest():
    near, far = trimesh.creation.box((0.5, 0.5, 0.1)), trimesh.creation.box((1.0, 1.0, 0.1))
    near.apply_translation((0.0, 0.0, 1.0))
    both = trimesh.util.concatenate([far, near])
    found = first_seen(both.vertices, both.faces, FRONT)
    assert len(np.unique(found.pixel)) == len(found)
    assert found.face[found.pixel == 60 * 160 + 80] >= len(far.faces)


def test_what_is_known_is_read_in_other_pixels_and_unknown_stays_unknown():
    mesh = wedge()
    _, view = seen(mesh, FRONT)
    known = Faced.of(view, CAMERA)
    assert known.degrees(faced(mesh.vertices, mesh.faces, FRONT)) < 3.0
    assert not known.known[0, 0] and known.degrees(np.zeros((120, 160, 3))) == 90.0
    assert Faced.of(FRONT, CAMERA) is None


def test_a_camera_is_told_from_its_mirror_image_by_normals():
    mesh = wedge()
    mask, view = seen(mesh, swung(FRONT, 10.0, 200.0))
    starts = [swung(FRONT, 10.0, 30.0), *(swung(FRONT, 0.0, side) for side in (60.0, 120.0, 180.0, 240.0, 300.0))]
    found = fitted_from(mesh.vertices, mesh.faces, mask, [replace(start, normals=view.normals) for start in starts])
    turn = found.view.rotation @ view.rotation.T
    assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1.0) / 2.0, -1.0, 1.0))) < 6.0 and found.iou > 0.95


def bent(points: np.ndarray) -> np.ndarray:
    """Ends towards the camera: hardly to be seen in the outline."""
    return points + np.column_stack([0 * points[:, :2], 0.4 * points[:, 0] ** 2])


@pytest.mark.parametrize("told", [False, True])
def test_a_bend_along_the_line_of_sight_is_undone_where_normals_tell_of_it(told):
    mesh = wedge()
    mask, view = seen(mesh, FRONT)
    points = np.float32(bent(mesh.vertices))
    found, _ = warped(points, np.int32(mesh.faces), mask, view if told else FRONT)

    def off(points: np.ndarray) -> float:
        apart = points - mesh.vertices
        return float(np.linalg.norm(apart - apart.mean(axis=0), axis=1).mean())

    assert (off(found) < 0.8 * off(points)) == told, (off(found), off(points))
