# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a mesh lies beside what pictures from several sides show of it, and that it is pulled there."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import View
from image_to_3d.worker.geometry.around import looking
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.swept import swept
from image_to_3d.worker.geometry.texturing.seen import Seen, pictured
from image_to_3d.worker.geometry.views_pull import pulled


def ball(swollen: float = 1.0) -> Mesh:
    """Speckled, of radius 1; or with its front swollen, which its outlines from most sides do not show."""
    made = trimesh.creation.icosphere(4)
    points = np.array(made.vertices)
    front = np.clip(points[:, 2:] - 0.6, 0.0, None)
    uv = np.float32(0.5 + 0.45 * points[:, :2])
    speckles = np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)
    vertices = np.float32(points * (1.0 + (swollen - 1.0) * front / 0.4))
    return Mesh(vertices, np.int32(made.faces), uv, None, speckles).with_normals()


@pytest.fixture(scope="module")
def views() -> list[View]:
    found = []
    for yaw, pitch in [(0, 0), (25, 5), (-25, 0), (5, 30), (0, -25)]:
        view = looking(ball(), yaw, pitch, 128)
        rgb, mask = pictured(ball(), view, np.zeros(3))
        noise = np.random.default_rng(100 + yaw).normal(0.0, 12.0, rgb.shape)
        found.append(replace(view, rgb=np.uint8(np.clip(rgb + noise, 0, 255)), mask=mask))
    return found


def test_where_pictures_agree_on_the_depth_it_is_told_and_where_nothing_is_printed_it_is_not(views):
    swollen = ball(1.08)
    deep = swept(swollen, views, 0.12)[0]
    true = Seen.of(ball(), views[0]).depths - Seen.of(swollen, views[0]).depths
    told = (deep.sure > 0.5) & np.isfinite(true)
    middle = told & (np.hypot(*(np.indices(true.shape) - 63.5)) < 15)
    assert told.mean() > 0.1 and true[middle].mean() > 0.05
    assert np.abs(deep.off - true)[told].mean() < 0.012
    plain = [replace(view, rgb=np.full_like(view.rgb, 120)) for view in views]
    assert max(each.sure.max() for each in swept(swollen, plain, 0.12)) == 0.0


def test_one_picture_alone_tells_nothing(views):
    assert swept(ball(), views[:1], 0.1)[0].sure.max() == 0.0


def test_a_mesh_is_pulled_to_the_depth_that_is_told(views):
    swollen = ball(1.08)
    masks = [(view, 1.0) for view in views]
    without = pulled(swollen.vertices, swollen.faces, masks)
    found = pulled(swollen.vertices, swollen.faces, masks, swept(swollen, views, 0.12))
    front = ball().vertices[:, 2] > 0.8
    off = [np.abs(np.linalg.norm(vertices[front], axis=1) - 1.0).mean() for vertices in (without, found)]
    assert off[1] < 0.015 < 0.03 < off[0]
