# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.pictures.crop import square_crop


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def boxed(height: int, width: int, rows: slice, columns: slice, value: int = 255) -> np.ndarray:
    alpha = np.zeros((height, width), np.uint8)
    alpha[rows, columns] = value
    return alpha


def test_a_crop_is_the_one_that_triposr_makes(shared):
    inputs = np.load(shared / "fixtures" / "triposr" / "inputs.npz")
    rgba = inputs["image_rgba"]
    crop = square_crop(rgba[..., :3], rgba[..., 3], 0.85)
    assert (crop.rgba == inputs["foreground_rgba"]).all()
    assert (crop.on_grey(0.5) == inputs["image_rgb_uint8"]).all()


def test_the_window_says_where_in_the_picture_the_crop_lies():
    rgb, alpha = photo(90, 70), boxed(90, 70, slice(30, 72), slice(5, 26))
    crop = square_crop(rgb, alpha, 0.8)
    there = crop.window.cropped(rgb)
    inside = crop.rgba[..., 3] > 0
    assert crop.window.side == crop.rgba.shape[0] == int(41 / 0.8)
    assert (crop.rgba[inside][:, :3] == there[inside]).all()
    assert inside.sum() == 41 * 20  # the last row and column are left out


@pytest.mark.parametrize("rows, columns", [(slice(0, 40), slice(0, 11)), (slice(3, 8), slice(0, 50))])
def test_a_subject_at_the_pictures_border_is_centred_too(rows, columns):
    alpha = boxed(40, 50, rows, columns)
    inside = square_crop(photo(40, 50), alpha, 0.85).rgba[..., 3] > 0
    for axis in (0, 1):
        used = np.flatnonzero(inside.any(axis=1 - axis))
        assert abs(int(used[0]) - (inside.shape[0] - 1 - int(used[-1]))) <= 2


def test_blending_cuts_off_and_does_not_round():
    rgb, alpha = np.full((9, 9, 3), 255, np.uint8), boxed(9, 9, slice(2, 7), slice(2, 7), 128)
    crop = square_crop(rgb, alpha, 1.0)
    share = np.float32(128 / 255)
    assert (crop.on_grey(0.5) == int((share + 0.5 * (1 - share)) * 255)).all()
    assert (square_crop(rgb, alpha, 0.5).on_grey(0.5)[0] == 127).all()


def test_an_empty_or_thin_subject_is_one_sentence():
    with pytest.raises(Unable, match="transparent everywhere"):
        square_crop(photo(20, 20), np.zeros((20, 20), np.uint8), 0.85)
    with pytest.raises(Unable, match="only a pixel wide"):
        square_crop(photo(20, 20), boxed(20, 20, slice(3, 4), slice(2, 9)), 0.85)
