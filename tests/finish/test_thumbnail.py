# SPDX-License-Identifier: GPL-3.0-or-later
"""The small pictures of a result: a thing from beside its front, a place from near where its photo was taken."""

import numpy as np
from image_to_3d.worker.core.camera_info import CameraInfo
from image_to_3d.worker.finish.thumbnail import drawn, drawn_of
from image_to_3d.worker.geometry.glb import write_glb
from image_to_3d.worker.geometry.mesh import Mesh

PHOTO = CameraInfo((1.0, 0.5, 3.0), 50.0, 64, 64)


def wall() -> Mesh:
    """What fills the photo from two metres away: red on the left, blue on the right, and far more behind it."""
    half = 2.0 * np.tan(np.radians(25.0))
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * half + [1.0, 0.5, 1.0]
    far = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.2 + [1.0, 0.5, -60.0]
    texture = np.zeros((2, 2, 3), np.uint8)
    texture[:, 0], texture[:, 1] = (255, 0, 0), (0, 0, 255)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]] * 2, np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    vertices = np.concatenate([corners, far]).astype(np.float32)
    return Mesh(vertices, np.concatenate([faces, faces + 4]), uv, None, texture)


def test_a_place_is_seen_from_near_its_photo():
    near, beside = drawn(wall(), 64, PHOTO)[0], drawn(wall(), 64)[0]
    assert (near[..., 3] > 0).mean() > 0.8 > 0.2 > (beside[..., 3] > 0).mean()
    assert near[32, 4, 0] > 200 > 50 > near[32, 4, 2] and near[32, 60, 2] > 200 > 50 > near[32, 60, 0]


def test_a_place_in_a_file_is_seen_as_it_was_and_a_closed_thing_is_not(tmp_path):
    for both in (True, False):
        write_glb(wall(), tmp_path / "wall.glb", "wall", double_sided=both)
        wanted = drawn(wall(), 64, PHOTO if both else None)[0][..., 3]
        assert np.abs(drawn_of(tmp_path / "wall.glb", 64, PHOTO)[..., 3].astype(int) - wanted).mean() < 2
