# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of a thing: kept, written to a folder that others read, and made a closed thing again."""

import json
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.cameras.readers import transforms
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Views
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish.dispatch import finished
from image_to_3d.worker.finish.options import ViewsOptions
from image_to_3d.worker.geometry.around import looking
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.bake import baked
from image_to_3d.worker.geometry.texturing.seen import Seen, pictured
from image_to_3d.worker.geometry.texturing.unwrap import unwrapped
from image_to_3d.worker.pictures import views_folder

JOB = Job(lambda *_: None)
SIZE = np.array([1.0, 0.7, 0.5])


@pytest.fixture(scope="module")
def views() -> Views:
    """An ellipsoid, red in front and green behind, from six sides; the first is a photo."""
    ball = trimesh.creation.icosphere(4)
    mesh = unwrapped(Mesh(np.float32(ball.vertices * SIZE), np.int32(ball.faces)), 256)
    mesh = baked(
        mesh, 256, lambda points: np.float32(np.where(points[:, 2:] > 0, [0.8, 0.1, 0.1], [0.1, 0.6, 0.1])), []
    )
    pictures, depths = [], []
    for number, (yaw, pitch) in enumerate([(0, 0), (90, 10), (180, 0), (270, -10), (0, 85), (0, -85)]):
        view = looking(mesh, yaw, pitch, 96)
        rgb, mask = pictured(mesh, view, np.zeros(3))
        confidence = None if number == 0 else np.full((96, 96), 0.5, np.float32)
        pictures.append(replace(view, rgb=rgb, mask=mask, confidence=confidence))
        depths.append(Seen.of(mesh, view).depths)
    return Views(tuple(pictures), tuple(depths), ("made for a test",))


def same(one: View, other: View) -> None:
    assert one.camera == other.camera
    for name in ("rotation", "position", "rgb", "mask", "confidence"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, atol=1 / 255 if name == "confidence" else 1e-12)


def test_arrays_give_the_same_views_again(views):
    arrays = views.to_arrays()
    assert "rgb 0" not in arrays  # the photo is the user's own
    again = Views.from_arrays(arrays, views.pictures[0].rgb)
    for one, other in zip(views.pictures, again.pictures, strict=True):
        same(one, other)
    for one, other in zip(views.depths, again.depths, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.notes == views.notes and again.views == (again.pictures[0],)


def test_a_folder_gives_the_same_views_again_but_for_a_thousandth_of_depth(views, tmp_path):
    again = views_folder.opened(views_folder.saved(views, tmp_path).parent)
    for one, other in zip(views.pictures, again.pictures, strict=True):
        same(one, other)
    for one, other in zip(views.depths, again.depths, strict=True):
        np.testing.assert_allclose(one, other, atol=0.0006)
        assert np.isinf(other[0, 0])


def test_the_folder_is_read_as_a_list_of_cameras_with_masks(views, tmp_path):
    path = views_folder.saved(views, tmp_path)
    found = transforms.read(path, JOB)
    assert len(found.pictures) == 6 and len(found.masks) == 6
    for number, view in enumerate(views.pictures):
        np.testing.assert_allclose(found.rotations[number], view.rotation, atol=1e-9)
        np.testing.assert_allclose(found.positions[number], view.position, atol=1e-9)
        assert found.lenses[number].camera == view.camera
    first = json.loads(path.read_text())["frames"][1]
    assert first["depth_file_path"] == "depths/0001.png" and first["confidence_path"] == "confidence/0001.png"


def test_a_damaged_folder_is_one_sentence(views, tmp_path):
    path = views_folder.saved(views, tmp_path)
    (tmp_path / "depths" / "0002.png").unlink()
    with pytest.raises(Unable, match="no views that were saved here"):
        views_folder.opened(tmp_path)
    path.write_text("[]")
    with pytest.raises(Unable, match="no views that were saved here"):
        views_folder.opened(tmp_path)


def test_views_become_a_closed_thing_of_their_shape_and_colours(views):
    asset = finished(views, ViewsOptions(grid=64, faces=6000, texture=256), JOB)
    solid = trimesh.Trimesh(asset.mesh.vertices, asset.mesh.faces).process()
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    assert solid.is_watertight and len(asset.cameras) == 1
    np.testing.assert_allclose(np.ptp(asset.mesh.vertices, axis=0), 2.0 * SIZE, atol=0.05)
    behind = pictured(asset.mesh, looking(asset.mesh, 180.0, 0.0, 64), np.zeros(3))[0][32, 32]
    assert behind[1] > 120 > 60 > behind[0]


def test_views_that_show_nothing_are_told(views):
    empty = tuple(np.full_like(depth, np.inf) for depth in views.depths)
    with pytest.raises(Unable, match="show nothing"):
        finished(replace(views, depths=empty), ViewsOptions(), JOB)
