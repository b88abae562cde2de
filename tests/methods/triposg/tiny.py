# SPDX-License-Identifier: GPL-3.0-or-later
"""A TripoSG, or a DetailGen3D, with random weights whose field is nevertheless a closed ball with bumps.

Random weights alone give noise that fills the cube, on which no step after the networks means anything. So the first
channels of what points pass are set by hand, at any size of the network: the cosines of the three coordinates, whose
sum falls like the square of the distance, go through the shortcuts to the end. All else stays random, and what points
find in the shape's tokens makes bumps, which depend on the picture and on the noise.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import torch
from image_to_3d.worker.methods.runtime.configurations import Preparation
from image_to_3d.worker.methods.triposg.files import DETAILGEN3D, TripoSGConfig
from image_to_3d.worker.methods.triposg.network import (
    EncoderConfig,
    FlowConfig,
    PictureEncoder,
    ShapeCoder,
    ShapeConfig,
)
from safetensors.torch import save_file
from torch import Tensor, nn

TINY = TripoSGConfig(
    EncoderConfig(width=32, layers=2, heads=2, hidden=128, patch=14, image=56),
    FlowConfig(width=32, layers=3, heads=2, channels=8, context=32),
    ShapeConfig(width=32, layers=2, encoder_width=16, encoder_layers=1, heads=2, channels=8, frequencies=8),
    Preparation(48, 42, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
)
TINY_DETAIL = replace(TINY, layout=DETAILGEN3D)
RADIUS = 0.6


def with_a_ball(coder: ShapeCoder, bumps: float = 0.5) -> ShapeCoder:
    """Sets what points pass so that the field is zero about RADIUS from the middle. bumps: how much tokens change."""
    config, decoder = coder.config, coder.decoder
    cosines = config.inputs + config.inputs * config.frequencies + config.frequencies * torch.arange(config.inputs)
    surface = 2.0 + math.cos(RADIUS)  # the sum of the cosines, about: on an axis
    look = decoder.blocks[-1]
    with torch.no_grad():
        decoder.proj_query.weight[:4], decoder.proj_query.bias[:4] = 0.0, torch.tensor([-surface, surface, 4.0, -4.0])
        decoder.proj_query.weight[0, cosines], decoder.proj_query.weight[1, cosines] = 1.0, -1.0
        decoder.proj_query.weight[4:] *= 0.05
        for last in (look.attn2.to_out[0], look.ff.net[2]):
            last.weight *= bumps
            last.bias *= 0.0
        decoder.proj_out.weight[:], decoder.proj_out.bias[:] = 0.0, 0.0
        decoder.proj_out.weight[0, :2] = torch.tensor([-1.0, 1.0])
    return coder


def write(folder: Path, config: TripoSGConfig = TINY, seed: int = 0, shards: int = 1) -> None:
    """Makes `folder` in the layout of the published one. shards: files that the flow's weights are spread over."""
    torch.manual_seed(seed)
    layout = config.layout
    _write(folder / layout.encoder, _encoder_tree(config.encoder))
    _save(PictureEncoder(config.encoder), folder / layout.encoder / "model.safetensors", 1)
    _write(folder / "transformer", _flow_tree(config.flow) | {"_class_name": layout.name})
    _save(layout.flow(config.flow), folder / "transformer" / "diffusion_pytorch_model.safetensors", shards)
    _write(folder / "vae", _shape_tree(config.shape))
    _save(with_a_ball(ShapeCoder(config.shape)), folder / "vae" / "diffusion_pytorch_model.safetensors", 1)
    scheduler = {"num_train_timesteps": 1000, "shift": 1, "use_dynamic_shifting": False}
    _write(folder / "scheduler", {"_class_name": "RectifiedFlowScheduler", **scheduler}, "scheduler_config.json")
    noising = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
    if layout.noises:
        _write(folder / "noise_scheduler", {**noising, "trained_betas": None}, "scheduler_config.json")
    _write(folder / layout.preparation, _preparation_tree(config.preparation), "preprocessor_config.json")


def _save(network: nn.Module, path: Path, shards: int) -> None:
    tensors = network.state_dict()
    if shards == 1:
        save_file(tensors, path)
        return
    files: dict[str, dict[str, Tensor]] = {}
    for i, (name, tensor) in enumerate(tensors.items()):
        files.setdefault(f"{path.stem}-{i % shards + 1:05d}-of-{shards:05d}.safetensors", {})[name] = tensor
    for name, part in files.items():
        save_file(part, path.with_name(name))
    index = {"metadata": {}, "weight_map": {name: file for file, part in files.items() for name in part}}
    path.with_name(path.name + ".index.json").write_text(json.dumps(index), "utf-8")


def _write(folder: Path, tree: dict, name: str = "config.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(tree, indent=2), "utf-8")


def _encoder_tree(config: EncoderConfig) -> dict:
    sizes = {"hidden_size": config.width, "num_hidden_layers": config.layers, "num_attention_heads": config.heads}
    sizes |= {"mlp_ratio": config.hidden // config.width, "patch_size": config.patch, "image_size": config.image}
    fixed = {"model_type": "dinov2", "hidden_act": "gelu", "use_swiglu_ffn": False, "qkv_bias": True}
    return {**sizes, **fixed, "layer_norm_eps": 1e-06, "num_channels": 3}


def _flow_tree(config: FlowConfig) -> dict:
    sizes = {"width": config.width, "num_layers": config.layers, "num_attention_heads": config.heads}
    channels = {"in_channels": config.channels, "cross_attention_dim": config.context}
    return {**sizes, **channels}


def _shape_tree(config: ShapeConfig) -> dict:
    sizes = {"width_decoder": config.width, "num_layers_decoder": config.layers, "num_attention_heads": config.heads}
    sizes |= {"width_encoder": config.encoder_width, "num_layers_encoder": config.encoder_layers}
    sizes |= {"latent_channels": config.channels, "embed_frequency": config.frequencies}
    fixed = {"in_channels": config.inputs, "embed_include_pi": False, "embedding_type": "frequency"}
    return {"_class_name": "Tripo2VAEModel", **sizes, **fixed}


def _preparation_tree(preparation: Preparation) -> dict:
    steps = {f"do_{step}": True for step in ("resize", "center_crop", "rescale", "normalize")}
    crop = {"height": preparation.crop, "width": preparation.crop}
    values = {"image_mean": preparation.mean, "image_std": preparation.std, "rescale_factor": 1 / 255}
    return {**steps, "size": {"shortest_edge": preparation.resize}, "crop_size": crop, **values, "resample": 3}
