# SPDX-License-Identifier: GPL-3.0-or-later
"""Subjects on white, padded, and the sizes that networks want of them."""

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.pictures.padded import padded_on_white, resized_middle


def photo(top: int, left: int, height: int, width: int, shape=(90, 120)) -> tuple[np.ndarray, np.ndarray]:
    """A black box on green, and its alpha."""
    alpha = np.zeros(shape, np.uint8)
    alpha[top : top + height, left : left + width] = 255
    rgb = np.where(alpha[..., None] > 0, [0, 0, 0], [0, 255, 0]).astype(np.uint8)
    return rgb, alpha


@pytest.mark.parametrize("height, width", [(40, 40), (40, 25), (25, 40), (39, 40), (1, 30)])
def test_the_subject_lies_in_the_middle_of_a_white_square_with_a_border(height, width):
    white, window = padded_on_white(*photo(20, 50, height, width), 0.1)
    longer = max(height, width)
    assert set(white.shape[:2]) <= {longer + 2 * int(0.1 * longer), longer + 2 * int(0.1 * longer) - 1}
    rows, columns = np.flatnonzero((white == 0).all(-1).any(1)), np.flatnonzero((white == 0).all(-1).any(0))
    assert (len(rows), len(columns)) == (height, width)
    assert (
        abs(rows[0] - (white.shape[0] - rows[-1] - 1)) <= 1
        and abs(columns[0] - int(white.shape[1] / 2 - width / 2)) <= 1
    )
    assert (window.top + rows[0], window.left + columns[0]) == (20, 50)
    assert set(np.unique(white)) == {0, 255}


def test_half_transparent_pixels_are_mixed_with_white():
    rgb, alpha = photo(10, 10, 20, 20)
    alpha[alpha > 0] = 102
    white, _ = padded_on_white(rgb, alpha, 0.1)
    assert white.min() == int(255 * (1 - 102 / 255))


def test_what_is_not_there_is_told():
    with pytest.raises(Unable, match="no object"):
        padded_on_white(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8), 0.1)


def test_pictures_of_every_size_become_squares_of_the_wanted_one():
    for side in range(2, 700, 3):
        for height, width in ((side, side), (side, side + 1), (side + 1, side)):
            assert resized_middle(np.zeros((height, width, 3), np.uint8), 32, 28).shape == (28, 28, 3), (height, width)


def test_the_middle_is_cut_out():
    stripes = np.zeros((100, 300, 3), np.uint8)
    stripes[:, 100:200] = 255
    assert (resized_middle(stripes, 50, 40) == 255).all()
