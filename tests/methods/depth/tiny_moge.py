# SPDX-License-Identifier: GPL-3.0-or-later
"""A small MoGe with random numbers, in the published layout, that sees a surface everywhere."""

from __future__ import annotations

from pathlib import Path

import torch
from image_to_3d.worker.methods.depth.moge import FILE, Moge, MogeConfig

WIDTH, HIDDEN, INNER = 64, 96, [16, 8, 8, 8, 8]


def _stack(inputs: list[int], outputs: list[int | None] | None) -> dict:
    kinds = ["conv_transpose", "conv_transpose", "conv_transpose", "bilinear"]
    sizes = {"dim_in": inputs, "dim_out": outputs, "dim_res_blocks": INNER, "num_res_blocks": [0, 1, 1, 1, 0]}
    return {**sizes, "resamplers": kinds}


def _head(channels: int) -> dict:
    return _stack(INNER, [None, None, None, None, channels])


CONFIG = {
    "encoder": {"backbone": "dinov2_vits14", "intermediate_layers": [0, 1], "dim_out": 16},
    "neck": _stack([18, 2, 2, 2, 2], None),
    "points_head": _head(3),
    "mask_head": _head(1),
    "normal_head": _head(3),
    "scale_head": {"dims": [WIDTH, 16, 1]},
    "remap_output": "exp",
    "num_tokens_range": [12, 48],
}


def write(folder: Path, config: dict = CONFIG) -> Path:
    """The checkpoint in a folder, with the same numbers each time."""
    generator = torch.Generator().manual_seed(5)
    sizes = {
        "encoder.backbone.pos_embed": torch.empty(1, 1370, WIDTH),
        "encoder.backbone.blocks.0.mlp.fc1.bias": torch.empty(HIDDEN),
        "encoder.backbone.blocks.1.mlp.fc1.bias": torch.empty(HIDDEN),
    }
    network = Moge(MogeConfig.of(config, sizes))
    state = {
        name: 0.2 * torch.randn(values.shape, generator=generator) for name, values in network.state_dict().items()
    }
    state["mask_head.output_blocks.4.bias"] += 20.0
    state["encoder.image_std"] = torch.full((1, 3, 1, 1), 0.25)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model_config": config, "model": state}, folder / FILE)
    return folder
