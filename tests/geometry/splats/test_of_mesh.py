# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces as splats."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from image_to_3d.tests.geometry.splats import some
from image_to_3d.worker.core.harmonics import colours
from image_to_3d.worker.core.representations import Splats
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.splats import of_mesh
from image_to_3d.worker.geometry.texturing.photo import sampled
from scipy.ndimage import gaussian_filter


def square(side: int = 64) -> Mesh:
    """In the plane z = 0, its texture red to the right and green downwards."""
    vertices = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    uv = np.float32([[0, 1], [1, 1], [1, 0], [0, 0]])
    rows, columns = np.mgrid[:side, :side] * 255 // side
    texture = np.stack([columns, rows, np.full_like(rows, 90)], 2).astype(np.uint8)
    return Mesh(vertices, np.int32([[0, 1, 2], [0, 2, 3]]), uv, None, texture)


def test_they_lie_in_the_surface_evenly_with_its_colours():
    splats = of_mesh.splats_of((square(),), 5000)
    assert 3000 < len(splats) < 7000
    front = splats.centres[:, 2] == 0.0
    assert 0.7 < front.mean() < 0.9 and (splats.centres[~front, 2] < 0.0).all() and splats.centres[:, 2].min() > -0.05
    for layer, least in ((front, 0.8), (~front, 0.7)):
        counts = np.histogram2d(*splats.centres[layer, :2].T, 8, [[0, 1], [0, 1]])[0]
        assert counts.min() > least * counts.mean()
    shown = colours(splats.harmonics, np.zeros((len(splats), 3)))
    wanted = np.stack([splats.centres[:, 0], 1.0 - splats.centres[:, 1]], 1)
    assert np.abs(shown[:, :2] - wanted).max() < 0.03


def test_each_has_the_mean_colour_of_its_piece():
    mesh = square()
    rising = np.rint(255.0 * ((np.arange(64) + 0.5) / 64) ** 2).astype(np.uint8)
    curved = dataclasses.replace(mesh, texture=np.tile(rising[None, :, None], (64, 1, 3)))
    shown = colours(of_mesh.splats_of((curved,), 2).harmonics, np.zeros((2, 3)))
    assert np.allclose(shown[:, 0], [1 / 2, 1 / 6], atol=0.01)  # in their middles 4/9 and 1/9


def slanted() -> tuple[Mesh, np.ndarray]:
    """A square that leans back by 39 degrees, with blurred noise on it, and a place before it."""
    mesh, noise = square(96), np.random.default_rng(0).normal(size=(96, 96, 3))
    noise = gaussian_filter(noise, (3, 3, 0))
    texture = np.clip(127.5 + 50.0 * noise / noise.std(), 0, 255).astype(np.uint8)
    leaning = mesh.vertices * np.float32([1, 1, 0]) - mesh.vertices[:, 1:2] * np.float32([0, 0, 0.8])
    return dataclasses.replace(mesh, vertices=leaning, texture=texture), np.array([0.5, 0.5, 1.2])


def before(eye: np.ndarray) -> View:
    return View(PinholeCamera.from_fov(64, 64, 30.0), np.diag([1.0, -1.0, -1.0]), eye)


def rendered(splats: Splats, view: View) -> Any:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from image_to_3d.worker.methods.multiview_fit.splats import rasterise

    values = (splats.centres, splats.scales, splats.rotations, splats.opacities, splats.harmonics)
    camera = rasterise.Camera.of(view, 64, torch.device("cpu"))
    with torch.inference_mode():
        return rasterise.render(camera, *map(torch.from_numpy, values))


def test_from_the_place_of_the_photo_they_show_the_texture_where_it_is():
    """Without it each is seen farther away than it is, where the nearer ones do not hide it."""
    mesh, eye = slanted()
    view = before(eye)
    rows, columns = (np.mgrid[:64, :64] + 0.5 - 32.0) / view.camera.fx
    away = (eye[2] + 0.8 * eye[1]) / (1.0 + 0.8 * rows)  # along the axis, to the plane z = -.8 y
    places = np.stack([eye[0] + columns * away, 1.0 - eye[1] + rows * away], -1).reshape(-1, 2)
    wanted = sampled(mesh.texture.astype(np.float32), places * 96.0).reshape(64, 64, 3) / 255.0

    def error(place: np.ndarray | None) -> float:
        splats = of_mesh.splats_of((mesh,), 4000, place)
        return float(np.abs(rendered(splats, view).colours.numpy() - wanted)[4:-4, 4:-4].mean())

    assert error(eye) < 0.75 * error(None)


def test_nothing_shines_through_between_them():
    """Of those that lie in the surface alone about 2 % does."""
    mesh, eye = slanted()
    opacities = rendered(of_mesh.splats_of((mesh,), 4000, eye), before(eye)).opacities.numpy()
    assert opacities[4:-4, 4:-4].mean() > 0.998


@pytest.mark.parametrize("eye", [(3.0, 2.0, -1.0), (0.8, 0.3, 1e3)])
def test_what_faces_away_or_is_seen_squarely_keeps_its_colours(eye):
    plain, placed = (of_mesh.splats_of((square(),), 900, place).harmonics for place in (None, np.array(eye)))
    assert np.abs(plain - placed).max() < 0.002


def test_they_are_flat_and_as_large_as_their_pieces():
    splats = of_mesh.splats_of((square(),), 5000)
    turned = some.matrices(splats.rotations)
    thinnest = np.argmin(splats.scales, 1)
    normals = turned[np.arange(len(splats)), :, thinnest]
    assert np.abs(normals[:, 2]).min() > 0.999
    covered = 2.0 * np.pi * np.sort(splats.scales[splats.centres[:, 2] == 0.0], 1)[:, 1:].prod(1).sum()
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
    assert (splats.centres[needles, 0] + 2.0 * along).max() < 1.15 and needles.sum() < 135


def test_of_nothing_there_are_none():
    flat = Mesh(np.zeros((3, 3), np.float32), np.int32([[0, 1, 2]]))
    with pytest.raises(ValueError, match="no surface"):
        of_mesh.splats_of((flat,), 100)
