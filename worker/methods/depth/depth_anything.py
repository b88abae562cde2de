# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth Anything V2 (Yang et al. 2024, arXiv:2406.09414), run by transformers, with the published weights.

The preparation of the picture is done here, because the one that comes with the weights would need torchvision.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import DepthAnythingForDepthEstimation

MULTIPLE = 14
"""Height and width must be multiples of the size of a ViT patch."""


class DepthAnything(nn.Module):
    """(B, 3, H, W) sRGB in [0, 1] -> (B, H, W) inverse depth up to scale and shift."""

    def __init__(self, network: DepthAnythingForDepthEstimation) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))  # ImageNet's
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.network((image - self.mean) / self.std).predicted_depth


def load(folder: Path) -> DepthAnything:
    """The network in `folder` (config.json, model.safetensors), in eval mode. OSError, ValueError if damaged."""
    network, report = DepthAnythingForDepthEstimation.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
    )
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[problem]:
            raise ValueError(f"{problem.replace('_', ' ')}: {sorted(map(str, report[problem]))[0]}")
    if network.config.depth_estimation_type != "relative":
        raise ValueError("these weights give metres, and their licence is not clear; the relative ones are known here")
    return DepthAnything(network).eval()
