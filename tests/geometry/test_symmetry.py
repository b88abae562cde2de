# SPDX-License-Identifier: GPL-3.0-or-later
"""Planes of symmetry, and what a photo guesses by them of what it does not show."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import View
from image_to_3d.worker.geometry.mesh import Mesh, vertex_normals
from image_to_3d.worker.geometry.symmetry import mirrors
from image_to_3d.worker.geometry.texturing.bake import baked
from image_to_3d.worker.geometry.texturing.mirrored import mirrored
from image_to_3d.worker.geometry.texturing.projection import moved
from image_to_3d.worker.geometry.texturing.unwrap import unwrapped
from scipy.spatial.transform import Rotation

from .. import render
from .test_bake import FRONT, at

ASKEW = Rotation.from_rotvec([0.4, 1.1, -0.3]).as_matrix()


def boxes(*places: tuple) -> trimesh.Trimesh:
    """Boxes of sizes (3,) at places (3,)."""
    made = []
    for size, place in places:
        box = trimesh.creation.box(size)
        box.apply_translation(place)
        made.append(box)
    return trimesh.util.concatenate(made).subdivide_to_size(0.2)


def truck() -> trimesh.Trimesh:
    """Left as right (x), and nothing else: a long bed, a cabin before it, a low step behind."""
    return boxes(((0.8, 0.3, 2.0), (0, 0, 0)), ((0.7, 0.5, 0.5), (0, 0.4, 0.6)), ((0.5, 0.1, 0.3), (0, -0.1, -1.15)))


def screw() -> trimesh.Trimesh:
    """Three arms that go round: its mirror image turns the other way."""
    return boxes(
        ((1.0, 0.25, 0.25), (0.5, 0, 0)), ((0.25, 0.8, 0.25), (1.0, 0.4, 0)), ((0.25, 0.25, 0.9), (1.0, 0.8, 0.45))
    )


def mesh_of(shape: trimesh.Trimesh) -> Mesh:
    return Mesh(shape.vertices.astype(np.float32), shape.faces.astype(np.int32))


@pytest.mark.parametrize("turn", [np.eye(3), ASKEW])
def test_the_one_plane_of_a_thing_is_found_wherever_it_stands(turn):
    shape, shift = truck(), np.array([3.0, -1.0, 0.5])
    [plane] = mirrors(shape.vertices @ turn.T + shift, shape.faces)
    normal = plane.normal * np.sign(plane.normal @ turn[:, 0])
    assert np.degrees(np.arccos(normal @ turn[:, 0])) < 1.0
    assert abs(plane.normal @ shift - plane.offset) < 0.02
    assert plane.alike > 0.95
    assert np.allclose(plane.reflected(plane.reflected(shape.vertices)), shape.vertices)


def test_a_box_has_three_planes_and_a_screw_and_a_point_none():
    box = trimesh.creation.box((1.0, 1.5, 2.2)).subdivide().subdivide()
    found = np.array([plane.normal for plane in mirrors(box.vertices, box.faces)])
    assert sorted(np.abs(found).argmax(axis=1)) == [0, 1, 2] and (np.abs(found).max(axis=1) > 0.999).all()
    assert mirrors(screw().vertices, screw().faces) == []
    assert mirrors(np.zeros((3, 3)), np.array([[0, 1, 2]])) == []


def painted(points: np.ndarray) -> np.ndarray:
    """Colours that are the same left and right."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    return (0.5 + 0.4 * np.sin(np.stack([5.0 * z, 6.0 * y, 3.0 * z + 4.0 * x], 1))).astype(np.float32)


def taken(shape: Mesh, turn_degrees: float) -> View:
    """A photo of the painted thing from an angle, somewhat above."""
    view = moved(FRONT, np.array([0.0, 0.0, 0.0, 0.4, np.radians(turn_degrees)]), np.zeros(3), 1.0)
    fine = unwrapped(shape, 512)
    fine = baked(fine, 512, painted, [])
    camera = view.camera
    size = camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
    eye = render.View(*size, view.position, view.rotation.T * (1.0, -1.0, -1.0))
    seen = render.render(render.Shape(fine.vertices, fine.faces, fine.uv, fine.texture), eye, samples=2)
    return replace(view, rgb=seen.colour, mask=np.uint8(255) * np.isfinite(seen.depth))


def test_what_a_photo_does_not_show_of_a_symmetric_thing_has_the_colours_of_its_mirror_image():
    thing = mesh_of(truck())
    thing = Mesh(thing.vertices, thing.faces, normals=vertex_normals(thing.vertices, thing.faces))
    photo = taken(thing, 40.0)
    flat = unwrapped(thing, 256)
    [guess] = mirrored(thing, photo)
    places = np.random.default_rng(0).uniform((0.41, -0.12, -0.9), (0.41, 0.12, 0.9), (200, 3))
    hidden = places * (np.sign(-photo.position[0]), 1, 1)  # on the side that looks away
    for guesses, least, most in (([], 0.15, 1.0), ([guess], 0.0, 0.05)):
        found = at(baked(flat, 256, None, [photo], guesses=guesses), hidden)
        assert least < np.abs(found - painted(hidden)).mean() < most


def test_a_guess_says_nothing_where_the_photo_itself_sees():
    thing = mesh_of(truck())
    photo = taken(thing, 40.0)
    [guess] = mirrored(thing, photo)
    wrong = replace(guess, rgb=np.zeros_like(guess.rgb))
    flat = unwrapped(thing, 256)
    shown = np.random.default_rng(0).uniform((0.41, -0.12, -0.9), (0.41, 0.12, 0.9), (200, 3))
    shown = shown * (np.sign(photo.position[0]), 1, 1)
    found = at(baked(flat, 256, None, [photo], guesses=[wrong]), shown)
    assert np.abs(found - painted(shown)).mean() < 0.05


def test_nothing_is_guessed_of_what_looks_alike_only_above_and_below_or_not_at_all():
    lying = truck().vertices @ Rotation.from_euler("z", 90, degrees=True).as_matrix().T
    for vertices, faces in ((lying, truck().faces), (screw().vertices, screw().faces)):
        thing = Mesh(vertices.astype(np.float32), faces.astype(np.int32))
        assert mirrored(thing, replace(FRONT, rgb=np.zeros((160, 160, 3), np.uint8))) == []
