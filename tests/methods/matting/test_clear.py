# SPDX-License-Identifier: GPL-3.0-or-later
"""One clear thing, told from rooms, portraits, pairs and specks by its matte alone."""

import numpy as np
import pytest
from image_to_3d.worker.methods.matting.clear import closed, is_clear


def disc(row: float, column: float, radius: float, soft: float = 2.0) -> np.ndarray:
    rows, columns = np.mgrid[:200, :240]
    away = np.hypot(rows - row, columns - column)
    return np.clip((radius - away) / soft + 0.5, 0.0, 1.0).astype(np.float32)


def test_one_thing_shown_whole_is_clear():
    assert is_clear(disc(100, 120, 60))


@pytest.mark.parametrize(
    "matte",
    [
        np.zeros((200, 240), np.float32),
        np.ones((200, 240), np.float32),
        disc(100, 120, 20),
        disc(100, 0, 80),
        disc(100, 120, 60, soft=60.0),
        np.maximum(disc(100, 65, 50), disc(100, 175, 50)),
        np.maximum(
            np.maximum(disc(100, 65, 50), disc(100, 175, 50)), (np.abs(np.mgrid[:200, :240][0] - 100) < 3) * 1.0
        ),
    ],
    ids=["nothing", "all", "a speck", "cut off", "unsure", "two", "two that touch"],
)
def test_what_is_not_one_clear_thing(matte):
    assert not is_clear(matte)


def test_a_thing_with_a_foot_is_one():
    lamp = np.maximum(disc(60, 120, 48), disc(160, 120, 25))
    lamp[60:160, 117:123] = 1.0
    assert is_clear(lamp)


def test_a_hole_of_which_a_rough_network_is_not_sure_is_none():
    thing = disc(100, 120, 60)
    holed = thing - 0.8 * disc(80, 120, 6, soft=8.0)
    handle = np.minimum(thing, 1.0 - disc(130, 120, 10))
    np.testing.assert_array_equal(closed(holed) >= 0.5, thing >= 0.5)
    assert closed(holed)[80, 120] == 1.0 and closed(holed)[thing == 1.0].min() > 0.6
    np.testing.assert_array_equal(closed(handle), handle)
    np.testing.assert_array_equal(closed(thing), thing)
