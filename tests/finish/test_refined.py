# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture's normals have to say before a mesh is stretched and bent to its outline."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.finish import refined
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.facing import faced
from image_to_3d.worker.geometry.texturing.projection import silhouette_iou
from image_to_3d.worker.geometry.texturing.rasterise import depth_buffer

FRONT = View(PinholeCamera.from_fov(160, 120, 35.0), np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 6.0]))


@pytest.mark.parametrize("whose", ["the mesh's", "the thing's", "nobody's"])
def test_a_mesh_that_faces_as_the_picture_says_is_neither_stretched_nor_bent(monkeypatch, whose):
    ball = trimesh.creation.icosphere(4)
    mesh = Mesh(np.float32(ball.vertices), np.int32(ball.faces))
    thing = replace(mesh, vertices=mesh.vertices * np.float32([1.15, 1.0, 0.5]))
    mask = np.isfinite(depth_buffer(thing.vertices, thing.faces, FRONT))
    shown = {"the mesh's": mesh, "the thing's": thing}.get(whose)
    normals = None if shown is None else np.float32(faced(shown.vertices, shown.faces, FRONT))
    asked, original = [], refined.warped
    monkeypatch.setattr(refined, "warped", lambda *given: asked.append(given) or original(*given))
    before = silhouette_iou(mesh.vertices, mesh.faces, mask, FRONT, 512)
    _, _, after = refined._followed(mesh, mask, replace(FRONT, normals=normals), before, Job(lambda *_: None))
    assert bool(asked) == (whose != "the mesh's")
    assert before < 0.9 and after > 0.97
