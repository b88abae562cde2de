# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from image_to_3d.worker.pictures.crop import square_crop
from image_to_3d.worker.pictures.load import Picture, load
from image_to_3d.worker.pictures.silhouette import (
    FILL,
    cut_off,
    cut_out,
    inflated,
    is_one_thing,
    marked,
    outline_distance,
    present,
    solid_part,
    window_around,
    without_specks,
)
from PIL import Image


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


def share_of(distance, size: int = 96, finer: int = 32) -> np.ndarray:
    """How much of each pixel a thing covers, of a function of rows and columns that is negative on it."""
    row, column = (np.indices((size * finer,) * 2) + 0.5) / finer
    return (distance(row, column) < 0).reshape(size, finer, size, finer).mean((1, 3))


@pytest.mark.parametrize("degrees", [0.0, 1.5, 3.0, 12.0, 45.0, 87.0, 200.0])
def test_a_straight_outline_is_told_to_a_tenth_of_a_pixel(degrees):
    turn = np.radians(degrees)

    def edge(row, column):
        return (row - 47.3) * np.cos(turn) + (column - 48.9) * np.sin(turn)

    true = edge(*np.indices((96, 96)) + 0.5)
    inner = np.abs(np.indices((96, 96)) - 48).max(0) < 40
    off = (outline_distance(share_of(edge)) - true)[inner]
    assert np.abs(off[np.abs(true[inner]) < 6.0]).max() < 0.12
    whole = outline_distance(true < 0)[inner] - true[inner]
    assert np.abs(whole[np.abs(true[inner]) < 6.0]).max() < 0.55  # as of a mask that has whole pixels only


def test_distances_to_an_outline_go_around_its_corners_and_its_thin_parts():
    def box(row, column):
        return np.maximum(np.abs(row - 40.25), np.abs(column - 50.4)) - 20.3

    row, column = np.indices((96, 96)) + 0.5
    beyond = np.hypot(np.maximum(np.abs(row - 40.25) - 20.3, 0), np.maximum(np.abs(column - 50.4) - 20.3, 0))
    found = outline_distance(share_of(box))
    assert np.abs(found - np.where(beyond > 0, beyond, box(row, column)))[beyond < 15].max() < 1.1
    ball = outline_distance(share_of(lambda row, column: np.hypot(row - 48.2, column - 47.1) - 1.6))
    assert (ball < 0).sum() == pytest.approx(np.pi * 1.6**2, abs=4)
    line = outline_distance(np.arange(96)[:, None] == np.full(96, 40))  # a pixel wide
    assert (line[40] < 0).all() and (line < 0).sum() == 96


@pytest.mark.parametrize("level", [0.55, 0.8])
def test_the_outline_of_what_is_seen_through_is_no_narrower(level):
    def ball(row, column):
        return np.hypot(row - 48.2, column - 47.1) - 20.4

    assert np.abs(outline_distance(level * share_of(ball)) - outline_distance(share_of(ball))).max() < 0.1


@pytest.mark.parametrize(("width", "shift"), [(0.9, 0.25), (1.0, 0.1), (1.2, 0.0), (2.0, 0.3)])
def test_a_thin_line_is_nowhere_torn(width, shift):
    line = outline_distance(share_of(lambda row, column: np.abs(column - 40.5 - shift) - width / 2))
    assert (line < 0).any(1).all() and (line < 0).sum(1).max() <= 3


def test_without_an_outline_everything_is_far_from_it():
    assert (outline_distance(np.zeros((8, 12))) == 12).all() and (outline_distance(np.ones((8, 12))) == -12).all()


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


def test_a_thing_that_goes_on_beyond_an_edge_is_told_from_one_that_touches_it():
    rows, columns = np.indices((200, 240))
    disc = (columns - 120) ** 2 + (rows - 100) ** 2 < 100**2
    assert not cut_off(disc) and not cut_off(np.zeros((64, 64), bool))
    for turns in range(4):
        assert cut_off(np.rot90(disc[40:], turns)) and not cut_off(np.rot90(disc[:, 20:], turns))
    assert not cut_off(disc[::8, ::8])


@pytest.mark.parametrize("alpha", [True, False])
def test_a_picture_shows_one_thing_where_transparency_or_a_plain_background_cuts_it_out(alpha):
    subject, meadow = disc(30), np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    rgb = np.where(subject[..., None], [200, 40, 80], [245, 245, 245]).astype(np.uint8)
    mask = np.uint8(255) * subject if alpha else None
    assert Picture(rgb, mask, None, "", "").shows_one_thing
    assert not Picture(meadow, None, None, "", "").shows_one_thing
    assert not Picture(rgb, np.zeros((96, 96), np.uint8), None, "", "").shows_one_thing


# ---- what an alpha marks


def thing(size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """rgb (size, size, 3) and alpha (size, size) of a disc, softened by a pixel."""
    rows, columns = np.indices((size, size)) + 0.5 - size / 2
    share = np.clip(size / 4 - np.hypot(rows, columns) + 0.5, 0.0, 1.0)
    rgb = np.random.default_rng(0).integers(60, 200, (size, size, 3), np.uint8)
    return rgb, np.rint(255 * share).astype(np.uint8)


def hazy(alpha: np.ndarray) -> None:
    alpha += (np.random.default_rng(1).integers(0, 6, alpha.shape) * (alpha == 0)).astype(np.uint8)


def with_two_pixels(alpha: np.ndarray) -> None:
    alpha[0, 0] = alpha[-1, -1] = 255


def with_dirt(alpha: np.ndarray) -> None:
    alpha[:6, :6] = 255


def with_a_shadow(alpha: np.ndarray) -> None:
    alpha[280:330, 20:380] = np.maximum(alpha[280:330, 20:380], 90)


SPOILT = [hazy, with_two_pixels, with_dirt, with_a_shadow]


@pytest.mark.parametrize("spoil", SPOILT)
def test_the_crop_around_a_thing_is_that_of_the_thing(tmp_path, spoil):
    rgb, clean = thing()
    spoilt = clean.copy()
    spoil(spoilt)
    assert (present(spoilt) == present(clean)).all()
    sides = [square_crop(rgb, solid_part(alpha), 0.85).window.side for alpha in (clean, spoilt)]
    assert sides[1] == sides[0] if spoil is not with_a_shadow else sides[1] <= 1.07 * sides[0]
    Image.fromarray(np.dstack([rgb, spoilt])).save(tmp_path / "p.png")
    picture = load(tmp_path / "p.png")
    assert picture.shows_one_thing and (picture.alpha[present(clean)] >= 128).all()
    assert not picture.alpha[:190, :80].any() and (solid_part(picture.alpha) == picture.alpha).all()


def test_a_clean_cut_out_stays_as_it_is():
    rgb, alpha = thing()
    assert (solid_part(alpha)[alpha > 12] == alpha[alpha > 12]).all()
    same, kept = marked(rgb, alpha)
    assert same is rgb and (kept >= 128).sum() == (alpha >= 128).sum()


def nearly_opaque(alpha: np.ndarray) -> None:
    alpha[:] = 254


def half_opaque(alpha: np.ndarray) -> None:
    alpha[:] = np.random.default_rng(0).integers(130, 256, alpha.shape)


def corners_of_a_pixel(alpha: np.ndarray) -> None:
    alpha[[0, 0, -1, -1], [0, -1, 0, -1]] = 0


def round_corners(alpha: np.ndarray) -> None:
    rows, columns = np.abs(np.indices(alpha.shape) + 0.5 - alpha.shape[0] / 2) - alpha.shape[0] / 2 + 60
    alpha[np.hypot(np.maximum(rows, 0), np.maximum(columns, 0)) > 60] = 0


def scattered_holes(alpha: np.ndarray) -> None:
    alpha[::40, ::40] = 0


@pytest.mark.parametrize("spoil", [nearly_opaque, half_opaque, corners_of_a_pixel, round_corners, scattered_holes])
def test_alpha_that_marks_nothing_is_no_cut_out(tmp_path, spoil):
    rgb = np.full((400, 400, 3), 250, np.uint8)
    rgb[100:300, 150:260] = (40, 90, 160)
    alpha = np.full((400, 400), 255, np.uint8)
    spoil(alpha)
    hidden = np.where(alpha[..., None] == 0, 0, rgb).astype(np.uint8)
    Image.fromarray(np.dstack([hidden, alpha])).save(tmp_path / "p.png")
    picture = load(tmp_path / "p.png")
    assert picture.alpha is None and (picture.rgb == rgb).mean() > 0.999
    assert picture.shows_one_thing  # by its plain background, as if it were opaque


def test_half_a_picture_that_is_transparent_is_cut_out():
    rgb, alpha = thing()
    for cut in (np.s_[:200], np.s_[:, :30], np.s_[150:250, 150:250]):
        away = np.full_like(alpha, 255)
        away[cut] = 0
        assert marked(rgb, away)[1] is not None
