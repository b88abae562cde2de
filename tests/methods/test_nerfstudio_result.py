# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of fields that are not grids, and the pixels that all networks learn from. Needs no nerfstudio."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods import ball
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods.multiview_fit import grid_result, nerfstudio_result
from image_to_3d.worker.methods.multiview_fit.grid_space import tensors_of
from image_to_3d.worker.methods.multiview_fit.pixel_pool import PixelPool
from image_to_3d.worker.store import cache

CPU = torch.device("cpu")
CENTRE = torch.tensor(ball.CENTRE, dtype=torch.float32)
MIDDLE, HALF = torch.tensor([0.1, 0.0, -0.1]), 0.5  # where the world's box lies in a field's own space


def silent() -> Job:
    return Job(lambda *_: None)


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
    views = tensors_of(capture.views, 24, CPU)
    return grid_result.rounded(nerfstudio_result.sampled(asked, views, capture.bounds, cells, job or silent()))


def around(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Points at a distance from the ball's middle, and the directions they lie in."""
    directions = np.random.default_rng(0).normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return (ball.CENTRE + radius * directions).astype(np.float32), directions


@pytest.mark.parametrize("solid, level", [(Distance(), 1.0), (Density(), 30.0)])
def test_a_field_becomes_a_distance_and_colours_that_survive_the_cache(solid, level, tmp_path):
    kept = cache.Cache(tmp_path)
    kept.save_arrays("key", grid_result.arrays_of(field_of(solid, level)))
    field = grid_result.field(grid_result.restored(kept.load_arrays("key"), CPU))
    cell = 1.0 / 40.0
    on, facing = around(ball.RADIUS)
    assert np.abs(field.value(on)).max() < 0.35 * cell
    assert (field.value(around(ball.RADIUS - cell)[0]) > 0.5 * cell).all()
    assert (field.value(around(ball.RADIUS + cell)[0]) < -0.5 * cell).all()
    assert (field.value(around(0.1)[0]) > 0.0).all()
    assert np.abs(field.colour(on) - ball.tint(facing)).max() < 0.1


def test_a_higher_level_lies_deeper():
    fields = [grid_result.field(field_of(Density(), level)) for level in (30.0, 240.0)]
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

    field = grid_result.field(field_of(Haze(), 1.0))
    assert field.value(np.float32([[0.42, 0.42, 0.42]])) < 0.0
    assert field.value(ball.CENTRE[None].astype(np.float32)) > 0.0
    assert sum(asked) < 0.7 * 41**3
    whole = grid_result.field(field_of(Haze(), 1.0, cut_out=False))
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


def pool_of(views, most: int = 10**9) -> PixelPool:
    box = torch.tensor(ball.capture().bounds).float()
    return PixelPool.of(tensors_of(views, 40, CPU), box, most, torch.Generator().manual_seed(0))


def test_drawn_pixels_lie_on_their_own_rays_and_have_their_own_colours():
    """Of photos of two sizes: each ray that is drawn with a full mask meets the ball where it has that colour."""
    wide = ball.view(1.0, 0.3, 40)
    wide = replace(wide, camera=replace(wide.camera, height=30, cy=15.0))
    colour, matte = ball.seen(wide)
    pool = pool_of((*ball.capture().views, replace(wide, rgb=colour, mask=matte)))
    drawn = pool.drawn(pool.chance(3000, torch.Generator().manual_seed(0)))
    assert set(drawn.view.tolist()) == set(range(13))
    out = drawn.origin - CENTRE
    half = (drawn.direction * out).sum(1)
    under = half**2 - out.square().sum(1) + ball.RADIUS**2
    full, empty = drawn.mask == 1.0, drawn.mask == 0.0
    assert (under[full] > 0.0).all() and full.sum() > 500
    assert (under[empty] < 0.05).all() and empty.sum() > 100
    deep = full & (under > 0.04)  # away from the outline, where a pixel's rays meet other places
    facing = (out + drawn.direction * (-half - under.clamp(min=0.0).sqrt())[:, None]) / ball.RADIUS
    assert np.abs(drawn.colour[deep].numpy() - ball.tint(facing[deep].numpy())).max() < 0.1


def test_pixels_beyond_what_memory_holds_are_left_out_by_chance_in_each_photo():
    whole, some = pool_of(ball.capture().views), pool_of(ball.capture().views, 12 * 20)
    assert len(some) == 12 * 20 < len(whole)
    assert some.share == whole.share < 1.0
    assert some.view.bincount().tolist() == [20] * 12
    half = whole.kept(torch.arange(0, len(whole), 2))
    assert half.share == pytest.approx(whole.share / 2.0, rel=0.01)
    assert torch.equal(half.rays(torch.tensor([3]))[1], whole.rays(torch.tensor([6]))[1])
