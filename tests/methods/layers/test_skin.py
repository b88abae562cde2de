# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces of included networks as they are felt: a flat box and a ball have no ripple."""

import numpy as np
import pytest
import trimesh
from image_to_3d.tests import render
from image_to_3d.tests.methods.asked import run, task
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.finish.dispatch import finished
from image_to_3d.worker.finish.options import LayersOptions
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.weights import WeightStore
from scipy.spatial import cKDTree

AROUND = 0.02
"""Of the longest side: over so much a surface is taken for smooth where it is meant to be."""


def picture_of(mesh: trimesh.Trimesh) -> Picture:
    shape = render.Shape(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    view = render.orbit_view(shape, 30.0, 20.0, 384)
    colour = render.render(shape, view, (0, 0, 0), samples=2, shading=0.6).colour
    seen = np.isfinite(render.render(shape, view).depth)
    return Picture(colour, np.where(seen, 255, 0).astype(np.uint8), 35.0, "", "thing")


def skin(mesh: trimesh.Trimesh) -> float:
    """Median angle in degrees between faces and the mean of the faces around them."""
    middles, normals, areas = mesh.triangles_center, mesh.face_normals, mesh.area_faces
    chosen = np.arange(0, len(middles), 5)
    near = cKDTree(middles).query_ball_point(middles[chosen], AROUND * mesh.extents.max())
    mean = np.stack([(normals[each] * areas[each][:, None]).sum(0) for each in near])
    cosine = (mean * normals[chosen]).sum(1) / np.maximum(np.linalg.norm(mean, axis=1), 1e-12)
    return float(np.median(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))))


@pytest.mark.parametrize("network", ["included-object", "included-generator"])
@pytest.mark.parametrize(
    "mesh", [trimesh.creation.box((1.0, 0.7, 0.5)), trimesh.creation.icosphere(4)], ids=["box", "ball"]
)
def test_a_box_and_a_ball_are_smooth(tmp_path, network, mesh):
    found = run(task(network, WeightStore(tmp_path), picture_of(mesh)))
    made = finished(found, LayersOptions(faces=100_000), Job(lambda *_: None)).mesh
    surface = trimesh.Trimesh(made.vertices, made.faces, process=False)
    surface.merge_vertices(merge_tex=True, merge_norm=True)
    assert skin(surface) < 1.0


def test_the_figure_tells_ripple_from_smoothness():
    ball = trimesh.creation.icosphere(5)
    rippled = trimesh.Trimesh(ball.vertices * (1 + 0.004 * np.sign(np.sin(80 * ball.vertices[:, :1]))), ball.faces)
    assert skin(ball) < 0.3 and skin(rippled) > 2.0
