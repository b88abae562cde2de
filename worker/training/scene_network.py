# SPDX-License-Identifier: GPL-3.0-or-later
"""IncludedScene: the small network for scenes, as it is trained.

A convolutional encoder-decoder with skips and a global-context vector at its coarsest level. The position of each pixel
is an input, because where something stands in a picture says much about how far it is. Features are resized before they
are convolved, so that no checkerboard comes of it. What the product runs, without torch, is methods/depth/included.py;
tests/training/test_networks_that_run.py compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..methods.depth.included import MULTIPLE, SceneConfig
from . import blocks as shared


class ConvNorm(nn.Sequential):
    """3x3 (or `kernel`) convolution without bias, then batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs, momentum=0.03)
        )


class GlobalContext(nn.Module):
    """Add to every place what the whole picture says: pooled features through a small perceptron."""

    def __init__(self, width: int):
        super().__init__()
        self.squeeze, self.expand = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, h, w)
        context = self.expand(functional.relu(self.squeeze(x.mean((2, 3)))))
        return x + context[:, :, None, None]


class Fuse(nn.Module):
    """Upsample the coarser features, add the finer ones, and convolve."""

    def __init__(self, coarse: int, fine: int):
        super().__init__()
        self.narrow = ConvNorm(coarse, fine, 1)
        self.blend = ConvNorm(fine, fine)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        grown = functional.interpolate(self.narrow(coarse), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return functional.relu(self.blend(functional.relu(grown + fine)))


class Seen(NamedTuple):
    """As methods.depth.included.Seen, of pictures in a batch: (B, h, w), normal (B, 3, h, w), log_focal (B,)."""

    log_depth: Tensor
    log_scale: Tensor
    normal: Tensor
    salient: Tensor
    solid: Tensor
    log_focal: Tensor

    def enlarged(self, height: int, width: int) -> Seen:
        """The same at another size."""
        maps = torch.cat([self.normal, *(part[:, None] for part in (*self[:2], *self[3:5]))], 1).float()
        maps = functional.interpolate(maps, (height, width), mode="bilinear", align_corners=False)
        depth, scale, salient, solid = maps[:, 3:].unbind(1)
        return Seen(depth, scale, functional.normalize(maps[:, :3], dim=1), salient, solid, self.log_focal)


class IncludedScene(nn.Module):
    """sRGB picture (B, 3, H, W) in [0, 1], H and W multiples of 16 -> Seen at half its size."""

    def __init__(self, config: SceneConfig | None = None):
        super().__init__()
        self.config = config or SceneConfig()
        widths = self.config.widths
        self.stem = ConvNorm(5, widths[0], 3, 2)
        self.levels = shared.levels(widths, self.config.blocks, ConvNorm)
        self.context = GlobalContext(widths[-1])
        self.fuses = nn.ModuleList(Fuse(widths[level + 1], widths[level]) for level in reversed(range(4)))
        self.detail = ConvNorm(widths[0] + widths[1], widths[1])
        self.heads = nn.Conv2d(widths[1], 7, 3, padding=1)
        self.lens = nn.Sequential(nn.Linear(widths[-1], 64), nn.ReLU(), nn.Linear(64, 1))
        nn.init.constant_(self.lens[2].bias, 0.6)  # 57 degrees

    def forward(self, image: Tensor) -> Seen:
        height, width = image.shape[-2:]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(f"picture of {height}x{width} pixels given; resize it to multiples of {MULTIPLE}")
        x = functional.relu(self.stem(torch.cat([image * 4 - 2, _position(image)], 1)))
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        x = self.context(x)
        log_focal = self.lens(x.mean((2, 3)))[:, 0]
        for fuse, finer in zip(self.fuses, reversed(features[:-1]), strict=True):
            coarse, x = x, fuse(x, finer)
        coarse = functional.interpolate(coarse, size=x.shape[-2:], mode="bilinear", align_corners=False)
        maps = self.heads(functional.relu(self.detail(torch.cat([x, coarse], 1)))).float()
        depth, scale, salient, solid = maps[:, 3:].unbind(1)
        return Seen(depth, scale, functional.normalize(maps[:, :3], dim=1), salient, solid, log_focal.float())


def _position(image: Tensor) -> Tensor:
    """Where each pixel is: x and y (B, 2, H, W) from the centre, the longer side spanning -1 to 1."""
    batch, _, height, width = image.shape
    longest = max(height, width)
    y = (torch.arange(height, device=image.device, dtype=image.dtype) + 0.5 - height / 2) * (2 / longest)
    x = (torch.arange(width, device=image.device, dtype=image.dtype) + 0.5 - width / 2) * (2 / longest)
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
    return grid.expand(batch, 2, height, width)


def load(path: Path) -> IncludedScene:
    """Read weights written by worker.training.scene; eval mode, float32.

    Raises ValueError if the file is not of this network.
    """
    values, state = shared.read(path, "IncludedScene")
    config = SceneConfig(tuple(values["widths"]), tuple(values["blocks"]), values["size"])
    with torch.device("meta"):
        network = IncludedScene(config)
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def metadata(config: SceneConfig) -> dict[str, str]:
    """What load() needs to know besides the tensors, for the file's header."""
    return shared.metadata("IncludedScene", config)
