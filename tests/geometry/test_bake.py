# SPDX-License-Identifier: GPL-3.0-or-later
"""Painting: the field's colours, the photo's own pixels where it sees the surface, and nothing of what it does not."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing import bake
from image_to_3d.worker.geometry.texturing.bake import baked
from image_to_3d.worker.geometry.texturing.photo import Sight
from image_to_3d.worker.geometry.texturing.unwrap import unwrapped
from scipy.spatial import cKDTree

from .. import render

SIZE = 256
FRONT = View(PinholeCamera.from_fov(160, 160, 40.0), np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 4.0]))
"""At +Z, looking at the origin."""
BACK = View(FRONT.camera, np.diag([-1.0, -1.0, 1.0]), np.array([0.0, 0.0, -4.0]))


def ball(subdivisions=4):
    made = trimesh.creation.icosphere(subdivisions)
    return Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


def two_boxes():
    """A large one, and a small one before it."""
    far, near = trimesh.creation.box((1.6, 1.6, 0.4)), trimesh.creation.box((0.5, 0.5, 0.3))
    near.apply_translation((0.0, 0.0, 1.0))
    made = trimesh.util.concatenate([far, near]).subdivide_loop(0).subdivide().subdivide()
    return Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


def waves(points):
    return (0.5 + 0.4 * np.sin(4.0 * points)).astype(np.float32)


def plain(*colour):
    return lambda points: np.tile(np.float32(colour), (len(points), 1))


def nearest(mesh, points):
    """The nearest points (N, 3) of a surface, and their faces (N,)."""
    corners = mesh.vertices[mesh.faces].astype(float)
    near = cKDTree(corners.mean(axis=1)).query(points, k=10)[1]
    found = np.stack([trimesh.triangles.closest_point(corners[near[:, k]], points) for k in range(10)], axis=1)
    best = ((found - points[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    index = np.arange(len(points))
    return found[index, best], near[index, best]


def at(mesh, points):
    """(N, 3) colours in [0, 1] of the texture at points (N, 3) near the surface."""
    points, face = nearest(mesh, points)
    corners = mesh.vertices[mesh.faces[face]].astype(float)
    weights = trimesh.triangles.points_to_barycentric(corners, points, method="cross")
    return render.bilinear(mesh.texture, (mesh.uv[mesh.faces[face]] * weights[:, :, None]).sum(axis=1)) / 255.0


def on_ball(count=2000):
    points = np.random.default_rng(0).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return nearest(ball(), points)[0]


def photo_of(paint, mask=True, view=FRONT, backdrop=(1.0, 1.0, 1.0)):
    """A photo of the unit ball, painted with a function of its points."""
    row, column = np.divmod(np.arange(view.camera.width * view.camera.height), view.camera.width)
    c = view.camera
    local = np.column_stack([(column + 0.5 - c.cx) / c.fx, (row + 0.5 - c.cy) / c.fy, np.ones(len(row))])
    ray = local @ view.rotation / np.linalg.norm(local, axis=1, keepdims=True)
    half = ray @ view.position
    square = half**2 - view.position @ view.position + 1.0
    hit = square > 0
    points = view.position + ray * (-half - np.sqrt(np.maximum(square, 0)))[:, None]
    colour = np.where(hit[:, None], paint(points), backdrop)
    shape = c.height, c.width
    matte = np.uint8(255) * hit.reshape(shape) if mask else None
    return replace(view, rgb=np.uint8(np.rint(255 * colour)).reshape(*shape, 3), mask=matte)


def test_a_fields_colours_are_found_again_everywhere_even_along_seams():
    mesh = baked(unwrapped(ball(), SIZE), SIZE, waves, [])
    points = on_ball()
    error = np.abs(at(mesh, points) - waves(points))
    assert error.max() < 0.03 and error.mean() < 0.005


def test_no_texel_is_left_without_a_colour():
    mesh = baked(unwrapped(ball(2), SIZE), SIZE, plain(0.8, 0.6, 0.4), [])
    assert (mesh.texture == np.uint8([204, 153, 102])).all()


def test_where_the_photo_sees_the_surface_its_pixels_are_the_texture():
    stripes = lambda p: np.repeat(0.5 + 0.5 * np.sign(np.sin(20.0 * p[:, :1])), 3, axis=1)  # noqa: E731
    mesh = baked(unwrapped(ball(), 512), 512, plain(0.5, 0.5, 0.5), [photo_of(stripes)])
    points = on_ball()
    front = points[points[:, 2] > 0.6]
    clear = front[np.abs(np.sin(20.0 * front[:, 0])) > 0.5]
    assert np.abs(at(mesh, clear) - stripes(clear)).max() < 0.05
    back = points[points[:, 2] < -0.3]
    assert np.abs(at(mesh, back) - 0.5).max() < 0.1


@pytest.mark.parametrize("mask", [True, False])
def test_the_background_does_not_bleed_onto_the_sides(mask):
    photo = photo_of(plain(0.2, 0.4, 0.6), mask)
    mesh = baked(unwrapped(ball(), SIZE), SIZE, plain(0.2, 0.4, 0.6), [photo])
    assert np.abs(mesh.texture.astype(int) - (51, 102, 153)).max() <= 2


def test_what_stands_behind_something_does_not_get_its_colours():
    flat = unwrapped(two_boxes(), SIZE)
    red_before_blue = render.render(
        render.Shape(
            flat.vertices,
            flat.faces,
            np.column_stack([flat.vertices[:, 2] > 0.5, 0 * flat.uv[:, 1]]).astype(float),
            np.uint8([[[0, 0, 255], [255, 0, 0]]]),
        ),
        render.View(160, 160, *(FRONT.camera.fx,) * 2, 80, 80, FRONT.position, np.eye(3)),
    )
    photo = replace(FRONT, rgb=red_before_blue.colour, mask=np.uint8(255) * np.isfinite(red_before_blue.depth))
    mesh = baked(flat, SIZE, plain(0.0, 0.0, 1.0), [photo])
    y, x = np.mgrid[-0.7:0.7:60j, -0.7:0.7:60j].reshape(2, -1)
    wall = at(mesh, np.column_stack([x, y, np.full(x.size, 0.2)]))
    assert wall[:, 0].max() < 0.05
    face = at(mesh, np.column_stack([x * 0.2, y * 0.2, np.full(x.size, 1.15)]))
    assert face[:, 0].min() > 0.95


def test_a_darker_field_joins_the_photo_without_a_step():
    mesh = baked(unwrapped(ball(), SIZE), SIZE, plain(0.4, 0.4, 0.4), [photo_of(plain(0.6, 0.6, 0.6))])
    turn = np.linspace(0, np.pi, 400)
    path = nearest(ball(), np.column_stack([np.sin(turn), 0 * turn, np.cos(turn)]))[0]
    brightness = at(mesh, path)[:, 0]
    assert brightness[0] == pytest.approx(0.6, abs=0.01) and brightness[-1] < 0.45
    assert np.abs(np.diff(brightness)).max() < 0.02


def test_colour_spreads_over_what_neither_photo_nor_field_shows():
    mesh = baked(unwrapped(ball(), SIZE), SIZE, None, [photo_of(plain(0.7, 0.2, 0.1))])
    assert np.abs(mesh.texture.astype(int) - (178, 51, 26)).max() <= 3


def test_a_field_that_knows_half_of_the_surface_is_continued():
    half = lambda p: np.where(p[:, :1] > 0, np.float32([[0.3, 0.5, 0.7]]), np.float32(np.nan))  # noqa: E731
    mesh = baked(unwrapped(ball(), SIZE), SIZE, half, [])
    assert np.abs(mesh.texture.astype(int) - (76, 128, 178)).max() <= 3


def test_without_photo_and_field_the_texture_is_grey():
    assert np.abs(baked(unwrapped(ball(1), SIZE), SIZE, None, []).texture - 127.5).max() < 1.0


def test_of_two_photos_each_side_gets_the_one_that_sees_it_best():
    photos = [photo_of(plain(1, 0, 0)), photo_of(plain(0, 0, 1), view=BACK)]
    mesh = baked(unwrapped(ball(), SIZE), SIZE, None, photos)
    points = on_ball()
    colour = at(mesh, points)
    assert colour[points[:, 2] > 0.6].min(axis=0)[0] > 0.95
    assert colour[points[:, 2] < -0.6].min(axis=0)[2] > 0.95


def test_trust_falls_at_grazing_angles_and_is_nothing_behind():
    mesh = ball()
    trust, _ = Sight(photo_of(waves), mesh.vertices, mesh.faces).trust(mesh.vertices, mesh.vertices)
    z = mesh.vertices[:, 2]
    assert trust[z > 0.7].min() == 1.0
    assert trust[z < 0.2].max() == 0.0
    ray = photo_of(waves).position - mesh.vertices
    cosine = (ray * mesh.vertices).sum(axis=1) / np.linalg.norm(ray, axis=1)
    grazing = (cosine > 0.0) & (cosine < 0.09)
    assert grazing.sum() > 10 and trust[grazing].max() == 0.0


def test_only_what_the_photo_does_not_show_is_asked_of_the_field():
    asked = []

    def colour(points):
        asked.append(points)
        return waves(points)

    baked(unwrapped(ball(), SIZE), SIZE, colour, [photo_of(waves)])
    points = np.concatenate(asked)
    assert points[:, 2].max() < 0.75 and points.dtype == np.float32


def test_baking_can_be_cancelled_and_says_how_far_it_is():
    told = []

    class Cancelled(Exception):
        pass

    def report(share, message):
        told.append(share)
        if "field" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        baked(unwrapped(ball(2), SIZE), SIZE, waves, [photo_of(waves)], report)
    assert told == sorted(told) and min(told) >= 0.0 and max(told) < 1.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="unwrapped"):
        baked(ball(1), SIZE, waves, [])
    with pytest.raises(ValueError, match="a camera of"):
        replace(FRONT, rgb=np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("colour, photos", [(waves, 1), (waves, 0), (None, 2), (None, 1)])
def test_a_texture_painted_in_bands_is_the_same(monkeypatch, colour, photos):
    mesh = unwrapped(ball(3), 128)
    views = [photo_of(waves), replace(photo_of(waves), rotation=BACK.rotation, position=BACK.position)][:photos]
    whole = baked(mesh, 128, colour, views).texture.astype(int)
    monkeypatch.setattr(bake, "_TEXELS_AT_ONCE", 128 * 20)
    parts = baked(mesh, 128, colour, views).texture.astype(int)
    assert np.abs(whole - parts).max() <= 1 and (whole != parts).mean() < 1e-3


def test_a_large_texture_takes_little_memory():
    mesh, size = unwrapped(ball(3), 2048), 2048
    tracemalloc.start()
    try:
        baked(mesh, size, plain(0.2, 0.4, 0.6), [photo_of(waves)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 75 * size * size, f"{peak / size**2:.0f} bytes for each texel"  # it was 115 when it was not in bands
