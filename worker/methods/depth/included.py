# SPDX-License-Identifier: GPL-3.0-or-later
"""The small network for scenes, as it runs without torch.

What it is trained as, and why it is as it is, says worker/training/scene_network.py.

Knows neither where its weights lie, nor how pictures are read or resized.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runtime import shipped
from ..runtime.arrays import positions, resized
from ..runtime.graph import Graph
from ..runtime.sessions import Session

MULTIPLE = 16
"""A picture's sides must be multiples of this."""


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


class Seen(NamedTuple):
    """What the network says of a picture of H x W pixels; h, w are half of them, or others after `enlarged`.

    log_depth: (h, w), natural, up to a constant of each picture; log_scale: (h, w), the logarithm of the Laplace
    distribution's scale in which the logarithm of depth is believed to lie; normal: (3, h, w) unit vectors towards the
    camera in its axes (x right, y down, z forward); salient, solid: (h, w) logits of the thing that the picture is of,
    and of there being a surface rather than sky; log_focal: of half the longer side's pixels.
    """

    log_depth: np.ndarray
    log_scale: np.ndarray
    normal: np.ndarray
    salient: np.ndarray
    solid: np.ndarray
    log_focal: float

    def enlarged(self, height: int, width: int) -> Seen:
        """The same at another size."""
        maps = np.concatenate([self.normal, np.stack([*self[:2], *self[3:5]])])
        return _told(resized(maps, height, width), self.log_focal)

    def mirrored(self) -> Seen:
        """What it would say of the mirrored picture."""
        maps = [part[..., ::-1] for part in self[:5]]
        maps[2] = maps[2] * np.float32([-1.0, 1.0, 1.0])[:, None, None]
        return Seen(*maps, self.log_focal)


def _told(maps: np.ndarray, log_focal: float) -> Seen:
    """Of (7, h, w): normals of any length, log depth, log scale, salient, solid."""
    depth, scale, salient, solid = maps[3:]
    return Seen(depth, scale, _unit(maps[:3]), salient, solid, log_focal)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=0), 1e-12)


def averaged(one: Seen, other: Seen) -> Seen:
    """The mean of what is said twice of the same picture; the constant that log depth lacks is brought in line."""
    apart = np.median(one.log_depth - other.log_depth)
    other = other._replace(log_depth=other.log_depth + apart)
    mean = Seen(*((left + right) / 2 for left, right in zip(one, other, strict=True)))
    return mean._replace(normal=_unit(mean.normal))


@dataclass(frozen=True)
class SceneNetwork:
    """sRGB picture (H, W, 3) float32 in [0, 1], H and W multiples of 16 -> Seen at half its size."""

    config: SceneConfig
    session: Session

    def __call__(self, picture: np.ndarray) -> Seen:
        height, width = picture.shape[:2]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(f"picture of {height}x{width} pixels given; resize it to multiples of {MULTIPLE}")
        image = picture.transpose(2, 0, 1) * np.float32(4) - np.float32(2)
        maps, log_focal = self.session(np.concatenate([image, positions(height, width)])[None])
        return _told(maps[0], float(log_focal[0, 0]))


def load(path: Path) -> SceneNetwork:
    """The network of weights written by worker.training.scene.

    Raises ValueError or KeyError if the file is not of this network, or does not hold what its header says.
    """
    values, tensors = shipped.read(path, "IncludedScene")
    config = SceneConfig(tuple(values["widths"]), tuple(values["blocks"]), values["size"])
    return SceneNetwork(config, _written(Graph(tensors), config.blocks))


def _written(graph: Graph, blocks: tuple[int, ...]) -> Session:
    """(1, 5, H, W) picture and positions -> (1, 7, h, w) maps, (1, 1) log focal."""
    x, features = graph.relu(graph.layer("image", "stem", 2)), []
    for number, count in enumerate(blocks):
        features.append(x := graph.level(x, number, count))
    x = graph.everywhere(x, graph.perceptron(graph.pooled(x), "context.squeeze", "context.expand"))
    log_focal = graph.perceptron(graph.pooled(x), "lens.0", "lens.2")
    for number, finer in enumerate(reversed(features[:-1])):
        coarse, narrow = x, graph.layer(x, f"fuses.{number}.narrow")
        x = graph.relu(graph.add(graph.resized_as(narrow, finer), finer))
        x = graph.relu(graph.layer(x, f"fuses.{number}.blend"))
    x = graph.relu(graph.layer(graph.beside(x, graph.resized_as(coarse, x)), "detail"))
    return graph.finished({"image": (1, 5, "height", "width")}, [graph.convolution(x, "heads"), log_focal])
