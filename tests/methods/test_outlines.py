# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of things that are cut out: smooth hulls, and hollows where photos see that there is one."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.methods.multiview_fit import agreement, fairing, grid_result, grid_training, hollows, outlines
from image_to_3d.worker.methods.multiview_fit.grid_space import Lattice, redistanced
from image_to_3d.worker.methods.multiview_fit.grid_training import Plan, Stage

BOUNDS = np.array([[-0.55] * 3, [0.55] * 3])
LATTICE = Lattice.over(BOUNDS, 56)
RADIUS, HEIGHT, WALL, FLOOR = 0.4, 0.4, 0.07, 0.56  # of a cup, half its height, and how deep it is
DENT = 0.09  # deep
PIXELS, STEPS = 80, 240
JOB = Job(lambda *_: None)


def block(points: np.ndarray) -> np.ndarray:
    return np.maximum(np.linalg.norm(points[..., :2], axis=-1) - RADIUS, np.abs(points[..., 2]) - HEIGHT)


def cup(points: np.ndarray) -> np.ndarray:
    room = np.linalg.norm(points[..., :2], axis=-1) - RADIUS + WALL
    return np.maximum(block(points), -np.maximum(room, HEIGHT - FLOOR - points[..., 2]))


def dented(points: np.ndarray) -> np.ndarray:
    """A block with a dent in its side that no outline shows."""
    return np.maximum(block(points), 0.3 - np.linalg.norm(points - (0.0, RADIUS + 0.3 - DENT, 0.0), axis=-1))


def looking(yaw: float, pitch: float) -> View:
    position = 2.2 * np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    right = np.cross(-position, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    ahead = -position / 2.2
    camera = PinholeCamera.from_fov(PIXELS, PIXELS, 35.0)
    return View(camera, np.stack([right, np.cross(ahead, right), ahead]), position)


def photo(
    shape: Callable[[np.ndarray], np.ndarray], view: View, print_size: float = 7.0, contrast: float = 90.0
) -> View:
    """Of a shape whose colours change from place to place, by default slowly."""
    camera = view.camera
    row, column = np.mgrid[:PIXELS, :PIXELS] + 0.5
    rays = np.stack([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, np.ones_like(row)], 2)
    rays, depth, hit = rays @ view.rotation, np.zeros((PIXELS, PIXELS)), np.zeros((PIXELS, PIXELS), bool)
    for along in np.linspace(1.4, 3.0, STEPS):
        new = ~hit & (shape(view.position + rays * along) <= 0.0)
        depth[new], hit = along, hit | new
    places = view.position + rays * depth[..., None]
    colour = 128.0 + contrast * np.sin(print_size * places + (0.0, 1.0, 2.0))
    return replace(view, rgb=np.uint8(colour * hit[..., None]), mask=np.uint8(255 * hit))


def photos(shape: Callable[[np.ndarray], np.ndarray], *colours: float) -> tuple[View, ...]:
    angles = ((2.4 * k, math.radians((10.5, -15.0, 40.0, 60.0)[k % 4])) for k in range(20))
    return tuple(photo(shape, looking(*each), *colours) for each in angles)


@pytest.fixture(scope="module")
def of_cup() -> tuple[View, ...]:
    return photos(cup)


@pytest.fixture(scope="module")
def of_block() -> tuple[View, ...]:
    return photos(block)


@pytest.fixture(scope="module")
def whole_hull(of_cup) -> outlines.Hull:
    return outlines.Hull.of(of_cup, LATTICE, JOB)


@pytest.fixture(scope="module")
def hull(whole_hull) -> np.ndarray:
    return whole_hull.distance


def test_outlines_that_are_nearly_upright_leave_no_steps_on_a_flat_side():
    side, roll, views = 0.3, math.radians(2.5), []
    turn = np.array([[math.cos(roll), -math.sin(roll), 0.0], [math.sin(roll), math.cos(roll), 0.0], [0.0, 0.0, 1.0]])
    camera, finer = PinholeCamera.from_fov(PIXELS, PIXELS, 35.0), 6
    row, column = (np.mgrid[: PIXELS * finer, : PIXELS * finer] + 0.5) / finer
    for ahead in (-1.0, 1.0):  # along the side, from where it is seen as a line
        rotation = turn @ np.array([[0.0, -ahead, 0.0], [0.0, 0.0, -1.0], [ahead, 0.0, 0.0]])
        view = View(camera, rotation, np.array([-2.2 * ahead, side, 0.0]))
        rays = np.stack([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, np.ones_like(row)], 2)
        share = ((rays @ rotation)[..., 1] < 0.0).reshape(PIXELS, finer, PIXELS, finer).mean((1, 3))
        views.append(replace(view, mask=np.uint8(np.rint(255.0 * share)), rgb=np.zeros((PIXELS, PIXELS, 3), np.uint8)))
    places = LATTICE.corners(torch.device("cpu")).numpy().reshape(*LATTICE.samples, 3)
    found = outlines.Hull.of(views, LATTICE, JOB).distance - (places[..., 1] - side) / LATTICE.spacing
    near = (np.abs(places - (0.0, side, 0.0)) < (0.3, 0.03, 0.3)).all(-1)
    assert np.abs(found[near]).max() < 0.12  # of a cell; with whole pixels .42


@pytest.mark.parametrize("normal", [(1.0, 0.0, 0.0), (0.05, 1.0, 0.0), (0.3, -0.8, 0.5), (0.6, 0.6, 0.6)])
def test_distances_far_from_a_plane_are_as_exact_as_near_it_so_that_what_is_moved_has_no_terraces(normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    true = (np.indices((40, 40, 40)).transpose(1, 2, 3, 0) - 19.7) @ normal
    found = redistanced(np.clip(true, -3.0, 3.0).astype(np.float32))
    inner = np.abs(np.indices((40, 40, 40)) - 19.5).max(0) < 12
    assert np.abs(found - true)[inner & (np.abs(true) < 10.0)].max() < 0.1  # by whole cells .7


def true_on(shape: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    places = LATTICE.corners(torch.device("cpu")).numpy().astype(float)
    return shape(places).reshape(LATTICE.samples) / LATTICE.spacing


def test_a_hull_lies_within_half_a_cell_of_what_is_convex(hull):
    true = true_on(block)
    near = np.abs(true) < 1.5
    assert np.abs(hull - true)[near].mean() < 0.4
    assert ((hull < 0.0) == (true < 0.0))[np.abs(true) > 1.5].all()


def test_outlines_in_one_of_which_nothing_is_and_that_agree_on_nothing(of_cup, hull):
    nothing = replace(of_cup[3], mask=np.zeros_like(of_cup[3].mask))
    found = outlines.Hull.of((*of_cup[:3], nothing, *of_cup[4:]), LATTICE, JOB).distance
    assert ((found < 0.0) >= (hull < 0.0)).all()
    aside = [np.roll(view.mask, 60 * (-1) ** k, 0) for k, view in enumerate(of_cup)]
    corners = [
        np.where(np.arange(PIXELS)[:, None] // 30 == (0 if k % 2 else 2), mask, 0) for k, mask in enumerate(aside)
    ]
    with pytest.raises(Unable, match="agree on no shape"):
        wrong = [replace(view, mask=np.uint8(mask)) for view, mask in zip(of_cup, corners)]
        outlines.Hull.of(wrong, LATTICE, JOB)


def test_a_cup_is_opened_as_deep_as_it_is(of_cup, hull):
    found = hollows.opened(of_cup, hull, LATTICE, JOB)
    middle = found[28, 28]
    assert hull[28, 28].min() < 0.0
    top = (hull[28, 28] < 0.0).nonzero()[0].max()
    floor = (middle < 0.0).nonzero()[0].max()
    assert abs((top - floor) * LATTICE.spacing - FLOOR) < 0.15 * FLOOR
    true = true_on(cup)
    assert ((found < 0.0) == (true < 0.0))[np.abs(true) > 2.5].mean() > 0.98
    across = (slice(28, 29), slice(0, 28), slice(32, 42))
    wall = np.abs(true[across]) < 1.0
    assert np.abs(found - true)[across][wall].mean() < 0.4


def test_walls_are_measured_between_samples(hull):
    block_on = true_on(block).astype(np.float32)
    middle = (np.abs(true_on(lambda points: np.abs(points[..., 2]))) < 5.0) & (block_on < -1.0) & (block_on > -10.0)
    assert np.abs(hollows.sides(block_on) - block_on)[middle].max() < 0.3


def test_a_hollow_is_no_wider_than_its_rim_leaves_and_narrower_downwards():
    block_on, spacing = true_on(block).astype(np.float32), LATTICE.spacing
    found = hollows.hollowed(block_on, hollows.Hollow(2.0, 6.0, 36.0, 0.1))
    heights = (-0.3, 0.0, 0.3)
    layers = (round((height - LATTICE.low[2]) / spacing) for height in heights)
    radii = [math.sqrt((found[..., layer] > 0.0)[12:-12, 12:-12].sum() / math.pi) for layer in layers]
    wanted = [RADIUS / spacing - 6.0 - 0.1 * (HEIGHT - height) / spacing for height in heights]
    np.testing.assert_allclose(radii, wanted, atol=1.0)


def test_what_has_a_lid_keeps_it(of_block):
    hull = outlines.Hull.of(of_block, LATTICE, JOB).distance
    assert hollows.opened(of_block, hull, LATTICE, JOB) is hull


def test_a_hole_in_one_mask_is_not_drilled_through_the_thing(of_cup, hull):
    mask = of_cup[0].mask.copy()
    mask[40, 40] = 0
    found = outlines.Hull.of((replace(of_cup[0], mask=mask), *of_cup[1:]), LATTICE, JOB).distance
    assert ((found < 0.0) == (hull < 0.0)).all()


def places() -> np.ndarray:
    return LATTICE.corners(torch.device("cpu")).numpy().reshape(*LATTICE.samples, 3).astype(float)


def box(points: np.ndarray) -> np.ndarray:
    return (np.abs(points) - (0.4, 0.22, 0.4)).max(-1)


def off(found: np.ndarray, shape: Callable[[np.ndarray], np.ndarray], where: np.ndarray) -> tuple[float, float]:
    """Of a surface there: mean cells to the true one, and degrees between normals."""
    true = true_on(shape)
    own, wanted = (np.stack(np.gradient(each), -1)[where] for each in (found, true))
    cosine = (own * wanted).sum(-1) / np.linalg.norm(own, axis=-1) / np.linalg.norm(wanted, axis=-1)
    return np.abs(found - true)[where].mean(), np.degrees(np.arccos(cosine.clip(-1.0, 1.0))).mean()


def test_what_no_outline_shows_bends_less_and_edges_stay():
    plain = outlines.Hull.of(photos(box), LATTICE, JOB)
    found, near = fairing.faired(plain, JOB), np.abs(true_on(box)) < 1.0
    flat = near & ((np.abs(places()) < (0.3, 0.14, 0.3)).sum(-1) == 2)
    (far, steep), (hull_far, hull_steep) = (off(each, box, flat) for each in (found, plain.distance))
    assert far < 0.95 * hull_far and steep < 0.85 * hull_steep
    edge = near & ~flat
    assert off(found, box, edge)[0] < 1.05 * off(plain.distance, box, edge)[0]
    assert (found >= plain.distance - 1e-3)[np.abs(plain.distance) < 1.5].all()


@pytest.mark.parametrize("count", [20, 7])
def test_what_is_round_has_no_facets_and_shrinks_from_no_outline(of_block, count):
    plain = outlines.Hull.of(of_block[:count], LATTICE, JOB)
    found = fairing.faired(plain, JOB)
    side = (np.abs(true_on(block)) < 1.0) & (np.abs(places()[..., 2]) < 0.25)
    (far, steep), (hull_far, hull_steep) = (off(each, block, side) for each in (found, plain.distance))
    assert far < 0.9 * hull_far and steep < 0.8 * hull_steep
    assert (found - true_on(block))[side].mean() < 0.15


def test_a_hull_that_fills_its_box_has_no_surface_and_stays(of_cup):
    mask = np.full((PIXELS, PIXELS), 255, np.uint8)
    mask[0, 0] = 0
    views = tuple(replace(view, mask=mask) for view in of_cup)
    whole = outlines.Hull.of(views, LATTICE, JOB)
    assert fairing.faired(whole, JOB) is whole.distance
    assert agreement.agreed(views, whole.distance, whole.distance, whole, JOB) is whole.distance


def test_a_dent_that_no_outline_shows_is_found_by_its_print(whole_hull, hull):
    found = agreement.agreed(photos(dented, 40.0), hull, hull, whole_hull, JOB)
    true = true_on(dented)
    middle = (np.linalg.norm(places() - (0.0, RADIUS, 0.0), axis=-1) < 0.12) & (np.abs(true) < 1.0)
    assert (true - hull)[middle].mean() > 2.5
    assert np.abs(found - true)[middle].mean() < 1.0
    assert (found >= hull - 1e-3)[np.abs(hull) < 1.5].all()
    opposite = (places()[..., 1] < 0.0) & (np.abs(true) < 1.0)
    assert np.abs(found - hull)[opposite].mean() < 0.2


def test_no_photo_tears_a_thin_wall(whole_hull, hull):
    opened = hollows.hollowed(hull, hollows.Hollow(2.5, 2.5, 36.0))
    found = agreement.agreed(photos(dented, 40.0), opened, hull, whole_hull, JOB)
    depth = hollows.sides(hull)
    wall = (depth < -0.6) & (depth > -1.4) & (hull < -0.6)
    assert wall.sum() > 500 and (found < 0.0)[wall].mean() > 0.999


def plate(points: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(points[..., 1]) - 0.6 * LATTICE.spacing, np.linalg.norm(points[..., ::2], axis=-1) - 0.45)


def test_what_is_thinner_than_the_lattice_holds_is_not_torn_by_its_bending():
    views = photos(plate, 40.0)[:6]
    whole = outlines.Hull.of(views, LATTICE, JOB)
    smooth = fairing.faired(whole, JOB)
    found = agreement.agreed(views, smooth, smooth, whole, JOB)
    assert (found < 0.0)[whole.distance < 0.0].mean() > 0.9


def test_a_plain_surface_goes_nowhere_but_where_it_bends_less(whole_hull):
    smooth = fairing.faired(whole_hull, JOB)
    found = agreement.agreed(photos(dented, 40.0, 0.0), smooth, smooth, whole_hull, JOB)
    assert np.abs(found - smooth)[np.abs(smooth) < 1.5].mean() < 0.1


def test_a_thing_with_outlines_learns_colours_and_is_as_smooth_as_its_outlines(of_block):
    plan = Plan(64, 512, (), Stage("colours", 40, 40))
    result = grid_training.train(
        Capture(of_block, np.zeros((0, 3), np.float32), BOUNDS, False), plan, JOB, torch.device("cpu")
    )
    assert result.steps == 40
    field = grid_result.field(result.model)
    ring = np.linspace(0.0, 2.0 * np.pi, 200)
    side = np.stack([RADIUS * np.cos(ring), RADIUS * np.sin(ring), np.zeros(200)], 1).astype(np.float32)
    assert np.abs(field.value(side)).max() < 0.8 * LATTICE.spacing
    assert np.abs(field.colour(side) * 255.0 - 128.0 - 90.0 * np.sin(7.0 * side + (0.0, 1.0, 2.0))).mean() < 20.0
