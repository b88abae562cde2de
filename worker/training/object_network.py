# SPDX-License-Identifier: GPL-3.0-or-later
"""IncludedObject: the small network that sees both sides of a cut-out thing, as it is trained.

A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) of residual blocks with group normalisation and a global vector at
its coarsest level. It corrects a guess that is always at hand, the silhouette inflated like a cushion. What the product
runs, without torch, is methods/layers/network.py; tests/training/test_networks_that_run.py compares the two.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..methods.layers.network import MULTIPLE, IncludedObjectConfig, configured
from . import blocks as shared


class Layers(NamedTuple):
    """Both surfaces of a thing: front and back (B, H, W), back colour (B, 3, H, W) sRGB about 0 to 1; what is up
    (B, 3), against gravity, of any length, in the camera's axes (right, down, forward), or None.

    Depths are in half sides of the square, zero at the mean mid-depth, larger is farther.
    """

    front: Tensor
    back: Tensor
    colour: Tensor
    up: Tensor | None = None


class ConvNorm(nn.Sequential):
    """Convolution without bias, then group normalisation over groups of eight channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        super().__init__(convolution, nn.GroupNorm(outputs // 8, outputs))


def pooled(x: Tensor) -> Tensor:
    """Means and maxima (B, 2 C) of features (B, C, h, w)."""
    return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)


class GlobalVector(nn.Module):
    """Add to every place what the whole picture says: pooled features through a small perceptron."""

    def __init__(self, width: int):
        super().__init__()
        self.squeeze, self.expand = nn.Linear(2 * width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, h, w)
        return x + self.expand(functional.relu(self.squeeze(pooled(x))))[:, :, None, None]


class Join(nn.Module):
    """Upsample the coarser features, put them beside the finer ones, and convolve."""

    def __init__(self, coarse: int, fine: int):
        super().__init__()
        self.narrow, self.blend = ConvNorm(coarse, fine, 1), ConvNorm(2 * fine, fine)
        self.block = shared.Residual(fine, ConvNorm)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        grown = functional.interpolate(self.narrow(coarse), scale_factor=2, mode="nearest")
        return self.block(functional.relu(self.blend(torch.cat([functional.relu(grown), fine], 1))))


class IncludedObject(nn.Module):
    """A cut-out thing fitted into a square window -> Layers.

    image: (B, 3, H, W) sRGB in [0, 1]; mask: (B, H, W) 0 or 1; height: (B, H, W) the mask inflated, in half sides.
    """

    def __init__(self, config: IncludedObjectConfig | None = None):
        super().__init__()
        self.config = config or IncludedObjectConfig()
        widths = self.config.widths
        self.stem = ConvNorm(7, widths[0], 3, 2)
        self.levels = shared.levels(widths, self.config.blocks, ConvNorm)
        self.context = GlobalVector(widths[-1])
        self.joins = nn.ModuleList(Join(widths[level + 1], widths[level]) for level in reversed(range(3)))
        self.head = nn.Conv2d(widths[0], 20, 3, padding=1)  # five channels of 2x2 pixels
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        if self.config.up:
            self.up = nn.Linear(2 * widths[-1], 3)

    def forward(self, image: Tensor, mask: Tensor, height: Tensor) -> Layers:
        if image.shape[-2] % MULTIPLE or image.shape[-1] % MULTIPLE:
            raise ValueError(f"picture of {tuple(image.shape[-2:])} pixels given; make it multiples of {MULTIPLE}")
        outline = mask[:, None]
        x = torch.cat([(image * 4 - 2) * outline, outline * 2 - 1, height[:, None] * 2, position(image)], 1)
        x = functional.relu(self.stem(x))
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        x = self.context(x)
        up = self.up(pooled(x)) if self.config.up else None
        for join, finer in zip(self.joins, reversed(features[:-1]), strict=True):
            x = join(x, finer)
        out = functional.pixel_shuffle(self.head(x), 2)  # (B, 5, H, W)
        seen = (image * outline).sum((2, 3)) / outline.sum((2, 3)).clamp(min=1)  # mean colour of the front
        return Layers(out[:, 0] - height, out[:, 1] + height, out[:, 2:] + seen[:, :, None, None], up)


def position(image: Tensor) -> Tensor:
    """Where each pixel is: x and y (B, 2, H, W), -1 to 1."""
    batch, _, height, width = image.shape
    y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=image.device, dtype=image.dtype)
    x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=image.device, dtype=image.dtype)
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
    return grid.expand(batch, 2, height, width)


def load(path: Path) -> IncludedObject:
    """Read weights written by worker.training.object; eval mode, float32.

    Raises ValueError if the file is not of this network.
    """
    values, state = shared.read(path, "IncludedObject")
    network = IncludedObject(
        configured(values)
    )  # not on the meta device, whose first use imports for more than a second
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def metadata(config: IncludedObjectConfig) -> dict[str, str]:
    """What load() needs to know besides the tensors, for the file's header."""
    return shared.metadata("IncludedObject", config)
