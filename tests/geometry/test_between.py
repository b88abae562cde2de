# SPDX-License-Identifier: GPL-3.0-or-later
"""The solid between two layers: its outline, flat boxes and round balls, sides without ribs, and wild layers."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.core.view import PinholeCamera, View, Window
from image_to_3d.worker.geometry.between import Between
from image_to_3d.worker.geometry.solid import is_closed
from image_to_3d.worker.geometry.surface.isosurface import isosurface
from image_to_3d.worker.pictures.silhouette import inflated

SIZE, CELLS = 64, 128
FAR = PinholeCamera.from_fov(200, 200, 2.0)
"""Its lines of sight are nearly parallel, so that the window's space and the world's have the same shape."""


def disc(size: int, radius: float) -> np.ndarray:
    """Coverage (size, size), soft at the edge, of a disc whose radius is in half sides."""
    rows, columns = (np.indices((size, size)) + 0.5) * 2 / size - 1
    return np.clip((radius - np.hypot(rows, columns)) * size / 2 + 0.5, 0, 1).astype(np.float32)


def slanted(size: int, wide: float = 0.35, high: float = 0.75, degrees: float = 7.0) -> np.ndarray:
    """Coverage (size, size) of an upright rectangle, half sides `wide` and `high`, that is turned a little."""
    rows, columns = (np.indices((size, size)) + 0.5) * 2 / size - 1
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    along, across = np.abs(c * rows - s * columns), np.abs(s * rows + c * columns)
    return np.clip(np.minimum(high - along, wide - across) * size / 2 + 0.5, 0, 1).astype(np.float32)


def layers(front: np.ndarray, back: np.ndarray) -> Layers:
    behind = np.zeros((*front.shape, 3), np.uint8)
    view = View(FAR, rgb=np.zeros((200, 200, 3), np.uint8), mask=np.zeros((200, 200), np.uint8))
    return Layers(front.astype(np.float32), back.astype(np.float32), behind, Window(0, 0, 200), view)


def surface(two: Layers, *regions: np.ndarray) -> trimesh.Trimesh:
    """In half sides of the window, the thing's mean depth in the origin. regions: how much of each cell they cover."""
    solid = Between.of(two, np.stack(regions), FAR)
    found = isosurface(solid.value, solid.bounds, CELLS, lambda *_: None)
    assert is_closed(found.faces)
    scale = FAR.fx / 100.0
    return trimesh.Trimesh((found.vertices + [0.0, 0.0, 1.0]) * scale, found.faces, process=False)


def ribs(mesh: trimesh.Trimesh, sides: np.ndarray) -> float:
    """How much the normals of what faces sideways vary along the thing's height, degrees."""
    middles, normals = mesh.triangles_center[sides], mesh.face_normals[sides]
    bands = np.digitize(middles[:, 1], np.linspace(-0.55, 0.55, 45))
    means = np.stack([normals[bands == band].mean(axis=0) for band in range(1, 45)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip((means[1:] * means[:-1]).sum(axis=1), -1.0, 1.0))).max())


@pytest.mark.parametrize("seed", range(4))
def test_any_silhouette_and_any_layers_make_a_closed_surface(seed):
    rng = np.random.default_rng(seed)
    share = np.kron(rng.random((12, 12)) > 0.5, np.ones((8, 8))).astype(np.float32)  # full of corners that touch
    depth = rng.normal(0, 0.3, (SIZE, SIZE))
    assert surface(layers(depth, depth + rng.normal(0, 0.2, depth.shape)), share).volume > 0  # outward


def test_an_inflated_disc_is_a_ball_without_a_rim():
    height = inflated(disc(SIZE, 0.8) > 0.5) * (2 / SIZE)
    mesh = surface(layers(-height, height), disc(CELLS, 0.8))
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.8).max() < 0.05


def test_a_box_seen_from_the_front_has_flat_faces_and_straight_walls():
    share = np.zeros((CELLS, CELLS), np.float32)
    share[16:112, 32:96] = 1
    mesh = surface(layers(np.full((SIZE, SIZE), -0.3), np.full((SIZE, SIZE), 0.3)), share)
    assert mesh.extents == pytest.approx([1.0, 1.5, 0.6], abs=0.02)
    assert mesh.volume == pytest.approx(1.0 * 1.5 * 0.6, rel=0.02)


def test_sides_have_no_ribs_where_an_outline_crosses_the_layers_pixels():
    """A thing with round sides whose outline is not quite upright: its layers' pixels end in stairs there."""
    rows, columns = (np.indices((SIZE, SIZE)) + 0.5) * 2 / SIZE - 1
    c, s = np.cos(np.radians(7.0)), np.sin(np.radians(7.0))
    half = np.where(slanted(SIZE) >= 0.5, np.sqrt(np.maximum(0.36**2 - (s * rows + c * columns) ** 2, 0.0)), 0.0)
    mesh = surface(layers(-half, half), slanted(CELLS))
    sides = (np.abs(mesh.face_normals[:, 2]) < 0.7) & (mesh.triangles_center[:, 0] > 0)
    assert ribs(mesh, sides) < 4.0


def test_a_weave_of_the_layers_pixels_is_not_seen():
    rows, columns = np.indices((SIZE, SIZE))
    weave = 0.02 * (1 - 2 * ((rows + columns) % 2))
    mesh = surface(layers(weave - 0.3, weave + 0.3), slanted(CELLS))
    front = mesh.face_normals[(mesh.triangles_center[:, 2] > 0.2) & (mesh.face_normals[:, 2] > 0.5)]
    middle = np.median(np.degrees(np.arccos(np.clip(front[:, 2], -1.0, 1.0))))
    assert middle < 1.0


def test_a_back_before_its_front_is_as_thin_as_can_be_held():
    mesh = surface(layers(np.full((SIZE, SIZE), 0.2), np.full((SIZE, SIZE), -0.2)), disc(CELLS, 0.7))
    assert 0.01 < mesh.extents[2] < 0.08 and mesh.extents[0] == pytest.approx(1.4, abs=0.05)


def barbell(thin: float, end: int = 80) -> np.ndarray:
    """Coverage (CELLS, CELLS) of two squares, of which a rope of so many cells leads from the left one to column `end`,
    where the right one begins at 80."""
    share = np.zeros((CELLS, CELLS), np.float32)
    share[40:88, 16:48] = share[40:88, 80:112] = 1.0
    share[64, 48:end] = thin
    return share


STEP = np.where(np.arange(SIZE) < SIZE // 2, -0.5, 0.5) * np.ones((SIZE, 1))
"""The right half lies one half side behind the left one."""


@pytest.mark.parametrize("middle", [np.zeros((SIZE, SIZE)), STEP], ids=["level", "behind"])
@pytest.mark.parametrize("thin", [0.1, 0.4, 0.9])
def test_what_hangs_on_a_thread_in_the_picture_hangs_on_it_in_space(thin, middle):
    mesh = surface(layers(middle - 0.1, middle + 0.1), barbell(thin))
    parts = mesh.split(only_watertight=False)
    assert len(parts) == 1 or max(each.area for each in parts[1:]) < 0.01 * mesh.area
    thread = np.abs(mesh.vertices[:, 0]) < 0.1
    assert thread.any() and np.ptp(mesh.vertices[thread, 1]) < 6 * 2 / CELLS, "no thicker than it has to be"


def test_two_things_in_one_outline_stay_two():
    share = barbell(0.0)
    left = np.where(np.arange(CELLS) < CELLS // 2, share, 0.0)
    flat = layers(np.full((SIZE, SIZE), -0.1), np.full((SIZE, SIZE), 0.1))
    assert surface(flat, left, share - left).body_count == 2
    assert surface(flat, barbell(0.4, end=64)).body_count == 1, "but they are one if they are said to be"


def test_a_sheet_that_leans_steeply_is_found_everywhere():
    steep = np.clip(np.linspace(-6.0, 6.0, SIZE), -1.0, 1.0) * np.ones((SIZE, 1))  # six cells of depth per cell
    mesh = surface(layers(steep, steep), slanted(CELLS, 0.6, 0.2, 0.0))
    assert mesh.body_count == 1 and mesh.extents[2] == pytest.approx(2.0, abs=0.1)


def test_an_empty_outline_is_said():
    with pytest.raises(ValueError, match="outline"):
        surface(layers(np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))), np.zeros((CELLS, CELLS), np.float32))


def test_layers_survive_the_cache():
    two = replace(layers(np.full((SIZE, SIZE), -0.5), np.full((SIZE, SIZE), 0.5)), notes=("größer", "twice"))
    again = Layers.from_arrays(two.to_arrays(), two.view)
    assert again.notes == two.notes and replace(two, notes=()).to_arrays()["notes"].tolist() == []
    assert again.window == two.window and again.view is two.view
    assert all((getattr(again, name) == getattr(two, name)).all() for name in ("front", "back", "back_colour"))
