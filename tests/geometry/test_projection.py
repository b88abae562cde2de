# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras fitted to outlines."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.texturing import projection
from image_to_3d.worker.geometry.texturing.projection import fitted_from, fitted_view, moved, silhouette_iou
from image_to_3d.worker.geometry.texturing.rasterise import depth_buffer, projected

TRUE = View(PinholeCamera.from_fov(480, 400, 40.0), np.diag([1.0, -1.0, -1.0]), np.array([0.1, 0.2, 5.0]))


def thing():
    parts = [trimesh.creation.box((1.2, 0.5, 0.7)), trimesh.creation.cylinder(0.2, 1.0)]
    parts[1].apply_translation((0.5, 0.6, 0.1))
    return trimesh.util.concatenate(parts).subdivide()


def mask_of(mesh, view=TRUE):
    return np.isfinite(depth_buffer(mesh.vertices, mesh.faces, view))


def off(mesh, view):
    """Mean distance in pixels from where the true camera sees the vertices."""
    return np.linalg.norm(projected(mesh.vertices, view)[:, :2] - projected(mesh.vertices, TRUE)[:, :2], axis=1).mean()


@pytest.mark.parametrize(
    "change", [(0.08, -0.05, 0, 0, 0), (0, 0, 0.15, 0, 0), (0.05, 0.03, -0.1, 0.1, -0.12), (0, 0, 0, -0.1, 0.1)]
)
def test_a_camera_that_stands_wrong_is_brought_back(change):
    mesh = thing()
    start = moved(TRUE, np.array(change), mesh.bounds.mean(axis=0), 1.5)
    fit = fitted_view(mesh.vertices, mesh.faces, mask_of(mesh), start)
    assert fit.iou > 0.95 > fit.start_iou
    assert off(mesh, fit.view) < min(3.0, 0.4 * off(mesh, start))
    assert np.linalg.det(fit.view.rotation) == pytest.approx(1.0)


def test_a_camera_that_stands_right_does_not_get_worse():
    mesh = thing()
    fit = fitted_view(mesh.vertices, mesh.faces, mask_of(mesh), TRUE)
    assert fit.iou >= fit.start_iou > 0.97
    assert off(mesh, fit.view) < 1.0


@pytest.mark.parametrize("kind", ["nothing", "noise", "everything"])
def test_a_mask_that_is_no_help_makes_nothing_worse(kind):
    mesh, rng = thing(), np.random.default_rng(0)
    masks = {"nothing": np.zeros((400, 480), bool), "noise": rng.random((400, 480)) < 0.5}
    mask = masks.get(kind, np.ones((400, 480), bool))
    fit = fitted_view(mesh.vertices, mesh.faces, mask, TRUE)
    assert fit.iou >= fit.start_iou
    assert silhouette_iou(mesh.vertices, mesh.faces, mask, fit.view, 512) == pytest.approx(fit.iou)


def test_a_thing_behind_the_camera_leaves_the_camera_where_it_is():
    mesh = thing()
    away = View(TRUE.camera, np.diag([-1.0, -1.0, 1.0]), TRUE.position)
    assert fitted_view(mesh.vertices, mesh.faces, mask_of(mesh), away).view is away


def test_a_mask_of_another_size_is_refused():
    mesh = thing()
    with pytest.raises(ValueError, match="mask of shape"):
        fitted_view(mesh.vertices, mesh.faces, np.ones((10, 10), bool), TRUE)


def figure():
    """Something like a person with a head, whose arm points a little to the side."""
    parts = [
        trimesh.creation.box((0.4, 1.2, 0.3)),
        trimesh.creation.box((1.0, 0.2, 0.2)),
        trimesh.creation.icosphere(2),
    ]
    parts[1].apply_translation((0.1, 0.3, 0.1))
    parts[2].apply_scale(0.3).apply_translation((0.0, 0.8, 0.05))
    return trimesh.util.concatenate(parts).subdivide()


def swung(view, mesh, up, sideways):
    return moved(view, np.array([0, 0, 0, *np.radians([up, sideways])]), mesh.bounds.mean(axis=0), 1.0)


@pytest.mark.parametrize("sideways", [-70.0, 60.0])
def test_a_camera_that_stands_on_another_side_is_found_from_the_start_that_is_next_to_it(sideways):
    mesh = figure()
    front = swung(TRUE, mesh, 0.0, -sideways)
    assert off(mesh, fitted_view(mesh.vertices, mesh.faces, mask_of(mesh), front).view) > 10.0
    starts = [front, *(swung(front, mesh, up, side) for up in (0.0, 25.0) for side in (-60.0, -30.0, 30.0, 60.0))]
    fit = fitted_from(mesh.vertices, mesh.faces, mask_of(mesh), starts)
    assert fit.iou > 0.95 and off(mesh, fit.view) < 5.0


def test_a_thing_that_looks_alike_from_many_sides_is_seen_from_the_likeliest():
    ball = trimesh.creation.icosphere(3)
    starts = [swung(TRUE, ball, 0.0, sideways) for sideways in (0.0, 30.0, 60.0, -30.0)]
    fit = fitted_from(ball.vertices, ball.faces, mask_of(ball), starts)
    assert np.arccos(np.clip((np.trace(fit.view.rotation @ TRUE.rotation.T) - 1) / 2, -1, 1)) < 0.1


@pytest.mark.parametrize(("normal", "asked"), [(None, False), ((0.0, 0.0, -1.0), False), ((0.6, 0.0, -0.8), True)])
def test_where_the_first_side_fits_wholly_no_other_is_looked_at(monkeypatch, normal, asked):
    plate = trimesh.creation.box((1.2, 0.8, 0.1)).subdivide()
    normals = None if normal is None else np.zeros((40, 48, 3), np.float32) + np.float32(normal)
    looked, original = [], projection.framed_from
    monkeypatch.setattr(projection, "framed_from", lambda *given: looked.append(given) or original(*given))
    mask, aside = mask_of(plate), moved(TRUE, np.array([0, 0, 0, 0, 1.5]), np.zeros(3), 1.5)
    fitted_from(plate.vertices, plate.faces, mask, [replace(each, normals=normals) for each in (TRUE, aside)])
    assert bool(looked) == asked
