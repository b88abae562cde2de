# SPDX-License-Identifier: GPL-3.0-or-later
"""MoGe-2 (Wang et al. 2025, arXiv:2507.02546): a picture to points, normals, a mask and a metric scale.

Written from the paper's description and held against recorded numbers of the published code (tests/parity). A DINOv2
(Oquab et al. 2023, arXiv:2304.07193) sees the picture; a neck of convolutions enlarges what it saw four times, each
time with the place of each cell beside it; three heads of the same kind read points, mask and normals off that, and a
perceptron reads the scale off the class token. Knows torch only: not where its weights lie.

Axes are OpenCV's camera axes: x right, y down, z forward.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.checkpoint import fit, read_pickle

FILE = "model.pt"
PATCH, TABLE = 14, 37  # pixels of a patch's side; patches along a side of what the table of positions was trained on
HEAD = 64  # channels of an attention head, in every DINOv2


class Seen(NamedTuple):
    """What the network says of a picture of H x W pixels.

    points: (H, W, 3) float32, in an unknown unit and with an unknown shift along z; normals: (H, W, 3), unit length;
    mask: (H, W) probability that there is a surface; scale: () metres per unit.
    """

    points: Tensor
    normals: Tensor
    mask: Tensor
    scale: Tensor


@dataclass(frozen=True)
class MogeConfig:
    """Sizes, as the checkpoint has them; `width`, `depth` and `hidden` are the tensors' own."""

    width: int
    depth: int
    hidden: int
    layers: tuple[int, ...]
    encoded: int
    neck: Mapping[str, Any]
    heads: Mapping[str, Mapping[str, Any]]
    scale: tuple[int, ...]
    tokens: tuple[int, int]

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> MogeConfig:
        """From the checkpoint's `model_config`, and its tensors. Raises KeyError, ValueError where it is of another."""
        backbone = "encoder.backbone.blocks."
        depth = 1 + max(int(name.split(".")[3]) for name in tensors if name.startswith(backbone))
        hidden = len(tensors[f"{backbone}0.mlp.fc1.bias"])
        if config.get("remap_output") != "exp":
            raise ValueError(f"a MoGe with the remapping {config.get('remap_output')!r} is not known")
        encoder, heads = config["encoder"], ("points_head", "mask_head", "normal_head")
        return cls(
            tensors["encoder.backbone.pos_embed"].shape[-1],
            depth,
            hidden,
            tuple(encoder["intermediate_layers"]),
            encoder["dim_out"],
            config["neck"],
            {name: config[name] for name in heads},
            tuple(config["scale_head"]["dims"]),
            tuple(config["num_tokens_range"]),
        )


class Moge(nn.Module):
    """(3, H, W) sRGB in [0, 1] -> Seen."""

    def __init__(self, config: MogeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.neck = ConvStack(config.neck)
        self.points_head, self.mask_head, self.normal_head = (ConvStack(head) for head in config.heads.values())
        layers: list[nn.Module] = []
        for inputs, outputs in zip(config.scale, config.scale[1:]):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.scale_head = nn.Sequential(*layers[:-1])

    def forward(self, image: Tensor, detail: float = 1.0) -> Seen:
        """detail: 1 for as many tokens as it was trained with at most, 0.5 for as few."""
        height, width = image.shape[-2:]
        grid = token_grid(height, width, self.tokens(detail))
        features, token = self.encoder(image[None], grid)
        places = [position((rows, columns), width / height, image) for rows, columns in _doubled(grid)]
        levels = self.neck([torch.cat([features, places[0]], 1), *places[1:]])
        points, mask, normals = (
            functional.interpolate(head(levels)[-1], (height, width), mode="bilinear")[0]
            for head in (self.points_head, self.mask_head, self.normal_head)
        )
        z = points[2:].exp()
        points = torch.cat([points[:2] * z, z]).permute(1, 2, 0)
        normals = functional.normalize(normals, dim=0).permute(1, 2, 0)
        return Seen(points, normals, mask[0].sigmoid(), self.scale_head(token)[0, 0].exp())

    def tokens(self, detail: float) -> int:
        low, high = self.config.tokens
        return max(1, int(low + 2.0 * (detail - 0.5) * (high - low)))


class Encoder(nn.Module):
    """DINOv2, and the sum of what some of its layers saw."""

    def __init__(self, config: MogeConfig) -> None:
        super().__init__()
        self.backbone = Backbone(config)
        self.layers = config.layers
        projections = (nn.Conv2d(config.width, config.encoded, 1) for _ in config.layers)
        self.output_projections = nn.ModuleList(projections)
        self.register_buffer("image_mean", torch.empty(1, 3, 1, 1))
        self.register_buffer("image_std", torch.empty(1, 3, 1, 1))

    def forward(self, image: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(1, C, rows, columns) features and the class token (1, D)."""
        size = PATCH * grid[0], PATCH * grid[1]
        small = functional.interpolate(image, size, mode="bilinear", antialias=True)
        tokens = self.backbone((small - self.image_mean) / self.image_std, grid, self.layers)
        maps = (each[:, 1:].transpose(1, 2).unflatten(2, grid) for each in tokens)
        features = sum(project(each) for project, each in zip(self.output_projections, maps, strict=True))
        return features, tokens[-1][:, 0]


class Backbone(nn.Module):
    """A vision transformer with layer scale, as DINOv2 names it."""

    def __init__(self, config: MogeConfig) -> None:
        super().__init__()
        width = config.width
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.mask_token = nn.Parameter(torch.empty(1, width))  # of its training; lies in the file
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + TABLE**2, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(Block(width, config.hidden) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, 1e-6)

    def forward(self, image: Tensor, grid: tuple[int, int], wanted: tuple[int, ...]) -> list[Tensor]:
        """The normed tokens (1, 1 + N, D) after each wanted layer, the class token first."""
        patches = self.patch_embed["proj"](image).flatten(2).transpose(1, 2)
        x, found = torch.cat([self.cls_token, patches], 1) + self.positions(grid), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in wanted:
                found.append(self.norm(x))
        return found

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """(1, 1 + N, D) of the grid's cells. The tenth of a cell too many is the published code's, and trained with."""
        if grid == (TABLE, TABLE):
            return self.pos_embed
        table = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (TABLE, TABLE))
        scale = tuple((side + 0.1) / TABLE for side in grid)
        cells = functional.interpolate(table, scale_factor=scale, mode="bicubic").flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], cells], 1)


class Block(nn.Module):
    """Attention and a perceptron, each scaled per channel and added."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, hidden), "fc2": nn.Linear(hidden, width)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": nn.Parameter(torch.empty(width))}) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attended(self.norm1(x)) * self.ls1["gamma"]
        return x + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x)))) * self.ls2["gamma"]

    def attended(self, x: Tensor) -> Tensor:
        q, k, v = self.attn["qkv"](x).unflatten(2, (3, -1, HEAD)).permute(2, 0, 3, 1, 4)
        return self.attn["proj"](functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class ConvStack(nn.Module):
    """Levels of features, each twice as large as the one before, to levels of outputs."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        inner, inputs = config["dim_res_blocks"], config["dim_in"]
        outputs = config["dim_out"] or [None] * len(inner)
        self.input_blocks = nn.ModuleList(_pointwise(given, own) for given, own in zip(inputs, inner, strict=True))
        self.output_blocks = nn.ModuleList(_pointwise(own, wanted) for own, wanted in zip(inner, outputs, strict=True))
        blocks = zip(inner, config["num_res_blocks"], strict=True)
        self.res_blocks = nn.ModuleList(nn.Sequential(*(Residual(own) for _ in range(n))) for own, n in blocks)
        steps = zip(config["resamplers"], inner, inner[1:])
        self.resamplers = nn.ModuleList(_enlarging(kind, own, after) for kind, own, after in steps)

    def forward(self, given: list[Tensor]) -> list[Tensor]:
        x, found = None, []
        for level, features in enumerate(given):
            own = self.input_blocks[level](features)
            x = self.res_blocks[level](own if x is None else own + x)
            found.append(self.output_blocks[level](x))
            if level < len(self.resamplers):
                x = self.resamplers[level](x)
        return found


class Residual(nn.Module):
    """Two convolutions beside a shortcut; the numbers are those of the published layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = _conv(width, width), _conv(width, width)
        self.layers = nn.Sequential(nn.Identity(), nn.ReLU(), first, nn.Identity(), nn.ReLU(), second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


def _pointwise(inputs: int | None, outputs: int | None) -> nn.Module:
    return nn.Identity() if inputs is None or outputs is None else nn.Conv2d(inputs, outputs, 1)


def _enlarging(kind: str, inputs: int, outputs: int) -> nn.Sequential:
    """To twice the size. Raises ValueError for a kind that is not known."""
    if kind == "conv_transpose":
        return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, 2), _conv(outputs, outputs))
    if kind == "bilinear":
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), _conv(inputs, outputs))
    raise ValueError(f"a MoGe that enlarges by {kind!r} is not known")


def token_grid(height: int, width: int, tokens: int) -> tuple[int, int]:
    """Rows and columns of about so many tokens, of the picture's shape."""
    aspect = width / height
    return max(1, round(math.sqrt(tokens / aspect))), max(1, round(math.sqrt(tokens * aspect)))


def _doubled(grid: tuple[int, int]) -> list[tuple[int, int]]:
    return [(grid[0] << level, grid[1] << level) for level in range(5)]


def extent(aspect: float) -> tuple[float, float]:
    """Half the width and half the height of a picture in half diagonals."""
    return aspect / math.sqrt(1.0 + aspect**2), 1.0 / math.sqrt(1.0 + aspect**2)


def position(size: tuple[int, int], aspect: float, like: Tensor) -> Tensor:
    """(1, 2, h, w): u and v of the cells' middles, in half diagonals of the picture from its middle."""
    half = extent(aspect)
    across, down = (
        torch.linspace(-side * (n - 1) / n, side * (n - 1) / n, n, dtype=like.dtype, device=like.device)
        for side, n in zip(half, reversed(size), strict=True)
    )
    return torch.stack(torch.meshgrid(across, down, indexing="xy"))[None]


def load(folder: Path) -> Moge:
    """The network in `folder`, in eval mode. Raises ValueError, KeyError where the file is damaged or of another."""
    content = read_pickle(folder / FILE)
    if not isinstance(content, Mapping) or not {"model_config", "model"} <= content.keys():
        raise ValueError(f"{FILE} is the checkpoint of something else")
    with torch.device("meta"):
        network = Moge(MogeConfig.of(content["model_config"], content["model"]))
    fit(network, content["model"], FILE)
    return network.eval()
