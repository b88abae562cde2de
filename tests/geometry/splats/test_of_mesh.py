# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces as splats."""

from __future__ import annotations

import numpy as np
import pytest
from image_to_3d.tests.geometry.splats import some
from image_to_3d.worker.core.harmonics import colours
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.splats import of_mesh


def square(side: int = 64) -> Mesh:
    """In the plane z = 0, its texture red to the right and green downwards."""
    vertices = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    uv = np.float32([[0, 1], [1, 1], [1, 0], [0, 0]])
    rows, columns = np.mgrid[:side, :side] * 255 // side
    texture = np.stack([columns, rows, np.full_like(rows, 90)], 2).astype(np.uint8)
    return Mesh(vertices, np.int32([[0, 1, 2], [0, 2, 3]]), uv, None, texture)


def test_they_lie_in_the_surface_evenly_with_its_colours():
    splats = of_mesh.splats_of((square(),), 5000)
    assert 3000 < len(splats) < 7000 and np.abs(splats.centres[:, 2]).max() < 1e-6
    counts = np.histogram2d(splats.centres[:, 0], splats.centres[:, 1], 8, [[0, 1], [0, 1]])[0]
    assert counts.min() > 0.8 * counts.mean()
    shown = colours(splats.harmonics, np.zeros((len(splats), 3)))
    wanted = np.stack([splats.centres[:, 0], 1.0 - splats.centres[:, 1]], 1)
    assert np.abs(shown[:, :2] - wanted).max() < 0.03


def test_they_are_flat_and_as_large_as_their_pieces():
    splats = of_mesh.splats_of((square(),), 5000)
    turned = some.matrices(splats.rotations)
    thinnest = np.argmin(splats.scales, 1)
    normals = turned[np.arange(len(splats)), :, thinnest]
    assert np.abs(normals[:, 2]).min() > 0.999
    covered = 2.0 * np.pi * np.sort(splats.scales, 1)[:, 1:].prod(1).sum()
    assert 1.5 < covered < 4.0  # of the square's area: they overlap, and not by much


def test_what_shows_much_gets_many_however_small_it_is():
    near = square()
    far = Mesh(near.vertices * np.float32(50.0) + np.float32([0, 0, -90]), near.faces, near.uv, None, near.texture)
    vertices = np.concatenate([near.vertices, far.vertices])
    uv = np.concatenate([near.uv * np.float32((0.5, 1)), near.uv * np.float32((0.5, 1)) + np.float32((0.5, 0))])
    both = Mesh(vertices, np.concatenate([near.faces, near.faces + 4]), uv, None, near.texture)
    splats = of_mesh.splats_of((both,), 4000)
    assert 0.4 < (splats.centres[:, 2] > -1.0).mean() < 0.6


def test_those_of_a_needle_do_not_reach_beyond_its_ends():
    near = square()
    strip = near.vertices * np.float32([1.0, 0.005, 1.0]) - np.float32([0.0, 0.0, 5.0])  # shows little, and is long
    vertices, uv = np.concatenate([near.vertices, strip]), np.concatenate([near.uv, near.uv * np.float32(0.01)])
    splats = of_mesh.splats_of(
        (Mesh(vertices, np.concatenate([near.faces, near.faces + 4]), uv, None, near.texture),), 900
    )
    needles = splats.centres[:, 2] < -1.0
    along = (np.abs(some.matrices(splats.rotations)[:, 0]) * splats.scales).max(1)[needles]
    assert (splats.centres[needles, 0] + 2.0 * along).max() < 1.15 and needles.sum() < 100


def test_of_nothing_there_are_none():
    flat = Mesh(np.zeros((3, 3), np.float32), np.int32([[0, 1, 2]]))
    with pytest.raises(ValueError, match="no surface"):
        of_mesh.splats_of((flat,), 100)
