# SPDX-License-Identifier: GPL-3.0-or-later
"""From a representation to an asset: which field of view, which size, what of the background, how fine."""

import os
import signal
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from image_to_3d.worker import finish as assets
from image_to_3d.worker import methods as backends
from image_to_3d.worker.core.errors import Invalid, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap, Layers
from image_to_3d.worker.core.view import Window
from image_to_3d.worker.finish import relief
from image_to_3d.worker.finish.layers import OBJECT_FOV
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.weights import WeightStore
from scipy.ndimage import gaussian_filter


def plan(tmp_path, **chosen) -> relief.ReliefPlan:
    info = backends.get("depth").describe(WeightStore(tmp_path))
    return assets.plan_for("relief", backends.settle(info, "fast", chosen))


def photo(height=60, width=80, alpha=None, fov=None) -> Picture:
    rows, columns = np.mgrid[:height, :width]
    rgb = np.stack([rows * 4 % 256, columns * 3 % 256, 0 * rows + 90], -1).astype(np.uint8)
    return Picture(rgb, alpha, fov, "digest", "photo")


def slope(metric=False, fov=None) -> DepthMap:
    """Near below, far above: inverse depth from 0.25 to 1."""
    inverse = np.linspace(0.25, 1, 30, dtype=np.float32)[:, None].repeat(40, 1)
    return DepthMap(inverse, metric, np.ones(inverse.shape, bool), fov)


def made(depth_map, picture, wish) -> assets.Asset:
    return wish.made_of(depth_map, picture, Job(lambda *_: None), lambda name: nullcontext())


def test_relative_depth_gets_the_wanted_size_and_metric_depth_keeps_its_metres(tmp_path):
    relative = made(slope(), photo(), plan(tmp_path, size=3.0)).mesh.bounds
    assert (relative[1] - relative[0]).max() == pytest.approx(3.0, abs=1e-3)
    metric = made(slope(metric=True), photo(), plan(tmp_path, far=10.0)).mesh.bounds
    assert metric[1, 2] - metric[0, 2] == pytest.approx(3.0, abs=0.1)  # from 1 to 4 metres


def test_the_field_of_view_is_the_users_else_the_networks_else_the_photos_else_the_default(tmp_path):
    assert made(slope(fov=70), photo(fov=40), plan(tmp_path, fov=90.0)).cameras[0].fov_degrees == 90
    assert made(slope(fov=70), photo(fov=40), plan(tmp_path)).cameras[0].fov_degrees == 70
    assert made(slope(), photo(fov=40), plan(tmp_path)).cameras[0].fov_degrees == 40
    assert made(slope(), photo(), plan(tmp_path)).cameras[0].fov_degrees == relief.DEFAULT_FOV


def test_transparency_is_cut_away_unless_it_is_to_be_kept(tmp_path):
    alpha = np.full((60, 80), 255, np.uint8)
    alpha[:, :40] = 0
    cut = made(slope(), photo(alpha=alpha), plan(tmp_path)).mesh
    assert cut.uv[:, 0].min() > 0.4
    assert made(slope(), photo(alpha=alpha), plan(tmp_path, background="keep")).mesh.uv[:, 0].min() < 0.01


def test_a_cut_out_subject_has_no_shreds_of_what_was_behind_it(tmp_path):
    rows, columns = np.mgrid[:120, :160]
    disc = (rows - 60) ** 2 + (columns - 80) ** 2 < 40**2
    soft = gaussian_filter(np.where(disc, 1.0, 0.25), 3.0)[::2, ::2].astype(np.float32)  # as networks see it
    depth_map = DepthMap(soft, False, np.ones(soft.shape, bool))
    bounds = made(depth_map, photo(120, 160, np.uint8(disc) * 255), plan(tmp_path)).mesh.bounds
    across, _, deep = bounds[1] - bounds[0]
    assert deep < 0.3 * across


def test_a_background_that_cannot_be_cut_away_is_said(tmp_path):
    asset = made(slope(), photo(), plan(tmp_path, background="cut"))
    assert len(asset.warnings) == 1 and "background" in asset.warnings[0]


def test_a_picture_that_is_transparent_everywhere_is_refused(tmp_path):
    with pytest.raises(Unable, match="transparent"):
        made(slope(), photo(alpha=np.zeros((60, 80), np.uint8)), plan(tmp_path))


def test_a_depth_range_that_makes_no_sense_is_refused_before_any_work(tmp_path):
    with pytest.raises(Invalid, match="nearest"):
        plan(tmp_path, near=4.0, far=4.0)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_the_mesh_is_no_finer_than_the_photo(tmp_path, height, width):
    mesh = made(slope(), photo(height, width), plan(tmp_path)).mesh
    assert 2 <= len(mesh.faces) <= 4 * (height + 1) * (width + 1)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    import resource

    asset = assets.Asset(Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32)), None, True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as if the disk had room for 100 bytes
    try:
        with pytest.raises(Unable, match="could not be written"):
            assets.write(asset, tmp_path / "out.glb", "name")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert os.listdir(tmp_path) == []


def test_two_layers_become_a_thing_of_the_wanted_size_that_stands_on_the_ground(tmp_path):
    alpha = np.zeros((60, 80), np.uint8)
    alpha[10:50, 20:60] = 255
    plate, seen = np.full((32, 32), 0.4, np.float32), np.zeros((32, 32, 3), np.uint8)
    layers = Layers(-plate, plate, seen, Window(17, 7, 46))
    wish = plan(tmp_path, size=3.0, faces=1000)
    asset = wish.made_of(layers, photo(alpha=alpha), Job(lambda *_: None), lambda name: nullcontext())
    low, high = asset.mesh.bounds
    assert (high - low).max() == pytest.approx(3.0, abs=1e-3) and low[1] == pytest.approx(0, abs=1e-3)
    assert len(asset.mesh.faces) <= 1000 and not asset.double_sided
    assert asset.cameras[0].fov_degrees == OBJECT_FOV
