# SPDX-License-Identifier: GPL-3.0-or-later
"""Tidying and simplifying a surface: what goes, what stays, and that closed stays closed."""

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.geometry.solid import is_closed
from image_to_3d.worker.geometry.surface import clean
from image_to_3d.worker.geometry.surface.decimate import decimated
from image_to_3d.worker.geometry.surface.isosurface import isosurface
from scipy.spatial.transform import Rotation

BOX = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def ball(subdivisions=3, radius=1.0, centre=(0.0, 0.0, 0.0), inwards=False):
    mesh = trimesh.creation.icosphere(subdivisions, radius)
    faces = np.asarray(mesh.faces, np.int32)
    return np.asarray(mesh.vertices) + centre, faces[:, ::-1] if inwards else faces


def together(*surfaces):
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in surfaces])
    faces = [faces + start for (_, faces), start in zip(surfaces, starts, strict=False)]
    return np.concatenate([v for v, _ in surfaces]), np.concatenate(faces).astype(np.int32)


def as_mesh(surface):
    return trimesh.Trimesh(*surface, process=False)


def assert_manifold(surface):
    assert is_closed(surface[1])
    assert len(clean.manifold(*surface)[0]) == len(surface[0])


def test_parts_go_by_their_area_and_not_by_their_number_of_faces():
    large, fine_speck = ball(1), ball(4, 0.05, (3, 0, 0))
    vertices, faces = clean.without_small_parts(*together(fine_speck, large, ball(1, 0.9, (-3, 0, 0))), 0.01)
    assert len(faces) == 2 * len(large[1])
    assert vertices[:, 0].max() < 2


def test_no_more_parts_stay_than_there_are_unless_they_are_large():
    three = together(ball(2), ball(2, 0.6, (3, 0, 0)), ball(2, 0.2, (-3, 0, 0)))
    count = lambda *more: as_mesh(clean.without_small_parts(*three, 0.01, *more)).body_count  # noqa: E731
    assert [count(), count(3, 0.1), count(2, 0.1), count(1, 0.1), count(1, 0.5)] == [3, 3, 2, 2, 1]


def test_a_hollow_inside_is_taken_out_and_a_part_outside_of_it_is_not():
    surface = together(ball(), ball(2, 0.5, inwards=True), ball(2, 0.2, (2, 0, 0)))
    kept = clean.without_cavities(*surface)
    assert as_mesh(kept).body_count == 2
    assert as_mesh(kept).volume > as_mesh(surface).volume + 0.4


def test_slivers_go_and_the_surface_stays_closed():
    found = isosurface(lambda p: np.float32(0.7) - np.linalg.norm(p, axis=1), BOX, 32, lambda *_: None)
    shortest = lambda s: np.linalg.norm(s[0][s[1]] - s[0][np.roll(s[1], 1, 1)], axis=2).min()  # noqa: E731
    assert shortest((found.vertices, found.faces)) < 0.05 * found.spacing
    tidy = clean.without_slivers(found.vertices, found.faces, 0.2 * found.spacing)
    assert_manifold(tidy)
    assert shortest(tidy) > 0.1 * found.spacing
    assert as_mesh(tidy).volume == pytest.approx(as_mesh((found.vertices, found.faces)).volume, rel=1e-2)


def test_faces_back_to_back_cancel_out():
    vertices, faces = ball(1)
    extra = np.int32([[0, 5, 9], [9, 5, 0], [3, 3, 8]])
    tidy = clean.cancelled(np.concatenate([faces, extra]))
    assert len(tidy) == len(faces) and is_closed(tidy)
    assert as_mesh((vertices, tidy)).volume == pytest.approx(as_mesh((vertices, faces)).volume)


def test_two_balls_welded_along_an_edge_come_apart():
    vertices, faces = ball(1)
    other = vertices * (-1, 1, 1) + (2.5, 0, 0)
    a, b = faces[0, :2]
    renumber = np.arange(len(vertices)) + len(vertices)
    renumber[[a, b]] = a, b
    welded = np.concatenate([faces, renumber[faces][:, ::-1]]).astype(np.int32)
    joined = np.concatenate([vertices, other])
    assert not is_closed(welded)
    apart = clean.manifold(joined, welded)
    assert_manifold(apart)
    assert as_mesh(apart).euler_number == 4
    assert len(trimesh.Trimesh(*apart).vertices) == len(apart[0])  # welding by place finds nothing to weld


def test_smoothing_takes_noise_away_and_keeps_the_size():
    vertices, faces = ball(4)
    rng = np.random.default_rng(0)
    noisy = vertices + rng.normal(scale=0.01, size=vertices.shape)
    smooth, _ = clean.smoothed(noisy, faces, 10)
    radius = np.linalg.norm(smooth, axis=1)
    assert radius.std() < 0.4 * np.linalg.norm(noisy, axis=1).std()
    assert radius.mean() == pytest.approx(1.0, abs=2e-3)


def thin_things(points):
    """A sheet, bars and balls that touch: what edge collapses get wrong."""
    x, y, z = np.abs(points).T
    bars = np.minimum(0.03 - np.maximum(np.abs(x - 0.4), np.abs(y - 0.3)), 0.8 - z)
    sheet = np.minimum(0.015 - np.abs(points[:, 2] - 0.1), 0.7 - np.maximum(x, y))
    balls = 0.2 - np.linalg.norm(np.stack([x - 0.2, y, points[:, 2] + 0.4], axis=1), axis=1)
    return np.maximum(np.maximum(bars, sheet), balls).astype(np.float32)


@pytest.mark.parametrize("target", [8000, 1000, 150, 40])
def test_a_closed_surface_stays_a_closed_manifold_with_any_number_of_faces(target):
    found = isosurface(thin_things, BOX, 96, lambda *_: None)
    fewer = decimated(found.vertices, found.faces, target)
    assert_manifold(fewer)
    assert 0.5 * target < len(fewer[1]) < 1.1 * target
    if target >= 1000:
        volume = as_mesh((found.vertices, found.faces)).volume
        assert as_mesh(fewer).volume == pytest.approx(volume, rel=0.05)
        assert as_mesh(fewer).bounds == pytest.approx(as_mesh((found.vertices, found.faces)).bounds, abs=0.02)


def test_a_surface_with_few_faces_is_left_as_it_is():
    vertices, faces = ball(1)
    assert decimated(vertices, faces, 1000)[1] is faces


def test_a_surface_of_which_nothing_would_be_left_is_refused_in_plain_words():
    vertices, faces = ball(2)
    with pytest.raises(ValueError, match="ask for more"):
        decimated(vertices, faces, 2)


def test_no_short_edge_stays_however_long_the_chain_of_them():
    """In a chain each edge is a little longer than the last."""
    vertices, faces = ball(5)
    along = np.sign(vertices[:, 2]) * np.abs(vertices[:, 2]) ** 9  # the equator's rings nearly touch
    squeezed = np.column_stack([vertices[:, :2] * np.where(np.abs(along) < 0.01, 1e-3, 1.0)[:, None], along])
    edges = clean._edges(faces)
    limit = clean.SHORTEST * np.ptp(squeezed, axis=0).max()
    assert (clean._lengths(squeezed, edges) < limit).sum() > 1000
    fewer, kept = clean.without_short_edges(squeezed, faces)
    assert clean._lengths(fewer, clean._edges(kept)).min() >= clean.SHORTEST * np.ptp(fewer, axis=0).max()
    assert is_closed(kept)


@pytest.mark.parametrize("target", [1000, 4000])
def test_planes_are_simplified_to_as_few_faces_as_wanted_and_not_to_slivers(target):
    turn = Rotation.from_euler("xyz", [20, 30, 10], degrees=True).as_matrix()
    half = np.array([0.5, 0.35, 0.25])

    def box(points: np.ndarray) -> np.ndarray:
        return (half - np.abs(points @ turn)).min(axis=1).astype(np.float32)

    found = isosurface(box, np.array([[-0.8] * 3, [0.8] * 3]), 96, lambda *_: None)
    tidy = clean.without_slivers(*clean.smoothed(found.vertices, found.faces, 5), 0.1 * found.spacing)
    vertices, faces = decimated(*tidy, target)
    sides = np.linalg.norm(vertices[faces] - np.roll(vertices[faces], 1, axis=1), axis=2)
    quality = 4 * np.sqrt(3) * as_mesh((vertices, faces)).area_faces / (sides**2).sum(axis=1)
    assert len(faces) <= target and (quality < 0.2).mean() < 0.06
    assert np.ptp(vertices @ turn, axis=0) == pytest.approx(2 * half, abs=0.005)
