# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading TripoSG's published folder: a network in each sub-folder, loaded for itself, so that one at a time is in memory.

Whatever is wrong with a file becomes one sentence (`ValueError`) that names it. Knows torch only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .checkpoint import fit, read_tensors
from .triposg import EncoderConfig, Flow, FlowConfig, PictureEncoder, ShapeCoder, ShapeConfig

ENCODER, FLOW, CODER = "image_encoder_dinov2", "transformer", "vae"
"""The sub-folders of the three networks."""

_FILES = {ENCODER: "model", FLOW: "diffusion_pytorch_model", CODER: "diffusion_pytorch_model"}
_PREPARATION, _SCHEDULER = "feature_extractor_dinov2/preprocessor_config.json", "scheduler/scheduler_config.json"
_BICUBIC = 3  # Pillow's number for it

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Preparation:
    """How a picture is made ready: shorter side to `resize` pixels, bicubic; the `crop` in its middle; less `mean`,
    over `std`, of values in [0, 1]."""

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalised(self, rgb: Tensor) -> Tensor:
        """(crop, crop, 3) uint8 sRGB -> (1, 3, crop, crop) float32."""
        mean, std = (torch.tensor(values, device=rgb.device) for values in (self.mean, self.std))
        return ((rgb.float() / 255.0 - mean) / std).permute(2, 0, 1)[None]


@dataclass(frozen=True)
class TripoSGConfig:
    """Every size, read from the folder's configurations."""

    encoder: EncoderConfig
    flow: FlowConfig
    shape: ShapeConfig
    preparation: Preparation


def read_config(folder: Path) -> TripoSGConfig:
    """All sizes, once it is sure that no file of weights is missing. Raises ValueError, OSError."""
    _schedule(folder)
    config = TripoSGConfig(_encoder(folder), _flow(folder), _shape(folder), _preparation(folder))
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
        names = _of_kind(_read(index, part), "weight_map", dict, f"{part}/{index.name}").values()
        if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise ValueError(f"weight_map in {part}/{index.name} must give a file's name for each tensor")
        paths = [whole.with_name(name) for name in sorted(set(names))]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{part}/{path.name} is missing")
    return paths


# ------------------------------------------------------------------------------------------------------ configurations


def _encoder(folder: Path) -> EncoderConfig:
    file = f"{ENCODER}/config.json"
    tree = _read(folder / file, ENCODER)
    fixed = {"model_type": "dinov2", "hidden_act": "gelu", "use_swiglu_ffn": False, "qkv_bias": True}
    _fixed(tree, {**fixed, "layer_norm_eps": 1e-6, "num_channels": 3}, file)
    sizes = [_whole(tree, name, file) for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")]
    patch, image = _whole(tree, "patch_size", file), _whole(tree, "image_size", file)
    hidden = sizes[0] * _whole(tree, "mlp_ratio", file)
    if image < patch:
        raise ValueError(f"image_size in {file} must be at least {patch}, not {image}")
    return EncoderConfig(sizes[0], sizes[1], _heads(sizes[0], sizes[2], file), hidden, patch, image)


def _flow(folder: Path) -> FlowConfig:
    file = f"{FLOW}/config.json"
    tree = _read(folder / file, FLOW)
    _fixed(tree, {"_class_name": "TripoSGDiTModel"}, file)
    names = ("width", "num_layers", "num_attention_heads", "in_channels", "cross_attention_dim")
    width, layers, heads, channels, context = (_whole(tree, name, file) for name in names)
    return FlowConfig(width, layers, _heads(width, heads, file), channels, context)


def _shape(folder: Path) -> ShapeConfig:
    file = f"{CODER}/config.json"
    tree = _read(folder / file, CODER)
    if (found := tree.get("_class_name")) not in ("Tripo2VAEModel", "TripoSGVAEModel"):
        raise ValueError(f"_class_name in {file} must be 'TripoSGVAEModel', not {found!r}")
    _fixed(tree, {"embedding_type": "frequency", "embed_include_pi": False, "in_channels": 3}, file)
    names = ("width_decoder", "num_layers_decoder", "width_encoder", "num_layers_encoder")
    width, layers, encoder_width, encoder_layers = (_whole(tree, name, file) for name in names)
    heads = _heads(width, _whole(tree, "num_attention_heads", file), file)
    channels, frequencies = _whole(tree, "latent_channels", file), _whole(tree, "embed_frequency", file)
    return ShapeConfig(width, layers, encoder_width, encoder_layers, heads, channels, 3, frequencies)


def _preparation(folder: Path) -> Preparation:
    tree = _read(folder / _PREPARATION, "")
    steps = {f"do_{step}": True for step in ("resize", "center_crop", "rescale", "normalize")}
    _fixed(tree, {**steps, "resample": _BICUBIC, "rescale_factor": 1.0 / 255.0}, _PREPARATION)
    resize = _whole(_of_kind(tree, "size", dict, _PREPARATION), "shortest_edge", _PREPARATION)
    crop = _of_kind(tree, "crop_size", dict, _PREPARATION)
    height, width = (_whole(crop, name, _PREPARATION) for name in ("height", "width"))
    if height != width or height > resize:
        raise ValueError(f"crop_size in {_PREPARATION} must be a square within {resize} pixels")
    return Preparation(resize, height, _three(tree, "image_mean"), _three(tree, "image_std"))


def _schedule(folder: Path) -> None:
    """Checks that the flow's times are those that `triposg.sampled` has."""
    tree = _read(folder / _SCHEDULER, "")
    _fixed(tree, {"num_train_timesteps": 1000, "shift": 1, "use_dynamic_shifting": False}, _SCHEDULER)


def _read(path: Path, part: str) -> dict[str, Any]:
    name = f"{part}/{path.name}" if part else f"{path.parent.name}/{path.name}"
    try:
        tree = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{name} is missing") from None
    except ValueError as error:  # of the JSON, or of its characters
        raise ValueError(f"{name} is damaged ({str(error).splitlines()[0][:80]})") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{name} is not a configuration")
    return tree


def _fixed(tree: dict[str, Any], wanted: dict[str, Any], file: str) -> None:
    for name, only in wanted.items():
        if (found := tree.get(name)) != only:
            raise ValueError(f"{name} in {file} must be {only!r}, not {found!r}")


def _whole(tree: dict[str, Any], name: str, file: str) -> int:
    found = tree.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= 65536:
        raise ValueError(f"{name} in {file} must be a whole number from 1 to 65536, not {found!r}")
    return found


def _heads(width: int, heads: int, file: str) -> int:
    if width % heads or width % 2:
        raise ValueError(f"{heads} attention heads do not divide the width {width} in {file}")
    return heads


def _of_kind(tree: dict[str, Any], name: str, kind: type, file: str) -> Any:
    if not isinstance(found := tree.get(name), kind):
        raise ValueError(f"{name} in {file} must be a {kind.__name__}, not {found!r}")
    return found


def _three(tree: dict[str, Any], name: str) -> tuple[float, ...]:
    values = _of_kind(tree, name, list, _PREPARATION)
    if len(values) != 3 or not all(isinstance(value, (int, float)) and 0.0 < value < 1.0 for value in values):
        raise ValueError(f"{name} in {_PREPARATION} must be three numbers between 0 and 1, not {values!r}")
    return tuple(map(float, values))
