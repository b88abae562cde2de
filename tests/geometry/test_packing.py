# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts side by side in a square."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.texturing.packing import Outlines, _lowest, packed


@pytest.mark.parametrize("width", [1, 7, 24, 25, 60, 150])
def test_the_lowest_place_is_the_one_that_trying_all_finds(width):
    dice = np.random.default_rng(width)
    for ends_flat in (False, True):
        floor, low = np.cumsum(dice.normal(size=200)), dice.uniform(0.0, 9.0, width)
        if ends_flat:
            floor[40:] = floor[40]  # many places are as low as each other: the first counts
            low[:] = 2.0
        rest = [(floor[left : left + width] - low).max() for left in range(200 - width + 1)]
        assert _lowest(floor, low) == (int(np.argmin(rest)), min(rest))


def test_boxes_fill_most_of_the_square_and_keep_apart():
    dice = np.random.default_rng(0)
    sides = dice.uniform(1.0, 10.0, (120, 2))
    corners = [sides * corner for corner in ([0, 0], [1, 0], [1, 1], [0, 1])]
    ends = np.concatenate([np.stack([one, other], 1) for one, other in zip(corners, [*corners[1:], corners[0]])])
    scale, offsets = packed(Outlines(ends, np.tile(np.arange(120), 4), 120), sides.prod(axis=1).sum(), 512, 4)
    high = offsets + sides * scale
    assert (offsets >= 1.9).all() and (high <= 510.1).all()
    apart = np.maximum(offsets[:, None] - high[None], offsets[None] - high[:, None]).max(axis=2)
    assert apart[~np.eye(120, dtype=bool)].min() > 3.9
    assert (sides * scale).prod(axis=1).sum() > 0.65 * 512**2
