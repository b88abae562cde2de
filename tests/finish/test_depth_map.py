# SPDX-License-Identifier: GPL-3.0-or-later
"""From a depth map to a relief: which field of view, which size, what of the background, how fine."""

import dataclasses

import numpy as np
import pytest
import trimesh
from image_to_3d.tests import render
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.core.view import PinholeCamera
from image_to_3d.worker.finish import depth_map as finishing
from image_to_3d.worker.finish.asset import Asset
from image_to_3d.worker.finish.dispatch import finished
from image_to_3d.worker.finish.options import DepthMapOptions
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline.select import settings
from scipy import ndimage
from scipy.ndimage import gaussian_filter

FOV = 55.0
"""Of photos that tell none."""


def options(**chosen) -> DepthMapOptions:
    return settings(with_network("included")[0], "fast", chosen).finish


def photo(height=60, width=80, alpha=None, fov=None) -> Picture:
    rows, columns = np.mgrid[:height, :width]
    rgb = np.stack([rows * 4 % 256, columns * 3 % 256, 0 * rows + 90], -1).astype(np.uint8)
    return Picture(rgb, alpha, fov, "digest", "photo")


def slope(picture: Picture, metric=False) -> DepthMap:
    """Near below, far above: inverse depth from 0.25 to 1."""
    inverse = np.linspace(0.25, 1, 30, dtype=np.float32)[:, None].repeat(40, 1)
    return DepthMap(inverse, metric, np.ones(inverse.shape, bool), picture.view(FOV))


def made(depth_map: DepthMap, **chosen) -> Asset:
    return finished(depth_map, options(**chosen), Job(lambda *_: None))


def test_relative_depth_gets_the_wanted_size_and_metric_depth_keeps_its_metres():
    relative = made(slope(photo()), size=3.0).mesh.bounds
    assert (relative[1] - relative[0]).max() == pytest.approx(3.0, abs=1e-3)
    metric = made(slope(photo(), metric=True), far=10.0).mesh.bounds
    assert metric[1, 2] - metric[0, 2] == pytest.approx(3.0, abs=0.1)  # from 1 to 4 metres


def test_the_fine_detail_is_the_normals_of_a_network_that_tells_them_and_no_doubt():
    plain = slope(photo(), metric=True)
    folds = np.zeros((30, 40, 3), np.float32)
    folds[..., 0] = 0.6 * np.sin(np.arange(40))
    folds[..., 2] = -np.sqrt(1.0 - folds[..., 0] ** 2)
    as_seen, detailed = (made(each).mesh for each in (plain, dataclasses.replace(plain, normals=folds)))
    unsure = np.full((30, 40), 0.1, np.float32)
    doubted = made(dataclasses.replace(plain, normals=folds, uncertainty=unsure)).mesh
    rough = [np.abs(mesh.normals[:, 0]).mean() for mesh in (as_seen, doubted, detailed)]
    assert rough[2] > 2.0 * max(rough[:2])


def test_the_field_of_view_is_the_users_else_the_photos_else_the_default():
    assert made(slope(photo(fov=40)), fov=90.0).cameras[0].fov_degrees == pytest.approx(90)
    assert made(slope(photo(fov=40))).cameras[0].fov_degrees == pytest.approx(40)
    assert made(slope(photo())).cameras[0].fov_degrees == pytest.approx(FOV)


def test_the_camera_stands_where_it_sees_the_mesh_as_the_photo_shows_it():
    placed, as_it_is = (made(slope(photo(), metric=True), origin=origin, behind=False) for origin in ("base", "centre"))
    for asset in (placed, as_it_is):
        [camera] = asset.cameras
        x, y, z = (asset.mesh.vertices - np.array(camera.position)).T
        focal = 80 / 2 / np.tan(np.radians(FOV) / 2)
        column, row = 40 + focal * x / -z, 30 - focal * y / -z
        np.testing.assert_allclose(column / 80, asset.mesh.uv[:, 0], atol=0.01)
        np.testing.assert_allclose(row / 60, asset.mesh.uv[:, 1], atol=0.01)
    assert placed.mesh.bounds[0, 1] == pytest.approx(0, abs=1e-4)
    assert as_it_is.mesh.bounds.mean(axis=0) == pytest.approx(0, abs=1e-4)


def test_transparency_is_cut_away_unless_it_is_to_be_kept():
    alpha = np.full((60, 80), 255, np.uint8)
    alpha[:, :40] = 0
    cut = made(slope(photo(alpha=alpha))).mesh
    assert cut.uv[:, 0].min() > 0.4
    assert made(slope(photo(alpha=alpha)), background="keep").mesh.uv[:, 0].min() < 0.01


def test_a_plain_background_is_cut_away_only_where_that_is_asked_for():
    plain = photo()
    plain.rgb[:, :40] = 250
    plain.rgb[:5], plain.rgb[-5:], plain.rgb[:, -5:] = 250, 250, 250
    assert made(slope(plain), background="cut").mesh.uv[:, 0].min() > 0.4
    assert made(slope(plain)).mesh.uv[:, 0].min() < 0.01


def test_a_cut_out_subject_has_no_shreds_of_what_was_behind_it():
    rows, columns = np.mgrid[:120, :160]
    disc = (rows - 60) ** 2 + (columns - 80) ** 2 < 40**2
    soft = gaussian_filter(np.where(disc, 1.0, 0.25), 3.0)[::2, ::2].astype(np.float32)  # as networks see it
    view = photo(120, 160, np.uint8(disc) * 255).view(FOV)
    bounds = made(DepthMap(soft, False, np.ones(soft.shape, bool), view)).mesh.bounds
    across, _, deep = bounds[1] - bounds[0]
    assert deep < 0.3 * across


def test_a_background_that_cannot_be_cut_away_is_said():
    asset = made(slope(photo()), background="cut")
    assert len(asset.warnings) == 1 and "background" in asset.warnings[0]


def test_there_are_no_photos_beside_the_texture():
    assert made(slope(photo())).photos == ()


def test_what_the_method_says_is_said_first():
    noted = dataclasses.replace(slope(photo()), notes=("by hand",))
    assert made(noted, background="cut").warnings[0] == "by hand" and made(noted).warnings == ("by hand",)


@pytest.mark.parametrize("touching", [True, False])
def test_a_thing_that_is_cut_out_is_whole_and_no_deeper_than_large(touching):
    alpha = np.zeros((60, 80), np.uint8)
    alpha[20 : 60 if touching else 50, 25:55] = 255
    asset = made(slope(photo(alpha=alpha)), size=0.0, grid=64)
    extent = np.ptp(asset.mesh.bounds, axis=0)
    assert extent[2] <= 1.5 * max(extent[:2])
    assert len(trimesh.graph.connected_components(_edges(asset.mesh), min_len=1)) == 1


def _edges(mesh) -> np.ndarray:
    """Pairs of vertices, those at the same place as one."""
    _, same = np.unique(np.round(mesh.vertices, 5), axis=0, return_inverse=True)
    return same.reshape(-1)[mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)]


def test_a_scene_without_its_sky_stays_as_deep_as_it_was(monkeypatch):
    alpha = np.full((60, 80), 255, np.uint8)
    alpha[:15] = 0
    own = options(size=0.0, far=4.0)
    away, scene = alpha < 128, slope(photo(alpha=alpha))
    assert finishing._of_a_thing(scene, away, own) is own
    monkeypatch.setattr(finishing, "SCENE_BORDER", 1.0)
    assert finishing._of_a_thing(scene, away, own).far < own.far


def test_a_picture_that_is_transparent_everywhere_is_refused():
    with pytest.raises(Unable, match="photo is transparent"):
        made(slope(photo(alpha=np.zeros((60, 80), np.uint8))))


@pytest.mark.parametrize("height, width", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_the_mesh_is_no_finer_than_the_photo(height, width):
    mesh = made(slope(photo(height, width))).mesh
    assert 2 <= len(mesh.faces) <= 4 * (height + 1) * (width + 1)


def test_no_hole_opens_beside_what_stands_in_front():
    """A board before a wall, looked at from 25 degrees aside: the wall goes on behind the board."""
    inverse = np.full((60, 80), 0.25, np.float32)
    inverse[20:45, 30:50] = 0.5
    rgb = np.tile(np.uint8([40, 60, 200]), (60, 80, 1))
    rgb[20:45, 30:50] = (220, 40, 30)
    picture = Picture(rgb, None, FOV, "digest", "photo")
    depth_map = DepthMap(inverse, True, np.ones(inverse.shape, bool), picture.view(FOV))
    holes = {}
    for behind in (True, False):
        asset = made(depth_map, behind=behind, far=10.0, grid=160)
        shape = render.Shape(asset.mesh.vertices, asset.mesh.faces, asset.mesh.uv, asset.mesh.texture)
        view = render.photo_view(PinholeCamera.from_fov(160, 120, FOV), asset.cameras[0].position)
        aside = render.swung_view(view, view.position - (0.0, 0.0, 2.5), 25.0)
        seen = render.render(shape, aside)
        gaps, _ = ndimage.label(np.isnan(seen.depth))
        around = np.unique(np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]]))
        holes[behind] = (~np.isin(gaps, [0, *around])).mean()
    assert holes[False] > 0.05 and holes[True] < 0.005


def test_a_sure_depth_goes_on_beyond_the_border_and_what_is_shown_keeps_its_size():
    inverse = np.full((60, 80), 0.1, np.float32)
    inverse[:, 4:14] = 1.0  # a post, beside which a walk uncovers what the photo does not show
    picture = photo()
    depth_map = DepthMap(inverse, False, np.ones(inverse.shape, bool), picture.view(FOV))
    wide, doubt = {}, np.full(inverse.shape, 0.001, np.float32)
    for unsure in (None, doubt):
        each = dataclasses.replace(depth_map, uncertainty=unsure)
        asset = made(each, behind=True, far=10.0, grid=160, size=2.0)
        x, y, z = (asset.mesh.vertices - asset.cameras[0].position).T
        camera = PinholeCamera.from_fov(80, 60, FOV)
        inside = np.abs(x / -z * camera.fx) < 40.5
        wide[unsure is None] = (~inside).mean()
        assert np.ptp(asset.mesh.vertices[inside], axis=0).max() == pytest.approx(2.0, rel=0.02)
    assert wide[True] > 0.0 == wide[False]


def proportional(factor: float) -> DepthMap:
    """A floor under a sky, from the photo's lowest row to eight times as far, in any unit."""
    found = slope(photo())
    inverse = np.linspace(-0.2, 1, 30, dtype=np.float32)[:, None].repeat(40, 1)
    valid = inverse > 0.12
    inverse = np.where(valid, inverse, 0) * np.float32(factor)
    unsure, normals = np.full_like(inverse, 0.02), np.zeros((*inverse.shape, 3), np.float32)
    offered = {"uncertainty": unsure, "salient": inverse, "normals": normals}
    return dataclasses.replace(found, inverse_depth=inverse, valid=valid, proportional=True, **offered)


def test_proportional_depth_begins_where_it_is_asked_to_and_is_as_deep_as_it_is():
    small, large = (made(proportional(factor), size=0.0, near=2.0, background="cut") for factor in (1e-3, 50.0))
    np.testing.assert_allclose(small.mesh.bounds, large.mesh.bounds, rtol=1e-4, atol=1e-4)
    away = small.cameras[0].position[2] - small.mesh.vertices[:, 2]
    assert away.min() == pytest.approx(2.0, rel=0.05) and away.max() == pytest.approx(2.0 / 0.13, rel=0.15)


def test_proportional_depth_gets_the_wanted_size_and_can_be_flattened():
    whole, flat = (made(proportional(1.0), size=3.0, far=far).mesh.bounds for far in (0.0, 1.2))
    assert np.ptp(whole, axis=0).max() == pytest.approx(3.0, abs=1e-3)
    assert np.ptp(flat, axis=0)[2] < 0.5 * np.ptp(whole, axis=0)[2]


def test_parts_of_another_size_than_the_depth_are_refused():
    with pytest.raises(ValueError, match="parts of another"):
        dataclasses.replace(slope(photo()), normals=np.zeros((3, 3, 3), np.float32))


def test_the_sky_is_a_backdrop_behind_all_that_is_seen_unless_the_background_is_cut_away():
    whole, cut = (made(proportional(1.0), size=0.0, background=wish).mesh for wish in ("auto", "cut"))
    assert whole.uv[:, 1].min() < 0.01 and cut.uv[:, 1].min() > 0.1
    deep = np.ptp(whole.bounds[:, 2]) / np.ptp(cut.bounds[:, 2])
    assert deep == pytest.approx(finishing.SKY, rel=0.1)


def of_boards() -> DepthMap:
    """Three boards of noise, one before the other, under a sky, and a floor."""
    rng = np.random.default_rng(3)
    rgb = np.kron(rng.integers(0, 256, (30, 40, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    inverse = np.linspace(0.02, 0.5, 120, dtype=np.float32)[:, None].repeat(160, 1)
    inverse[:50], valid = 0.1, np.ones((120, 160), bool)
    valid[:20, 60:] = False
    for top, left, level in ((30, 20, 0.2), (40, 60, 0.4), (60, 90, 0.9)):
        inverse[top : top + 50, left : left + 50] = level
    picture = Picture(rgb, None, FOV, "digest", "photo")
    return DepthMap(inverse, True, valid, picture.view(FOV))


def seen(asset: Asset, samples: int = 2) -> render.Rendered:
    shape = render.Shape(asset.mesh.vertices, asset.mesh.faces, asset.mesh.uv, asset.mesh.texture)
    view = render.photo_view(PinholeCamera.from_fov(160, 120, FOV), asset.cameras[0].position)
    return render.render(shape, view, samples=samples)


def test_from_the_photos_own_place_one_sees_the_photo():
    """No second surface comes before the first, and none is seen through it."""
    found = of_boards()
    photo = found.view.rgb.reshape(120, 2, 160, 2, 3).mean(axis=(1, 3))
    whole = made(found, grid=320)
    mesh = whole.mesh
    below = (mesh.uv[mesh.faces][:, :, 1] > 240 / mesh.texture.shape[0]).all(axis=1)  # the second surface's page
    alone = dataclasses.replace(whole, mesh=dataclasses.replace(mesh, faces=mesh.faces[~below]))
    both, first = seen(whole), seen(alone)
    error = ((both.colour - photo) ** 2).mean()
    assert below.any() and 10 * np.log10(255**2 / error) > 30.0
    assert (both.depth < first.depth * 0.998).mean() < 0.001


def test_what_ripples_within_the_networks_doubt_is_plane():
    rippled = slope(photo(120, 160), metric=True)
    rows, columns = np.mgrid[:60, :80]
    plane = 0.25 + 0.01 * rows
    rippled = dataclasses.replace(
        rippled,
        inverse_depth=np.float32(plane * (1.0 + 0.015 * np.sin(columns) * np.sin(rows))),
        valid=np.ones(plane.shape, bool),
    )
    bent = {}
    for doubt in (0.15, None):
        unsure = None if doubt is None else np.full(plane.shape, doubt, np.float32)
        mesh = made(dataclasses.replace(rippled, uncertainty=unsure), size=0.0).mesh
        middle = mesh.normals[(np.abs(mesh.uv - 0.5) < 0.4).all(axis=1)]
        mean = middle.mean(axis=0) / np.linalg.norm(middle.mean(axis=0))
        bent[doubt] = np.degrees(np.arccos(np.clip(middle @ mean, -1.0, 1.0))).mean()
    assert bent[0.15] < 1.0 and bent[None] > 5.0


@pytest.mark.filterwarnings("error")
def test_what_is_farthest_is_no_plateau_and_a_stray_patch_not_miles_away():
    rows, columns = np.mgrid[:60, :80] / 60.0
    bent = (0.5 - 0.1 * np.exp(-((rows - 0.5) ** 2 + (columns - 0.7) ** 2) * 150.0)).astype(np.float32)
    deepest = DepthMap(bent, True, np.ones(bent.shape, bool), photo().view(FOV))
    stray = bent.copy()
    stray[3:7, 3:7] = 0.001
    for inverse, farthest in ((bent, 1.0 / 0.4), (stray, finishing.SKY / np.percentile(stray, finishing.FARTHEST))):
        asset = made(dataclasses.replace(deepest, inverse_depth=inverse))
        away = asset.cameras[0].position[2] - asset.mesh.vertices[:, 2]
        assert away.max() == pytest.approx(farthest, rel=0.02)
