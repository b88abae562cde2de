# SPDX-License-Identifier: GPL-3.0-or-later
"""A place becomes what its photos saw of it, without the walls of the box in which it was learned."""

from dataclasses import replace

import numpy as np
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Field
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.finish.field import finished, surface
from image_to_3d.worker.finish.seen import only_seen
from image_to_3d.worker.geometry.mesh import face_vectors
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.pipeline.select import settings

BOUNDS = np.array([[-1.0] * 3, [1.0] * 3])


def ground_and_ball(points: np.ndarray) -> np.ndarray:
    """Ground that fills the box below, a ball on it, and a wall behind."""
    ball = 0.3 - np.linalg.norm(points - (0.0, 0.0, -0.1), axis=1)
    return np.maximum.reduce([ball, -0.4 - points[:, 2], points[:, 1] - 0.8]).astype(np.float32)


def looking(x: float) -> View:
    """From before the box and above, level along y."""
    rotation = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return View(PinholeCamera.from_fov(200, 200, 60.0), rotation, np.array([x, -2.5, 0.2]))


def test_a_place_is_what_its_photos_saw():
    options = settings(with_network("photos")[0], "fast", {"grid": 64, "faces": 4000, "texture": 64}).finish
    place = Field(ground_and_ball, None, BOUNDS, np.eye(3), dict, (looking(-0.6), looking(0.6)))
    mesh = surface(place, options, Job(lambda *_: None).span(0.0, 1.0))
    middles, normals = mesh.vertices[mesh.faces].mean(axis=1), face_vectors(mesh.vertices, mesh.faces)
    for axis, side in ((0, -1.0), (0, 1.0), (1, -1.0), (1, 1.0), (2, -1.0), (2, 1.0)):
        wall = np.abs(middles[:, axis] - side) < 0.03
        assert np.abs(normals[wall, axis]).sum() / 2.0 < 0.04
    ball = np.linalg.norm(middles - (0.0, 0.0, -0.1), axis=1) < 0.33
    assert (ball & (middles[:, 1] < -0.2)).any()
    assert not (ball & (middles[:, 1] > 0.2)).any()
    assert ((middles[:, 1] > 0.75) & (np.abs(middles[:, 0]) > 0.6)).any()
    cut_out = replace(
        place, views=tuple(replace(view, mask=np.full((200, 200), 255, np.uint8)) for view in place.views)
    )
    closed = surface(cut_out, options, Job(lambda *_: None).span(0.0, 1.0))
    wall = np.abs(closed.vertices[closed.faces].mean(axis=1)[:, 0] - 1.0) < 0.03
    assert np.abs(face_vectors(closed.vertices, closed.faces)[wall, 0]).sum() / 2.0 > 1.0


def test_where_photos_saw_nothing_all_stays():
    vertices, faces = np.eye(3), np.array([[0, 1, 2]], np.int32)
    away = replace(looking(0.0), position=np.array([0.0, 5.0, 0.0]))
    found = only_seen(vertices, faces, (away, away), BOUNDS * 3.0, 0.01)
    assert found[0] is vertices and found[1] is faces


def test_what_no_photo_of_a_thing_saw_is_marked():
    options = settings(with_network("photos")[0], "fast", {"grid": 48, "faces": 2000, "texture": 64}).finish
    seen = np.full((200, 200), 255, np.uint8)
    views = tuple(replace(looking(x), mask=seen, exact=True) for x in (-0.6, 0.6))
    ball = Field(lambda p: 0.5 - np.linalg.norm(p, axis=1), None, BOUNDS, np.eye(3), dict, views)
    mesh = finished(ball, options, Job(lambda *_: None)).mesh
    middle = mesh.bounds.mean(axis=0)
    behind = (mesh.vertices - middle)[:, 1]  # the field's y points away from the cameras
    assert mesh.unseen[behind > 0.3].min() == 1.0 and mesh.unseen[behind < -0.5].max() == 0.0
    hidden = np.where(np.arange(200)[:, None] < 110, seen, 0).astype(np.uint8)  # something stands before its lower half
    covered = replace(ball, views=tuple(replace(view, mask=hidden) for view in views))
    mesh = finished(covered, options, Job(lambda *_: None)).mesh
    assert mesh.unseen[(mesh.vertices - mesh.bounds.mean(axis=0))[:, 2] < -0.5].min() == 1.0
    alone = replace(ball, views=(views[0],))
    assert finished(alone, options, Job(lambda *_: None)).mesh.unseen is None
