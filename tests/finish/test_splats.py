# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of splats: a mesh of what they show, and files of both."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch  # noqa: E402
from image_to_3d.tests.methods import ball  # noqa: E402
from image_to_3d.worker.core.errors import Cancelled, Unable  # noqa: E402
from image_to_3d.worker.core.job import Job  # noqa: E402
from image_to_3d.worker.finish.asset import write  # noqa: E402
from image_to_3d.worker.finish.options import SplatsOptions  # noqa: E402
from image_to_3d.worker.finish.splats import finished  # noqa: E402
from image_to_3d.worker.geometry.splats import gltf, ply, spz  # noqa: E402
from image_to_3d.worker.methods.multiview_fit.splats import fit, learn  # noqa: E402

CPU = torch.device("cpu")
PLAN = learn.Plan((32, 48), (60, 60), 1500, 1)


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
    with pytest.raises(Unable, match="no place in common"):
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
