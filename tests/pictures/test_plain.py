# SPDX-License-Identifier: GPL-3.0-or-later
"""What is behind a thing, where a picture's alpha or its plain colour tells."""

import numpy as np
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pictures.plain import plain_background


def disc(background_colour=(245, 245, 245), inside=(200, 30, 30)) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:80, :100]
    is_disc = (rows - 40) ** 2 + (columns - 50) ** 2 < 30**2
    rgb = np.where(is_disc[..., None], np.array(inside), np.array(background_colour)).astype(np.uint8)
    return rgb, is_disc


def picture(rgb: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
    return Picture(rgb, alpha, None, "", "p")


def test_alpha_decides_where_the_picture_has_it():
    rgb, is_disc = disc()
    alpha = np.where(np.arange(100) < 20, 0, 255).astype(np.uint8)[None].repeat(80, 0)
    assert (picture(rgb, alpha).background == (alpha == 0)).all()


def test_a_plain_background_with_noise_is_found_exactly():
    rgb, is_disc = disc()
    noisy = np.clip(rgb + np.random.default_rng(0).normal(0, 2, rgb.shape), 0, 255).astype(np.uint8)
    assert (plain_background(noisy) == ~is_disc).all()


def test_the_backgrounds_colour_inside_the_subject_belongs_to_the_subject():
    rgb, is_disc = disc()
    rgb[35:45, 45:55] = 245
    assert (plain_background(rgb) == ~is_disc).all()


def test_a_busy_background_is_not_plain():
    rgb = np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    assert plain_background(rgb) is None


def test_an_empty_picture_has_no_subject_and_so_no_background():
    assert plain_background(np.full((20, 20, 3), 200, np.uint8)) is None
