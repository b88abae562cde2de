# SPDX-License-Identifier: GPL-3.0-or-later
"""Reliefs of scenes whose depth is known exactly: nothing of the surface is lost, nothing is invented."""

import pytest
from image_to_3d.tests.geometry import scenes
from image_to_3d.tests.render import Shape, photo_view, render
from image_to_3d.worker.core.view import PinholeCamera
from image_to_3d.worker.geometry.relief.relief import ReliefOptions, relief

CAMERA = PinholeCamera.from_fov(640, 512, 60.0)


@pytest.mark.parametrize("name", scenes.SCENES)
def test_relief_of_exact_depth_is_the_visible_surface_without_curtains(name):
    truth = scenes.photograph(name, CAMERA)
    mesh = relief(truth.depth, CAMERA, truth.photo, ReliefOptions())
    tolerance = 0.01 * truth.size
    assert scenes.visible_within(truth, mesh.vertices, mesh.faces, tolerance) >= 0.98
    assert scenes.astray(truth, mesh.vertices, mesh.faces, tolerance) <= 0.005


@pytest.mark.parametrize("name", scenes.SCENES)
@pytest.mark.parametrize("faces", [100_000, 20_000])
def test_relief_seen_from_the_photos_camera_is_the_photo(name, faces):
    truth = scenes.photograph(name, CAMERA)
    mesh = relief(truth.depth, CAMERA, truth.photo, ReliefOptions(faces=faces))
    seen = render(Shape(mesh.vertices, mesh.faces, mesh.uv, mesh.texture), photo_view(CAMERA), background=(255, 0, 255))
    assert scenes.psnr(seen.colour, truth.photo) >= 35.0
