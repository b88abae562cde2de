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

from ..methods.layers.generator_network import CHANNELS, GRIDS, IncludedGenerator, enlarged
from .object_batches import Batch as Things
from .object_batches import ThingPool, draw_batch
from .run import Batch

CELLS = 8
"""Cells along a side of the square whose means make up the coarse part of a residual."""

_COLOUR = 0.3
"""How much a colour's error counts beside a depth's: shape matters more."""


@dataclass(frozen=True)
class GeneratorTask:
    """Velocities from noise to residuals (flow matching), of random things at random times."""

    pool: ThingPool
    network: IncludedGenerator

    def prepare(self, chunk: int) -> None:
        """Look for new shards; they are made beside the run."""
        self.pool.refresh()

    def batch(self, count: int, progress: float, rng: np.random.Generator) -> Batch:
        """The view, its outline, residual, noise, and times spread evenly over [0, 1]."""
        network = self.network
        things = draw_batch(self.pool, count, 1.0, rng).to(str(network.scale.device))
        regression, _ = network.regression(things.image, things.mask, things.height)
        view, outline = network.view(things.image, things.mask, things.height, regression)
        residual = coarse_residual(things, regression, outline) / network.scale[:, None, None]
        seed = Generator().manual_seed(int(rng.integers(2**62)))
        noise = network.noise(count, outline.shape[-1], seed).to(outline.device) * outline
        time = torch.from_numpy(((rng.permutation(count) + rng.random(count)) / count).astype(np.float32))
        return view, outline, residual, noise, time

    def loss(self, network: IncludedGenerator, batch: Batch, progress: float) -> Tensor:
        """The mean squared error of the velocity, 1 for the best guess without a network; colours count less."""
        view, outline, residual, noise, time = batch
        t = time[:, None, None, None]
        found = network.velocity((1 - t) * noise + t * residual, view, time)
        error = (found - (residual - noise)) ** 2 * ((1 - t) ** 2 + t**2) * outline
        mean = error.sum((0, 2, 3)) / outline.sum()
        return mean @ mean.new_tensor([1.0, 1.0, _COLOUR, _COLOUR, _COLOUR]) / (2 + 3 * _COLOUR)


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
