# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh that is drawn to the outlines of pictures from several sides."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import View
from image_to_3d.worker.geometry.around import looking
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.projection import silhouette_iou
from image_to_3d.worker.geometry.texturing.seen import pictured
from image_to_3d.worker.geometry.views_pull import pulled


def plate(lean: float, width: float = 1.0) -> Mesh:
    """A round one, that leans to the front by so many degrees."""
    turn = trimesh.transformations.rotation_matrix(np.radians(90.0 + lean), (1.0, 0.0, 0.0))
    made = trimesh.creation.cylinder(1.0, 0.06).subdivide().subdivide().apply_transform(turn)
    return Mesh(np.float32(made.vertices * [width, 1.0, 1.0]), np.int32(made.faces))


def views(mesh: Mesh) -> list[tuple[View, float]]:
    found = [looking(mesh, yaw, pitch, 128) for pitch in (50.0, -50.0) for yaw in range(0, 360, 90)]
    return [(replace(view, mask=pictured(mesh, view, np.zeros(3))[1]), 1.0) for view in found]


def upright(points: np.ndarray) -> np.ndarray:
    """The direction in which points reach least."""
    least = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][2]
    return least * np.sign(least[1])


@pytest.mark.parametrize("lean", [-40.0, 40.0])
def test_a_plate_that_leans_another_way_is_turned_as_a_whole(lean):
    told = views(plate(0.0))
    found = pulled(plate(lean).vertices, plate(lean).faces, told)
    assert np.degrees(np.arccos(upright(found)[1])) < 6.0
    assert np.ptp(found[:, 1]) < 0.4


def test_a_wider_mesh_gets_the_outlines():
    told, wide = views(plate(0.0)), plate(0.0, 1.3)
    found = pulled(wide.vertices, wide.faces, told)
    fits = [silhouette_iou(found, wide.faces, view.mask >= 128, view, 128) for view, _ in told]
    assert min(fits) > 0.95


def test_a_card_without_any_thickness_is_turned_too():
    told, card = views(plate(0.0)), plate(30.0)
    flat = Mesh(card.vertices.copy(), card.faces)
    turn = trimesh.transformations.rotation_matrix(np.radians(-30.0), (1.0, 0.0, 0.0))[:3, :3]
    flat.vertices[:, :] = (flat.vertices @ turn.T) * np.float32([1.3, 0.0, 1.0])
    found = pulled(flat.vertices, flat.faces, told)
    assert np.isfinite(found).all() and np.ptp(found[:, 0]) < 2.3
