# SPDX-License-Identifier: GPL-3.0-or-later
"""The sparse surface: whole, closed, facing outwards, from few samples, and plain words for fields that have none."""

import itertools

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.geometry.solid import is_closed
from image_to_3d.worker.geometry.surface import marching
from image_to_3d.worker.geometry.surface.clean import manifold
from image_to_3d.worker.geometry.surface.isosurface import isosurface

BOX = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def quiet(share, message):
    pass


def ball(points, centre=(0.0, 0.0, 0.0), radius=0.7):
    return np.float32(radius) - np.linalg.norm(points - np.float32(centre), axis=1)


def plate(thickness):
    """Turned, so that no side lies along the grid."""
    turn = np.linalg.qr(np.array([[3.0, 1.0, 0.3], [-1.0, 3.0, 0.5], [0.2, -0.5, 3.0]]))[0].astype(np.float32)

    def value(points):
        beyond = np.abs(points @ turn) - np.float32([0.6, 0.5, thickness / 2])
        return -np.linalg.norm(np.maximum(beyond, 0), axis=1) - np.minimum(beyond.max(axis=1), 0)

    return value


def waves(seed, finest, level):
    """A sum of random waves, none shorter than 2 / finest."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(20, 3))
    direction *= rng.uniform(1, finest, (20, 1)) * np.pi / np.linalg.norm(direction, axis=1, keepdims=True)
    phase, height = rng.uniform(0, 7, 20), rng.normal(size=20) / 4
    return lambda points: (np.cos(points @ direction.T + phase) @ height - level).astype(np.float32)


def sampled(value, cells):
    """(cells + 1)^3 values on the grid over BOX, nothing inside on the border."""
    line = np.linspace(-1.0, 1.0, cells + 1)
    points = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)
    values = value(points.reshape(-1, 3).astype(np.float32)).reshape(points.shape[:3])
    values[(np.abs(points) == 1.0).any(axis=-1)] = -1.0
    return values


def crossed_edges(values):
    return sum(int((np.diff((values > 0).astype(int), axis=axis) != 0).sum()) for axis in range(3))


def on_edges(surface, cells):
    """How many vertices lie on edges of the grid (others are in the middle of a cell)."""
    share = np.abs((surface.vertices + 1.0) * cells / 2.0 % 1.0)
    return int(((np.minimum(share, 1.0 - share) < 1e-9).sum(axis=1) == 2).sum())


def measured(surface):
    return trimesh.Trimesh(surface.vertices, surface.faces, process=False)


def assert_manifold(surface):
    """Every edge has two faces, and every vertex one fan of them."""
    assert is_closed(surface.faces)
    assert len(manifold(surface.vertices, surface.faces)[0]) == len(surface.vertices)


@pytest.mark.parametrize("cells", [20, 70, 128])
def test_a_ball_comes_out_round_closed_and_facing_outwards(cells):
    surface = isosurface(ball, BOX, cells, quiet)
    assert_manifold(surface)
    assert measured(surface).euler_number == 2
    assert np.abs(ball(surface.vertices)).max() < 0.05 * surface.spacing
    assert measured(surface).volume == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=0.02)


def test_a_field_is_asked_near_its_surface_only_and_never_twice_at_one_point():
    asked = []

    def value(points):
        asked.append(points.copy())
        return ball(points)

    surface = isosurface(value, BOX, 96, quiet, batch=10_000, coarse=24)
    assert max(map(len, asked)) <= 10_000
    points = np.unique(np.rint((np.concatenate(asked) + 1) * 48).astype(np.int64) @ (97 * 97, 97, 1))
    assert sum(map(len, asked)) == len(points) == surface.queries < 0.17 * 97**3
    assert on_edges(surface, 96) == len(surface.vertices) == crossed_edges(sampled(ball, 96))


def test_a_plate_thinner_than_a_coarse_cell_stays_whole():
    value = plate(1.5 * 2 / 96)
    surface = isosurface(value, BOX, 96, quiet, coarse=12)
    assert measured(surface).euler_number == 2
    assert on_edges(surface, 96) == crossed_edges(sampled(value, 96))


def test_a_ball_of_two_cells_between_the_coarse_samples_is_found_beside_a_large_one():
    centre = np.full(3, 1 / 3 + 1 / 12)  # in the middle of a coarse cell
    surface = isosurface(lambda p: np.maximum(ball(p, radius=0.4), ball(p, centre, 2 / 96)), BOX, 96, quiet, coarse=12)
    assert measured(surface).body_count == 2


def test_two_balls_that_touch_in_a_point_stay_a_manifold():
    value = lambda p: np.maximum(ball(p, (-0.4, 0, 0), 0.4), ball(p, (0.4, 0, 0), 0.4))  # noqa: E731
    assert_manifold(isosurface(value, BOX, 96, quiet))


@pytest.mark.parametrize("seed", range(6))
def test_no_crack_and_no_lost_part_in_random_waves(seed):
    cells, finest, level = 64, (4, 8, 16, 24, 16, 24)[seed], (0.0, 0.2, 0.6, 1.0, 1.2, 1.4)[seed]
    value = waves(seed, finest, level)
    surface = isosurface(value, BOX, cells, quiet, coarse=16)
    assert_manifold(surface)
    assert on_edges(surface, cells) == crossed_edges(sampled(value, cells))


@pytest.mark.parametrize("seed", range(3))
def test_values_without_any_smoothness_make_a_closed_manifold_too(seed):
    noise = np.random.default_rng(seed).normal(size=(12, 12, 12)).astype(np.float32)
    surface = isosurface(lambda p: noise[tuple(np.rint((p + 1) * 5.5).astype(int).T)], BOX, 11, quiet)
    assert_manifold(surface)


@pytest.mark.parametrize("side", [1, -1])
def test_a_surface_that_is_found_in_one_place_is_followed_where_the_field_gives_no_warning(side):
    """A rod that ends in a ball, in a field that is constant but for the surface itself: no coarse sample shows it."""
    start, along = side * np.float32([-0.45, -0.4, -0.6]), side * np.float32([0.48, 0.36, 0.8])

    def value(points):
        t = np.clip((points - start) @ along, 0.0, 1.3)[:, None]
        rod = 0.03 - np.linalg.norm(points - start - t * along, axis=1)
        return np.clip(np.maximum(rod, ball(points, start, 0.2)), -0.004, 0.004)

    surface = isosurface(value, BOX, 96, quiet, coarse=12)
    assert_manifold(surface)
    assert on_edges(surface, 96) == crossed_edges(sampled(value, 96))


def test_what_reaches_the_border_of_the_box_is_closed_there():
    low_box = np.array([[-1.0, -0.7, -0.3], [1.0, 0.5, 0.31]])
    surface = isosurface(lambda p: ball(p, radius=0.6), low_box, 96, quiet)
    assert_manifold(surface)
    bounds = measured(surface).bounds
    assert (bounds[0] >= low_box[0]).all() and (bounds[1] <= low_box[1]).all()
    assert np.allclose(bounds[:, 2], low_box[:, 2], atol=surface.spacing)


def test_the_field_may_stop_the_work_through_the_report():
    class Cancelled(Exception):
        pass

    heard = []

    def report(share, message):
        heard.append(share)
        if share > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        isosurface(ball, BOX, 96, report, batch=2_000)
    assert heard == sorted(heard) and len(heard) > 10


@pytest.mark.parametrize(
    "value, words",
    [
        (lambda p: np.full(len(p), -1.0, np.float32), "nowhere inside"),
        (lambda p: ball(p, radius=-0.5), "nowhere inside"),
        (lambda p: np.full(len(p), 1.0, np.float32), "inside everywhere"),
        (lambda p: np.where(p[:, 0] > 0.5, np.nan, ball(p)), "not finite"),
        (lambda p: np.where(p[:, 0] > 0.5, np.inf, ball(p)), "not finite"),
        (lambda p: ball(p)[:, None], "shape"),
    ],
)
def test_a_field_without_a_surface_is_refused_in_plain_words(value, words):
    with pytest.raises(ValueError, match=words):
        isosurface(value, BOX, 40, quiet)


def test_all_cases_of_a_cube_fit_each_other_on_its_faces():
    """Edges of the triangles that lie in a face run between the face's crossed edges, each once; others twice."""
    for inside, joined in itertools.product(range(256), (0, 63)):
        edges = [(t[k], t[(k + 1) % 3]) for t in marching.triangles(inside, joined) for k in range(3)]
        assert len(set(edges)) == len(edges)
        border = {(a, b) for a, b in edges if (b, a) not in edges}
        crossed = [e for e, (a, b) in enumerate(marching.EDGES) if (inside >> a & 1) != (inside >> b & 1)]
        assert sorted(a for a, _ in border) == sorted(b for _, b in border) == crossed
