# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of splats: a mesh of what they show, and files of both."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch  # noqa: E402
from image_to_3d.tests.methods import ball  # noqa: E402
from image_to_3d.worker.cameras.capture import TO_GLTF  # noqa: E402
from image_to_3d.worker.core.errors import Cancelled, Unable  # noqa: E402
from image_to_3d.worker.core.job import Job  # noqa: E402
from image_to_3d.worker.finish.asset import write  # noqa: E402
from image_to_3d.worker.finish.options import SplatsOptions  # noqa: E402
from image_to_3d.worker.finish.splats import finished, fused  # noqa: E402
from image_to_3d.worker.geometry.splats import gltf, ply, spz  # noqa: E402
from image_to_3d.worker.methods.multiview_fit.splats import fit, learn, start  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402

CPU = torch.device("cpu")
PLAN = learn.Plan((32, 48), (60, 60), 1500, 1, 64)


def silent() -> Job:
    return Job(lambda *_: None)


@pytest.fixture(scope="module")
def capture():
    return ball.capture()


@pytest.fixture(scope="module")
def learned(capture):
    return learn.learn(capture, PLAN, silent(), CPU)


@pytest.fixture(scope="module")
def splats(learned, capture):
    return fit._with_views(learned.splats, capture.views, CPU)


def test_a_ball_is_learned_and_the_same_each_time(learned, capture):
    assert learned.psnr > 22.0 and learned.steps == 120 and not learned.stopped
    again = learn.learn(capture, PLAN, silent(), CPU)
    assert np.allclose(again.splats.centres, learned.splats.centres, atol=1e-5)


def test_learning_ends_where_one_says_so_and_hears_a_cancel(capture):
    asked = iter(range(1000))
    early = learn.learn(capture, PLAN, silent(), CPU, stop=lambda: next(asked) >= 30)
    assert early.stopped and early.steps == 30 and len(early.splats)
    job = Job(lambda *_: job.cancel())
    with pytest.raises(Cancelled):
        learn.learn(capture, PLAN, job, CPU)


def test_photos_without_a_place_in_common_are_told(capture):
    empty = tuple(dataclasses.replace(view, mask=np.zeros_like(view.mask)) for view in capture.views)
    with pytest.raises(Unable, match="agree on no shape"):
        learn.learn(dataclasses.replace(capture, views=empty), PLAN, silent(), CPU)


def test_its_mesh_is_the_ball_and_lies_where_the_splats_do(splats, tmp_path):
    asset = finished(splats, SplatsOptions(grid=48, faces=3000, texture=256), silent())
    middle = asset.mesh.bounds.mean(0)
    away = np.linalg.norm(asset.mesh.vertices - middle, axis=1)
    assert away.std() < 0.09 * away.mean()  # pictures of 24 pixels
    low, high = np.percentile(asset.splats.centres, (5, 95), axis=0)
    assert np.abs((low + high) / 2 - middle).max() < 0.1
    assert abs(float((asset.mesh.bounds[1] - asset.mesh.bounds[0]).max()) - 2.0) < 1e-3
    assert write(asset, tmp_path / "a.glb", "ball") == 0
    for name, decode in (("a.spz", spz.decode), ("a.PLY", ply.decode), ("a.splats.glb", gltf.decode)):
        count = write(asset, tmp_path / name, "ball")
        assert count == len(asset.splats) == len(decode((tmp_path / name).read_bytes()))


def test_splats_survive_their_arrays(splats):
    back = type(splats).from_arrays(splats.to_arrays(), splats.views)
    assert np.array_equal(back.harmonics, splats.harmonics) and back.notes == splats.notes
    assert np.array_equal(back.shape.values, splats.shape.values)
    assert np.allclose(back.shape.bounds, splats.shape.bounds)
    loose = dataclasses.replace(splats, shape=None)
    assert type(loose).from_arrays(loose.to_arrays(), ()).shape is None


def test_splats_of_what_is_cut_out_lie_on_its_surface_and_are_opaque(splats):
    away = np.linalg.norm(splats.centres - TO_GLTF @ ball.CENTRE, axis=1)
    assert np.abs(np.median(away) - ball.RADIUS) < 0.05  # a pixel
    assert np.median(splats.opacities) > 0.75  # with what thins out a cloud .68
    flat = np.sort(splats.scales, 1)
    assert np.median(flat[:, 0] / flat[:, 1]) < 0.5


def test_what_begins_on_a_surface_is_turned_along_it():
    normals = np.random.default_rng(0).normal(size=(20, 3))
    normals = np.concatenate([normals / np.linalg.norm(normals, axis=1, keepdims=True), [[0, 0, 1], [0, 0, -1]]])
    made = start.Start(normals.astype(np.float32), np.full((22, 3), 0.5), normals).tensors(0)
    turned = Rotation.from_quat(made["rotations"].numpy(), scalar_first=True).as_matrix()[:, :, 2]
    assert np.allclose(turned, normals, atol=1e-5)
    assert (made["scales"].argmin(1) == 2).all()


def radius_of(splats, shown: float) -> float:
    """Of the surface that is made where a ball so large is seen in the middle of the true one."""
    own = dataclasses.replace(splats, seen=lambda view: looked_into(view, shown))
    field = fused(own, 48, silent().span(0.0, 1.0))
    ways = np.random.default_rng(0).normal(size=(200, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    steps = np.linspace(0.15, 0.5, 71)
    inside = field.value((TO_GLTF @ ball.CENTRE + steps[:, None, None] * ways).reshape(-1, 3)).reshape(71, 200) > 0
    return float(np.median(steps[np.minimum((~inside).argmax(0), 70)]))


def looked_into(view, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Depth and opacity of a ball in the middle of the true one."""
    camera = view.camera
    row, column = np.mgrid[: camera.height, : camera.width] + 0.5
    way = np.stack([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, np.ones(row.shape)], 2)
    middle = view.rotation @ (TO_GLTF @ ball.CENTRE - view.position)
    half, whole = way @ middle, (way * way).sum(2)
    under = half**2 - whole * (middle @ middle - radius**2)
    return np.where(under > 0, (half - np.sqrt(np.maximum(under, 0))) / whole, 0.0), np.float32(under > 0)


def test_its_mesh_is_the_surface_on_which_they_began_and_a_places_what_they_show(splats):
    assert abs(radius_of(splats, 0.2) - ball.RADIUS) < 0.02
    place = dataclasses.replace(splats, shape=None)
    assert abs(radius_of(place, 0.3) - 0.3) < 0.02 and abs(radius_of(place, 0.4) - 0.4) < 0.02
