# SPDX-License-Identifier: GPL-3.0-or-later
"""Normals of what networks tell, in a picture's place."""

from dataclasses import replace

import numpy as np
from image_to_3d.worker.core.representations import DepthMap, Layers
from image_to_3d.worker.core.view import PinholeCamera, View, Window
from image_to_3d.worker.finish.facing import of_depth, of_layers

SIZE = 64
MASK = np.zeros((120, 160), np.uint8)
MASK[30:90, 70:130] = 255
VIEW = View(PinholeCamera.from_fov(160, 120, 35.0), mask=MASK)


def slanting(slope: float) -> Layers:
    """A plane that recedes to the right: `slope` half sides in depth for each of width."""
    front = np.broadcast_to(slope * ((np.arange(SIZE) + 0.5) / SIZE * 2.0 - 1.0), (SIZE, SIZE)).astype(np.float32)
    return Layers(front, front + 1, np.zeros((SIZE, SIZE, 3), np.uint8), Window(60, 20, 80), VIEW)


def test_a_front_faces_as_it_slants_in_the_place_of_its_window():
    normals = of_layers(slanting(0.5), VIEW)
    rows, columns = normals.shape[:2]
    known = np.abs(normals).sum(axis=2) > 0
    place = np.argwhere(known) / [rows, columns] * [120, 160]
    np.testing.assert_allclose(place.min(axis=0), [30, 70], atol=2.0)
    np.testing.assert_allclose(place.max(axis=0), [90, 130], atol=3.0)
    np.testing.assert_allclose(np.linalg.norm(normals[known], axis=1), 1.0, atol=0.01)
    middle = normals[rows // 2, round(columns * 100 / 160)]
    assert middle[2] < -0.8 and abs(middle[1]) < 0.1
    assert 18.0 < np.degrees(np.arctan2(middle[0], -middle[2])) < 35.0


def test_a_networks_normals_are_the_things_alone_and_none_where_it_has_none():
    normals = np.zeros((60, 80, 3), np.float32)
    normals[..., 2] = -1.0
    depth = DepthMap(np.ones((60, 80), np.float32), True, np.ones((60, 80), bool), VIEW, normals=normals)
    found = of_depth(depth, VIEW)
    assert found.shape == (60, 80, 3) and (found[20:40, 40:60, 2] == -1.0).all() and not found[:10].any()
    assert of_depth(replace(depth, normals=None), VIEW) is None
