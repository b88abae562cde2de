# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on behind silhouettes: there where something hides it, as far away and of the colours of what is seen."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.relief import lattice as lattices
from image_to_3d.worker.geometry.relief.behind import OVERLAP, Hidden, behind, carried_on, coloured

CUT, FOCAL = 0.05, 250.0


def found(depth: np.ndarray, focal: float = FOCAL) -> list[Hidden]:
    """What lies behind in the picture."""
    return [each for each in everything(depth, focal) if not np.any(each.margins)]


def beyond(depth: np.ndarray, focal: float = FOCAL) -> Hidden | None:
    """What lies beyond its border, if something does."""
    return next((each for each in everything(depth, focal) if np.any(each.margins)), None)


def everything(depth: np.ndarray, focal: float) -> tuple[Hidden, ...]:
    return behind(lattices.build(np.float32(1.0 / depth), depth.shape, CUT, 4), focal, CUT)


def at_full_size(layer: Hidden) -> np.ndarray:
    """(R, C) its inverse depth at the vertices of the first lattice."""
    small = layer.lattice.inverse
    index = [
        np.rint(np.linspace(0, few - 1, many)).astype(int)
        for few, many in zip(small.shape, layer.hidden.shape, strict=True)
    ]
    return small[index[0]][:, index[1]]


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
    [layer] = found(depth)
    second, colours = 1.0 / at_full_size(layer), coloured(photo, layer)
    inside = (slice(82, 118), slice(122, 178))
    assert np.isfinite(second[inside]).all()
    beside = np.isfinite(second) & ~layer.hidden
    assert 0 < beside.sum() < 1600 and (second[beside] > 0.99 * depth[beside]).all()
    wall = np.repeat(1.0 / np.linspace(0.5, 0.25, 200)[:, None], 300, axis=1)
    assert np.abs(second[inside] / wall[inside] - 1).max() < 0.1
    assert np.abs(colours[inside].astype(int) - (40, 60, 200)).max() < 3


@pytest.mark.parametrize("focal", [100.0, 200.0])
def test_of_large_things_only_what_a_walk_uncovers_has_something_behind(scene, focal):
    depth, _ = scene
    depth[:] = 4.0
    depth[:, :200] = 2.0
    [layer] = found(depth, focal)
    columns = np.flatnonzero(np.isfinite(at_full_size(layer)).any(axis=0))
    shift = focal * 2.0 * np.sin(np.radians(25.0)) * (1 / 2.0 - 1 / 4.0)
    assert shift < 200 - columns.min() < 1.3 * shift + 2 * OVERLAP and columns.max() <= 205


def test_a_floor_before_a_thing_hides_nothing(scene):
    """A post that stands on a floor before a wall: behind the post the wall goes on, and nothing below the floor."""
    rows = np.arange(200)[:, None]
    depth = np.broadcast_to(np.where(rows < 100, 4.0, 400.0 / np.maximum(rows, 1)), (200, 300)).copy()
    depth[40:150, 140:160] = 400.0 / 150
    there = np.any([np.isfinite(at_full_size(layer)) for layer in found(depth)], axis=0)
    assert there[50:100, 143:157].all() and there[157:].sum() < 200
    assert there.sum() < 2 * 110 * 20


def test_nothing_is_made_where_nothing_is_hidden(scene):
    depth, _ = scene
    assert found(np.repeat(np.linspace(1.0, 5.0, 300)[None], 200, axis=0)) == []
    empty = depth.copy()
    empty[80:120, 120:180] = np.nan
    assert found(empty) == []


def test_what_is_behind_is_never_before_what_is_seen(scene):
    depth, _ = scene
    depth += 0.3 * np.random.default_rng(1).random(depth.shape)
    first = lattices.build(np.float32(1.0 / depth), depth.shape, CUT, 4)
    layers = behind(first, FOCAL, CUT)
    for layer in layers:
        (top, bottom), (left, right) = layer.margins
        second = layer.lattice.inverse
        second = second[top : len(second) - bottom, left : second.shape[1] - right]
        rows, columns = (
            np.rint(np.linspace(0, many - 1, few)).astype(int)
            for few, many in zip(second.shape, depth.shape, strict=True)
        )
        there = np.isfinite(second)
        assert there.any() and (second < first.inverse[rows][:, columns])[there].all()


def test_behind_a_nose_is_the_cheek_and_behind_the_face_the_wall():
    depth = np.full((200, 300), 4.0)
    depth[40:160, 80:220] = 1.2
    depth[80:120, 130:170] = 1.0
    wall, cheek = found(depth, 60.0)
    assert 1.0 / np.nanmax(at_full_size(wall)[50:70, 84:90]) > 3.8
    nose = 1.0 / at_full_size(cheek)[90:110, 133:135]
    assert np.nanmax(np.abs(nose - 1.2)) < 0.1 and np.isfinite(nose).any()


def test_below_a_pavement_the_road_goes_on_as_a_plane():
    """A kerb aslant in the picture: known on one side alone, the road was carried on level and sank."""
    rows, columns = np.mgrid[0:200, 0:300]
    road = 1.0 / (0.002 * (rows + 60.0))
    depth = np.where(columns + 0.8 * rows > 230, road / 1.09, road)
    second = np.concatenate([at_full_size(layer)[None] for layer in found(depth, 200.0)])[0]
    under = np.isfinite(second) & (columns + 0.8 * rows > 240) & (rows > 60) & (rows < 180)
    assert under.sum() > 500
    assert np.abs(second[under] * road[under] - 1.0).max() < 0.04


@pytest.fixture
def post() -> np.ndarray:
    """A post at 1 metre, before the left part of a wall from 2.2 metres at the left to 2 at the right."""
    depth = np.repeat(1.0 / np.linspace(1 / 2.2, 1 / 2.0, 300)[None], 200, axis=0)
    depth[:, 20:60] = 1.0
    return depth


def test_beyond_the_border_the_wall_goes_on_as_far_as_a_walk_around_a_post_uncovers_it(post):
    layer = beyond(post, 200.0)
    (top, bottom), (left, right) = layer.margins
    cells = (post.shape[1] - 1) / (layer.hidden.shape[1] - left - right - 1)
    reach = 200.0 * 2.1 * np.sin(np.radians(25.0)) * (1.0 - 1.0 / 2.2)
    assert reach - 60 < left * cells < 1.6 * reach - 60 + 2 * cells
    row, at = len(layer.hidden) // 2, (np.arange(left) - left) * cells
    wall = 1 / 2.2 + at / 299 * (1 / 2.0 - 1 / 2.2)
    values = layer.lattice.inverse[row, 1:left]
    assert np.abs(values / wall[1:] - 1.0).max() < 0.03


def test_beyond_the_border_nothing_is_made_but_where_a_walk_uncovers_it(post):
    layer = beyond(post[:, ::-1], 200.0)
    assert layer.margins[1][1] > layer.margins[1][0]
    near = beside_a_wall(0.5, 50, slice(60, 80))
    assert not beyond(near, 200.0) or not beyond(near, 200.0).margins[1][0]
    post[:] = 2.0
    post[60:140, 150:] = 1.0
    assert beyond(post, 60.0) is None


def test_a_sky_moves_no_middle_of_a_walk(post):
    sky = post.copy()
    sky[:120] = np.where(sky[:120] > 1.5, 100.0, sky[:120])
    for depth in (post, sky):
        assert beyond(depth, 20.0) is None or not any(beyond(depth, 20.0).margins[1])


def beside_a_wall(nearest: float, end: int, post: slice) -> np.ndarray:
    """A post at .7 metres before what is 10 metres away, and a wall that goes from there to the picture's left."""
    depth = np.repeat(1.0 / np.maximum(0.1, np.linspace(1 / nearest, 0.1, end + 1)[None]), 200, axis=0)
    depth = np.pad(depth, ((0, 0), (0, 299 - end)), mode="edge")
    depth[40:160, post] = 0.7
    return depth


def test_what_goes_on_beyond_the_border_has_the_colours_of_the_border():
    layer = beyond(beside_a_wall(2.0, 90, slice(100, 120)), 200.0)
    photo = np.tile(np.uint8([250, 250, 250]), (200, 300, 1))
    photo[:, :91], photo[:, 100:120] = (40, 60, 200), (220, 40, 30)
    there = np.isfinite(layer.lattice.inverse)
    there[:, layer.margins[1][0] :] = False
    off = np.abs(coloured(photo, layer)[there].astype(int) - (40, 60, 200)).max(axis=1)
    assert len(off) > 100 and np.median(off) < 20


def test_what_goes_on_behind_a_part_of_a_thing_ends_with_the_thing():
    """A nose that reaches the face's outline: the cheek behind it does not stretch to the wall behind the face."""
    depth = np.full((200, 300), 4.0)
    depth[40:160, 80:220] = 1.2
    depth[80:120, 180:220] = 1.0
    wall, cheek = (1.0 / each.lattice.inverse for each in found(depth, 60.0))
    assert np.nanmax(wall) > 3.8
    assert np.isfinite(cheek).sum() > 20 and np.nanmax(cheek) < 1.3


def test_values_are_carried_on_as_they_are_and_smoothly_between():
    values = np.zeros((50, 70, 2))
    values[:, -1] = 8.0
    known = np.zeros((50, 70), bool)
    known[:, [0, -1]] = True
    found = carried_on(values, known)
    assert (found[known] == values[known]).all()
    across = found[25, :, 0]
    assert (np.diff(across) > -1.5).all() and 1.0 < across[35] < 7.0


def test_a_plane_that_is_known_all_around_goes_on_as_a_plane():
    rows, columns = np.mgrid[0:96, 0:128] / 32.0
    plane, known = (1.0 + 0.3 * columns + 0.1 * rows)[..., None], np.ones((96, 128), bool)
    known[25:75, 40:85] = False
    seen = np.where(known[..., None], plane, 0.0)
    off = [np.abs(carried_on(seen, known, rounds) - plane).max() for rounds in (0, 20)]
    assert off[1] < 0.15 * off[0]


def test_what_is_behind_has_the_grain_of_what_is_beside_it():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (64, 64, 3), np.uint8)
    hidden = np.zeros((64, 64), bool)
    hidden[20:44, 20:44] = True
    found = coloured(photo, Hidden(None, ~hidden, hidden)).astype(float)
    assert found[24:40, 24:40].std() > 0.5 * photo[:20].std()
