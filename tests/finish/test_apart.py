# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing before a wall, taken apart: the wall goes on behind it, and both stay where the camera sees them."""

import numpy as np
import pytest
from image_to_3d.tests.methods.asked import silent
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.representations import Apart, DepthMap, Layers
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.finish import apart
from image_to_3d.worker.finish.options import ApartOptions, DepthMapOptions, LayersOptions
from image_to_3d.worker.pictures.silhouette import inflated, window_around

WALL, BALL = 4.0, 2.0
OPTIONS = ApartOptions(
    LayersOptions(grid=48, faces=2000, texture=128), DepthMapOptions(grid=64, faces=2000, texture=128)
)


def ball_before_a_wall(radius: float = 30.0, metric: bool = True) -> Apart:
    """A red ball 2 m away before a green wall 4 m away."""
    rows, columns = np.mgrid[:120, :160]
    inside = np.hypot(rows - 60, columns - 80) < radius
    rgb = np.where(inside[..., None], [200, 30, 20], [20, 180, 40]).astype(np.uint8)
    camera = PinholeCamera.from_fov(160, 120, 50.0)
    depth = np.where(inside, BALL, WALL)
    scene = DepthMap((1.0 / depth).astype(np.float32), metric, np.ones(depth.shape, bool), View(camera, rgb=rgb))
    window = window_around(inside)
    small = np.array(window.cropped(inside))
    height = inflated(small) * (2.0 / window.side)
    mask = View(camera, rgb=rgb, mask=np.uint8(255) * inside)
    back = np.full((*small.shape, 3), 90, np.uint8)
    return Apart(Layers(-height, height, back, window, mask), scene)


def seen(mesh, camera) -> np.ndarray:
    """The mesh in the axes of the camera at that place."""
    return mesh.vertices - np.array(camera.position)


@pytest.mark.parametrize("metric", [True, False])
def test_the_wall_is_whole_and_the_ball_closed_before_it(metric):
    made = apart.finished(ball_before_a_wall(metric=metric), OPTIONS, silent())
    [camera] = made.cameras
    ball, wall = seen(made.mesh, camera), seen(made.behind.mesh, camera)
    if metric:
        assert -np.median(wall[:, 2]) == pytest.approx(WALL, rel=0.03)
        assert -ball[:, 2].max() == pytest.approx(BALL, rel=0.25)
    assert (-wall[:, 2]).min() > -ball[:, 2].max()
    assert not made.double_sided and made.behind.double_sided
    a, b, c = (wall[:, :2] / -wall[:, 2:])[made.behind.mesh.faces].transpose(1, 0, 2)
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert areas.sum() > 0.98 * 0.75 * (2 * np.tan(np.radians(25.0))) ** 2, "it goes on where the ball hid it"
    texture = made.behind.mesh.texture.reshape(-1, 3)
    assert not ((texture[:, 0] > 120) & (texture[:, 1] < 90)).any(), "no red is left on the wall"


def test_both_are_seen_where_the_photo_shows_them():
    made = apart.finished(ball_before_a_wall(), OPTIONS, silent())
    ball = seen(made.mesh, made.cameras[0])
    focal = 160 / 2 / np.tan(np.radians(25.0))
    columns, rows = focal * ball[:, 0] / -ball[:, 2] + 80, 60 - focal * ball[:, 1] / -ball[:, 2]
    assert (columns.min(), columns.max()) == (pytest.approx(50, abs=2), pytest.approx(110, abs=2))
    assert (rows.min(), rows.max()) == (pytest.approx(30, abs=2), pytest.approx(90, abs=2))


def test_a_thing_that_fills_the_photo_has_no_scene_behind_it():
    with pytest.raises(Unable, match="fills the photo"):
        apart.finished(ball_before_a_wall(radius=500.0), OPTIONS, silent())
