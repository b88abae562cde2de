# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pictures.silhouette import FILL, cut_out, inflated, is_one_thing, window_around, without_specks


def disc(radius: float, size: int = 96) -> np.ndarray:
    rows, columns = np.indices((size, size)) + 0.5 - size / 2
    return rows**2 + columns**2 < radius**2


def test_a_disc_inflates_to_a_ball():
    height, (rows, columns) = inflated(disc(40)), np.indices((96, 96)) + 0.5 - 48
    ball = np.sqrt(np.maximum(40.0**2 - rows**2 - columns**2, 0))
    assert np.abs(height - ball)[disc(38)].max() < 1.5
    assert (height[~disc(40)] == 0).all() and (height[disc(40)] > 0).all()


def test_inflating_does_not_depend_on_how_the_outline_lies():
    outline = disc(30) & (np.indices((96, 96))[0] > 40)
    np.testing.assert_allclose(inflated(outline.T), inflated(outline).T, atol=1e-4)
    assert not inflated(np.zeros((8, 8), bool)).any()


def test_the_window_holds_the_outline_in_its_middle_even_beyond_the_picture():
    subject = np.zeros((60, 200), bool)
    subject[:, 20:120] = True
    window = window_around(subject)
    assert window.side == pytest.approx(100 / FILL, abs=1) and window.top < 0
    assert window.left + window.side / 2 == pytest.approx(70, abs=1)
    assert window.cropped(subject).sum() == subject.sum()


def test_what_is_cut_out_has_no_colour_of_the_background():
    subject = disc(30)
    rgb = np.where(subject[..., None], [200, 40, 80], [0, 255, 0]).astype(np.uint8)
    colour, mask = cut_out(rgb, subject, window_around(subject), 32)
    assert np.abs(colour[mask] * 255 - [200, 40, 80]).max() < 3 and not colour[~mask].any()


def test_something_thinner_than_a_pixel_is_still_there():
    subject = np.zeros((400, 400), bool)
    subject[200, 10:390] = True
    _, mask = cut_out(np.zeros((400, 400, 3), np.uint8), subject, window_around(subject), 32)
    assert mask.any()


def test_dirt_beside_the_subject_is_dropped_and_large_pieces_stay():
    subject = disc(30)
    subject[:2, :2] = True
    subject[80:, 80:] = True
    clean = without_specks(subject)
    assert not clean[0, 0] and clean[90, 90] and clean[48, 48]


def test_a_thing_is_shown_whole_and_is_neither_a_speck_nor_the_picture():
    rows, _ = np.indices((80, 100))
    is_disc = disc(30, 100)[10:90]
    assert is_one_thing(is_disc)
    assert not is_one_thing(np.ones_like(is_disc)) and not is_one_thing(is_disc & (rows < 12))
    assert not is_one_thing(rows > 50)  # a landscape below a plain sky


@pytest.mark.parametrize("alpha", [True, False])
def test_a_picture_shows_one_thing_where_transparency_or_a_plain_background_cuts_it_out(alpha):
    subject, meadow = disc(30), np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    rgb = np.where(subject[..., None], [200, 40, 80], [245, 245, 245]).astype(np.uint8)
    mask = np.uint8(255) * subject if alpha else None
    assert Picture(rgb, mask, None, "", "").shows_one_thing
    assert not Picture(meadow, None, None, "", "").shows_one_thing
    assert not Picture(rgb, np.zeros((96, 96), np.uint8), None, "", "").shows_one_thing
