# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses for relative inverse depth. Inputs are (B, H, W) tensors, larger is nearer, target 0 = infinitely far.

The first two follow MiDaS (Ranftl et al. 2020, "Towards robust monocular depth estimation", section 5), untrimmed because
rendered truth has no outliers. Knows torch only.
"""

import torch
from torch import Tensor


def normalised(inverse: Tensor) -> Tensor:
    """Each picture shifted by its median and divided by its mean absolute deviation: free of scale and shift."""
    flat = inverse.flatten(1)
    centred = flat - flat.median(1, keepdim=True).values
    return (centred / (centred.abs().mean(1, keepdim=True) + 1e-6)).view_as(inverse)


def gradient_matching(difference: Tensor, scales: int = 4) -> Tensor:
    """Mean absolute gradient of a difference (B, H, W) over `scales` halvings: edges in the same places."""
    total = difference.new_zeros(())
    for scale in range(scales):
        step = difference[:, :: 2**scale, :: 2**scale]
        total = total + step.diff(dim=1).abs().mean() + step.diff(dim=2).abs().mean()
    return total


def scale_free_log(prediction: Tensor, target: Tensor, floor: float = 0.1) -> Tensor:
    """L1 of log(x + floor), both divided by their means: keeps zero at infinity and gives far things their say."""

    def logarithm(value: Tensor) -> Tensor:
        return torch.log(value / (value.mean((1, 2), keepdim=True) + 1e-6) + floor)

    return (logarithm(prediction) - logarithm(target)).abs().mean()


def depth_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Scale-and-shift-invariant L1, multi-scale gradient matching, and a light anchor for zero."""
    difference = normalised(prediction) - normalised(target)
    return difference.abs().mean() + 0.5 * gradient_matching(difference) + 0.25 * scale_free_log(prediction, target)
