# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading TripoSG's published folder, whose networks are loaded one by one: memory need not hold more than one.

Whatever is wrong with a file becomes one sentence (`ValueError`) that names it. Knows torch only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..runtime.checkpoint import fit, read_tensors
from ..runtime.configurations import Configuration, Preparation, read, read_preparation
from .network import EncoderConfig, Flow, FlowConfig, PictureEncoder, ShapeCoder, ShapeConfig

ENCODER, FLOW, CODER = "image_encoder_dinov2", "transformer", "vae"
"""The sub-folders of the three networks."""

_FILES = {ENCODER: "model", FLOW: "diffusion_pytorch_model", CODER: "diffusion_pytorch_model"}
_PREPARATION, _SCHEDULER = "feature_extractor_dinov2/preprocessor_config.json", "scheduler/scheduler_config.json"

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class TripoSGConfig:
    """Every size, read from the folder's configurations."""

    encoder: EncoderConfig
    flow: FlowConfig
    shape: ShapeConfig
    preparation: Preparation


def read_config(folder: Path) -> TripoSGConfig:
    """All sizes, once it is sure that no file of weights is missing. Raises ValueError, OSError."""
    read(folder / _SCHEDULER).fixed({"num_train_timesteps": 1000, "shift": 1, "use_dynamic_shifting": False})
    encoder, flow, shape = (read(folder / part / "config.json") for part in (ENCODER, FLOW, CODER))
    preparation = read_preparation(folder / _PREPARATION)
    config = TripoSGConfig(_encoder(encoder), _flow(flow), _shape(shape), preparation)
    agree = {
        "cross_attention_dim in transformer/config.json": (config.flow.context, config.encoder.width),
        "latent_channels in vae/config.json": (config.shape.channels, config.flow.channels),
    }
    for name, (found, wanted) in agree.items():
        if found != wanted:
            raise ValueError(f"{name} must be {wanted} to fit the rest, not {found}")
    if config.preparation.crop < config.encoder.patch:
        raise ValueError(f"crop_size in {_PREPARATION} must be at least {config.encoder.patch}")
    for part in _FILES:
        _shards(folder, part)
    return config


def load_encoder(folder: Path, config: TripoSGConfig) -> PictureEncoder:
    """What turns the picture into tokens: eval mode, float32, on the CPU. Raises ValueError, OSError."""
    with torch.device("meta"):
        network = PictureEncoder(config.encoder)
    return _filled(network, folder, ENCODER)


def load_flow(folder: Path, config: TripoSGConfig) -> Flow:
    """What turns noise into a shape; as load_encoder."""
    with torch.device("meta"):
        network = Flow(config.flow)
    return _filled(network, folder, FLOW)


def load_coder(folder: Path, config: TripoSGConfig) -> ShapeCoder:
    """What turns a shape into a function of space; as load_encoder."""
    with torch.device("meta"):
        network = ShapeCoder(config.shape)
    return _filled(network, folder, CODER)


# ------------------------------------------------------------------------------------------------------------- weights


def _filled(network: Network, folder: Path, part: str) -> Network:
    shards = _shards(folder, part)
    tensors: dict[str, Tensor] = {}
    for path in shards:
        tensors |= read_tensors(path)
    fit(network, tensors, f"{part}/{shards[0].name}")
    return network.eval().requires_grad_(False)


def _shards(folder: Path, part: str) -> list[Path]:
    """The files with a network's weights: one, or those that an index lists. Raises ValueError if one is missing."""
    whole = folder / part / f"{_FILES[part]}.safetensors"
    index = whole.with_name(whole.name + ".index.json")
    if whole.is_file() or not index.is_file():
        paths = [whole]
    else:
        names = read(index).part("weight_map").values.values()
        if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise ValueError(f"weight_map in {part}/{index.name} must give a file's name for each tensor")
        paths = [whole.with_name(name) for name in sorted(set(names))]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{part}/{path.name} is missing")
    return paths


# ------------------------------------------------------------------------------------------------------ configurations


def _encoder(found: Configuration) -> EncoderConfig:
    fixed = {"model_type": "dinov2", "hidden_act": "gelu", "use_swiglu_ffn": False, "qkv_bias": True}
    found.fixed({**fixed, "layer_norm_eps": 1e-6, "num_channels": 3})
    width, layers, patch, image = map(found.whole, ("hidden_size", "num_hidden_layers", "patch_size", "image_size"))
    if image < patch:
        raise ValueError(f"image_size in {found.name} must be at least {patch}, not {image}")
    return EncoderConfig(width, layers, _heads(found, width), width * found.whole("mlp_ratio"), patch, image)


def _flow(found: Configuration) -> FlowConfig:
    found.fixed({"_class_name": "TripoSGDiTModel"})
    width, layers, channels, context = map(found.whole, ("width", "num_layers", "in_channels", "cross_attention_dim"))
    return FlowConfig(width, layers, _heads(found, width), channels, context)


def _shape(found: Configuration) -> ShapeConfig:
    if (name := found.values.get("_class_name")) not in ("Tripo2VAEModel", "TripoSGVAEModel"):
        raise ValueError(f"_class_name in {found.name} must be 'TripoSGVAEModel', not {name!r}")
    found.fixed({"embedding_type": "frequency", "embed_include_pi": False, "in_channels": 3})
    names = ("width_decoder", "num_layers_decoder", "width_encoder", "num_layers_encoder")
    width, layers, encoder_width, encoder_layers = map(found.whole, names)
    channels, frequencies = found.whole("latent_channels"), found.whole("embed_frequency")
    heads = min(_heads(found, width), _heads(found, encoder_width))  # the same, checked for both
    return ShapeConfig(width, layers, encoder_width, encoder_layers, heads, channels, 3, frequencies)


def _heads(found: Configuration, width: int) -> int:
    heads = found.whole("num_attention_heads")
    if width % heads or width % 2:
        raise ValueError(f"{heads} attention heads do not divide the width {width} in {found.name}")
    return heads
