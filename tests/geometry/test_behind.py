# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on behind silhouettes: there where something hides it, as far away and of the colours of what is seen."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.relief.behind import REACH, behind, carried_on

CUT = 0.05


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red square at 1 metre before a blue wall that leans back from 2 to 4 metres."""
    wall = np.repeat(1.0 / np.linspace(0.5, 0.25, 200)[:, None], 300, axis=1)
    depth, photo = wall.copy(), np.tile(np.uint8([40, 60, 200]), (200, 300, 1))
    depth[80:120, 120:180] = 1.0
    photo[80:120, 120:180] = (220, 40, 30)
    return depth, photo


def test_the_wall_goes_on_behind_the_square_where_it_would_have_been(scene):
    depth, photo = scene
    second, colours = behind(depth, photo, CUT)
    hidden = np.zeros(depth.shape, bool)
    hidden[80:120, 120:180] = True
    assert np.isfinite(second)[hidden].all()
    beside = np.isfinite(second) & ~hidden
    assert 0 < beside.sum() < 1000 and (second[beside] > depth[beside]).all()
    wall = np.repeat(1.0 / np.linspace(0.5, 0.25, 200)[:, None], 300, axis=1)
    assert np.abs(second[hidden] / wall[hidden] - 1).max() < 0.1
    assert np.abs(colours[hidden].astype(int) - (40, 60, 200)).max() < 3


def test_only_a_band_behind_large_things_is_made(scene):
    depth, photo = scene
    depth[:, :200] = 1.0
    second, _ = behind(depth, photo, CUT)
    columns = np.flatnonzero(np.isfinite(second).any(axis=0))
    assert columns.min() == pytest.approx(200 - REACH * 300, abs=2) and columns.max() <= 203


def test_a_floor_before_a_thing_hides_nothing(scene):
    """A post that stands on a floor before a wall: behind the post the wall goes on, and nothing below the floor."""
    rows = np.arange(200)[:, None]
    depth = np.broadcast_to(np.where(rows < 100, 4.0, 400.0 / np.maximum(rows, 1)), (200, 300)).copy()
    depth[40:150, 140:160] = 400.0 / 150
    second, _ = behind(depth, scene[1], CUT)
    there = np.isfinite(second)
    assert there[50:100, 142:158].all() and there[155:].sum() < 200
    assert there.sum() < 1.5 * 110 * 20


def test_nothing_is_made_where_nothing_is_hidden(scene):
    depth, photo = scene
    slope = np.repeat(np.linspace(1.0, 5.0, 300)[None], 200, axis=0)
    assert behind(slope, photo, CUT) is None
    empty = depth.copy()
    empty[80:120, 120:180] = np.nan
    assert behind(empty, photo, CUT) is None


def test_what_is_behind_is_never_before_what_is_seen(scene):
    depth, photo = scene
    depth += 0.3 * np.random.default_rng(1).random(depth.shape)
    second, _ = behind(depth, photo, CUT)
    there = np.isfinite(second)
    assert (second[there] > depth[there]).all()


def test_values_are_carried_on_as_they_are_and_smoothly_between():
    values = np.zeros((50, 70, 2))
    values[:, -1] = 8.0
    known = np.zeros((50, 70), bool)
    known[:, [0, -1]] = True
    found = carried_on(values, known)
    assert (found[known] == values[known]).all()
    across = found[25, :, 0]
    assert (np.diff(across) > -1.5).all() and 1.0 < across[35] < 7.0
