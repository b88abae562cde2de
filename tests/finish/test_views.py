# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of a thing: kept, written to a folder that others read, and made a closed thing again."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import trimesh
from image_to_3d.worker.cameras.readers import transforms
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers, Views
from image_to_3d.worker.core.view import View, Window
from image_to_3d.worker.finish.around import IMAGINED, around
from image_to_3d.worker.finish.dispatch import finished
from image_to_3d.worker.finish.options import ViewsOptions, of_type
from image_to_3d.worker.geometry.around import looking
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.bake import baked
from image_to_3d.worker.geometry.texturing.seen import Seen, pictured
from image_to_3d.worker.geometry.texturing.unwrap import unwrapped
from image_to_3d.worker.pictures import views_folder
from PIL import Image

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
            np.testing.assert_allclose(a, b, atol=1e-12)


def exr_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray()


def test_arrays_give_the_same_views_again(views):
    arrays = views.to_arrays()
    assert "rgb 0" not in arrays  # the photo is the user's own
    again = Views.from_arrays(arrays, views.pictures[0].rgb)
    for one, other in zip(views.pictures, again.pictures, strict=True):
        same(one, other)
    for one, other in zip(views.depths, again.depths, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.notes == views.notes and again.views == (again.pictures[0],)


def test_a_folder_holds_pictures_masks_depth_and_confidence(views, tmp_path):
    frames = json.loads(views_folder.saved(views, tmp_path).read_text())["frames"]
    for number, (view, depth, frame) in enumerate(zip(views.pictures, views.depths, frames, strict=True)):
        assert np.array_equal(Image.open(tmp_path / frame["file_path"]), view.rgb)
        assert np.array_equal(Image.open(tmp_path / frame["mask_path"]), view.mask)
        there = np.where(np.isfinite(depth), depth, 0.0)
        steps = np.asarray(Image.open(tmp_path / frame["depth_file_path"]))
        np.testing.assert_allclose(steps * 0.001, there, atol=0.0006)
        np.testing.assert_array_equal(exr_of(tmp_path / "depths" / f"{number:04d}.exr"), there)
        assert ("confidence_path" in frame) == (view.confidence is not None)
    believed = np.asarray(Image.open(tmp_path / frames[1]["confidence_path"]))
    assert believed.max() == 128
    assert Image.open(tmp_path / views_folder.SHEET).size == (3 * views_folder.CELL, 2 * views_folder.CELL)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_depths_of_small_and_of_large_things_are_told_in_a_unit_of_their_own(views, tmp_path, scale):
    pictures = tuple(replace(view, position=scale * view.position) for view in views.pictures)
    depths = tuple(np.float32(scale) * depth for depth in views.depths)
    content = json.loads(views_folder.saved(replace(views, pictures=pictures, depths=depths), tmp_path).read_text())
    steps = np.asarray(Image.open(tmp_path / "depths" / "0000.png")) * views_folder.UNIT * content["depth_unit"]
    there = np.isfinite(depths[0])
    np.testing.assert_allclose(steps[there], depths[0][there], rtol=1e-4)


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


def test_a_folder_that_cannot_be_written_is_one_sentence(views, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unable, match="the views could not be written to"):
        views_folder.saved(views, tmp_path / "file")


def test_a_finished_thing_is_seen_from_all_sides_and_its_photo_is_one_of_them(views):
    asset = finished(views, ViewsOptions(grid=48, faces=3000, texture=128, size=5.0), JOB)
    made = around(asset, views.views, 96)
    photo, *renders = made.pictures
    assert len(renders) == 9 and photo.confidence is None and np.array_equal(photo.mask, views.pictures[0].mask)
    here = (np.isfinite(made.depths[0]) & (photo.mask >= 128)).sum() / (photo.mask >= 128).sum()
    assert here > 0.97  # the photo's camera stands where the enlarged thing asks it to
    middle = asset.mesh.bounds.mean(axis=0)
    for view, depth in zip(made.pictures, made.depths):
        assert np.isfinite(depth[48, 48]) and (view.rotation @ (middle - view.position))[2] > 0
    away = max(renders, key=lambda view: float(-view.position[2]))
    assert np.median(away.confidence[away.mask >= 128]) == pytest.approx(IMAGINED, abs=0.01)


def test_views_become_a_closed_thing_of_their_shape_and_colours(views):
    asset = finished(views, ViewsOptions(grid=64, faces=6000, texture=256), JOB)
    solid = trimesh.Trimesh(asset.mesh.vertices, asset.mesh.faces).process()
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    assert solid.is_watertight and len(asset.cameras) == 1
    np.testing.assert_allclose(np.ptp(asset.mesh.vertices, axis=0), 2.0 * SIZE, atol=0.05)
    behind = pictured(asset.mesh, looking(asset.mesh, 180.0, 0.0, 64), np.zeros(3))[0][32, 32]
    assert behind[1] > 120 > 60 > behind[0]


def test_where_views_have_layers_these_are_the_shape_and_are_kept_with_them(views):
    size, photo = 32, views.pictures[0]
    bulge = np.float32(
        np.sqrt(np.clip(1.0 - (np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j] ** 2).sum(axis=0), 0, 1))
    )
    layers = Layers(-0.3 * bulge, 0.3 * bulge, np.full((size, size, 3), 90, np.uint8), Window(0, 0, 96), photo)
    known = replace(views, layers=layers)
    again = Views.from_arrays(known.to_arrays(), photo.rgb).layers
    assert (
        np.array_equal(again.back, layers.back)
        and again.window == layers.window
        and np.array_equal(again.view.mask, photo.mask)
    )
    options = ViewsOptions(grid=48, faces=3000, texture=64)
    made, alone = finished(known, options, JOB).mesh, finished(layers, of_type("Layers", options), JOB).mesh
    assert np.array_equal(made.vertices, alone.vertices) and np.array_equal(made.texture, alone.texture)


def test_views_that_show_nothing_are_told(views):
    empty = tuple(np.full_like(depth, np.inf) for depth in views.depths)
    with pytest.raises(Unable, match="show nothing"):
        finished(replace(views, depths=empty), ViewsOptions(), JOB)
