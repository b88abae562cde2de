# SPDX-License-Identifier: GPL-3.0-or-later
"""Reliefs of small made-up depth maps: shape, outline, tears, odd input, solids."""

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.view import PinholeCamera
from image_to_3d.worker.geometry import solid
from image_to_3d.worker.geometry.relief.relief import ReliefOptions, relief
from image_to_3d.worker.geometry.simplify import outline
from image_to_3d.worker.geometry.surface import clean


def made(depth, grid=64, background=None, photo=None, report=None, **options):
    height, width = depth.shape
    camera = PinholeCamera.from_fov(width, height, 55.0)
    photo = np.full((height, width, 3), 128, np.uint8) if photo is None else photo
    return relief(depth, camera, photo, ReliefOptions(grid=grid, **options), background, report), camera


def projected(mesh, camera):
    x, y, z = mesh.vertices.astype(np.float64).T
    u = (camera.fx * x / -z + camera.cx) / camera.width
    v = (camera.fy * -y / -z + camera.cy) / camera.height
    return np.column_stack([u, v])


def pieces(mesh):
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).body_count


def step(size=48, near=1.0, far=3.0):
    """A near square in front of a far wall."""
    depth = np.full((size, size), far, np.float32)
    depth[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = near
    return depth


def slant(size=48, nearest=1.0, farthest=12.0):
    """A plane seen at a grazing angle: inverse depth is linear over the picture."""
    return np.tile(1.0 / np.linspace(1.0 / farthest, 1.0 / nearest, size, dtype=np.float32)[:, None], (1, size))


def test_faces_look_at_the_camera_and_lie_in_front_of_it():
    mesh, _ = made(step())
    assert (mesh.vertices[:, 2] < 0.0).all()
    assert (mesh.normals[:, 2] > -0.2).all() and mesh.normals[:, 2].mean() > 0.9


def test_picture_is_upright_and_not_mirrored():
    depth = np.full((32, 32), 2.0, np.float32)
    mesh, _ = made(depth)
    top_right = mesh.vertices[np.argmax(mesh.uv[:, 0] - mesh.uv[:, 1])]
    assert top_right[0] > 0.9 and top_right[1] > 0.9


@pytest.mark.parametrize("faces", [100_000, 300])
def test_texture_coordinates_are_the_projection_of_the_vertices(faces):
    mesh, camera = made(step() + slant() * 0.1, faces=faces)
    assert np.abs(projected(mesh, camera) - mesh.uv).max() < 1e-5


@pytest.mark.parametrize("faces", [100_000, 500])
def test_outline_of_the_picture_stays_a_rectangle(faces):
    wavy = 2.0 + 0.3 * np.sin(np.arange(64) / 5.0)[None, :] * np.cos(np.arange(48) / 7.0)[:, None]
    mesh, camera = made(wavy.astype(np.float32), faces=faces)
    border = projected(mesh, camera)[np.unique(outline(mesh.faces))]
    distance = np.minimum(np.abs(border), np.abs(1.0 - border)).min(axis=1)
    assert distance.max() < 1e-5
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert np.abs(border - corner).max(axis=1).min() < 1e-5


def test_surface_is_torn_at_a_silhouette_and_nothing_spans_the_jump():
    mesh, _ = made(step())
    depth = -mesh.vertices[mesh.faces][:, :, 2]
    assert pieces(mesh) == 2
    assert (np.ptp(depth, axis=1) < 0.01).all()


def test_silhouette_leaves_no_gap_in_the_cameras_view():
    mesh, _ = made(step())
    corners = mesh.uv[mesh.faces].astype(np.float64)
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    assert 0.5 * np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).sum() == pytest.approx(1.0, abs=1e-4)


def test_surfaces_go_on_to_the_silhouette_with_their_own_slant():
    depth = np.full((64, 64), 4.0, np.float32)
    depth[16:48, 16:48] = slant(64, 0.5, 2.0)[16:48, 16:48]
    mesh, _ = made(depth, grid=24)
    inverse = -1.0 / mesh.vertices[:, 2].astype(np.float64)
    plane = 0.5 + 1.5 * (mesh.uv[:, 1] * 64 - 0.5) / 63
    assert np.minimum(np.abs(inverse - 0.25), np.abs(inverse - plane)).max() < 0.016  # half a pixel


def test_floor_seen_at_a_grazing_angle_is_not_torn():
    mesh, _ = made(slant(96, 1.0, 60.0), grid=96)
    ratios = slant(96, 1.0, 60.0)[:-1, 0] / slant(96, 1.0, 60.0)[1:, 0]
    assert ratios.max() > 1.2  # far beyond the threshold for tears, as a plain ratio
    assert pieces(mesh) == 1


def test_short_line_of_small_jumps_is_not_torn_but_a_long_one_is():
    freckle, ledge = np.full((96, 96), 2.0, np.float32), np.full((96, 96), 2.0, np.float32)
    freckle[40:42, 40:42] = 1.85
    ledge[:, 40:] = 1.85
    assert pieces(made(freckle, grid=192, speck=0)[0]) == 1
    assert pieces(made(ledge, grid=192)[0]) == 2


def test_smeared_silhouette_leaves_no_flying_strip():
    depth = step()
    depth[12:36, 12] = np.sqrt(3.0)  # one column between near and far
    mesh, _ = made(depth)
    z = -mesh.vertices[:, 2]
    assert (np.minimum(np.abs(z - 1.0), np.abs(z - 3.0)) < 0.05).all()


def test_specks_take_the_depth_around_them():
    depth = np.full((64, 64), 3.0, np.float32)
    depth[30, 30] = 1.0
    mesh, _ = made(depth, grid=65, speck=0.01)
    assert pieces(mesh) == 1
    assert np.abs(-mesh.vertices[:, 2] - 3.0).max() < 1e-3


def test_flat_areas_get_fewer_faces_than_detailed_ones():
    depth = np.full((256, 256), 3.0, np.float32)
    depth[:, 128:] += 0.2 * np.random.default_rng(0).standard_normal((256, 128)).cumsum(axis=0).clip(-1, 1) * 0.05
    mesh, _ = made(depth, grid=256, faces=10_000)
    left = mesh.uv[mesh.faces][:, :, 0].mean(axis=1) < 0.45
    assert len(mesh.faces) <= 10_000
    assert left.sum() < 0.15 * len(mesh.faces)


def test_background_is_cut_away_and_its_colour_does_not_bleed():
    mask = np.ones((48, 48), bool)
    mask[12:36, 12:36] = False
    photo = np.where(mask[..., None], 255, 10).astype(np.uint8).repeat(3, axis=2)
    mesh, _ = made(np.full((48, 48), 2.0, np.float32), background=mask, photo=photo)
    assert mesh.uv.min() == pytest.approx(0.25, abs=0.02) and mesh.uv.max() == pytest.approx(0.75, abs=0.02)
    assert mesh.texture.max() == 10


def test_holes_in_the_depth_stay_open():
    depth = np.full((48, 48), 2.0, np.float32)
    depth[20:28, 20:28] = np.nan
    mesh, _ = made(depth)
    inside = (np.abs(mesh.uv[mesh.faces].mean(axis=1) - 0.5) < 0.06).all(axis=1)
    assert not inside.any()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 9), (9, 1), (3, 200)])
def test_tiny_and_thin_pictures_become_sheets(shape):
    mesh, camera = made(np.full(shape, 1.5, np.float32))
    assert np.ptp(projected(mesh, camera), axis=0) == pytest.approx((1.0, 1.0), abs=1e-5)


def test_one_valid_pixel_is_enough():
    depth = np.full((16, 16), np.nan, np.float32)
    depth[7, 9] = 2.0
    mesh, _ = made(depth, grid=17)
    assert len(mesh.faces) >= 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_depth_without_any_surface_is_a_clear_error(bad):
    with pytest.raises(ValueError, match="no valid pixel"):
        made(np.full((8, 8), bad, np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-45, 3e38])
def test_odd_numbers_among_good_ones_are_left_out(bad):
    depth = np.full((32, 32), 2.0, np.float32)
    depth[::5, ::7] = bad
    mesh, _ = made(depth)
    assert np.isfinite(mesh.vertices).all()


def test_extreme_depth_ratios_stay_finite():
    depth = np.geomspace(1e-4, 1e5, 32 * 32, dtype=np.float32).reshape(32, 32)
    mesh, _ = made(depth)
    assert np.isfinite(mesh.vertices).all() and np.isfinite(mesh.normals).all()


def test_texture_of_a_huge_photo_is_reduced():
    photo = np.zeros((1000, 10_000, 3), np.uint8)
    mesh, _ = made(np.full((20, 200), 2.0, np.float32), photo=photo, texture=2048)
    assert mesh.texture.shape == (205, 2048, 3)


def test_report_may_stop_the_work():
    class Stopped(Exception):
        pass

    def report(fraction, stage):
        if fraction > 0.3:
            raise Stopped

    with pytest.raises(Stopped):
        made(step(), report=report)


@pytest.mark.parametrize("wrong", [{"grid": 1}, {"faces": 0}, {"cut": 0.0}, {"texture": 0}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ReliefOptions(**wrong)


def holes_and_steps():
    depth = step(64) + 0.1 * slant(64)
    depth[5:9, 40:60] = np.nan
    depth[40:60, 20:24] = 0.7
    return depth


@pytest.mark.parametrize("faces", [100_000, 2_000])
@pytest.mark.parametrize("cut", [0.04, np.inf])
def test_solid_is_watertight_and_its_back_follows_the_front(faces, cut):
    mask = np.zeros((64, 64), bool)
    mask[:10, :10] = True
    mesh, camera = made(holes_and_steps(), background=mask, solid=True, faces=faces, cut=cut)
    whole = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    whole.merge_vertices(merge_tex=True, merge_norm=True)
    assert whole.is_watertight and whole.is_winding_consistent and whole.volume > 0.0
    assert whole.body_count == 1
    column = int(0.9 * 64), 20  # on the far surface, away from its steps
    ray = np.array([[(column[0] - camera.cx) / camera.fx, (camera.cy - column[1]) / camera.fy, -1.0]])
    depths = np.sort(-whole.ray.intersects_location(np.zeros((1, 3)), ray)[0][:, 2])
    thick = 64 * 0.03 / camera.fx
    assert len(depths) == 2 and 0.6 * thick < np.log(depths[1] / depths[0]) < 1.6 * thick


def test_the_wall_between_two_surfaces_of_a_solid_is_as_thick_as_they_are():
    mesh, camera = made(step(64), solid=True)
    depth = np.sqrt(3.0)  # between the two
    hits = trimesh.Trimesh(mesh.vertices, mesh.faces).ray.intersects_location([[0.0, 0.01, -depth]], [[1.0, 0.0, 0.0]])
    across = np.sort(hits[0][:, 0])
    thick = 64 * 0.03 / camera.fx * depth
    assert len(across) == 2 and 0.6 * thick < across[1] - across[0] < 1.6 * thick


@pytest.mark.parametrize("faces", [100_000, 2_000])
def test_no_edge_of_a_solid_is_too_short_for_what_makes_quads(monkeypatch, faces):
    monkeypatch.setattr(clean, "SHORTEST", 5e-3)  # so that many are
    mesh, _ = made(holes_and_steps(), solid=True, faces=faces)
    whole = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    whole.merge_vertices(merge_tex=True, merge_norm=True)
    assert whole.is_watertight and whole.is_winding_consistent
    assert whole.edges_unique_length.min() > 5e-3 * whole.extents.max()
    monkeypatch.setattr(clean, "SHORTEST", 0.0)
    as_it_was, _ = made(holes_and_steps(), solid=True, faces=faces)
    assert whole.volume == pytest.approx(trimesh.Trimesh(as_it_was.vertices, as_it_was.faces).volume, rel=3e-2)


def test_what_is_near_a_solids_side_is_drawn_onto_it():
    box = trimesh.creation.box((1000.0, 1000.0, 1000.0)).subdivide().subdivide()
    vertices, faces = np.array(box.vertices), np.array(box.faces, np.int32)
    beside = np.flatnonzero((vertices == (-250.0, 0.0, 500.0)).all(axis=1))
    vertices[beside, 0] = -499.95
    points, fewer = clean.without_short_edges(vertices, faces, weight=solid._more_at_border)
    assert len(fewer) == len(faces) - 2
    assert np.abs(points[np.abs(points[:, 0] + 500.0) < 1.0, 0] + 500.0).max() < 1e-4


def test_all_of_a_solid_has_the_photos_colours_on_its_line_of_sight():
    mesh, camera = made(step(64), solid=True)
    assert np.abs(projected(mesh, camera) - mesh.uv).max() < 1e-4


def test_solid_of_a_single_pixel_is_a_box():
    mesh, _ = made(np.full((1, 1), 2.0, np.float32), solid=True)
    whole = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    whole.merge_vertices(merge_tex=True, merge_norm=True)
    assert whole.is_watertight and whole.volume > 0.0


def test_a_wall_goes_on_beyond_the_border_in_its_plane_where_a_post_hides_it():
    depth = np.full((96, 128), 3.0)
    depth[20:76, 12:24] = 1.0
    camera = PinholeCamera.from_fov(128, 96, 60.0)
    mesh = relief(depth, camera, np.zeros((96, 128, 3), np.uint8), ReliefOptions(grid=128, behind=True))
    columns = camera.fx * mesh.vertices[:, 0] / -mesh.vertices[:, 2] + camera.cx
    beyond = -mesh.vertices[columns < -0.5, 2]
    assert len(beyond) and columns.min() > -0.27 * 128 and columns.max() < 128.5
    assert beyond.min() > 2.9 and beyond.max() < 3.1
