# SPDX-License-Identifier: GPL-3.0-or-later
"""TripoSR (Tochilkin et al. 2024, arXiv:2403.02151): one picture to a triplane NeRF, written from the paper and from
the published layout of its weights. Knows torch only: not where weights lie, nor how a subject is cut out.

A vision transformer (DINO's ViT-B/16) turns the picture into tokens; a transformer whose tokens are three learned
planes looks at them; upsampled, the planes are the scene. A point is looked up in each plane, and a small perceptron
makes density and colour of what it finds. Modules carry the names of the published tensors.

Axes of the scene: right-handed, x towards the viewer of the picture, y to the right, z up, in [-radius, radius].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.checkpoint import fit, read_tensors

GREY = 0.5
"""The background that the network was trained on; another one moves its result by half."""

FILL = 0.85
"""How much of the square picture the longer side of the subject spans."""

DISTANCE, FOV = 1.9, 40.0
"""Where the camera that sees the scene as the picture does is about: on the x axis, with that vertical field of view
in degrees over the square picture."""

_HEAD = 64  # width of an attention head of the ViT-B/16
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


# ------------------------------------------------------------------------------------------------------ configuration


@dataclass(frozen=True)
class TripoSRConfig:
    """Every size of the network. The first block stands in the published config.yaml, the second in the tensors."""

    image_size: int = 512
    plane_size: int = 32
    channels: int = 1024
    heads: int = 16
    head_width: int = 64
    layers: int = 16
    plane_channels: int = 40
    neurons: int = 64
    hidden_layers: int = 9
    radius: float = 0.87
    density_bias: float = -1.0

    vit_width: int = 768
    vit_hidden: int = 3072
    vit_layers: int = 12
    patch: int = 16
    positions: int = 197


def read_config(text: str, tensors: Mapping[str, Tensor]) -> TripoSRConfig:
    """From the text of config.yaml and the checkpoint's tensors. Raises ValueError naming the value that is wrong."""
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"config.yaml is not YAML ({str(error).splitlines()[0]})") from None
    for name, only in _FIXED.items():
        if (found := _value(tree, name)) != only:
            raise ValueError(f"{name} in config.yaml must be {only!r}, not {found!r}")
    sizes = {field: _whole(tree, name, most) for field, (name, most) in _SIZES.items()}
    config = TripoSRConfig(
        **sizes,
        radius=_number(tree, "renderer.radius", 1e-3, 1e3),
        density_bias=_number(tree, "renderer.density_bias", -1e3, 1e3),
        **_vit_sizes(tensors),
    )
    _check_agreement(config, tree)
    return config


_FIXED = {"decoder.activation": "silu", "renderer.feature_reduction": "concat", "renderer.density_activation": "exp"}

_SIZES = {  # field: name in config.yaml, largest value that is not a mistake
    "image_size": ("cond_image_size", 4096),
    "plane_size": ("tokenizer.plane_size", 1024),
    "channels": ("tokenizer.num_channels", 65536),
    "heads": ("backbone.num_attention_heads", 1024),
    "head_width": ("backbone.attention_head_dim", 4096),
    "layers": ("backbone.num_layers", 512),
    "plane_channels": ("post_processor.out_channels", 4096),
    "neurons": ("decoder.n_neurons", 65536),
    "hidden_layers": ("decoder.n_hidden_layers", 512),
}


def _value(tree: Any, name: str, depth: int = 0) -> Any:
    """The value at a dotted name, with references such as ${tokenizer.num_channels} followed."""
    found = tree
    for key in name.split("."):
        if not isinstance(found, dict) or key not in found:
            raise ValueError(f"{name} is missing in config.yaml")
        found = found[key]
    if isinstance(found, str) and found.startswith("${") and found.endswith("}"):
        if depth > 8:
            raise ValueError(f"{name} in config.yaml refers to itself")
        return _value(tree, found[2:-1].strip(), depth + 1)
    return found


def _whole(tree: Any, name: str, most: int) -> int:
    found = _value(tree, name)
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= most:
        raise ValueError(f"{name} in config.yaml must be a whole number from 1 to {most}, not {found!r}")
    return found


def _number(tree: Any, name: str, least: float, most: float) -> float:
    found = _value(tree, name)
    if not isinstance(found, (int, float)) or isinstance(found, bool) or not least <= found <= most:
        raise ValueError(f"{name} in config.yaml must be a number from {least:g} to {most:g}, not {found!r}")
    return float(found)


def _vit_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    model = "image_tokenizer.model"
    layers = {name.split(".")[4] for name in tensors if name.startswith(f"{model}.encoder.layer.")}
    names = {
        "table": (f"{model}.embeddings.position_embeddings", 3),
        "patches": (f"{model}.embeddings.patch_embeddings.projection.weight", 4),
        "hidden": (f"{model}.encoder.layer.0.intermediate.dense.weight", 2),
    }
    for name, dimensions in names.values():
        if name not in tensors or tensors[name].ndim != dimensions:
            raise ValueError(f"the checkpoint has no {name} of {dimensions} dimensions, so it is not TripoSR's")
    table, patches, hidden = (tensors[name].shape for name, _ in names.values())
    if table[2] % _HEAD or math.isqrt(table[1] - 1) ** 2 != table[1] - 1 or patches[3] < 1:
        raise ValueError(f"a vision transformer of width {table[2]} with {table[1]} positions is not TripoSR's")
    sizes = {"vit_width": table[2], "positions": table[1], "patch": patches[3]}
    return {**sizes, "vit_hidden": hidden[0], "vit_layers": len(layers)}


def _check_agreement(config: TripoSRConfig, tree: Any) -> None:
    """What stands twice must be the same twice; what is divided must divide."""
    twice = {
        "backbone.in_channels": config.channels,
        "backbone.cross_attention_dim": config.vit_width,
        "post_processor.in_channels": config.channels,
        "decoder.in_channels": 3 * config.plane_channels,
    }
    for name, wanted in twice.items():
        if (found := _value(tree, name)) != wanted:
            raise ValueError(f"{name} in config.yaml must be {wanted} to fit the rest, not {found!r}")
    if config.channels % 32:
        raise ValueError(f"tokenizer.num_channels in config.yaml must be a multiple of 32, not {config.channels}")
    if config.image_size < config.patch:
        raise ValueError(f"cond_image_size in config.yaml must be at least {config.patch}, not {config.image_size}")


# --------------------------------------------------------------------------------------------------- picture to tokens


def prepared(rgb: Tensor, size: int) -> Tensor:
    """(S, S, 3) uint8 sRGB, subject on GREY -> (1, 3, size, size) float32 in [0, 1]. On the CPU, as it was trained."""
    image = (rgb.float() / 255.0).permute(2, 0, 1)[None]
    return functional.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)


def _attended(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Fused attention of (B, N, C) over (B, M, C), split into heads and joined again."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))  # (B, heads, N, C / heads)
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _dense(inputs: int, outputs: int) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(inputs, outputs)})


class ViTLayer(nn.Module):
    """Self-attention and perceptron, each after a normalisation and beside a shortcut. (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        projections = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        self.attention = nn.ModuleDict({"attention": projections, "output": _dense(width, width)})
        self.intermediate, self.output = _dense(width, hidden), _dense(hidden, width)
        self.layernorm_before = nn.LayerNorm(width, eps=1e-12)
        self.layernorm_after = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        heads = x.shape[-1] // _HEAD
        normed = self.layernorm_before(x)
        q, k, v = (project(normed) for project in self.attention["attention"].values())
        x = x + self.attention["output"]["dense"](_attended(q, k, v, heads))
        hidden = functional.gelu(self.intermediate["dense"](self.layernorm_after(x)))
        return x + self.output["dense"](hidden)


class ViTEmbeddings(nn.Module):
    """Patches as tokens after a class token, with positions. (B, 3, S, S) normalised -> (B, 1 + n n, C)."""

    def __init__(self, config: TripoSRConfig):
        super().__init__()
        width = config.vit_width
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, config.positions, width))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(3, width, config.patch, config.patch)})

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](image)  # (B, C, n, n)
        tokens = torch.cat([self.cls_token.expand(len(image), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        return tokens + self.positions(patches.shape[-1])

    def positions(self, side: int) -> Tensor:
        """The position table for side x side patches, (1, 1 + side side, C).

        With the scale that the weights were trained with, which is not quite side / table (the 0.1 once guarded
        against a rounding error): interpolating to the size itself gives a table that is 2 % off.
        """
        table = math.isqrt(self.position_embeddings.shape[1] - 1)
        if side == table:
            return self.position_embeddings
        first, rest = self.position_embeddings[:, :1], self.position_embeddings[:, 1:]
        grid = rest.unflatten(1, (table, table)).permute(0, 3, 1, 2)  # (1, C, table, table)
        scale = (side + 0.1) / table
        grid = functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", align_corners=False)
        return torch.cat([first, grid.flatten(2).transpose(1, 2)], 1)


class ViT(nn.Module):
    """DINO's vision transformer (Caron et al. 2021, arXiv:2104.14294). The pooler is part of the file, and unused."""

    def __init__(self, config: TripoSRConfig):
        super().__init__()
        self.embeddings = ViTEmbeddings(config)
        layers = nn.ModuleList(ViTLayer(config.vit_width, config.vit_hidden) for _ in range(config.vit_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.layernorm = nn.LayerNorm(config.vit_width, eps=1e-12)
        self.pooler = _dense(config.vit_width, config.vit_width)

    def forward(self, image: Tensor) -> Tensor:
        x = self.embeddings(image)
        for layer in self.encoder["layer"]:
            x = layer(x)
        return self.layernorm(x)


# ---------------------------------------------------------------------------------------------------- tokens to planes


class Attention(nn.Module):
    """(B, N, width) looks at (B, M, context) -> (B, N, width)."""

    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.to_out[0](_attended(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))


class GEGLU(nn.Module):
    """A linear layer whose second half gates the first (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.proj = nn.Linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, -1)
        return value * functional.gelu(gate)


class FeedForward(nn.Module):
    """(B, N, width) -> (B, N, width), four times as wide inside."""

    def __init__(self, width: int):
        super().__init__()
        dropout = nn.Identity()  # only training had one, but it has its place among the names
        self.net = nn.Sequential(GEGLU(width, 4 * width), dropout, nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Block(nn.Module):
    """The planes look at themselves, then at the picture, then each token thinks. (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1, self.attn2 = Attention(width, width, heads), Attention(width, context, heads)
        self.ff = FeedForward(width)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), picture)
        return x + self.ff(self.norm3(x))


class Backbone(nn.Module):
    """(B, C, 3 P P) plane tokens and (B, M, D) picture tokens -> (B, C, 3 P P)."""

    def __init__(self, config: TripoSRConfig):
        super().__init__()
        width = config.heads * config.head_width
        self.norm = nn.GroupNorm(32, config.channels, eps=1e-6)
        self.proj_in = nn.Linear(config.channels, width)
        blocks = (Block(width, config.vit_width, config.heads) for _ in range(config.layers))
        self.transformer_blocks = nn.ModuleList(blocks)
        self.proj_out = nn.Linear(width, config.channels)

    def forward(self, planes: Tensor, picture: Tensor) -> Tensor:
        x = self.proj_in(self.norm(planes).transpose(1, 2))
        for block in self.transformer_blocks:
            x = block(x, picture)
        return self.proj_out(x).transpose(1, 2) + planes


class TripoSR(nn.Module):
    """(1, 3, S, S) sRGB in [0, 1], S the configuration's image_size -> scene code (3, C, 2 P, 2 P)."""

    def __init__(self, config: TripoSRConfig):
        super().__init__()
        self.config = config
        side, channels = config.plane_size, config.channels
        self.image_tokenizer = nn.ModuleDict({"model": ViT(config)})
        self.tokenizer = nn.ParameterDict({"embeddings": nn.Parameter(torch.zeros(3, channels, side, side))})
        self.backbone = Backbone(config)
        self.post_processor = nn.ModuleDict({"upsample": nn.ConvTranspose2d(channels, config.plane_channels, 2, 2)})
        widths = [3 * config.plane_channels, *[config.neurons] * config.hidden_layers, 4]
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(inputs, outputs), nn.SiLU()]
        self.decoder = nn.ModuleDict({"layers": nn.Sequential(*layers[:-1])})

    def forward(self, image: Tensor) -> Tensor:
        mean, std = (torch.tensor(values, device=image.device).view(3, 1, 1) for values in (_MEAN, _STD))
        picture = self.image_tokenizer["model"]((image - mean) / std)
        embeddings = self.tokenizer["embeddings"]  # (3, C, P, P)
        tokens = embeddings.transpose(0, 1).flatten(1)[None]  # (1, C, 3 P P)
        out = self.backbone(tokens, picture)[0].unflatten(1, (3, *embeddings.shape[2:]))  # (C, 3, P, P)
        return self.post_processor["upsample"](out.transpose(0, 1))

    def scene(self, code: Tensor) -> Scene:
        """The field that a scene code stands for, in float32."""
        linear = [layer for layer in self.decoder["layers"] if isinstance(layer, nn.Linear)]
        layers = [(layer.weight.detach().float(), layer.bias.detach().float()) for layer in linear]
        return Scene(code.float(), layers, self.config.radius, self.config.density_bias)


# ----------------------------------------------------------------------------------------------------- planes to field


class Scene:
    """Density and colour at any point, from three planes and a perceptron.

    code: (3, C, H, W). layers: weight (outputs, inputs) and bias (outputs) of each, the last with four outputs.
    """

    def __init__(self, code: Tensor, layers: list[tuple[Tensor, Tensor]], radius: float, density_bias: float):
        self.code, self.layers, self.radius, self.density_bias = code, layers, radius, density_bias

    def raw(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N, 4): density before its bias and exponential, and colour before its sigmoid."""
        x, y, z = (points / self.radius).unbind(-1)
        # each plane's first axis lies along its width
        places = torch.stack([torch.stack(pair, -1) for pair in ((x, y), (x, z), (y, z))])[:, None]  # (3, 1, N, 2)
        found = functional.grid_sample(self.code, places, "bilinear", "zeros", align_corners=False)  # (3, C, 1, N)
        values = found.flatten(0, 2).T  # (N, 3 C)
        for weight, bias in self.layers[:-1]:
            values = functional.silu(functional.linear(values, weight, bias), inplace=True)
        return functional.linear(values, *self.layers[-1])

    def log_density(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N,): the logarithm of the density, so that no exponential has to be undone."""
        return self.raw(points)[:, 0] + self.density_bias

    def colour(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N, 3) sRGB in [0, 1]."""
        return torch.sigmoid(self.raw(points)[:, 1:])


# --------------------------------------------------------------------------------------------------------------- files


def load(folder: Path) -> TripoSR:
    """The network in `folder` (config.yaml and model.ckpt or model.safetensors): eval mode, float32, on the CPU.

    Raises ValueError, one sentence, where a file is damaged, is something else, or does not fit the other; OSError.
    """
    path = folder / "model.ckpt"
    path = path if path.is_file() else folder / "model.safetensors"
    tensors = read_tensors(path)
    try:
        text = (folder / "config.yaml").read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError("config.yaml is not a text file") from None
    config = read_config(text, tensors)
    with torch.device("meta"):
        network = TripoSR(config)
    fit(network, tensors, path.name)
    return network.eval().requires_grad_(False)
