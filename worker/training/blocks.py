# SPDX-License-Identifier: GPL-3.0-or-later
"""What the networks that ship with the product share in training: their residual levels, and how they are written.

Knows nothing of what the networks are for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from ..methods.runtime import shipped

ConvNorm = Callable[..., nn.Sequential]
"""(inputs, outputs, kernel=3, stride=1) -> a convolution and its normalisation."""


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, width: int, layer: ConvNorm):
        super().__init__()
        self.first, self.second = layer(width, width), layer(width, width)
        nn.init.zeros_(self.second[1].weight)  # a block starts as the identity, which learns faster

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


def levels(widths: tuple[int, ...], blocks: tuple[int, ...], layer: ConvNorm) -> nn.ModuleList:
    """Level i has `blocks[i]` residual blocks of `widths[i]` channels; each after the first halves its input."""
    made = []
    for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        halving = [layer(widths[level - 1], width, 3, 2), nn.ReLU()] if level else []
        made.append(nn.Sequential(*halving, *(Residual(width, layer) for _ in range(count))))
    return nn.ModuleList(made)


def name_in(path: Path) -> str:
    """The name of the network that a file's weights are of, "" where it tells none."""
    with safe_open(path, framework="pt") as file:
        return (file.metadata() or {}).get("network", "")


def read(path: Path, network: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The configuration's values and the weights, float32, of the network of that name.

    Raises ValueError if the file is not of this network.
    """
    values, tensors = shipped.read(path, network)
    return values, {name: torch.from_numpy(array).float() for name, array in tensors.items()}


def metadata(network: str, config: Any) -> dict[str, str]:
    """What `shipped.read` needs to know besides the tensors, for the file's header. config: a dataclass."""
    return {"network": network, "config": json.dumps(asdict(config))}
