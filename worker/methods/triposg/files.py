# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the published folders of TripoSG and of DetailGen3D, which has TripoSG's networks but another flow. They are
loaded one by one: memory need not hold more than one.

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
from .detail_network import Augmentation, DetailFlow, shifted
from .network import EncoderConfig, Flow, FlowConfig, PictureEncoder, ShapeCoder, ShapeConfig, sigmas

FLOW, CODER = "transformer", "vae"
"""The sub-folders of two of the networks."""

_SCHEDULER, _NOISING = "scheduler/scheduler_config.json", "noise_scheduler/scheduler_config.json"
_SCHEDULES = {"linear": False, "scaled_linear": True}


@dataclass(frozen=True)
class Layout:
    """What differs between the folders. encoder, preparation: sub-folders. flow: its class, by its published name too.
    noises: whether it says how coarse latents are noised."""

    encoder: str
    preparation: str
    flow: type[Flow] | type[DetailFlow]
    name: str
    noises: bool

    def file(self, part: str) -> str:
        """The name of a sub-folder's weights, without its end."""
        return "model" if part == self.encoder else "diffusion_pytorch_model"


TRIPOSG = Layout("image_encoder_dinov2", "feature_extractor_dinov2", Flow, "TripoSGDiTModel", False)
DETAILGEN3D = Layout("image_encoder_1", "feature_extractor_1", DetailFlow, "DetailGen3DDiTModel", True)

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class TripoSGConfig:
    """Every size, read from the folder's configurations. shift: of the flow's levels. noising: of coarse latents."""

    encoder: EncoderConfig
    flow: FlowConfig
    shape: ShapeConfig
    preparation: Preparation
    layout: Layout = TRIPOSG
    shift: float = 1.0
    noising: Augmentation = Augmentation()

    def levels(self, steps: int) -> Tensor:
        """(steps + 1,) float32: the share of noise before each step, and 0 after the last."""
        return shifted(sigmas(steps), self.shift)


def read_config(folder: Path, layout: Layout = TRIPOSG) -> TripoSGConfig:
    """All sizes, once it is sure that no file of weights is missing. Raises ValueError, OSError."""
    scheduler = read(folder / _SCHEDULER)
    scheduler.fixed({"num_train_timesteps": 1000, "use_dynamic_shifting": False})
    encoder, flow, shape = (read(folder / part / "config.json") for part in (layout.encoder, FLOW, CODER))
    flow.fixed({"_class_name": layout.name})
    prepared = f"{layout.preparation}/preprocessor_config.json"
    preparation = read_preparation(folder / prepared)
    noising = _noising(read(folder / _NOISING)) if layout.noises else Augmentation()
    networks = _encoder(encoder), _flow(flow), _shape(shape)
    config = TripoSGConfig(*networks, preparation, layout, scheduler.number("shift", 1e-3, 1e3), noising)
    agree = {
        "cross_attention_dim in transformer/config.json": (config.flow.context, config.encoder.width),
        "latent_channels in vae/config.json": (config.shape.channels, config.flow.channels),
    }
    for name, (found, wanted) in agree.items():
        if found != wanted:
            raise ValueError(f"{name} must be {wanted} to fit the rest, not {found}")
    if config.preparation.crop < config.encoder.patch:
        raise ValueError(f"crop_size in {prepared} must be at least {config.encoder.patch}")
    for part in (layout.encoder, FLOW, CODER):
        _shards(folder, part, layout.file(part))
    return config


def load_encoder(folder: Path, config: TripoSGConfig) -> PictureEncoder:
    """What turns the picture into tokens: eval mode, float32, on the CPU. Raises ValueError, OSError."""
    with torch.device("meta"):
        network = PictureEncoder(config.encoder)
    return _filled(network, folder, config.layout.encoder, config.layout)


def load_flow(folder: Path, config: TripoSGConfig) -> Flow | DetailFlow:
    """What turns noise, or a coarse shape, into a shape; as load_encoder."""
    with torch.device("meta"):
        network = config.layout.flow(config.flow)
    return _filled(network, folder, FLOW, config.layout)


def load_coder(folder: Path, config: TripoSGConfig) -> ShapeCoder:
    """What turns a surface into a shape, and that into a function of space; as load_encoder."""
    with torch.device("meta"):
        network = ShapeCoder(config.shape)
    return _filled(network, folder, CODER, config.layout)


# ------------------------------------------------------------------------------------------------------------- weights


def _filled(network: Network, folder: Path, part: str, layout: Layout) -> Network:
    shards = _shards(folder, part, layout.file(part))
    tensors: dict[str, Tensor] = {}
    for path in shards:
        tensors |= read_tensors(path)
    fit(network, tensors, f"{part}/{shards[0].name}")
    return network.eval().requires_grad_(False)


def _shards(folder: Path, part: str, name: str) -> list[Path]:
    """The files with a network's weights: one, or those that an index lists. Raises ValueError if one is missing."""
    whole = folder / part / f"{name}.safetensors"
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


def _noising(found: Configuration) -> Augmentation:
    found.fixed({"trained_betas": None})
    schedule = found.values.get("beta_schedule")
    if schedule not in _SCHEDULES:
        raise ValueError(f"beta_schedule in {found.name} must be one of {', '.join(_SCHEDULES)}, not {schedule!r}")
    start, end = (found.number(name, 1e-9, 1.0) for name in ("beta_start", "beta_end"))
    return Augmentation(start, end, found.whole("num_train_timesteps"), _SCHEDULES[schedule])


def _heads(found: Configuration, width: int) -> int:
    heads = found.whole("num_attention_heads")
    if width % heads or width % 2:
        raise ValueError(f"{heads} attention heads do not divide the width {width} in {found.name}")
    return heads
