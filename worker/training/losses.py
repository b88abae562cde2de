# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses of the scene network: the logarithm of depth up to a constant, its uncertainty, normals, masks and the lens.

Maps are (B, H, W), `solid` is where there is a surface. Gradients are matched over several scales as in MiDaS (Ranftl
et al. 2020, "Towards robust monocular depth estimation", section 5). Knows torch only.
"""

import torch
from torch import Tensor
from torch.nn import functional

from .scene_network import Seen

_LOG_SCALES = (-5.0, 2.0)  # limits of the Laplace scale's logarithm, against numbers that run away


def aligned(log_depth: Tensor, truth: Tensor, solid: Tensor) -> Tensor:
    """What the prediction lacks (B, H, W) after the constant that is best for each picture; 0 where not solid.

    The constant is the difference's median, at which its own derivative is zero, so none flows through it.
    """
    difference = log_depth - truth
    median = difference.detach().masked_fill(~solid, torch.nan).flatten(1).nanmedian(1).values
    return torch.where(solid, difference - median.nan_to_num()[:, None, None], 0.0)


def gradient_matching(difference: Tensor, solid: Tensor, scales: int = 4) -> Tensor:
    """Mean absolute gradient of a difference over `scales` halvings, between solid pixels: edges in the same places."""
    total = difference.new_zeros(())
    for scale in range(scales):
        step, known = difference[:, :: 2**scale, :: 2**scale], solid[:, :: 2**scale, :: 2**scale]
        for along in (1, 2):
            both = known.narrow(along, 1, known.shape[along] - 1) & known.narrow(along, 0, known.shape[along] - 1)
            total = total + mean(step.diff(dim=along).abs(), both)
    return total


def laplace(error: Tensor, log_scale: Tensor) -> Tensor:
    """Negative logarithm of the Laplace density of errors >= 0, less its constant, per pixel."""
    log_scale = log_scale.clamp(*_LOG_SCALES)
    return error * torch.exp(-log_scale) + log_scale


def mean(values: Tensor, where: Tensor) -> Tensor:
    """The mean over some of the values, 0 of none."""
    return torch.where(where, values, 0.0).sum() / where.sum().clamp(min=1)


def scene_loss(seen: Seen, inverse: Tensor, normal: Tensor, salient: Tensor, log_focal: Tensor, edges: float) -> Tensor:
    """What training minimises.

    inverse: 1/m, 0 for sky; normal: (B, 3, H, W), zero where unknown; salient: 1, 0, or more where unknown. The
    uncertainty learns from the errors and gives them no weight of its own: else what is hard would be learnt last.
    """
    solid = inverse > 0
    error = aligned(seen.log_depth, -torch.log(inverse.clamp(min=1e-5)), solid)
    depth = mean(error.abs(), solid) + edges * gradient_matching(error, solid)
    unsure = mean(laplace(error.detach().abs(), seen.log_scale), solid)
    tilt = mean(1.0 - (seen.normal * normal).sum(1), normal.square().sum(1) > 0.5)
    masks = [
        functional.binary_cross_entropy_with_logits(logits, truth.float().clamp(max=1.0), reduction="none")
        for logits, truth in ((seen.solid, solid), (seen.salient, salient))
    ]
    mask = masks[0].mean() + mean(masks[1], salient <= 1)
    lens = (seen.log_focal - log_focal).abs().mean()
    return depth + 0.1 * unsure + 0.3 * tilt + 0.15 * mask + 0.3 * lens
