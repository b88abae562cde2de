# SPDX-License-Identifier: GPL-3.0-or-later
"""The small network that imagines what a picture of a thing leaves open and ships with the product, as it runs: what it
is trained as is the `IncludedGenerator` of worker/training/generator_network.py, which says why it is as it is.

Knows neither where its weights lie, nor how a picture is cut out and fitted into the square.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runtime import shipped
from ..runtime.arrays import positions, resized
from ..runtime.graph import Graph
from ..runtime.sessions import Session
from .network import IncludedObjectConfig, ObjectNetwork, configured, made, seen, u_net

CHANNELS = 5
"""Of a residual: front, back, and the back's red, green and blue."""

REGRESSION, REGRESSION_FILE = "regressor.", "object.safetensors"
"""What the regressing network's tensors' names begin with, and the file beside a generator's that they lie in."""

GRIDS = (1, 2, 3, 5, 9)
"""Sides of the grids whose interpolated values make up the noise, from one number for the whole thing to its parts."""

KNOWN = CHANNELS + 2 + 3
"""Channels of what is known: how it differs from the regression, where, and how well."""

SIDE = [0, 1, 1, 1, 1]
"""Whether a channel of a residual belongs to the front or to the back."""

LOUD = (1.0, 1.0, 5.0)
"""What brings how sure one is to about 1."""

MOMENT, FASTEST = 32, 100.0
"""Numbers that tell the time of the flow: sines and cosines, whose frequency rises so many times."""

_FLOW = "flow."


@dataclass(frozen=True)
class IncludedGeneratorConfig:
    """The regressing network, the U-Net that bends the flow, and the side of the square they were trained for.
    regression: SHA-256 of the file with the regressing network's weights, "" where they lie in the same file."""

    regressor: IncludedObjectConfig = field(default_factory=IncludedObjectConfig)
    widths: tuple[int, ...] = (24, 56, 112, 208)
    blocks: tuple[int, ...] = (0, 1, 2, 3)
    size: int = 64
    regression: str = ""

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or len(self.blocks) != 4:
            raise ValueError("an IncludedGenerator configuration needs four widths and four block counts")


class Known(NamedTuple):
    """What is known of things before anything is sampled.

    layers: (B, 5, H, W) front and back in half sides, the back's colours; where: (B, 2, H, W) 1 where the front, and
    where the back with its colours, is known, else 0; sure: (B, 3) whether the front's shift and its scale are the
    thing's own, 1, or arbitrary, 0, and by how many half sides what is known may be off. Arrays of float32 of one
    thing; in training, torch's tensors of many.
    """

    layers: np.ndarray
    where: np.ndarray
    sure: np.ndarray


@dataclass(frozen=True)
class GeneratorNetwork:
    """A cut-out thing fitted into a square window -> its layers, other ones for other noise.

    image: (3, H, W) sRGB in [0, 1]; mask: (H, W) 0 or 1; height: (H, W) the mask inflated, in half sides; all float32.
    Residuals and noise are (5, h, w), half as many pixels a side, with about unit variance; `scale` (5,) holds the
    residuals' own deviations, `mixing` (grids, 5, 5) what makes noise of each grid vary as they do (factors of
    covariances). outline: (1, h, w), 1 where there is anything of the thing.
    """

    config: IncludedGeneratorConfig
    regressor: ObjectNetwork
    flow: Session
    scale: np.ndarray
    mixing: np.ndarray

    def view(
        self, image: np.ndarray, mask: np.ndarray, height: np.ndarray, regression: np.ndarray, known: Known | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """All that the flow is told of the thing, (22, h, w), and its outline."""
        outline = _blocks(mask[None]).max((2, 4))
        shown = seen(halved(image, mask), outline, halved(height[None], mask))
        told = self._told(regression, known, mask)
        place = positions(*outline.shape[1:])
        return np.concatenate([shown, place, halved(regression, mask) * 2, told]), outline

    def _told(self, regression: np.ndarray, known: Known | None, mask: np.ndarray) -> np.ndarray:
        """What is known, (10, h, w): its residual to the regression, where it is known, and how well."""
        if known is None:
            return np.zeros((KNOWN, mask.shape[0] // 2, mask.shape[1] // 2), np.float32)
        each = known.where[0, SIDE] * mask
        share = _means(each)
        residual = _means((_settled(known, regression) - regression) * each) / np.maximum(share, 0.25)
        where = np.ceil(share[:2])
        sure = (known.sure[0] * np.float32(LOUD))[:, None, None] * where.max(0)
        return np.concatenate([residual / self.scale[:, None, None], where, sure])

    def noise(self, seed: int) -> np.ndarray:
        """Noise as various as the residuals are; a seed gives the same everywhere."""
        random, size = np.random.default_rng(seed), self.config.size // 2
        total = np.zeros((CHANNELS, size, size), np.float32)
        for grid, mixing in zip(GRIDS, self.mixing, strict=True):
            weights = interpolation(grid, size)
            values = random.standard_normal((CHANNELS, grid, grid), np.float32)
            total += np.tensordot(mixing, weights @ values @ weights.T, 1)
        return total

    def velocity(self, noisy: np.ndarray, view: np.ndarray, time: float) -> np.ndarray:
        """Where the flow goes at `time`, 0 at the noise and 1 at the residual.

        As noise and residuals vary alike, the best straight guess at it is known; the U-Net says what that misses.
        """
        variance = (1 - time) ** 2 + time**2
        (bent,) = self.flow(np.concatenate([view, noisy])[None], _waves(time))
        return np.float32((2 * time - 1) / variance) * noisy + bent[0] * np.float32(variance**-0.5)

    def residual(
        self, noise: np.ndarray, view: np.ndarray, outline: np.ndarray, steps: int, check: Callable[[int], None]
    ) -> np.ndarray:
        """Follow the flow from noise in that many steps (Euler's), within the outline.

        check(step) is called before each and may raise.
        """
        found = noise
        for step in range(steps):
            check(step)
            found = found + self.velocity(found, view, step / steps) * outline / np.float32(steps)
        return found

    def layers(
        self, regression: np.ndarray, residual: np.ndarray, outline: np.ndarray, known: Known | None
    ) -> np.ndarray:
        """What the regression (5, H, W) and a sampled residual make together; what is known stays as it is.

        A front that is known up to its shift (and scale) is brought to the sampled one's.
        """
        grown = resized(np.concatenate([residual * outline, outline]), *regression.shape[1:])
        found = regression + grown[:-1] / np.maximum(grown[-1:], 1e-3) * self.scale[:, None, None]
        return found if known is None else np.where(known.where[0, SIDE] > 0, _settled(known, found), found)


def _settled(known: Known, layers: np.ndarray) -> np.ndarray:
    """What is known (5, H, W), its front brought to the mean, and the deviation, of other layers' front where its own
    shift, and scale, are arbitrary."""
    where, front = known.where[0, 0], known.layers[0, 0]
    count = max(float(where.sum()), 1.0)

    def moments(front: np.ndarray) -> tuple[float, float]:
        mean = float((front * where).sum()) / count
        return mean, max(math.sqrt(float(((front - mean) ** 2 * where).sum()) / count), 1e-6)

    (mean, spread), (other, wanted) = moments(front), moments(layers[0])
    shift_is_sure, scale_is_sure, _ = known.sure[0] > 0
    scale, shift = 1.0 if scale_is_sure else wanted / spread, mean if shift_is_sure else other
    settled = (front - np.float32(mean)) * np.float32(scale) + np.float32(shift)
    return np.concatenate([settled[None], known.layers[0, 1:]])


def _blocks(values: np.ndarray) -> np.ndarray:
    """(C, H, W) as blocks of 2 x 2 pixels, (C, h, 2, w, 2)."""
    channels, height, width = values.shape
    return values.reshape(channels, height // 2, 2, width // 2, 2)


def _means(values: np.ndarray) -> np.ndarray:
    return _blocks(values).mean((2, 4))


def halved(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Means of values (C, H, W) over what of 2x2 pixels lies within the mask (H, W); 0 outside."""
    return _means(values * mask) / np.maximum(_means(mask[None]), 0.25)


def interpolation(grid: int, size: int) -> np.ndarray:
    """(size, grid) weights between a grid's values, such that unit variance stays unit variance everywhere."""
    at = np.linspace(0, grid - 1, size)
    weights = np.maximum(1 - np.abs(at[:, None] - np.arange(grid)), 0)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)


def _waves(time: float) -> np.ndarray:
    """A time in [0, 1] as sines and cosines (1, 32) of rising frequency."""
    angle = time * math.pi * np.exp(np.linspace(0, math.log(FASTEST), MOMENT // 2))
    return np.concatenate([np.sin(angle), np.cos(angle)])[None].astype(np.float32)


def load(path: Path) -> GeneratorNetwork:
    """The network of weights written by worker.training.generator.

    Raises ValueError or KeyError if the file is not of this network, does not hold what its header says, or if the
    regression that it goes with does not lie beside it.
    """
    values, tensors = shipped.read(path, "IncludedGenerator")
    config = configured_generator(values)
    if config.regression:
        _, own = shipped.read(regression_beside(path, config.regression), "IncludedObject")
    else:
        own = _within(tensors, REGRESSION)
    numbers = (tensors[name].astype(np.float32) for name in ("scale", "mixing"))
    regressor, flow = made(config.regressor, own), _written(Graph(_within(tensors, _FLOW)), config)
    return GeneratorNetwork(config, regressor, flow, *numbers)


def _within(tensors: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(part): values for name, values in tensors.items() if name.startswith(part)}


def _written(graph: Graph, config: IncludedGeneratorConfig) -> Session:
    """(1, 27, h, w) view and residual on its way, (1, 32) waves of the time -> (1, 5, h, w)."""
    hidden = graph.linear("time", "moment.0")
    hidden = graph.node("Mul", hidden, graph.node("Sigmoid", hidden))
    widths = [*config.widths, *reversed(config.widths[:-1])]
    ends = np.cumsum(widths)
    moments = [graph.linear(hidden, "moment.2", slice(int(end) - width, int(end))) for width, end in zip(widths, ends)]
    found, _ = u_net(graph, "view", config.blocks, moments)
    view = (1, 7 + CHANNELS + KNOWN + CHANNELS, "height", "width")
    return graph.finished({"view": view, "time": (1, MOMENT)}, [found])


def configured_generator(values: Mapping) -> IncludedGeneratorConfig:
    """The configuration of a file's values."""
    own = tuple(values["widths"]), tuple(values["blocks"]), values["size"], values.get("regression", "")
    return IncludedGeneratorConfig(configured(values["regressor"]), *own)


def regression_beside(path: Path, digest: str) -> Path:
    """The file beside a generator's that its regressing network's weights lie in. Raises ValueError where it is
    another."""
    beside = path.with_name(REGRESSION_FILE)
    if not beside.is_file() or hashlib.sha256(beside.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{path.name} goes with another {beside.name}: restore both as they came with the product")
    return beside
