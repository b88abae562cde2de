# SPDX-License-Identifier: GPL-3.0-or-later
"""Small smeared depth maps become large sharp ones, with steps where the photo has its edges."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.relief.upsample import _interpolated, refined, steepened
from scipy import ndimage

NEAR, FAR = 1.0, 0.3


def disc(size, radius=0.3):
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size - 0.5
    return x * x + y * y < radius * radius


def photo_of(mask):
    return np.where(mask[..., None], (200, 120, 40), (40, 60, 90)).astype(np.uint8)


def smeared(size=64, sigma=1.2, shift=(0.0, 0.0)):
    sharp = np.where(disc(8 * size), NEAR, FAR).astype(np.float32)
    sharp = ndimage.shift(ndimage.gaussian_filter(sharp, 8 * sigma), (8 * shift[0], 8 * shift[1]), mode="nearest")
    return sharp.reshape(size, 8, size, 8).mean(axis=(1, 3))


def enlarged(inverse_depth, photo, longer_side=1024, valid=None):
    """The finer inverse depth and its mask, of a map that is valid all over unless that is said."""
    valid = np.ones(inverse_depth.shape, bool) if valid is None else valid
    return refined(inverse_depth, valid, photo, longer_side)


def flying(values):
    return (np.minimum(np.abs(values - NEAR), np.abs(values - FAR)) > 0.1 * (NEAR - FAR)).mean()


def test_smeared_silhouette_becomes_a_step():
    small, mask = smeared(), disc(512)
    fine, _ = enlarged(small, photo_of(mask), 512)
    assert fine.shape == (512, 512) and fine.dtype == np.float32
    assert flying(small) > 0.05
    assert flying(fine) < 0.002
    assert ((fine > 0.65) != mask).mean() < 0.005


def test_step_lies_on_the_photos_edge_where_the_network_missed_it():
    small, mask = smeared(shift=(0.0, 0.7)), disc(512)
    by_photo = enlarged(small, photo_of(mask), 512)[0] > 0.65
    by_depth = enlarged(small, np.full((512, 512, 3), 90, np.uint8), 512)[0] > 0.65
    assert (by_photo != mask).mean() < 0.6 * (by_depth != mask).mean()


@pytest.mark.parametrize("shape", [(12, 17), (1, 7), (5, 1)])
def test_values_between_pixels_are_those_of_scipy(shape):
    rng = np.random.default_rng(0)
    maps, place = rng.random((3, *shape), np.float32), rng.uniform(-2.0, 19.0, (2, 200))
    want = [ndimage.map_coordinates(each, place, order=1, mode="nearest") for each in maps]
    np.testing.assert_allclose(_interpolated(maps, place), want, atol=1e-5)


def test_slanted_plane_is_left_as_it_is():
    plane = np.linspace(0.1, 1.0, 64, dtype=np.float32)[:, None] + np.linspace(0.0, 0.3, 64, dtype=np.float32)
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    fine, _ = enlarged(plane, noise, 256)
    want = ndimage.zoom(plane, 4, order=1, grid_mode=True, mode="nearest")
    assert np.abs(fine - want)[12:-12, 12:-12].max() < 1e-3


def test_map_is_neither_larger_than_the_photo_nor_smaller_than_it_was():
    assert enlarged(smeared(), photo_of(disc(100)), 1024)[0].shape == (100, 100)
    assert enlarged(smeared(), photo_of(disc(200)), 32)[0].shape == (64, 64)


def test_aspect_becomes_the_photos():
    wide = np.zeros((300, 600, 3), np.uint8)
    assert [values.shape for values in enlarged(smeared(), wide, 400)] == [(200, 400)] * 2


def test_pixels_without_surface_stay_without_and_do_not_bleed():
    small = smeared()
    valid = np.ones(small.shape, bool)
    valid[:, :8] = False
    broken = np.where(valid, small, np.nan).astype(np.float32)
    fine, finer = enlarged(broken, photo_of(disc(256)), 256, valid)
    assert not finer[:, :30].any() and finer[:, 34:].all()
    assert np.isfinite(fine).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 9), (7, 1)])
def test_tiny_maps_are_enlarged(shape):
    photo = np.zeros((shape[0] * 3, shape[1] * 3, 4), np.uint8)
    fine, finer = enlarged(np.ones(shape, np.float32), photo, 512)
    assert np.allclose(fine, 1.0) and finer.all()


def test_map_without_any_surface_stays_one():
    nothing = np.zeros((8, 8), np.float32)
    assert not enlarged(nothing, np.zeros((16, 16, 3), np.uint8), valid=nothing > 0)[1].any()


def wide():
    """A disc whose outline is smeared over a quarter of the map, and its photo."""
    return smeared(sigma=6.0), photo_of(disc(512))


def test_a_silhouette_that_is_smeared_far_is_a_step_too():
    small, photo = wide()
    steep = steepened(small, np.ones(small.shape, bool), photo)
    assert flying(small) > 0.3 and flying(enlarged(small, photo, 512)[0]) > 0.2
    fine, _ = enlarged(steep, photo, 512)
    assert flying(fine) < 0.25 * flying(small) and ((fine > 0.65) != disc(512)).mean() < 0.02


def test_where_the_photo_does_not_tell_where_its_edge_lies_a_wide_ramp_stays_one():
    """Or a blue vase before a blue wall would be cut in two."""
    small, alike = wide()[0], np.full((512, 512, 3), 90, np.uint8)
    assert (steepened(small, np.ones(small.shape, bool), alike) == small).all()


def test_a_slanted_plane_and_a_floor_are_not_steep():
    plane = np.linspace(0.1, 1.0, 64, dtype=np.float32)[:, None] + np.linspace(0.0, 0.3, 64, dtype=np.float32)
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    assert np.abs(steepened(plane, np.ones(plane.shape, bool), noise) - plane)[4:-4, 4:-4].max() < 1e-3


def test_a_step_within_the_networks_doubt_is_not_sharpened():
    """Or it would stand out as an embossed worm, where the network only guessed."""
    small = 1.0 + 0.12 * smeared()
    photo, valid = photo_of(disc(512)), np.ones(small.shape, bool)
    sure, unsure = (refined(small, valid, photo, 512, np.full(small.shape, doubt))[0] for doubt in (0.02, 0.2))
    smooth = ndimage.zoom(small, 8, order=1, grid_mode=True, mode="nearest")
    assert np.abs(unsure - smooth).max() < 0.01 < 0.02 < np.abs(sure - smooth).max()


@pytest.mark.parametrize("unsure", [None, 0.05])
def test_no_comb_stands_along_a_silhouette(unsure):
    sharp = np.where(disc(64), NEAR, FAR).astype(np.float32)
    photo = np.full((512, 512, 3), 90, np.uint8)
    doubt = None if unsure is None else np.full(sharp.shape, unsure, np.float32)
    fine, _ = refined(sharp, np.ones(sharp.shape, bool), photo, 512, doubt)
    off = np.minimum(np.abs(fine - NEAR), np.abs(fine - FAR)) / (NEAR - FAR)
    assert off.max() < 0.03  # a bicubic enlargement rings by .07 of the step on both sides


def test_what_was_made_steep_is_no_flight_of_stairs():
    row, column = np.mgrid[0:64, 0:64]
    stairs = np.where(column < 20 + row / 4, 0.36, 0.30).astype(np.float32)  # within the network's doubt
    photo = np.full((512, 512, 3), 90, np.uint8)
    fine, _ = refined(stairs, np.ones(stairs.shape, bool), photo, 512, np.full(stairs.shape, 0.3, np.float32))
    between = (np.minimum(np.abs(fine - 0.36), np.abs(fine - 0.30)) > 0.01).mean()
    assert between < 0.002


def test_where_a_network_is_unsure_nothing_of_what_is_near_stays_on_what_is_far():
    small, mask = smeared(), disc(512)
    photo = np.uint8(ndimage.gaussian_filter(photo_of(mask).astype(np.float32), (1.5, 1.5, 0.0)))  # edges are mixed
    valid = np.ones(small.shape, bool)
    fine, _ = refined(small, valid, photo, 512, np.full(small.shape, 0.05, np.float32))
    ghost = np.abs(photo.astype(int) - (40, 60, 90)).sum(axis=2) > 40
    assert not (ghost & (fine < 0.65)).any()
    assert ((fine > 0.65) & ~ndimage.binary_dilation(mask, iterations=8)).sum() == 0
