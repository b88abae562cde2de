# SPDX-License-Identifier: GPL-3.0-or-later
"""A shape that was there before, and pictures of another: what stays of it, and what is new."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.cameras.capture import TO_GLTF
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View
from image_to_3d.worker.geometry.around import looking
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.seen import pictured
from image_to_3d.worker.methods.multiview_fit.grid_space import Lattice
from image_to_3d.worker.methods.multiview_fit.hollows import opened
from image_to_3d.worker.methods.multiview_fit.outlined import outlined_field
from image_to_3d.worker.methods.multiview_fit.outlines import Hull

JOB, CELLS = Job(lambda *_: None), 64
HALF = np.array([1.0, 0.6, 0.6])
DISC, THICK = 1.0, 0.08
UP, ASIDE = (trimesh.transformations.rotation_matrix(np.pi / 2.0, axis) for axis in ([1, 0, 0], [0, 1, 0]))


def mesh_of(shape: trimesh.Trimesh) -> Mesh:
    return Mesh(np.float32(shape.vertices), np.int32(shape.faces))


def views(mesh: Mesh, pitches: tuple[float, ...] = (-30.0, 10.0, 50.0)) -> list[View]:
    """Of a plain thing from all around."""
    found = [looking(mesh, yaw + pitch, pitch, 128) for pitch in pitches for yaw in range(0, 360, 90)]
    pictures = [pictured(mesh, view, np.zeros(3), 4) for view in found]
    return [replace(view, rgb=rgb, mask=mask) for view, (rgb, mask) in zip(found, pictures)]


def block(points: np.ndarray) -> np.ndarray:
    return (HALF - np.abs(points)).min(axis=1)


def disc(points: np.ndarray) -> np.ndarray:
    return np.minimum(DISC - np.linalg.norm(points[:, [0, 2]], axis=1), THICK / 2.0 - np.abs(points[:, 1]))


@pytest.fixture(scope="module")
def of_a_block() -> list[View]:
    return views(mesh_of(trimesh.creation.box(2.0 * HALF)))


def told(views: list[View], before, points: list) -> np.ndarray:
    return outlined_field(views, before, CELLS, JOB.span(0.0, 1.0)).value(np.float32(points))


def test_a_dent_that_no_outline_shows_stays_of_what_was_there(of_a_block):
    def dented(points: np.ndarray) -> np.ndarray:
        return np.minimum(block(points), np.linalg.norm(points - (0.0, 0.6, 0.0), axis=1) - 0.35)

    places = [(0.0, 0.4, 0.0), (0.0, 0.1, 0.0), (0.8, 0.4, 0.0), (0.0, 0.75, 0.0)]
    assert (told(of_a_block, dented, places) > 0.0).tolist() == [False, True, True, False]
    assert (told(of_a_block, block, places) > 0.0).tolist() == [True, True, True, False]


def test_what_was_there_beyond_the_outlines_goes(of_a_block):
    def larger(points: np.ndarray) -> np.ndarray:
        return (1.3 * HALF - np.abs(points)).min(axis=1)

    found = told(of_a_block, larger, [(1.15, 0.0, 0.0), (0.0, 0.7, 0.0), (0.9, 0.0, 0.0), (0.0, 0.5, 0.0)])
    assert (found > 0.0).tolist() == [False, False, True, True]


def test_a_part_that_was_not_there_grows():
    rod = trimesh.creation.cylinder(0.08, 0.9).apply_transform(ASIDE)
    both = trimesh.util.concatenate([trimesh.creation.box(2.0 * HALF), rod.apply_translation((1.4, 0.0, 0.0))])
    found = told(views(mesh_of(both)), block, [(1.2, 0.0, 0.0), (1.7, 0.0, 0.0), (1.5, 0.2, 0.0), (0.9, 0.5, 0.0)])
    assert (found > 0.0).tolist() == [True, True, False, True]


def test_a_plate_that_is_only_seen_from_steep_places_stays_thin():
    plate = mesh_of(trimesh.creation.cylinder(DISC, THICK).apply_transform(UP))
    steep = views(plate, (-50.0, 50.0))
    above = np.linspace(0.0, 0.5, 26)
    inside = told(steep, disc, [(away, height, 0.0) for away in (0.0, 0.6) for height in above]).reshape(2, -1) > 0.0
    assert inside[:, 0].all() and above[inside.any(axis=0)].max() < 0.12
    filled = told(steep, lambda points: np.full(len(points), 1.0), [(0.0, 0.2, 0.0)])
    assert filled[0] > 0.0  # what outlines alone would make of it


def test_outlines_that_agree_on_nothing_are_told(of_a_block):
    aside = [replace(view, mask=np.roll(view.mask * (np.arange(128) < 64), 60, axis=1)) for view in of_a_block]
    with pytest.raises(Unable):
        outlined_field(aside, block, CELLS, JOB.span(0.0, 1.0))


def test_a_plain_block_gets_no_hollow(of_a_block):
    views = [replace(v, rotation=v.rotation @ TO_GLTF, position=TO_GLTF.T @ v.position) for v in of_a_block]
    lattice = Lattice.over(np.array([[-1.1, -0.7, -0.7], [1.1, 0.7, 0.7]]), CELLS)
    hull = Hull.of(views, lattice, JOB.span(0.0, 1.0)).distance
    assert (opened(views, hull, lattice, JOB.span(0.0, 1.0)) == hull).all()
