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


def test_through_an_opening_the_background_is_seen():
    rgb, is_disc = disc(background_colour=(140, 150, 160))
    rgb[35:45, 45:55] = (141, 150, 160)  # what is seen through a handle
    rgb[50:60, 45:55] = (146, 156, 166)  # a label of nearly the same colour
    seen = np.zeros_like(is_disc)
    seen[35:45, 45:55] = True
    assert (plain_background(rgb) == (~is_disc | seen)).all()


def test_a_busy_background_is_not_plain():
    rgb = np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    assert plain_background(rgb) is None


def test_an_empty_picture_has_no_subject_and_so_no_background():
    assert plain_background(np.full((20, 20, 3), 200, np.uint8)) is None


def shadowed(thing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball of one brightness on white, its soft shadow under it, as colours (240, 320, 3); the ball; the shadow."""
    rows, columns = np.mgrid[:240, :320].astype(float)
    ball = np.hypot(rows - 110, columns - 160) < 70
    away = np.hypot((rows - 182) / 14, (columns - 160) / 90)
    light = 1.0 - 0.4 * np.clip(1.0 - away, 0.0, 1.0)
    shade = 1.0 - 0.25 * np.hypot(rows - 80, columns - 130) / 130
    rgb = np.where(ball, thing * shade, 250 * light)[..., None] * np.ones(3)
    return np.uint8(rgb), ball, (away < 0.9) & ~ball


def test_a_soft_shadow_is_background():
    rgb, ball, shadow = shadowed(90.0)
    found = plain_background(rgb)
    assert found[shadow].mean() > 0.99 and not found[ball].any()


def test_what_is_pale_and_smooth_is_not_taken_for_a_shadow():
    rgb, ball, _ = shadowed(225.0)
    assert plain_background(rgb)[ball].mean() < 0.05
    dark, ball, _ = shadowed(90.0)
    below = np.mgrid[:240, :320][0] > 150
    dark[ball & below] = 228  # a pale foot, as bright as its shadow's rim
    assert plain_background(dark)[ball].mean() < 0.05
