# SPDX-License-Identifier: GPL-3.0-or-later
"""MoGe-2's stages: what the backbone sees, the neck's levels, the heads, and the camera that is recovered."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

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
    backbone.blocks[0].attn["proj"].register_forward_hook(_keeper(found, "dino_block_0_attn"))
    given = {"image_14": backbone, "dino_tokens_in": backbone.blocks[0], "cls_token": network.scale_head}
    for name, module in {**given, "neck_in_0": network.neck}.items():
        module.register_forward_pre_hook(_input_keeper(found, name))
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
    aspect = width / height
    half = moge.extent(aspect)[0]
    low, narrow = _Finished.of(lowest, aspect), _Finished.of(seen, aspect, half / math.tan(math.radians(50.0) / 2.0))
    found |= _finished(seen, _Finished.of(seen, aspect), aspect)
    found |= {f"level0_{name}": values for name, values in low.told(aspect).items()}
    found |= {f"fov50_{name}": values for name, values in narrow.told(aspect).items() if name != "mask"}
    return found


class _Finished(NamedTuple):
    """The recovered camera, and depth in metres with where it is believed."""

    focal: float
    shift: float
    depth: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, seen: moge.Seen, aspect: float, focal: float | None = None) -> _Finished:
        points, believed = _array(seen.points), _array(seen.mask) > 0.5
        focal, shift = recovered(points, believed, aspect, focal)
        depth = (points[..., 2] + np.float32(shift)) * np.float32(float(seen.scale))
        return cls(focal, shift, depth, believed & (depth > 0))

    def told(self, aspect: float) -> dict[str, np.ndarray]:
        depth = np.where(self.mask, self.depth, np.inf).astype(np.float32)
        return {"depth": depth, "mask": self.mask, "intrinsics": _intrinsics(self.focal, aspect)}


def _intrinsics(focal: float, aspect: float) -> np.ndarray:
    """(3, 3), normalised: those of a focal length in half diagonals."""
    fx, fy = (focal / 2.0 / half for half in moge.extent(aspect))
    return np.float32([[fx, 0.0, 0.5], [0.0, fy, 0.5], [0.0, 0.0, 1.0]])


def _finished(seen: moge.Seen, end: _Finished, aspect: float) -> dict[str, np.ndarray]:
    affine, metres = _array(seen.points), np.float32(float(seen.scale))
    shifted = (affine + np.float32([0.0, 0.0, end.shift])) * metres
    found = {"focal": np.float32([end.focal]), "shift": np.float32([end.shift]), "nomask_depth": end.depth}
    found |= {"noproj_nomask_points": shifted, "normal": np.where(end.mask[..., None], _array(seen.normals), 0.0)}
    rows, columns = ((np.arange(side) + 0.5) / side - 0.5 for side in end.mask.shape)
    camera = _intrinsics(end.focal, aspect)
    rays = np.stack([*np.meshgrid(columns / camera[0, 0], rows / camera[1, 1]), np.ones(end.mask.shape)], -1)
    points = np.where(end.mask[..., None], rays * end.depth[..., None], np.inf).astype(np.float32)
    return {**found, **end.told(aspect), "points": points}


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
        found.setdefault(name, _array(given[0][0] if isinstance(given[0], list) else given[0]))

    return keep


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
