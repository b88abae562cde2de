# SPDX-License-Identifier: GPL-3.0-or-later
"""TripoSR's stages: preparation of the picture, tokens, planes, and what is found at points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from image_to_3d.worker.methods.triposr import network as triposr
from image_to_3d.worker.pictures.crop import square_crop
from torch import Tensor, nn

from .compare import Arrays


def stages(checkpoint: Path, recorded: Arrays, device: str) -> dict[str, np.ndarray]:
    """Our values under the names of the reference."""
    network = triposr.load(checkpoint).to(device)
    found: dict[str, np.ndarray] = {}
    picture = recorded["image_rgba"]
    crop = square_crop(picture[..., :3], picture[..., 3], triposr.FILL)
    found["foreground_rgba"] = crop.rgba
    found["image_rgb_uint8"] = grey = crop.on_grey(triposr.GREY)
    with torch.inference_mode():
        image = triposr.prepared(torch.from_numpy(grey), network.config.image_size)
        found["rgb_cond"] = _array(image.permute(0, 2, 3, 1))
        for name, module in _watched(network).items():
            module.register_forward_hook(_keeper(found, name))
        code = network(image.to(device))
        vit = network.image_tokenizer["model"].embeddings
        found["vit_pos_embed"] = _array(vit.positions(network.config.image_size // network.config.patch))
        found["scene_code"] = _array(code[None])
        scene = network.scene(code)
        found |= _queried(scene, torch.from_numpy(recorded["query_points"]).to(device), "query")
        found |= _gridded(scene, len(recorded["grid_density"]), device)
    return found


def _watched(network: triposr.TripoSR) -> dict[str, nn.Module]:
    vit, backbone = network.image_tokenizer["model"], network.backbone
    watched = {"vit_embeddings": vit.embeddings, "image_tokens": vit}
    watched |= {f"vit_layer_{i}": layer for i, layer in enumerate(vit.encoder["layer"])}
    watched |= {"backbone_proj_in": backbone.proj_in, "backbone_out": backbone}
    for i, block in enumerate(backbone.transformer_blocks):
        parts = {"": block, "_attn1": block.attn1, "_attn2": block.attn2, "_ff": block.ff}
        watched |= {f"backbone_block_{i}{name}": part for name, part in parts.items()}
    return watched


def _keeper(found: dict[str, np.ndarray], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def keep(module: nn.Module, given: object, result: Tensor) -> None:
        found[name] = _array(result)

    return keep


def _queried(scene: triposr.Scene, points: Tensor, name: str) -> dict[str, np.ndarray]:
    raw, log_density = scene.raw(points), scene.log_density(points)
    values = {"density": raw[:, :1], "density_act": log_density.exp()[:, None], "features": raw[:, 1:]}
    return {f"{name}_{key}": _array(value) for key, value in {**values, "color": scene.colour(points)}.items()}


def _gridded(scene: triposr.Scene, count: int, device: str) -> dict[str, np.ndarray]:
    """At the points of a cube, [ix, iy, iz], `count` along each side, both ends of [-radius, radius] included."""
    axis = torch.linspace(-scene.radius, scene.radius, count, device=device)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    flat = _queried(scene, points, "grid")
    channels = {"grid_density": (), "grid_density_act": (), "grid_color": (3,)}
    return {name: flat[name].reshape(count, count, count, *shape) for name, shape in channels.items()}


def _array(values: Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()
