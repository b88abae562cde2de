# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses for relative inverse depth. Inputs are (B, H, W) tensors, larger is nearer, target 0 = infinitely far.

The scale-and-shift-invariant part and the gradients follow MiDaS (Ranftl et al. 2020, "Towards robust monocular depth
estimation", section 5), untrimmed because rendered truth has no outliers. Knows torch only.
"""

import torch
from torch import Tensor


def fitted(prediction: Tensor, target: Tensor) -> Tensor:
    """The prediction brought to each target's scale and shift by least squares; gradients flow through the fit."""
    p, t = prediction.flatten(1), target.flatten(1)
    p_mean, t_mean = p.mean(1, keepdim=True), t.mean(1, keepdim=True)
    spread = ((p - p_mean) ** 2).mean(1, keepdim=True)
    scale = ((p - p_mean) * (t - t_mean)).mean(1, keepdim=True) / (spread + 1e-4)
    return (scale * (p - p_mean) + t_mean).view_as(prediction)


def deviation(inverse: Tensor) -> Tensor:
    """Mean absolute deviation from the median of each picture (B, 1, 1)."""
    flat = inverse.flatten(1)
    return (flat - flat.median(1, keepdim=True).values).abs().mean(1)[:, None, None]


def gradient_matching(difference: Tensor, scales: int = 4) -> Tensor:
    """Mean absolute gradient of a difference (B, H, W) over `scales` halvings: edges in the same places."""
    total = difference.new_zeros(())
    for scale in range(scales):
        step = difference[:, :: 2**scale, :: 2**scale]
        total = total + step.diff(dim=1).abs().mean() + step.diff(dim=2).abs().mean()
    return total


def depth_loss(prediction: Tensor, target: Tensor, edges: float = 0.1, floor: float = 0.1) -> Tensor:
    """What training minimises: L1 after the fit and L1 of logarithms, each with gradients of weight `edges`.

    The logarithm takes the target with mean 1, which keeps zero at infinity and gives far things their say; it also
    learns fastest from nothing. The fitted term is what relative depth is judged by.
    """
    target = target / (target.mean((1, 2), keepdim=True) + 1e-6)
    fit = (fitted(prediction, target) - target) / (deviation(target) + 1e-6)
    ratio = torch.log(prediction + floor) - torch.log(target + floor)
    levels = 0.8 * (fit.abs().mean() + ratio.abs().mean())
    return levels + edges * (gradient_matching(fit) + gradient_matching(ratio))
