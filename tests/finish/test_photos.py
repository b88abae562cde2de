# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos as files: exactly what their cameras see, with square pixels."""

import io

import numpy as np
import pytest
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.finish.photos import encoded, with_square_pixels, written
from image_to_3d.worker.pictures.load import Picture
from PIL import Image


def halves(height: int, width: int) -> np.ndarray:
    """Red above, green below."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, :, 0] = rgb[height // 2 :, :, 1] = 200
    return rgb


def opened(content: np.ndarray) -> Image.Image:
    return Image.open(io.BytesIO(content.tobytes()))


def test_pixels_that_are_not_square_become_so_and_the_camera_sees_the_same():
    camera = PinholeCamera(60, 40, 100.0, 125.0, 30.0, 10.0)
    square = with_square_pixels(camera)
    assert (square.width, square.height) == (60, 32)
    assert square.fx == square.fy == pytest.approx(100.0)
    assert square.cy / square.height == pytest.approx(camera.cy / camera.height)
    [content] = encoded([View(camera, rgb=halves(40, 60))], None).values()
    assert opened(content).size == (60, 32)


def test_a_photo_stays_as_it_is_but_for_what_jpeg_does():
    camera = PinholeCamera.from_fov(30, 40, 50.0)
    [(name, content)] = encoded([View(camera, rgb=halves(40, 30))], None).items()
    assert name.endswith(".jpg")
    assert np.abs(np.asarray(opened(content)).astype(int) - halves(40, 30)).mean() < 3


def test_the_users_own_picture_keeps_its_transparency():
    camera, alpha = PinholeCamera.from_fov(30, 40, 50.0), np.zeros((40, 30), np.uint8)
    alpha[:, 10:] = 255
    [(name, content)] = encoded([View(camera)], Picture(halves(40, 30), alpha, None, "", "")).items()
    assert name.endswith(".png")
    assert (np.asarray(opened(content))[..., 3] == alpha).all()


def test_files_are_written_in_the_order_of_the_cameras(tmp_path):
    """Twelve photos, each brighter than the one before: the tenth must not come before the second."""
    camera, levels = PinholeCamera.from_fov(8, 8, 50.0), range(10, 250, 20)
    views = [View(camera, rgb=np.full((8, 8, 3), level, np.uint8)) for level in levels]
    paths = written(encoded(views, None), tmp_path)
    assert paths == sorted(paths)
    assert [round(np.asarray(Image.open(path)).mean()) for path in paths] == pytest.approx(list(levels), abs=3)
