# SPDX-License-Identifier: GPL-3.0-or-later
"""Two layers to a closed mesh: contours, walls, the photo on the front, the back's colour behind."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.tests.render import bilinear
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.core.view import PinholeCamera, View, Window
from image_to_3d.worker.geometry.relief.contour import filled
from image_to_3d.worker.geometry.relief.shell import ShellOptions, closed_sheets, shell
from image_to_3d.worker.geometry.solid import is_closed
from image_to_3d.worker.pictures.silhouette import inflated

SIZE, CELLS = 64, 96
CAMERA = PinholeCamera.from_fov(240, 220, 30)


def disc(size: int, radius: float) -> np.ndarray:
    """Coverage (size, size), soft at the edge, of a disc whose radius is in half sides."""
    rows, columns = (np.indices((size, size)) + 0.5) * 2 / size - 1
    return np.clip((radius - np.hypot(rows, columns)) * size / 2 + 0.5, 0, 1).astype(np.float32)


def layers(front: np.ndarray, back: np.ndarray, colour=(10, 20, 200)) -> Layers:
    picture = np.full((SIZE, SIZE, 3), colour, np.uint8)
    view = View(CAMERA, rgb=photo(), mask=np.zeros((220, 240), np.uint8))
    return Layers(front.astype(np.float32), back.astype(np.float32), picture, Window(20, 10, 200), view)


def made(two: Layers, share: np.ndarray, **options):
    return shell(two, share, two.view.rgb, CAMERA, ShellOptions(**options), lambda *_: None)


def photo() -> np.ndarray:
    rows, columns = np.indices((220, 240))
    return np.stack([rows, columns, 0 * rows + 60], -1).astype(np.uint8)


def test_a_contour_is_where_the_field_is_zero_and_encloses_the_right_area():
    rows, columns = np.indices((60, 60)) - 29.5
    points, faces = filled(20.3 - np.hypot(rows, columns))
    corners = points[faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = -(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    assert (area > 0).all() and area.sum() == pytest.approx(np.pi * 20.3**2, rel=5e-3)


@pytest.mark.parametrize("seed", range(4))
def test_any_silhouette_makes_a_closed_surface(seed):
    rng = np.random.default_rng(seed)
    share = (rng.random((24, 24)) > 0.5).astype(np.float32)  # full of corners that touch
    depth = rng.normal(0, 0.3, (SIZE, SIZE))
    points, faces = closed_sheets(layers(depth, depth + rng.normal(0, 0.2, depth.shape)), share)
    assert is_closed(faces)
    volume = np.einsum("fi,fi->f", points[faces[:, 0]], np.cross(points[faces[:, 1]], points[faces[:, 2]])).sum() / 6
    assert volume > 0  # outward


def test_an_inflated_disc_is_a_ball_without_a_rim():
    height = inflated(disc(SIZE, 0.8) > 0.5) * (2 / SIZE)
    points, _ = closed_sheets(layers(-height, height), disc(CELLS, 0.8))
    radius = np.linalg.norm(points - [CELLS / 2, CELLS / 2, 0], axis=1) * 2 / CELLS
    assert np.abs(radius - 0.8).max() < 0.06


def test_a_box_seen_from_the_front_has_flat_faces_and_straight_walls():
    share = np.zeros((CELLS, CELLS), np.float32)
    share[16:80, 24:72] = 1
    points, faces = closed_sheets(layers(np.full((SIZE, SIZE), -0.3), np.full((SIZE, SIZE), 0.3)), share)
    assert set(np.round(np.abs(points[:, 2]) * 2 / CELLS, 4)) == {0.3}
    assert np.ptp(points[:, 1]) == pytest.approx(64, abs=0.2) and np.ptp(points[:, 0]) == pytest.approx(48, abs=0.2)


def test_a_back_before_its_front_is_put_right():
    points, faces = closed_sheets(layers(np.full((SIZE, SIZE), 0.2), np.full((SIZE, SIZE), -0.2)), disc(CELLS, 0.7))
    count = len(points) // 2
    assert (points[count:, 2] > points[:count, 2]).all()


def test_the_front_shows_the_photo_and_the_back_its_own_colour():
    height = inflated(disc(SIZE, 0.8) > 0.5) * (2 / SIZE)
    mesh = made(layers(-height, height), disc(CELLS, 0.8))
    x, y, z = mesh.vertices.astype(float).T
    column, row = CAMERA.fx * x / -z + CAMERA.cx, CAMERA.cy - CAMERA.fy * y / -z
    colour = bilinear(mesh.texture, mesh.uv)
    near = (z > -0.97) & (mesh.normals[:, 2] > 0.5)
    expected = bilinear(photo(), np.column_stack([column / 240, row / 220]))
    assert near.sum() > 100 and np.abs(colour - expected)[near].max() < 4
    behind = (z < -1.1) & (mesh.normals[:, 2] < -0.8)
    assert behind.any() and np.abs(colour[behind] - [10, 20, 200]).max() < 6


def test_the_mesh_is_closed_after_simplifying_and_as_small_as_asked():
    height = inflated(disc(SIZE, 0.8) > 0.5) * (2 / SIZE)
    mesh = made(layers(-height, height), disc(CELLS, 0.8), faces=2000)
    welded = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    welded.merge_vertices(merge_tex=True, merge_norm=True)
    assert len(mesh.faces) <= 2000 and welded.is_watertight and welded.volume > 0


def test_an_empty_outline_is_said():
    with pytest.raises(ValueError, match="outline"):
        made(layers(np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))), np.zeros((CELLS, CELLS), np.float32))


def test_layers_survive_the_cache():
    two = replace(layers(np.full((SIZE, SIZE), -0.5), np.full((SIZE, SIZE), 0.5)), notes=("größer", "twice"))
    again = Layers.from_arrays(two.to_arrays(), two.view)
    assert again.notes == two.notes and replace(two, notes=()).to_arrays()["notes"].tolist() == []
    assert again.window == two.window and again.view is two.view
    assert all((getattr(again, name) == getattr(two, name)).all() for name in ("front", "back", "back_colour"))
