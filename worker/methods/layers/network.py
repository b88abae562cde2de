# SPDX-License-Identifier: GPL-3.0-or-later
"""The small network that sees both sides of a cut-out thing, as it runs without torch.

What it is trained as, and why it is as it is, says worker/training/object_network.py.

Knows neither where its weights lie, nor how a picture is cut out and fitted into the square.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime import shipped
from ..runtime.arrays import positions
from ..runtime.graph import Graph
from ..runtime.sessions import Session

MULTIPLE = 16
"""The picture's sides must be multiples of this."""


@dataclass(frozen=True)
class IncludedObjectConfig:
    """Widths and residual blocks per level (strides 2, 4, 8, 16). size: side of the square it was trained for last.
    up: whether it tells what is up."""

    widths: tuple[int, ...] = (24, 56, 112, 208)
    blocks: tuple[int, ...] = (0, 1, 3, 6)
    size: int = 64
    up: bool = True

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or len(self.blocks) != 4:
            raise ValueError("an IncludedObject configuration needs four widths and four block counts")


@dataclass(frozen=True)
class ObjectNetwork:
    """A cut-out thing fitted into a square window -> both its surfaces.

    image: (3, H, W) sRGB in [0, 1]; mask: (H, W) 0 or 1; height: (H, W) the mask inflated, in half sides; all float32.
    """

    config: IncludedObjectConfig
    session: Session

    def __call__(self, image: np.ndarray, mask: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Front, back, and the back's red, green and blue (5, H, W); what is up (3,), against gravity, of any length,
        in the camera's axes (right, down, forward), or None.

        Depths are in half sides of the square, zero at the mean mid-depth, larger is farther; colours sRGB about 0 to
        1.
        """
        if mask.shape[0] % MULTIPLE or mask.shape[1] % MULTIPLE:
            raise ValueError(f"picture of {mask.shape} pixels given; make it multiples of {MULTIPLE}")
        found, *up = self.session(np.concatenate([seen(image, mask[None], height[None]), positions(*mask.shape)])[None])
        front = (image * mask).sum((1, 2)) / max(float(mask.sum()), 1.0)  # its mean colour
        sides = np.stack([-height, height])
        shown = np.broadcast_to(front[:, None, None], image.shape)
        return found[0] + np.concatenate([sides, shown]), up[0][0] if up else None


def seen(image: np.ndarray, mask: np.ndarray, height: np.ndarray) -> np.ndarray:
    """What the networks here are shown of a picture (3, H, W), its mask and cushion (1, H, W): (5, H, W)."""
    return np.concatenate([(image * 4 - 2) * mask, mask * 2 - 1, height * 2])


def load(path: Path) -> ObjectNetwork:
    """The network of weights written by worker.training.object.

    Raises ValueError or KeyError if the file is not of this network, or does not hold what its header says.
    """
    values, tensors = shipped.read(path, "IncludedObject")
    return made(configured(values), tensors)


def made(config: IncludedObjectConfig, tensors: Mapping[str, np.ndarray]) -> ObjectNetwork:
    """The network with these weights."""
    graph = Graph(tensors)
    found, coarsest = u_net(graph, "picture", config.blocks)
    up = [graph.linear(coarsest, "up")] if config.up else []
    return ObjectNetwork(config, graph.finished({"picture": (1, 7, "height", "width")}, [found, *up]))


def u_net(graph: Graph, x: str, blocks: Sequence[int], moments: Sequence[str] = ()) -> tuple[str, str]:
    """What it gives, at its input's size, and what pooling finds in its coarsest features. moments: (1, C) that are
    added to the features of each level on the way down and up."""
    x, features, told = graph.relu(graph.layer(x, "stem", 2)), [], iter(moments)
    for number, count in enumerate(blocks):
        features.append(x := _told(graph, graph.level(x, number, count), told))
    x = graph.everywhere(x, graph.perceptron(_pooled(graph, x), "context.squeeze", "context.expand"))
    coarsest = _pooled(graph, x)
    for number, finer in enumerate(reversed(features[:-1])):
        x = _told(graph, _joined(graph, x, finer, f"joins.{number}"), told)
    return graph.node("DepthToSpace", graph.convolution(x, "head"), blocksize=2, mode="CRD"), coarsest


def _told(graph: Graph, x: str, moments: Iterator[str]) -> str:
    moment = next(moments, None)
    return x if moment is None else graph.everywhere(x, moment)


def _pooled(graph: Graph, x: str) -> str:
    """Means and maxima (1, 2 C)."""
    return graph.beside(graph.pooled(x), graph.pooled(x, "Max"))


def _joined(graph: Graph, coarse: str, fine: str, name: str) -> str:
    """The coarser features, grown, beside the finer ones, and convolved."""
    grown = graph.relu(graph.doubled(graph.layer(coarse, f"{name}.narrow")))
    return graph.residual(graph.relu(graph.layer(graph.beside(grown, fine), f"{name}.blend")), f"{name}.block")


def configured(values: Mapping[str, Any]) -> IncludedObjectConfig:
    """The configuration of a file's values. Files of the first generation do not tell what is up."""
    return IncludedObjectConfig(
        tuple(values["widths"]), tuple(values["blocks"]), values["size"], values.get("up", False)
    )
