# SPDX-License-Identifier: GPL-3.0-or-later
"""Laying meshes flat: nothing lost, nothing on top of anything else, nothing too near or too stretched."""

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.geometry.mesh import Mesh, face_vectors
from image_to_3d.worker.geometry.texturing import packing
from image_to_3d.worker.geometry.texturing.charts import charted, neighbours, pieces
from image_to_3d.worker.geometry.texturing.rasterise import covered
from image_to_3d.worker.geometry.texturing.unwrap import unwrapped
from scipy import ndimage

SIZE = 256


def mesh_of(made):
    return Mesh(np.asarray(made.vertices, np.float32), np.asarray(made.faces, np.int32))


def coil():
    """A flat spiral stair: all of it faces up, and it lies above itself twice."""
    turn = np.linspace(0, 6 * np.pi, 200)
    ring = [np.column_stack([r * np.cos(turn), 0.05 * turn, r * np.sin(turn)]) for r in (0.5, 1.0)]
    i = np.arange(199)
    faces = np.concatenate([np.column_stack([i, i + 200, i + 1]), np.column_stack([i + 1, i + 200, i + 201])])
    return Mesh(np.concatenate(ring).astype(np.float32), faces.astype(np.int32))


def rough():
    made = trimesh.creation.icosphere(3)
    bumps = 1.0 + 0.15 * np.random.default_rng(0).normal(size=(len(made.vertices), 1))
    return trimesh.Trimesh(made.vertices * bumps, made.faces, process=False)


SHAPES = {
    "box": lambda: mesh_of(trimesh.creation.box()),
    "torus": lambda: mesh_of(trimesh.creation.torus(1.0, 0.3)),
    "rough ball": lambda: mesh_of(rough()),
    "coil": coil,
    "one triangle": lambda: Mesh(np.eye(3, dtype=np.float32), np.int32([[0, 1, 2]])),
    "twin triangles": lambda: Mesh(np.eye(3, dtype=np.float32), np.int32([[0, 1, 2], [0, 1, 2], [0, 2, 1]])),
    "needle": lambda: Mesh(
        np.float32([[0, 0, 0], [9, 0, 0], [9, 1e-6, 0], [9, 9e-6, 0]]), np.int32([[0, 1, 2], [0, 2, 3], [1, 1, 2]])
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_faces_stay_where_they_are_and_charts_keep_apart(name):
    mesh = SHAPES[name]()
    flat = unwrapped(mesh, SIZE, padding=4)
    assert (flat.vertices[flat.faces] == mesh.vertices[mesh.faces]).all()
    assert flat.uv.min() >= 0 and flat.uv.max() <= 1
    corners = flat.uv[flat.faces].astype(float) * SIZE
    found = covered(corners, SIZE, SIZE, -0.02)
    assert len(np.unique(found.pixel)) == len(found), "faces lie on top of each other"
    whole = covered(corners, SIZE, SIZE)
    chart = pieces(np.zeros(len(flat.faces), np.int64), neighbours(flat.faces))[whole.face]
    picture = np.full(SIZE * SIZE, -1)
    picture[whole.pixel] = chart
    picture = picture.reshape(SIZE, SIZE)
    high = ndimage.maximum_filter(picture, 3)
    low = ndimage.minimum_filter(np.where(picture < 0, 1 << 30, picture), 3)
    assert (high[picture >= 0] == low[picture >= 0]).all(), "charts touch"


def test_texels_are_nearly_as_dense_everywhere_and_not_mirrored():
    flat = unwrapped(mesh_of(trimesh.creation.torus(1.0, 0.3)), SIZE)
    corners = flat.uv[flat.faces].astype(float) * (1.0, -1.0)  # v points down
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    density = area / np.linalg.norm(face_vectors(flat.vertices, flat.faces), axis=1)
    assert area.min() > 0
    assert np.median(density) < 1.6 * np.percentile(density, 5)
    assert density.max() < 2.0 * np.median(density)
    assert area.sum() / 2 > 0.3, "most of the page is empty"


def test_no_chart_sees_a_face_from_too_far_aside():
    mesh = mesh_of(rough())
    chart, directions = charted(mesh.vertices, mesh.faces)
    normals = face_vectors(mesh.vertices, mesh.faces)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    assert (normals * directions[chart]).sum(axis=1).min() > 0.34


def test_shading_does_not_show_the_seams():
    mesh = mesh_of(trimesh.creation.icosphere(3))
    flat = unwrapped(mesh, SIZE)
    assert len(flat.vertices) > len(mesh.vertices)
    smooth = flat.vertices / np.linalg.norm(flat.vertices, axis=1, keepdims=True)
    assert (flat.normals * smooth).sum(axis=1).min() > 0.99


def test_the_same_mesh_is_always_laid_out_alike():
    mesh = mesh_of(trimesh.creation.torus(1.0, 0.3))
    assert (unwrapped(mesh, SIZE).uv == unwrapped(mesh, SIZE).uv).all()


def test_what_cannot_be_laid_out_is_refused():
    with pytest.raises(ValueError, match="no faces"):
        unwrapped(Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)), SIZE)
    with pytest.raises(Unable, match="do not fit a texture of 8 texels: choose a larger"):
        unwrapped(mesh_of(trimesh.creation.box()), 8, padding=8)


def loose(count: int) -> Mesh:
    """So many triangles that have no corner in common."""
    corners = np.random.default_rng(0).random((count, 3, 3), np.float32)
    return Mesh(corners.reshape(-1, 3), np.arange(3 * count, dtype=np.int32).reshape(-1, 3))


def test_more_pieces_than_a_texture_has_room_for_are_refused_before_any_is_laid_down(monkeypatch):
    monkeypatch.setattr(packing, "_laid_down", None)
    with pytest.raises(Unable, match="comes to 5,000 pieces, which do not fit a texture of 256 texels"):
        unwrapped(loose(5000), 256)


def test_many_pieces_can_be_given_up_while_they_are_laid_down():
    asked = []

    def check():
        asked.append(1)
        if len(asked) == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        unwrapped(loose(200), 256, check=check)
