# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses and scores do not mind what a picture cannot tell, and do mind everything else."""

import numpy as np
import pytest
import torch
from image_to_3d.worker.training.losses import aligned, gradient_matching, laplace, scene_loss
from image_to_3d.worker.training.metrics import affine_score, scale_score, vertical_ramp
from image_to_3d.worker.training.scene_network import Seen

SHAPE = (2, 16, 24)


def uniform(seed: int) -> torch.Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def inverse() -> torch.Tensor:
    """Inverse depth with sky in the first picture's upper rows."""
    inverse = uniform(0) + 0.2
    inverse[0, :4] = 0
    return inverse


@pytest.fixture
def truth(inverse: torch.Tensor) -> tuple[torch.Tensor, ...]:
    normal = torch.nn.functional.normalize(torch.randn(2, 3, *SHAPE[1:], generator=torch.Generator().manual_seed(2)))
    normal[0, :, :4] = 0
    salient = (uniform(3) > 0.5).to(torch.uint8)
    salient[1] = 2
    return inverse, normal, salient, torch.tensor([0.3, 0.9])


@pytest.fixture
def perfect(truth: tuple[torch.Tensor, ...]) -> Seen:
    inverse, normal, salient, log_focal = truth
    solid = torch.where(inverse > 0, 30.0, -30.0)
    depth = 7.0 - torch.log(inverse.clamp(min=1e-3))
    return Seen(depth, torch.full(SHAPE, -5.0), normal, salient.float() * 60 - 30, solid, log_focal)


def loss(seen: Seen, truth: tuple[torch.Tensor, ...]) -> float:
    return float(scene_loss(seen, *truth, edges=0.2))


def test_nothing_costs_less_than_the_truth_and_only_uncertainty_is_left_of_it(perfect: Seen, truth) -> None:
    assert loss(perfect, truth) == pytest.approx(-0.5, abs=1e-3)


@pytest.mark.parametrize("part", [name for name in Seen._fields if name != "log_scale"])
def test_each_part_costs_where_it_is_wrong(perfect: Seen, truth, part: str) -> None:
    wrong = getattr(perfect, part) * 0.5 if part in ("log_depth", "log_focal") else -getattr(perfect, part)
    assert loss(perfect._replace(**{part: wrong}), truth) > loss(perfect, truth) + 0.05


def test_the_scale_of_depth_costs_nothing_and_a_shift_of_its_inverse_does(perfect: Seen, truth) -> None:
    larger = perfect._replace(log_depth=perfect.log_depth + torch.tensor([3.0, -2.0])[:, None, None])
    assert loss(larger, truth) == pytest.approx(loss(perfect, truth), abs=1e-4)
    shifted = perfect._replace(log_depth=-torch.log(truth[0] + 0.5))
    assert loss(shifted, truth) > loss(perfect, truth) + 0.1


def test_depth_in_the_sky_and_saliency_that_nobody_knows_cost_nothing(perfect: Seen, truth) -> None:
    depth, salient = perfect.log_depth.clone(), perfect.salient.clone()
    depth[0, :4] += 5 * uniform(5)[0, :4]
    salient[1] *= -1
    assert loss(perfect._replace(log_depth=depth, salient=salient), truth) == pytest.approx(loss(perfect, truth))


def test_the_sky_does_not_choose_the_constant() -> None:
    solid = torch.zeros(SHAPE, dtype=torch.bool)
    solid[:, 12:] = True
    depth = uniform(1)
    error = aligned(torch.where(solid, depth + 4.0, -9.0), depth, solid)
    torch.testing.assert_close(error, torch.zeros(SHAPE), atol=1e-5, rtol=0)


def test_a_laplace_scale_costs_least_where_it_is_the_error() -> None:
    costs = [float(laplace(torch.tensor(0.2), torch.tensor(scale).log())) for scale in (0.1, 0.2, 0.4)]
    assert costs[1] < min(costs[0], costs[2])


def test_uncertainty_does_not_change_what_depth_learns(perfect: Seen, truth) -> None:
    gradients = []
    for scale in (-4.0, 1.0):
        depth = (perfect.log_depth + uniform(6)).requires_grad_(True)
        seen = perfect._replace(log_depth=depth, log_scale=torch.full(SHAPE, scale))
        scene_loss(seen, *truth, edges=0.2).backward()
        gradients.append(depth.grad)
    assert torch.equal(*gradients)


def test_gradients_do_not_reach_across_the_skys_edge() -> None:
    solid = torch.ones(SHAPE, dtype=torch.bool)
    solid[:, :8] = False
    difference = torch.where(solid, 1.0, 0.0)
    assert float(gradient_matching(difference, solid)) == 0
    assert float(gradient_matching(difference, torch.ones_like(solid))) > 0.05


@pytest.mark.parametrize("sky", [False, True])
def test_gradients_of_the_loss_are_finite_even_for_a_flat_answer_and_for_nothing_but_sky(truth, sky: bool) -> None:
    flat = torch.zeros(SHAPE, requires_grad=True)
    up = torch.nn.functional.normalize(torch.ones(2, 3, *SHAPE[1:]))
    seen = Seen(flat, flat, up, flat, flat, torch.zeros(2))
    inverse, *others = truth
    scene_loss(seen, inverse * 0 if sky else inverse, *others, edges=0.2).backward()
    assert torch.isfinite(flat.grad).all()
    assert not aligned(flat.detach(), flat.detach() + 3, inverse > 9).any()


def test_a_perfect_guess_scores_perfectly_whatever_its_scale_and_shift() -> None:
    depth = np.random.default_rng(0).uniform(1, 5, (20, 30))
    depth[:3] = np.nan
    score = affine_score(7 / depth + 2, depth)
    assert score.abs_rel == pytest.approx(0, abs=1e-9)
    assert score.delta1 == 1


def test_where_scale_alone_is_fitted_a_shift_counts_as_the_fault_that_it_is() -> None:
    depth = np.random.default_rng(0).uniform(1, 5, (20, 30))
    depth[:3] = np.nan
    assert scale_score(9 * depth, depth).abs_rel == pytest.approx(0, abs=1e-9)
    assert scale_score(1 / (1 / np.nan_to_num(depth, nan=1.0) + 0.5), depth).abs_rel > 0.1


def test_some_of_the_pixels_are_scored_at_the_scale_of_all() -> None:
    depth = np.full((20, 30), 2.0)
    guess, right = depth.copy(), np.ones(depth.shape, bool)
    right[:5] = False
    guess[:5] = 3.0
    assert scale_score(guess, depth, right).abs_rel == 0
    assert scale_score(guess, depth, ~right).abs_rel == pytest.approx(0.5)


def test_a_vertical_ramp_is_right_about_a_floor_and_wrong_about_noise() -> None:
    floor = np.broadcast_to(1 / np.linspace(0.1, 1, 40)[:, None], (40, 30))
    assert affine_score(vertical_ramp(40, 30), floor).abs_rel < 1e-6
    assert affine_score(vertical_ramp(40, 30), np.random.default_rng(0).uniform(1, 9, (40, 30))).abs_rel > 0.3
