# SPDX-License-Identifier: GPL-3.0-or-later
"""What the generator learns: residuals of things' layers to the regression, the noise they come from, and its loss.

A batch depends on the generator of random numbers and the shards that are there, on nothing else. Knows the shards'
batches and the network; not the training loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from ..methods.layers.generator_network import CHANNELS, GRIDS, Known, interpolation
from .generator_network import IncludedGenerator, enlarged
from .object_batches import Batch as Things
from .object_batches import ThingPool, draw_batch
from .run import Batch

CELLS = 8
"""Cells along a side of the square whose means make up the coarse part of a residual."""

_COLOUR = 0.3
"""How much a colour's error counts beside a depth's: shape matters more."""

_TOLD = 0.5
"""Of the views, how many come with something that is known of them."""

_OFF = (0.01, 0.2)
"""Half sides by which the known is off, where it is. A depth network that is off by 3 % of the distance, from where a
thing fills 35 degrees, is off by 0.1."""

_WAVES = (2, 3, 5)  # sides of the grids whose interpolated values it is off by


@dataclass(frozen=True)
class GeneratorTask:
    """Velocities from noise to residuals (flow matching), of random things at random times.

    half: compute in bfloat16.
    """

    pool: ThingPool
    network: IncludedGenerator
    half: bool = False

    def prepare(self, chunk: int) -> None:
        """Look for new shards; they are made beside the run."""
        self.pool.refresh()

    def batch(self, count: int, progress: float, rng: np.random.Generator) -> Batch:
        """The view, its outline, residual, noise, and times spread evenly over [0, 1]."""
        network = self.network
        things, device = draw_batch(self.pool, count, 1.0, rng), network.scale.device
        known = Known(*(values.to(device) for values in draw_known(things, rng)))
        things = things.to(str(device))
        with torch.autocast(device.type, torch.bfloat16, enabled=self.half):
            regression = network.regression(things.image, things.mask, things.height)[0].float()
        view, outline = network.view(things.image, things.mask, things.height, regression, known)
        residual = coarse_residual(things, regression, outline) / network.scale[:, None, None]
        seed = Generator().manual_seed(int(rng.integers(2**62)))
        noise = network.noise(count, outline.shape[-1], seed).to(outline.device) * outline
        time = torch.from_numpy(((rng.permutation(count) + rng.random(count)) / count).astype(np.float32))
        return view, outline, residual, noise, time

    def loss(self, network: IncludedGenerator, batch: Batch, progress: float) -> Tensor:
        """The mean squared error of the velocity, 1 for the best guess without a network; colours count less."""
        view, outline, residual, noise, time = batch
        t = time[:, None, None, None]
        with torch.autocast(view.device.type, torch.bfloat16, enabled=self.half):
            found = network.velocity((1 - t) * noise + t * residual, view, time).float()
        error = (found - (residual - noise)) ** 2 * ((1 - t) ** 2 + t**2) * outline
        mean = error.sum((0, 2, 3)) / outline.sum()
        return mean @ mean.new_tensor([1.0, 1.0, _COLOUR, _COLOUR, _COLOUR]) / (2 + 3 * _COLOUR)


def draw_known(things: Things, rng: np.random.Generator) -> Known:
    """What the network is told of each view beforehand: nothing, the front, or a part of another side.

    Fronts are true or off, as they are, up to their shift, or up to shift and scale. Parts of a back are what lies
    beyond a line, as another view would show it.
    """
    count, side = len(things.mask), things.mask.shape[-1]
    kinds = rng.random(count) / _TOLD  # above 1: nothing; then the front alone, the back alone, both
    front, back = kinds < 0.75, (kinds >= 0.6) & (kinds < 1)
    off = np.where(rng.random(count) < 0.5, 0.0, np.exp(rng.uniform(*np.log(_OFF), count)))
    shift_sure = rng.random(count) < 0.4
    scale_sure = shift_sure | (rng.random(count) < 0.5)
    stretch = np.where(scale_sure, 1.0, np.exp(rng.normal(0.0, 0.5, count)))
    wrong = _wrong(count, side, rng) * torch.tensor(off, dtype=torch.float32)[:, None, None]
    told = torch.tensor(stretch, dtype=torch.float32)[:, None, None] * (things.front + wrong)
    layers = torch.cat([told[:, None], things.back[:, None] + wrong[:, None], things.back_colour], 1)
    where = torch.stack([_flags(front) * things.mask, _flags(back) * things.mask * _beyond(count, side, rng)], 1)
    sure = torch.tensor(np.stack([shift_sure, scale_sure, off], 1), dtype=torch.float32)
    return Known(layers, where, sure)


def _flags(chosen: np.ndarray) -> Tensor:
    return torch.tensor(chosen, dtype=torch.float32)[:, None, None]


def _wrong(count: int, side: int, rng: np.random.Generator) -> Tensor:
    """(count, side, side) smooth errors of about unit deviation."""
    total = torch.zeros(count, side, side)
    for grid in _WAVES:
        values, weights = (
            torch.tensor(rng.normal(size=(count, grid, grid)), dtype=torch.float32),
            torch.from_numpy(interpolation(grid, side)),
        )
        total += weights @ values @ weights.T
    return total / len(_WAVES) ** 0.5


def _beyond(count: int, side: int, rng: np.random.Generator) -> Tensor:
    """(count, side, side) 1 beyond a random line, else 0."""
    angle, offset = rng.uniform(0, 2 * np.pi, (count, 1, 1)), rng.uniform(-0.4, 0.4, (count, 1, 1))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return torch.tensor(np.cos(angle) * x + np.sin(angle) * y > offset, dtype=torch.float32)


def residual_of(things: Things, regression: Tensor) -> Tensor:
    """What the regression misses (B, 5, H, W), in the layers' own units, zero outside the outline."""
    truth = torch.cat([things.front[:, None], things.back[:, None], things.back_colour], 1)
    return (truth - regression) * things.mask[:, None]


def coarse_residual(things: Things, regression: Tensor, outline: Tensor) -> Tensor:
    """What of the residual varies over cells of an eighth of the square and more, (B, 5, h, w), zero outside."""
    share = functional.adaptive_avg_pool2d(things.mask[:, None], CELLS)
    means = functional.adaptive_avg_pool2d(residual_of(things, regression), CELLS) / share.clamp(min=1e-6)
    return enlarged(means, share, outline.shape[-1]) * outline


def spectrum(residuals: Tensor, outline: Tensor) -> tuple[Tensor, Tensor]:
    """The network's `scale` and `mixing`: how residuals (B, 5, h, w) vary, and how much of that on which scale.

    The means over the cells of a finer grid vary more than those of a coarser one; the difference is the finer one's.
    """
    scale = (residuals.square().sum((0, 2, 3)) / outline.sum()).sqrt()
    unit, before = residuals / scale[:, None, None], torch.zeros(CHANNELS, CHANNELS)
    factors = []
    for grid in GRIDS:
        side = grid if grid < GRIDS[-1] else outline.shape[-1]  # the finest grid stands for all that is left
        share = functional.adaptive_avg_pool2d(outline, side)
        means = functional.adaptive_avg_pool2d(unit, side) / share.clamp(min=1e-6)
        weight = share.expand_as(means).movedim(1, -1).reshape(-1, CHANNELS)
        values = means.movedim(1, -1).reshape(-1, CHANNELS)
        covariance = (values * weight).T @ values / weight[:, 0].sum()
        factors.append(_factor(covariance - before))
        before = covariance
    return scale, torch.stack(factors)


def _factor(covariance: Tensor) -> Tensor:
    """A matrix that gives white noise this covariance; what is negative of it by chance is nothing."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()
