# SPDX-License-Identifier: GPL-3.0-or-later
"""The grid field's own arithmetic, against the plain formulas."""

import math

import pytest
import torch
from image_to_3d.worker.methods.multiview_fit import grid_field
from image_to_3d.worker.methods.multiview_fit.grid_field import Grid
from image_to_3d.worker.methods.multiview_fit.grid_surroundings import Surroundings


@pytest.fixture
def random():
    torch.manual_seed(0)


@pytest.fixture
def grid(random):
    return Grid.of(torch.rand(5, 6, 7) < 0.5, torch.tensor([-0.5, -0.6, -0.7]), 0.2)


def rays_towards_the_middle(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    origin = torch.nn.functional.normalize(torch.randn(count, 3), dim=1) * 3.0
    return origin, torch.nn.functional.normalize(torch.rand(count, 3) - 0.5 - origin, dim=1)


def test_interpolation_repeats_a_linear_function_in_occupied_cells_and_nothing_elsewhere(grid):
    slope = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.2, 4.0]])
    points = torch.rand(900, 3) * 2.0 - 1.0
    index = ((points - torch.tensor([-0.5, -0.6, -0.7])) / 0.2).floor().long()
    inside = ((index >= 0) & (index < torch.tensor([5, 6, 7]))).all(1)
    occupied = grid.cell[1:-1, 1:-1, 1:-1] >= 0
    inside[inside.clone()] = occupied[tuple(index[inside].T)]
    assert inside.sum() > 50
    wanted = torch.where(inside[:, None], points @ slope, 9.0)
    assert torch.allclose(grid.at(grid.points @ slope, points, 9.0), wanted, atol=1e-5)


def test_interpolation_has_the_gradient_of_the_plain_sum(random):
    table = torch.randn(10, 2, dtype=torch.float64, requires_grad=True)
    rows, weights = torch.randint(10, (15, 8)), torch.rand(15, 8, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda t: grid_field.interpolated(t, rows, weights), table)


def test_rays_are_sampled_wherever_they_pass_occupied_cells(grid):
    origin, direction = rays_towards_the_middle(50)
    samples = grid_field.sampled(grid, grid_field.cast(grid, origin, direction, 0.05), 0.05)
    at = origin[samples.ray] + direction[samples.ray] * samples.distance[:, None]
    assert (grid.at(torch.ones(len(grid.places), 1), at, 0.0) > 0.99).all()
    every = origin[:, None] + direction[:, None] * torch.arange(1.0, 5.0, 0.05)[:, None]
    passed = (grid.at(torch.ones(len(grid.places), 1), every.view(-1, 3), 0.0) > 0.5).sum()
    assert len(samples.ray) == pytest.approx(int(passed), rel=0.05)
    pairs = samples.ray.diff() * 1000.0 + samples.distance.diff()
    assert (pairs > 0.0).all()  # by ray, and by distance in each


def test_what_is_seen_follows_from_what_lies_before_it_and_so_does_its_gradient(random):
    ray = torch.tensor([0, 0, 0, 2, 2, 3])
    rank = torch.tensor([0, 1, 2, 0, 1, 0])
    depth = torch.rand(6, dtype=torch.float64, requires_grad=True)
    weights = grid_field._Visibility.apply(depth, ray, rank, 4)
    opaque = 1.0 - torch.exp(-depth)
    plain = [opaque[0], opaque[1] * (1 - opaque[0]), opaque[2] * (1 - opaque[1]) * (1 - opaque[0])]
    assert torch.allclose(weights[:3], torch.stack(plain))
    assert torch.autograd.gradcheck(lambda d: grid_field._Visibility.apply(d, ray, rank, 4), depth)


@pytest.mark.parametrize("step", [0.02, 0.1])
def test_a_plane_hides_what_is_behind_it_whatever_the_step_and_is_met_a_little_before_the_distance_is_zero(step):
    grid = Grid.of(torch.ones(10, 10, 10, dtype=torch.bool), torch.full((3,), -0.5), 0.1)
    table = (grid.points[:, :1] - 0.03) / 0.1  # inside at x below 0.03
    origin, direction = torch.tensor([[2.0, 0.01, 0.02]]), torch.tensor([[-1.0, 0.0, 0.0]])
    rays = grid_field.cast(grid, origin, direction, step)
    samples = grid_field.sampled(grid, rays, step)
    distance = grid_field.interpolated(table, samples.rows, samples.weights)[:, 0]
    depth = grid_field.surface_depth(distance, 6.0, samples)
    seen = grid_field.rendered(depth, torch.zeros(len(table), grid_field.COLOURS), samples, direction)
    assert float(seen.opacity) > 0.999
    assert torch.allclose(seen.colour, torch.full((1, 3), 0.5), atol=2e-3)
    first = 1.97 + 0.1 * math.log(math.exp(0.25) - 1.0) / 6.0  # where softplus(-6 u) is 0.25, u in cells
    assert first - step - 1e-4 < float(grid_field.first_distance(depth, samples)) < first + 1e-4


def test_rays_that_meet_nothing_see_nothing(grid):
    origin, direction = torch.tensor([[3.0, 3.0, 3.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    samples = grid_field.sampled(grid, grid_field.cast(grid, origin, direction, 0.1), 0.1)
    seen = grid_field.rendered(torch.zeros(0), torch.zeros(len(grid.places), 12), samples, direction)
    assert len(samples.ray) == 0
    assert float(seen.opacity) == 0.0
    assert grid_field.first_distance(torch.zeros(0), samples).isinf().all()


def test_every_ray_ends_in_the_surroundings_behind_the_box_or_beside_it():
    box = torch.tensor([-0.5, -0.3, -0.4]), torch.tensor([0.5, 0.3, 0.4])
    surroundings = Surroundings.around(*box, 16)
    where = surroundings.grid.points  # contracted: beyond x = 1 is behind the box for who looks along +x
    surroundings.colours[:, 0] = torch.where(where[:, 0] > 0.0, 0.4, -0.4)
    origin = torch.tensor([[-3.0, 0.0, 0.0], [3.0, 0.0, 0.0], [-3.0, 2.0, 0.0]])
    direction = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    colour = surroundings.seen(origin, direction)
    assert torch.allclose(colour[:, 0], torch.tensor([0.9, 0.1, 0.9]), atol=0.02)
    assert torch.allclose(colour[:, 1:], torch.full((3, 2), 0.5), atol=0.01)
