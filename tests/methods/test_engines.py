# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine learns several photos, and what becomes of fields that are not grids. Needs no nerfstudio."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods import ball
from image_to_3d.worker import methods as backends
from image_to_3d.worker.core.errors import Cancelled, MethodUnavailable, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import triposr as nerf
from image_to_3d.worker.methods.multiview_fit import engines, grid_result, nerfstudio_result, pixel_pool
from image_to_3d.worker.methods.multiview_fit import fit as nerf_photos
from image_to_3d.worker.methods.multiview_fit.grid_space import photos_of
from image_to_3d.worker.store import cache
from image_to_3d.worker.store.weights import WeightStore

CPU = torch.device("cpu")
CENTRE = torch.tensor(ball.CENTRE, dtype=torch.float32)
MIDDLE, HALF = torch.tensor([0.1, 0.0, -0.1]), 0.5  # where the world's box lies in a field's own space


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(engines, "installed", lambda: True)


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(engines, "installed", lambda: False)


def silent() -> Job:
    return Job(lambda *_: None)


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_without_an_nvidia_card_all_is_learned_with_the_grid(installed, device):
    assert {engines.chosen("auto", training, device) for training in ("fast", "balanced", "high")} == {"grid"}


def test_nerfstudio_learns_what_takes_longer_on_an_nvidia_card(installed):
    chosen = [engines.chosen("auto", training, "cuda:0") for training in ("fast", "balanced", "high")]
    assert chosen == ["grid", "nerfacto", "neus-facto"]


def test_without_nerfstudio_a_card_changes_nothing(not_installed):
    assert engines.chosen("auto", "high", "cuda:0") == "grid"


def test_every_length_of_the_training_has_an_engine(installed):
    [training] = [option for option in nerf.OPTIONS if option.name == "training"]
    assert {engines.chosen("auto", choice, "cuda:1") for choice in training.choices} <= set(engines.NAMES) - {"auto"}


@pytest.mark.parametrize("name", ["nerfacto", "neus-facto"])
def test_an_engine_that_is_not_here_is_refused_before_cameras_are_looked_for(not_installed, name, tmp_path):
    weights = WeightStore(tmp_path)
    options = backends.settle(nerf.Backend().describe(weights), "fast", {"engine": name})
    task = backends.Task((), nerf.PHOTOS, options, "cpu", weights)
    with pytest.raises(MethodUnavailable, match=f"the engine {name} needs nerfstudio.*--name nerf"):
        nerf_photos.learned(task, silent())


def test_a_learned_field_is_restored_where_triposrs_packages_are_not(monkeypatch, tmp_path):
    """As in the environment nerf, which has no PyYAML."""
    monkeypatch.delattr(backends, "nerf_inference", raising=False)
    monkeypatch.setitem(sys.modules, "image_to_3d.worker.methods.triposr.reconstructor", None)
    monkeypatch.setattr(nerf_photos, "field", lambda arrays, device: (arrays, device))
    task = backends.Task((), nerf.PHOTOS, {}, "cpu", WeightStore(tmp_path))
    assert nerf.Backend().restored({"distance": 1}, task) == ({"distance": 1}, "cpu")


def test_an_engine_that_is_asked_for_is_taken_on_any_device(installed):
    assert engines.chosen("neus-facto", "fast", "cpu") == "neus-facto"
    assert engines.chosen("grid", "high", "cuda:0") == "grid"


def test_what_auto_once_found_without_nerfstudio_is_not_taken_for_what_it_would_find_with_it(tmp_path, monkeypatch):
    revisions = set()
    for here in (True, False):
        monkeypatch.setattr(engines, "installed", lambda here=here: here)
        revisions.add(nerf.Backend().revision(nerf.PHOTOS, WeightStore(tmp_path)))
    assert len(revisions) == 2
    assert "engine" in nerf.Backend.representation_options


class Distance:
    """A ball's distance, with colours that darken away from the surface."""

    def value(self, points: torch.Tensor) -> torch.Tensor:
        return (ball.RADIUS - (points * HALF + MIDDLE - CENTRE).norm(dim=1)) / HALF

    def colours(self, points: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """By where the surface faces: against the direction it is looked along."""
        return 0.5 - 0.45 * direction


class Density(Distance):
    """The same ball as a density: the logarithm is steep, and its interior is no higher than 5 above the surface."""

    def value(self, points: torch.Tensor) -> torch.Tensor:
        return (40.0 * super().value(points)).clamp(-12.0, 5.0) + math.log(30.0)


def field_of(solid: Distance, level: float, cut_out: bool = True, cells: int = 40, job: Job | None = None):
    capture = ball.capture(cut_out)
    asked = nerfstudio_result.Asked(solid, level, MIDDLE, HALF)
    photos = photos_of(capture.shots, 24, CPU)
    return nerfstudio_result.sampled(asked, photos, capture.bounds, cells, job or silent())


def around(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Points at a distance from the ball's middle, and the directions they lie in."""
    directions = np.random.default_rng(0).normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return (ball.CENTRE + radius * directions).astype(np.float32), directions


@pytest.mark.parametrize("solid, level", [(Distance(), 1.0), (Density(), 30.0)])
def test_a_field_becomes_a_distance_and_colours_that_survive_the_cache(solid, level, tmp_path):
    kept = cache.Cache(tmp_path)
    kept.save_arrays("key", grid_result.arrays_of(field_of(solid, level)))
    field = grid_result.field(kept.load_arrays("key"), CPU)
    cell = 1.0 / 40.0
    on, facing = around(ball.RADIUS)
    assert np.abs(field.value(on)).max() < 0.35 * cell
    assert (field.value(around(ball.RADIUS - cell)[0]) > 0.5 * cell).all()
    assert (field.value(around(ball.RADIUS + cell)[0]) < -0.5 * cell).all()
    assert (field.value(around(0.1)[0]) > 0.0).all()
    assert np.abs(field.colour(on) - ball.tint(facing)).max() < 0.1


def test_a_higher_level_lies_deeper():
    fields = [grid_result.field(grid_result.arrays_of(field_of(Density(), level)), CPU) for level in (30.0, 240.0)]
    deeper = fields[1].value(around(ball.RADIUS)[0]).mean()
    assert deeper == pytest.approx(-math.log(8.0) / 40.0 * HALF, abs=0.01)


def test_where_outlines_exclude_matter_there_is_none_whatever_the_field_says():
    asked: list[int] = []

    class Haze(Distance):
        """The ball, and something that no picture shows."""

        def value(self, points: torch.Tensor) -> torch.Tensor:
            asked.append(len(points))
            corner = 0.1 - (points * HALF + MIDDLE - 0.42).norm(dim=1)
            return torch.maximum(super().value(points), corner / HALF)

    field = grid_result.field(grid_result.arrays_of(field_of(Haze(), 1.0)), CPU)
    assert field.value(np.float32([[0.42, 0.42, 0.42]])) < 0.0
    assert field.value(ball.CENTRE[None].astype(np.float32)) > 0.0
    assert sum(asked) < 0.7 * 41**3
    whole = grid_result.field(grid_result.arrays_of(field_of(Haze(), 1.0, cut_out=False)), CPU)
    assert whole.value(np.float32([[0.42, 0.42, 0.42]])) > 0.0


def test_a_field_without_a_surface_is_one_sentence():
    class Nothing(Distance):
        def value(self, points: torch.Tensor) -> torch.Tensor:
            return -torch.ones(len(points))

    with pytest.raises(Unable, match="no surface was found"):
        field_of(Nothing(), 1.0)


def test_a_cancel_is_heard_while_the_shape_is_taken_out():
    job = Job(lambda *_: None)
    job.cancel()
    with pytest.raises(Cancelled):
        field_of(Distance(), 1.0, job=job)


def test_drawn_pixels_lie_on_their_own_rays_and_have_their_own_colours():
    """Of photos of two sizes: each ray that is drawn with a full matte meets the ball where it has that colour."""
    capture = ball.capture()
    wide = ball.view(1.0, 0.3, 40)
    wide = replace(wide, camera=replace(wide.camera, height=30, cy=15.0))
    colour, matte = ball.seen(wide)
    shots = (*capture.shots, replace(capture.shots[0], rgb=colour, alpha=matte, view=wide))
    drawn = pixel_pool.PixelPool(photos_of(shots, 40, CPU), torch.tensor(capture.bounds).float()).drawn(3000)
    assert set(drawn.photo.tolist()) == set(range(13))
    out = drawn.origin - CENTRE
    half = (drawn.direction * out).sum(1)
    under = half**2 - out.square().sum(1) + ball.RADIUS**2
    full, empty = drawn.matte == 1.0, drawn.matte == 0.0
    assert (under[full] > 0.0).all() and full.sum() > 500
    assert (under[empty] < 0.05).all() and empty.sum() > 100
    deep = full & (under > 0.04)  # away from the outline, where a pixel's rays meet other places
    facing = (out + drawn.direction * (-half - under.clamp(min=0.0).sqrt())[:, None]) / ball.RADIUS
    assert np.abs(drawn.colour[deep].numpy() - ball.tint(facing[deep].numpy())).max() < 0.1


def test_pixels_beyond_what_memory_holds_are_left_out_by_chance_in_each_photo(monkeypatch):
    capture = ball.capture()
    photos, bounds = photos_of(capture.shots, 24, CPU), torch.tensor(capture.bounds).float()
    whole = pixel_pool.PixelPool(photos, bounds)
    monkeypatch.setattr(pixel_pool, "_MOST", 12 * 20)
    some = pixel_pool.PixelPool(photos, bounds)
    assert len(some._pixel) == 12 * 20 < len(whole._pixel)
    assert some.share == whole.share < 1.0
    assert set(some.drawn(2000).photo.tolist()) == set(range(12))
