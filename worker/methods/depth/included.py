# SPDX-License-Identifier: GPL-3.0-or-later
"""IncludedScene: the small network for scenes that ships with the product, written and trained here.

A convolutional encoder-decoder with skips and a global-context vector at its coarsest level. The position of each pixel
is an input, because where something stands in a picture says much about how far it is. Features are resized before they
are convolved, so that no checkerboard comes of it. Knows torch only: not where its weights lie, nor how pictures are
read or resized.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime import blocks as included

MULTIPLE = 16


@dataclass(frozen=True)
class SceneConfig:
    """Widths and residual blocks per level (strides 2, 4, 8, 16, 32).

    size: pixels of a picture's shorter side at which the trained network sees best.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 192)
    blocks: tuple[int, ...] = (0, 1, 2, 3, 3)
    size: int = 160

    def __post_init__(self) -> None:
        if len(self.widths) != 5 or len(self.blocks) != 5:
            raise ValueError("a SceneConfig needs five widths and five block counts")


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
    """What the network says of pictures of H x W pixels; h, w are half of them, or all after `enlarged`.

    log_depth: (B, h, w), natural, up to a constant of each picture; log_scale: (B, h, w), the logarithm of the
    Laplace distribution's scale in which the logarithm of depth is believed to lie; normal: (B, 3, h, w) unit vectors
    towards the camera in its axes (x right, y down, z forward); salient, solid: (B, h, w) logits of the thing that the
    picture is of, and of there being a surface rather than sky; log_focal: (B,) of half the longer side's pixels.
    """

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

    def mirrored(self) -> Seen:
        """What it would say of the mirrored picture."""
        maps = [part.flip(-1) for part in self[:5]]
        maps[2] = maps[2] * maps[2].new_tensor([-1.0, 1.0, 1.0])[:, None, None]
        return Seen(*maps, self.log_focal)


def averaged(one: Seen, other: Seen) -> Seen:
    """The mean of what is said twice of the same pictures; the constant that log depth lacks is brought in line."""
    apart = (one.log_depth - other.log_depth).flatten(1).median(1).values[:, None, None]
    other = other._replace(log_depth=other.log_depth + apart)
    mean = Seen(*((left + right) / 2 for left, right in zip(one, other, strict=True)))
    return mean._replace(normal=functional.normalize(mean.normal, dim=1))


class IncludedScene(nn.Module):
    """sRGB picture (B, 3, H, W) in [0, 1], H and W multiples of 16 -> Seen at half its size."""

    def __init__(self, config: SceneConfig | None = None):
        super().__init__()
        self.config = config or SceneConfig()
        widths = self.config.widths
        self.stem = ConvNorm(5, widths[0], 3, 2)
        self.levels = included.levels(widths, self.config.blocks, ConvNorm)
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
    values, state = included.read(path, "IncludedScene")
    config = SceneConfig(tuple(values["widths"]), tuple(values["blocks"]), values["size"])
    with torch.device("meta"):
        network = IncludedScene(config)
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def metadata(config: SceneConfig) -> dict[str, str]:
    """What load() needs to know besides the tensors, for the file's header."""
    return included.metadata("IncludedScene", config)
