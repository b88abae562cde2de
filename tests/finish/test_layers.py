# SPDX-License-Identifier: GPL-3.0-or-later
"""From two layers to a closed thing: sized, upright, with the field of view that the photo or the user says."""

import dataclasses

import numpy as np
import pytest
from image_to_3d.tests.render import bilinear
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.core.view import PinholeCamera, View, Window
from image_to_3d.worker.finish.asset import Asset
from image_to_3d.worker.finish.dispatch import finished
from image_to_3d.worker.finish.layers import _regions
from image_to_3d.worker.finish.options import LayersOptions
from image_to_3d.worker.geometry.solid import is_closed
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

FOV = 35.0


def plates() -> Layers:
    """A square slab, cut out of a photo of 60 x 80 pixels."""
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 20:60] = 255
    rgb = np.zeros((60, 80, 3), np.uint8) + np.uint8([200, 60, 30])
    plate, behind = np.full((32, 32), 0.4, np.float32), np.zeros((32, 32, 3), np.uint8)
    view = View(PinholeCamera.from_fov(80, 60, FOV), rgb=rgb, mask=mask)
    return Layers(-plate, plate, behind, Window(17, 7, 46), view, ("a guess",))


def made(layers: Layers, **chosen) -> Asset:
    return finished(layers, LayersOptions(**chosen), Job(lambda *_: None))


def test_two_layers_become_a_thing_of_the_wanted_size_that_stands_on_the_ground():
    asset = made(plates(), size=3.0, faces=1000)
    low, high = asset.mesh.bounds
    assert (high - low).max() == pytest.approx(3.0, abs=1e-3) and low[1] == pytest.approx(0, abs=1e-3)
    assert len(asset.mesh.faces) <= 1000 and not asset.double_sided and asset.warnings == ("a guess",)
    _, number = np.unique(asset.mesh.vertices, axis=0, return_inverse=True)
    assert is_closed(number.ravel()[asset.mesh.faces])


def test_the_origin_is_where_it_is_wanted():
    assert made(plates(), origin="centre").mesh.bounds.sum(axis=0) == pytest.approx(0, abs=1e-4)


def test_the_field_of_view_is_the_users_else_the_views():
    assert made(plates()).cameras[0].fov_degrees == pytest.approx(FOV)
    assert made(plates(), fov=80.0).cameras[0].fov_degrees == pytest.approx(80.0)


def test_the_camera_sees_the_thing_where_the_photo_shows_it():
    asset = made(plates())
    [camera] = asset.cameras
    x, y, z = (asset.mesh.vertices - np.array(camera.position)).T
    focal = 80 / 2 / np.tan(np.radians(FOV) / 2)
    column, row = 40 + focal * x / -z, 30 - focal * y / -z
    assert [column.min(), column.max(), row.min(), row.max()] == pytest.approx([20, 60, 10, 50], abs=1.0)


def test_the_thing_stands_as_the_network_believes_unless_the_camera_is_to_be_believed():
    above = np.radians(30.0)  # a camera that looks down on it: what is up goes up in its picture and towards it
    found = dataclasses.replace(plates(), up=np.float32([0.0, -np.cos(above), -np.sin(above)]))
    auto, camera = made(found, origin="centre"), made(found, origin="centre", upright="camera")
    plate = np.ptp(camera.mesh.vertices, axis=0)
    assert plate[1] == pytest.approx(plate[0], rel=0.02)
    [info] = auto.cameras
    w, *axis = info.rotation
    looks = Rotation.from_quat([*axis, w]).as_matrix() @ [0.0, 0.0, -1.0]
    assert looks == pytest.approx([0.0, -np.sin(above), -np.cos(above)], abs=1e-4)
    assert np.array(info.position)[1] > 0.5 and camera.cameras[0].position[1] == pytest.approx(0.0, abs=0.05)


def test_the_vertical_is_kept_with_the_layers():
    found = dataclasses.replace(plates(), up=np.float32([0.0, -1.0, 0.0]))
    assert (Layers.from_arrays(found.to_arrays(), found.view).up == found.up).all()
    assert Layers.from_arrays(plates().to_arrays(), found.view).up is None


def test_a_mask_that_shows_nothing_is_one_sentence():
    found = plates()
    nothing = dataclasses.replace(found.view, mask=np.zeros_like(found.view.mask))
    with pytest.raises(Unable, match="outline") as caught:
        made(dataclasses.replace(found, view=nothing))
    assert "\n" not in str(caught.value)


def disc() -> Layers:
    """In a window of 400 pixels."""
    rows, columns = np.mgrid[:400, :400] - 199.5
    mask = np.uint8(255) * (rows**2 + columns**2 < 180**2)
    plate, behind = np.full((64, 64), 0.4, np.float32), np.zeros((64, 64, 3), np.uint8)
    rgb = np.stack([np.mgrid[:400, :400][0] // 2, np.mgrid[:400, :400][1] // 2, mask // 4], -1).astype(np.uint8)
    view = View(PinholeCamera.from_fov(400, 400, FOV), rgb=rgb, mask=mask)
    return Layers(-plate, plate, behind + np.uint8([10, 20, 200]), Window(0, 0, 400), view)


def test_the_outline_is_as_fine_as_the_grid():
    x, y, z = (made(disc(), faces=1_000_000).mesh.vertices).T
    away = np.where(z > z.mean(), np.hypot(x - x.mean(), y - (y.min() + y.max()) / 2), 0.0)
    rim = np.unique(
        np.round(np.degrees(np.arctan2(y - (y.min() + y.max()) / 2, x - x.mean()))[away > 0.97 * away.max()])
    )
    assert len(rim) > 200
    assert len(made(disc(), faces=1_000_000, grid=64).mesh.faces) < len(x)


def test_the_front_shows_the_photo_and_the_back_its_own_colour():
    layers = disc()
    asset = made(layers)
    [camera], mesh = asset.cameras, asset.mesh
    x, y, z = (mesh.vertices - np.array(camera.position)).T
    focal = 400 / 2 / np.tan(np.radians(FOV) / 2)
    expected = bilinear(layers.view.rgb, np.column_stack([200 + focal * x / -z, 200 - focal * y / -z]) / 400)
    colour = bilinear(mesh.texture, mesh.uv)
    inner = np.hypot(200 + focal * x / -z - 200, 200 - focal * y / -z - 200) < 165
    front, back = inner & (mesh.normals[:, 2] > 0.9), inner & (mesh.normals[:, 2] < -0.9)
    assert front.sum() > 100 and np.abs(colour - expected)[front].max() < 6
    middle = back & (np.hypot(x, y - y.mean()) < 0.5)
    assert middle.sum() > 20 and np.abs(colour[middle] - [10, 20, 200]).max() < 30


def skin(mesh) -> float:
    """Median degrees between faces and the surface averaged over 2 % of the longest side around each."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(across, axis=1)
    rng = np.random.default_rng(0)
    face = rng.choice(len(area), 30_000, p=area / area.sum())
    points = np.einsum("nk,nkc->nc", rng.dirichlet(np.ones(3), len(face)), corners[face])
    normals = across[face] / area[face, None]
    angles = []
    for number, near in enumerate(cKDTree(points).query_ball_point(points[:1000], 0.02 * np.ptp(points, axis=0).max())):
        alike = normals[near][normals[near] @ normals[number] > 0.3]
        mean = alike.mean(axis=0)
        angles.append(np.degrees(np.arccos(np.clip(mean @ normals[number] / np.linalg.norm(mean), -1.0, 1.0))))
    return float(np.median(angles))


def seen(half: np.ndarray, inside: np.ndarray, ripples: float) -> Layers:
    """A thing as a network says it that is not quite sure: with ripples of so many of its pixels."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(2, *half.shape)), (0, 2, 2))
    front, back = ripples * 2 / len(half) * noise / np.abs(noise).max() + np.stack([-half, half])
    mask = np.asarray(Image.fromarray(np.uint8(255) * inside).resize((400, 400), Image.Resampling.BICUBIC))
    view = View(PinholeCamera.from_fov(400, 400, FOV), rgb=np.full((400, 400, 3), 90, np.uint8), mask=mask)
    colour = np.full((*half.shape, 3), 90, np.uint8)
    return Layers(front.astype(np.float32), back.astype(np.float32), colour, Window(0, 0, 400), view)


def test_boxes_are_flat_and_balls_are_round():
    """Of a ball of 15,000 triangles that is exact but for those, skin is 1.05."""
    y, x = np.abs((np.indices((64, 64)) + 0.5) / 32 - 1)
    box = made(seen(np.full((64, 64), 0.5), np.maximum(y, x) < 0.6, 0.3)).mesh
    ball = made(seen(np.sqrt(np.maximum(0.64 - y**2 - x**2, 0.0)), np.hypot(y, x) < 0.8, 0.1), faces=25_000).mesh
    assert skin(box) < 0.3 and skin(ball) < 1.0


def test_an_outline_keeps_the_shares_of_its_pixels():
    layers = plates()
    mask = layers.view.mask.copy()
    mask[9, 20:60] = 100  # a soft edge above, and haze beyond it
    mask[5, 20:60] = 100
    soft = dataclasses.replace(layers, view=dataclasses.replace(layers.view, mask=mask))
    [hard], [found] = (_regions(each, 46) for each in (layers, soft))
    assert (found - hard)[2, 3:43] == pytest.approx(100 / 255, abs=0.02)
    assert np.count_nonzero(found != hard) == 40


def test_the_texture_is_no_finer_than_the_photo():
    assert len(made(disc(), texture=8192).mesh.texture) < 1200
    assert len(made(disc(), texture=128).mesh.texture) == 128
