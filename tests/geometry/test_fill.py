# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaps are filled from beside them, and what is beside is measured, as scipy's slower ways have it."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.fill import near, over_neighbours, roughly_filled
from image_to_3d.worker.geometry.texturing.photo import _cubic, sampled
from scipy import ndimage

SHAPES = [(1, 1), (1, 9), (7, 2), (64, 64), (61, 130)]


def marked(shape, share):
    found = np.random.default_rng(0).random(shape) < share
    found.flat[0] = True
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reach", [1, 5, 10])
def test_distances_are_exact_as_far_as_they_are_asked_for(shape, reach):
    for share in (0.0, 0.01, 0.3):
        mask = marked(shape, share)
        true, found = ndimage.distance_transform_edt(~mask), near(mask, reach)
        assert np.allclose(found[true <= reach], true[true <= reach], atol=1e-6)
        assert (found[true > reach] > reach).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_are_what_a_filter_of_three_by_three_sees(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert (over_neighbours(np.maximum, values) == ndimage.maximum_filter(values, 3)).all()
    assert (over_neighbours(np.minimum, values) == ndimage.minimum_filter(values, 3)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_gaps_get_what_is_about_the_nearest(shape):
    mask = marked(shape, 0.02)
    number = np.where(mask, np.arange(1, mask.size + 1, dtype=np.uint32).reshape(shape), np.uint32(0))
    found = roughly_filled(number)
    assert (found[mask] == number[mask]).all() and (found > 0).all()
    from_there = np.stack(np.unravel_index(found.astype(np.int64) - 1, shape)) - np.indices(shape)
    nearest = ndimage.distance_transform_edt(~mask)
    assert (np.hypot(*from_there) <= 3.0 * nearest + 2.0).all()


def test_splines_are_those_of_scipy():
    rng = np.random.default_rng(0)
    splines = [ndimage.spline_filter(rng.random((40, 60)), 3, np.float32, mode="nearest") for _ in range(3)]
    place = (rng.random((500, 2)) * (55, 35) + 2.5).astype(np.float32)
    true = [ndimage.map_coordinates(each, place[:, ::-1].T - 0.5, order=3, prefilter=False) for each in splines]
    assert np.abs(_cubic(splines, place) - np.stack(true, axis=1)).max() < 1e-5


def test_pictures_are_sampled_between_their_pixels_and_clamped():
    rng = np.random.default_rng(0)
    picture, place = rng.random((9, 14, 5)).astype(np.float32), rng.random((300, 2)) * (18, 13) - 2.0
    true = [
        ndimage.map_coordinates(each, place[:, ::-1].T - 0.5, order=1, mode="nearest")
        for each in picture.T.swapaxes(1, 2)
    ]
    assert np.abs(sampled(picture, place) - np.stack(true, axis=1)).max() < 1e-6
