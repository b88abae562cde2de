# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses and scores do not mind scale and shift, and do mind everything else."""

import numpy as np
import pytest
import torch
from image_to_3d.worker.training.losses import depth_loss, deviation, fitted, gradient_matching
from image_to_3d.worker.training.metrics import affine_score, vertical_ramp


@pytest.fixture
def target() -> torch.Tensor:
    return torch.rand(2, 16, 24, generator=torch.Generator().manual_seed(0)) + 0.2


def shape_loss(prediction: torch.Tensor, target: torch.Tensor) -> float:
    difference = (fitted(prediction, target) - target) / deviation(target)
    return float(difference.abs().mean() + gradient_matching(difference))


def test_a_perfect_affine_match_costs_nothing(target: torch.Tensor) -> None:
    assert shape_loss(3 * target + 5, target) == pytest.approx(0, abs=0.01)


def test_the_loss_of_shape_is_invariant_to_scale_and_shift_of_the_prediction(target: torch.Tensor) -> None:
    guess = torch.rand(target.shape, generator=torch.Generator().manual_seed(1))
    assert shape_loss(40 * guess - 7, target) == pytest.approx(shape_loss(guess, target), rel=0.02)


def test_the_loss_of_shape_is_invariant_to_the_targets_unit(target: torch.Tensor) -> None:
    guess = torch.rand(target.shape, generator=torch.Generator().manual_seed(1))
    assert shape_loss(guess, 8 * target) == pytest.approx(shape_loss(guess, target), rel=0.02)


def test_the_whole_loss_is_zero_only_at_the_target_with_mean_one(target: torch.Tensor) -> None:
    canonical = target / target.mean((1, 2), keepdim=True)
    assert float(depth_loss(canonical, 9 * target)) == pytest.approx(0, abs=0.01)
    assert float(depth_loss(canonical + 0.5, target)) > 0.1


def test_gradients_of_the_loss_are_finite_even_for_a_flat_prediction(target: torch.Tensor) -> None:
    flat = torch.ones_like(target, requires_grad=True)
    depth_loss(flat, target).backward()
    assert torch.isfinite(flat.grad).all()


def test_a_perfect_guess_scores_perfectly_whatever_its_scale_and_shift() -> None:
    depth = np.random.default_rng(0).uniform(1, 5, (20, 30))
    depth[:3] = np.nan
    score = affine_score(7 / depth + 2, depth)
    assert score.abs_rel == pytest.approx(0, abs=1e-9)
    assert score.delta1 == 1


def test_a_vertical_ramp_is_right_about_a_floor_and_wrong_about_noise() -> None:
    floor = np.broadcast_to(1 / np.linspace(0.1, 1, 40)[:, None], (40, 30))
    assert affine_score(vertical_ramp(40, 30), floor).abs_rel < 1e-6
    assert affine_score(vertical_ramp(40, 30), np.random.default_rng(0).uniform(1, 9, (40, 30))).abs_rel > 0.3
