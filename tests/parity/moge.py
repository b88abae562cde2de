# SPDX-License-Identifier: GPL-3.0-or-later
"""MoGe-2's stages: what the backbone sees, the neck's levels, the heads, and the camera that is recovered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from image_to_3d.worker.methods.depth import moge
from image_to_3d.worker.methods.depth.focal import recovered
from torch import Tensor, nn

from .compare import Arrays


def stages(checkpoint: Path, recorded: Arrays, device: str) -> dict[str, np.ndarray]:
    """Our values under the names of the reference."""
    network = moge.load(checkpoint).to(device)
    image = torch.from_numpy(recorded["image"]).to(device)
    found: dict[str, np.ndarray] = {}
    backbone, encoder = network.encoder.backbone, network.encoder
    for name, module in {"encoder_out": encoder, "neck": network.neck, "points_head_out": network.points_head}.items():
        module.register_forward_hook(_keeper(found, name))
    network.mask_head.register_forward_hook(_keeper(found, "mask_head_out"))
    backbone.blocks[0].register_forward_hook(_keeper(found, "dino_block_0"))
    for number, project in enumerate(encoder.output_projections):
        project.register_forward_pre_hook(_input_keeper(found, f"dino_feature_{number}"))
    with torch.inference_mode():
        seen = network(image)
        height, width = image.shape[-2:]
        grid = moge.token_grid(height, width, network.tokens(1.0))
        found["dino_pos_embed"] = _array(backbone.positions(grid))
        lowest = network(image, 0.5)
    found |= {"forward_points": _array(seen.points[None]), "forward_normal": _array(seen.normals[None])}
    found |= {"forward_mask": _array(seen.mask[None]), "forward_metric_scale": _array(seen.scale[None])}
    found |= _finished(seen, width / height)
    found["level0_depth"] = np.where(recorded["level0_mask"], _depth(lowest, width / height), np.inf)
    return found


def _finished(seen: moge.Seen, aspect: float) -> dict[str, np.ndarray]:
    focal, shift = recovered(_array(seen.points), _array(seen.mask) > 0.5, aspect)
    depth = _depth(seen, aspect)
    mask = (_array(seen.mask) > 0.5) & (depth > 0)
    found = {"focal": np.float32([focal]), "shift": np.float32([shift]), "nomask_depth": depth}
    return {**found, "depth": np.where(mask, depth, np.inf).astype(np.float32), "mask": mask}


def _depth(seen: moge.Seen, aspect: float) -> np.ndarray:
    _, shift = recovered(_array(seen.points), _array(seen.mask) > 0.5, aspect)
    return (_array(seen.points)[..., 2] + np.float32(shift)) * np.float32(float(seen.scale))


def _keeper(found: dict[str, np.ndarray], name: str):
    def keep(module: nn.Module, given: object, result: object) -> None:
        if name == "encoder_out":
            found.setdefault(name, _array(result[0]))
        elif name == "neck":
            for level, values in enumerate(result[:3]):
                found.setdefault(f"neck_out_{level}", _array(values))
        else:
            found.setdefault(name, _array(result[-1] if isinstance(result, list) else result))

    return keep


def _input_keeper(found: dict[str, np.ndarray], name: str):
    def keep(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        found.setdefault(name, _array(given[0]))

    return keep


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
