# SPDX-License-Identifier: GPL-3.0-or-later
"""What photos of a place see in common: a painted box on painted ground, whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from image_to_3d.tests import render
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.capture import TO_GLTF, Capture
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Splats
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish.field import surface
from image_to_3d.worker.finish.splats import fused
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.multiview_fit import grid_result, grid_training, stereo
from image_to_3d.worker.methods.multiview_fit.grid_space import Lattice, tensors_of
from image_to_3d.worker.methods.multiview_fit.grid_training import Plan, Stage
from image_to_3d.worker.methods.multiview_fit.splats import fit, learn, start
from image_to_3d.worker.pipeline.select import settings

CPU, PIXELS = torch.device("cpu"), 128
BOUNDS = np.array([[-0.6, -0.4, -0.6], [0.6, 0.45, 0.6]])
JOB = Job(lambda *_: None)


def on_ground() -> render.Shape:
    """The box on ground that reaches far beyond it."""
    box, bottom = scene.painted_box(), -scene.SIZE[1] / 2.0
    ground = np.array([[-2.5, bottom, 2.5], [2.5, bottom, 2.5], [2.5, bottom, -2.5], [-2.5, bottom, -2.5]])
    uv = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    faces = np.concatenate([box.faces, np.array([[0, 1, 2], [0, 2, 3]]) + len(box.vertices)])
    return render.Shape(np.concatenate([box.vertices, ground]), faces, np.concatenate([box.uv, uv]), box.texture)


@pytest.fixture(scope="module")
def taken() -> tuple[tuple[View, ...], list[np.ndarray]]:
    """Photos from an arc, and the depths that they see."""
    shape, views, depths = on_ground(), [], []
    for view in scene.ring(9, 90.0, 35.0, PIXELS):
        c = view.camera
        place = render.View(c.width, c.height, c.fx, c.fy, c.cx, c.cy, view.position, (scene.FLIP @ view.rotation).T)
        found = render.render(shape, place, samples=2)
        views.append(replace(view, rgb=found.colour))
        depths.append(found.depth)
    return tuple(views), depths


@pytest.fixture(scope="module")
def seen(taken) -> list[torch.Tensor]:
    return stereo.distances(tensors_of(taken[0], PIXELS, CPU), np.zeros((0, 3)), BOUNDS, lambda share: None)


def test_photos_see_as_far_as_is_true_and_most_of_the_picture(taken, seen):
    views, depths = taken
    for view, depth, distance in list(zip(tensors_of(views, PIXELS, CPU), depths, seen))[1:-1]:
        found = (distance * (view.rays()[1] @ view.rotation[2])).view(PIXELS, PIXELS).numpy()
        there = np.isfinite(found) & np.isfinite(depth)
        assert there.sum() > 0.6 * np.isfinite(depth).sum()
        error = np.abs(found[there] / depth[there] - 1.0)
        assert np.median(error) < 0.006 and (error > 0.02).mean() < 0.05


def test_what_is_known_lies_on_the_surface(taken, seen):
    views = tensors_of(taken[0], PIXELS, CPU)
    lattice = Lattice.over(BOUNDS, 64)
    distance, known = stereo.fused(views, seen, lattice, lambda share: None)
    shell = known & (np.abs(distance) < 0.5)
    points = lattice.corners(CPU).numpy()[shell.ravel()]
    box = np.abs(points) - scene.SIZE / 2.0
    to_box = np.abs(np.linalg.norm(box.clip(0.0), axis=1) + box.max(1).clip(max=0.0))
    away = np.minimum(to_box, np.abs(points[:, 1] + scene.SIZE[1] / 2.0)) / lattice.spacing
    assert len(points) > 2000 and np.median(away) < 0.6 and (away > 2.0).mean() < 0.03
    assert not known[lattice.corners(CPU).numpy().reshape(*lattice.samples, 3)[..., 1] < -0.39].any()  # below ground


def test_a_place_has_no_walls_where_its_box_ends(taken):
    capture = Capture(taken[0], np.zeros((0, 3), np.float32), BOUNDS, True)
    plan = Plan(PIXELS, 512, (), placed=Stage("colours", 56, 30))
    model = grid_training.train(capture, plan, JOB, CPU).model
    field = grid_result.field(grid_result.restored(grid_result.arrays_of(model), CPU), capture.views)
    options = settings(with_network("photos")[0], "fast", {"grid": 56, "faces": 8000, "texture": 64}).finish
    field = replace(field, to_gltf=np.eye(3))
    assert_of_box_and_ground(surface(field, options, JOB.span(0.0, 1.0)))


def assert_of_box_and_ground(mesh: Mesh) -> None:
    """Nearly nothing but these, and much of them."""
    away = off(mesh.vertices[mesh.faces].mean(axis=1))
    assert np.average(away < 0.05, weights=mesh.face_areas()) > 0.95
    assert mesh.area > 1.5


def off(points: np.ndarray) -> np.ndarray:
    """(N,) how far points lie from the box's faces or the ground, whatever is nearer."""
    box = np.abs(points) - scene.SIZE / 2.0
    to_box = np.linalg.norm(box.clip(0.0), axis=1) + box.max(1).clip(max=0.0)
    return np.minimum(np.abs(to_box), np.abs(points[:, 1] + scene.SIZE[1] / 2.0))


def test_splats_of_a_place_begin_on_what_its_photos_see_and_their_mesh_is_that(taken, seen, monkeypatch):
    monkeypatch.setattr(stereo, "distances", lambda *asked: seen)
    capture = Capture(taken[0], np.zeros((0, 3), np.float32), BOUNDS, True)
    plan = learn.Plan((64,), (4,), 4000, 0, 56)
    shape = start.shaped(capture, plan.pixels[-1], plan.cells, JOB)
    begun = start.begun(capture, plan.most, 0, shape)
    on = begun.normals.any(axis=1)
    assert 0.6 < on.mean() < 0.8 and np.median(off(begun.centres[on])) < 0.01 < np.median(off(begun.centres[~on]))
    opacities, scales = (begun.tensors(0)[name].numpy() for name in ("opacities", "scales"))
    assert opacities[on].min() > 0.0 > opacities[~on].max()
    assert np.ptp(scales[~on], axis=1).max() < 1e-6 < 1.0 < np.ptp(scales[on], axis=1).min()
    splats = fit._with_views(learn.learn(capture, plan, JOB, CPU).splats, capture.views, CPU)
    again = Splats.from_arrays(splats.to_arrays(), splats.views)
    assert np.array_equal(again.shape.known, splats.shape.known)
    options = settings(with_network("photos")[0], "fast", {"grid": 56, "faces": 8000, "texture": 64}).finish
    mesh = surface(fused(again, 56, JOB.span(0.0, 1.0)), options, JOB.span(0.0, 1.0))
    assert_of_box_and_ground(replace(mesh, vertices=(mesh.vertices @ TO_GLTF).astype(np.float32)))


def test_photos_with_nothing_in_common_tell_no_shape_and_it_is_learned(taken):
    grey = tuple(replace(view, rgb=np.full_like(view.rgb, 90)) for view in taken[0])
    capture = Capture(grey, np.zeros((0, 3), np.float32), BOUNDS, True)
    plan = Plan(32, 64, (Stage("density", 8, 2), Stage("surface", 8, 2)), placed=Stage("colours", 8, 1))
    assert grid_training.train(capture, plan, JOB, CPU).steps == 4


def legs() -> tuple[trimesh.Trimesh, trimesh.Trimesh]:
    """Two blocks with a gap between them, and what few outlines may take them for."""
    one = trimesh.creation.box((0.3, 0.6, 0.4))
    other = one.copy().apply_translation((0.3, 0.0, 0.0))
    return trimesh.util.concatenate([one.apply_translation((-0.3, 0.0, 0.0)), other]), trimesh.creation.box(
        (0.9, 0.6, 0.4)
    )


def seeing(shape: trimesh.Trimesh, noise: float, pixels: int = 256) -> tuple[list, list[torch.Tensor]]:
    """Eight views, and how far their pixels see of a shape, wrongly by so much of it."""
    random, views, seen = np.random.default_rng(0), [], []
    for view in scene.ring(8, 360.0, 30.0, pixels):
        c = view.camera
        place = render.View(c.width, c.height, c.fx, c.fy, c.cx, c.cy, view.position, (scene.FLIP @ view.rotation).T)
        depth = render.render(render.Shape(shape.vertices, shape.faces), place).depth
        mask = np.where(np.isfinite(depth), 255, 0).astype(np.uint8)
        views.append(replace(view, rgb=np.dstack([mask] * 3), mask=mask))
        away = depth * np.exp(noise * random.standard_normal(depth.shape))
        seen.append(torch.from_numpy(away.astype(np.float32)).view(-1))
    tensors = tensors_of(views, pixels, CPU)
    return tensors, [each / (view.rays()[1] @ view.rotation[2]) for view, each in zip(tensors, seen)]


@pytest.fixture(scope="module")
def without_gap() -> tuple[np.ndarray, Lattice]:
    """The signed distance of what few outlines may take the blocks for."""
    lattice = Lattice.over(np.array([[-0.5, -0.35, -0.25], [0.5, 0.35, 0.25]]), 48)
    box = np.abs(lattice.corners(CPU).numpy()) - legs()[1].extents / 2.0
    distance = (np.linalg.norm(box.clip(0.0), axis=1) + box.max(1).clip(max=0.0)) / lattice.spacing
    return distance.reshape(lattice.samples).astype(np.float32), lattice


@pytest.mark.parametrize("which, wrong", [(0, True), (1, False)])
def test_a_few_photos_tell_whether_there_is_a_gap_that_outlines_do_not_show(without_gap, monkeypatch, which, wrong):
    views, seen = seeing(legs()[which], 0.002, 160)
    monkeypatch.setattr(stereo, "distances", lambda views, points, bounds, tell, wanted: [seen[k] for k in wanted])
    assert stereo.looks_deep(views, np.zeros((0, 3)), *without_gap, print) == wrong


def test_a_gap_that_photos_look_into_opens_and_nothing_else_changes(without_gap):
    (truth, filled), (hull, lattice) = legs(), without_gap
    points = lattice.corners(CPU).numpy()
    opened = stereo.deepened(*seeing(truth, 0.0), hull, lattice)
    gap = (np.abs(points[:, 0]) < 0.1) & (hull.ravel() < -2.0)
    assert (opened.ravel()[gap] > 0.0).mean() > 0.8
    leg = (np.abs(np.abs(points[:, 0]) - 0.3) < 0.1) & (hull.ravel() < -1.5)
    assert (opened.ravel()[leg] < 0.0).mean() > 0.98 and not (opened < 0.0)[hull >= 0.0].any()
    assert stereo.deepened(*seeing(filled, 0.005), hull, lattice) is hull
    assert stereo.large(seeing(truth, 0.0)[0]) and not stereo.large(seeing(truth, 0.0, 64)[0])
