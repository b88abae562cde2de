# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning a small scene whose truth is known: a box with faces of six colours, seen from twelve places."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.core.errors import Cancelled, OutOfMemory, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.methods.multiview_fit import grid_result, grid_training, training
from image_to_3d.worker.methods.multiview_fit.grid_model import Model
from image_to_3d.worker.methods.multiview_fit.grid_training import Plan, Stage
from image_to_3d.worker.methods.runtime import memory

HALF = np.array([0.4, 0.25, 0.3])
PLAN = Plan(32, 512, (Stage("density", 16, 60), Stage("surface", 20, 120)))
CPU = torch.device("cpu")


def looking(yaw: float, pitch: float, pixels: int = 32) -> View:
    """From two units away, at the middle."""
    position = 2.0 * np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    forward = -position / 2.0
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return View(PinholeCamera.from_fov(pixels, pixels, 40.0), rotation, position)


def seen(view: View) -> tuple[np.ndarray, np.ndarray]:
    """The box's picture (H, W, 3) uint8 and its matte, 16 rays per pixel."""
    camera, fine = view.camera, 4
    row, column = (np.mgrid[: camera.height * fine, : camera.width * fine] + 0.5) / fine
    x, y = (column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy
    way = np.stack([x, y, np.ones_like(x)], 2) @ view.rotation
    one, other = (-HALF - view.position) / way, (HALF - view.position) / way
    enter = np.minimum(one, other)
    face, hit = enter.argmax(2), enter.max(2) < np.maximum(one, other).min(2)
    side = np.take_along_axis(way, face[..., None], 2)[..., 0] > 0
    colours = np.array(
        [[[250, 40, 40], [40, 250, 40]], [[40, 40, 250], [250, 250, 40]], [[40, 250, 250], [120, 60, 20]]]
    )
    blocks = camera.height, fine, camera.width, fine
    share = hit.reshape(blocks).mean((1, 3))
    colour = (colours[face, side.astype(int)] * hit[..., None]).reshape(*blocks, 3).mean((1, 3))
    colour /= np.maximum(share, 1e-6)[..., None]
    return np.uint8(np.rint(colour)), np.uint8(np.rint(share * 255.0))


def photo(number: int, yaw: float, pitch: float) -> View:
    view = looking(yaw, pitch)
    colour, mask = seen(view)
    return replace(view, rgb=colour, mask=mask, name=f"view {number}")


@pytest.fixture(scope="module")
def capture() -> Capture:
    views = tuple(photo(i, i * 2.4, math.radians((-40.0, -10.0, 25.0, 50.0)[i % 4])) for i in range(12))
    return Capture(views, np.zeros((0, 3), np.float32), np.array([[-0.5] * 3, [0.5] * 3]), False)


class Told:
    """Takes the place of a job, and remembers."""

    def __init__(self) -> None:
        self.progress, self.messages = [], []

    def report(self, progress: float, stage: str, message: str = "") -> None:
        self.progress.append(progress)
        self.messages.append(message)


@pytest.fixture(scope="module")
def trained(capture) -> tuple[training.Trained, Told]:
    told = Told()
    return grid_training.train(capture, PLAN, told, CPU), told


@pytest.fixture
def one_thread():
    """On several, sums are rounded in the order in which the threads come."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def psnr(model: Model, view: View) -> float:
    found = grid_result.picture(model, view) / 255.0
    colour, alpha = seen(view)
    alpha = alpha[..., None] / 255.0
    return -10.0 * math.log10(np.square(found - (colour / 255.0 * alpha + 1.0 - alpha)).mean())


def test_a_view_that_was_not_learned_is_seen_rightly(trained):
    scores = [psnr(trained[0].model, looking(yaw, pitch)) for yaw, pitch in ((0.9, 0.3), (2.0, -0.2), (4.0, 0.6))]
    assert np.mean(scores) > 23.0


def test_the_surface_lies_within_a_cell_of_the_true_one(trained):
    field = grid_result.field(trained[0].model)
    random = np.random.default_rng(0)
    points = random.uniform(-1.0, 1.0, (600, 3))
    points /= np.abs(points).max(1, keepdims=True)  # onto a cube
    points = points[np.sort(np.abs(points), 1)[:, 1] < 0.8] * HALF  # away from the edges
    normal = np.where(np.abs(points / HALF) > 0.999, np.sign(points), 0.0)
    cell = 1.0 / 20.0
    assert (field.value((points - normal * cell).astype(np.float32)) > 0.0).mean() > 0.95
    assert (field.value((points + normal * cell).astype(np.float32)) < 0.0).mean() > 0.95
    assert np.abs(field.value(points.astype(np.float32))).mean() < 0.6 * cell
    red = field.colour(np.float32([[-HALF[0], 0.05, 0.05], [HALF[0], 0.05, 0.05]]))
    assert np.abs(red * 255.0 - [[40, 250, 40], [250, 40, 40]]).max() < 60.0


def test_the_field_is_the_same_after_a_round_through_a_file(trained, tmp_path):
    first = grid_result.field(trained[0].model)
    np.savez(tmp_path / "field.npz", **first.to_arrays())
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (200, 3)).astype(np.float32)
    with np.load(tmp_path / "field.npz") as stored:
        second = grid_result.field(grid_result.restored(stored, CPU))
    assert np.array_equal(first.value(points), second.value(points))
    assert np.array_equal(first.colour(points), second.colour(points))
    assert all(np.array_equal(values, second.to_arrays()[name]) for name, values in first.to_arrays().items())


def test_steps_are_told_and_progress_never_falls(trained):
    result, told = trained
    assert result.steps == 180
    assert not result.stopped
    assert told.messages[-1] == "step 180 of 180"
    assert told.progress == sorted(told.progress)


def test_the_same_seed_gives_the_same_result_and_another_seed_another(capture, one_thread):
    short = replace(PLAN, stages=(Stage("density", 12, 10), Stage("surface", 16, 10)))
    results = [
        grid_result.arrays_of(grid_training.train(capture, replace(short, seed=seed), Told(), CPU).model)
        for seed in (0, 0, 1)
    ]
    assert all(np.array_equal(results[0][name], results[1][name]) for name in results[0])
    assert any(not np.array_equal(results[0][name], results[2][name]) for name in results[0])


def test_a_cancel_is_heard_at_the_next_step(capture):
    asked: list[str] = []

    def notify(progress: float, stage: str, message: str, seconds: float | None) -> None:
        if message.startswith("step"):
            asked.append(message)
            job.cancel()

    job = Job(notify)
    with pytest.raises(Cancelled):
        grid_training.train(capture, PLAN, job, CPU)
    assert len(asked) == 1


def test_stopping_early_keeps_what_is_there(capture):
    told = Told()
    result = grid_training.train(capture, PLAN, told, CPU, stop=lambda: len(told.messages) > 30)
    assert result.stopped
    assert result.steps < 40
    assert psnr(result.model, looking(0.9, 0.3)) > 15.0


def test_previews_show_the_first_view(capture, monkeypatch):
    monkeypatch.setattr(training, "PREVIEW_SECONDS", 0.0)
    shown = []
    short = replace(PLAN, stages=(Stage("density", 16, 40), Stage("surface", 16, 2)))
    grid_training.train(capture, short, Told(), CPU, shown.append)
    colour, alpha = seen(capture.views[0])
    assert shown[-1].dtype == np.uint8
    assert shown[-1].shape == colour.shape
    wanted = colour * (alpha[..., None] / 255.0) + 255.0 - alpha[..., None]
    assert np.abs(shown[-1] - wanted).mean() < 25.0


def test_one_picture_empty_masks_and_masks_that_disagree_are_said(capture):
    def train(views: list[View]) -> None:
        grid_training.train(replace(capture, views=tuple(views)), PLAN, Told(), CPU)

    with pytest.raises(Unable, match="two or more pictures"):
        train([capture.views[0]])
    with pytest.raises(Unable, match="every picture's mask is empty"):
        train([replace(each, mask=np.zeros_like(each.mask)) for each in capture.views])
    halves = []
    for number, each in enumerate(capture.views):
        alpha = np.zeros_like(each.mask)
        alpha[:4] = 255 if number % 2 else 0
        alpha[-4:] = 0 if number % 2 else 255
        halves.append(replace(each, mask=alpha))
    with pytest.raises(Unable, match="agree on no shape"):
        train(halves)


def test_pictures_that_are_not_cut_out_learn_what_is_around_too(capture):
    views = []
    for each in capture.views:
        share = each.mask[..., None] / 255.0
        views.append(replace(each, rgb=np.uint8(each.rgb * share + 90.0 * (1.0 - share)), mask=None))
    stages = Stage("density", 12, 60), Stage("density", 16, 40), Stage("surface", 16, 20)
    result = grid_training.train(
        replace(capture, views=tuple(views)), replace(PLAN, rays=256, stages=stages), Told(), CPU
    )
    found = grid_result.picture(result.model, views[0])
    assert -10.0 * math.log10(np.square((found - views[0].rgb.astype(float)) / 255.0).mean()) > 18.0
    field = grid_result.field(result.model)
    assert field.value(np.float32([[0.0, 0.0, 0.0]])) > 0.0
    assert (field.value(np.float32([[0.47, 0.47, 0.47], [-0.47, 0.47, -0.47]])) < 0.0).all()


def test_photos_of_other_exposures_are_evened(capture) -> None:
    gains = np.where(np.arange(len(capture.views)) % 2, 0.7, 1.0)
    views = tuple(
        replace(view, rgb=np.uint8(np.rint(view.rgb * gain))) for view, gain in zip(capture.views, gains, strict=True)
    )
    found = grid_training.train(replace(capture, views=views), PLAN, Told(), CPU).gains
    assert 0.65 < found[gains < 1].mean() / found[gains == 1].mean() < 0.82  # directions explain some of it, too
    assert np.log(found).mean(0) == pytest.approx([0.0] * 3, abs=1e-4)


def test_a_grid_that_will_not_fit_is_told_before_it_is_learned_with_a_preset_that_does(capture, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1_200_000_000)
    told = Told()
    with pytest.raises(OutOfMemory, match="choose the preset fast"):
        grid_training.train(capture, replace(grid_training.PRESETS["high"], pixels=32, outlined=None), told, CPU)
    assert not any("step" in message for message in told.messages)


def test_cameras_whose_numbers_are_numpys_are_learned_as_others(capture):
    """Lists of cameras give them."""
    numbers = ("fx", "fy", "cx", "cy")
    doubles = tuple(
        replace(view, camera=replace(view.camera, **{name: np.float64(getattr(view.camera, name)) for name in numbers}))
        for view in capture.views
    )
    short = Plan(32, 64, (Stage("density", 8, 1), Stage("surface", 8, 1)))
    assert grid_training.train(replace(capture, views=doubles), short, Told(), CPU) is not None
