# SPDX-License-Identifier: GPL-3.0-or-later
"""IncludedGenerator: the small network that imagines what a picture of a thing leaves open, as it is trained.

A regression gives the likeliest front, back and colour of the back, which is an average of all that could be. What
is really there differs from it by a residual, whose coarse part is sampled here, at half the resolution: noise with the
residuals' own spectrum flows to a residual (flow matching, Lipman et al. 2023, arXiv:2210.02747) as a U-Net that sees
the picture says. Detail is the regression's.
What is known beforehand (the front's depth from a depth network, a part of another side) is told to the U-Net too, so
that what is sampled goes on from it.
What the product runs, without torch, is methods/layers/generator_network.py; tests/training/test_networks_that_run.py
compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from ..methods.layers.generator_network import (
    CHANNELS,
    FASTEST,
    GRIDS,
    KNOWN,
    LOUD,
    MOMENT,
    REGRESSION,
    SIDE,
    IncludedGeneratorConfig,
    Known,
    configured_generator,
    interpolation,
    regression_beside,
)
from . import blocks as shared
from .object_network import ConvNorm, GlobalVector, IncludedObject, Join, Layers, position

_VIEW = 7 + CHANNELS + KNOWN  # picture, outline, cushion and place; the regression; what is known
_HIDDEN = 128  # the width of what reads the time of the flow


class Flow(nn.Module):
    """The U-Net: a residual on its way (B, 5, h, w), the view (B, 22, h, w) and the time (B,) -> (B, 5, h, w)."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]):
        super().__init__()
        self.stem = ConvNorm(_VIEW + CHANNELS, widths[0], 3, 2)
        self.levels = shared.levels(widths, blocks, ConvNorm)
        self.context = GlobalVector(widths[-1])
        self.joins = nn.ModuleList(Join(widths[level + 1], widths[level]) for level in reversed(range(3)))
        self.head = nn.Conv2d(widths[0], 4 * CHANNELS, 3, padding=1)  # of 2x2 pixels
        self.conditioned = [*widths, *reversed(widths[:-1])]  # widths of the features that are told the time
        self.moment = nn.Sequential(nn.Linear(MOMENT, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, sum(self.conditioned)))
        for layer in (self.head, self.moment[-1]):
            nn.init.zeros_(layer.weight)  # untrained, the flow leaves the noise as it is
            nn.init.zeros_(layer.bias)

    def forward(self, noisy: Tensor, view: Tensor, time: Tensor) -> Tensor:
        moments = [part[:, :, None, None] for part in self.moment(_waves(time)).split(self.conditioned, dim=1)]
        x = functional.relu(self.stem(torch.cat([view, noisy], 1)))
        features = []
        for level, moment in zip(self.levels, moments, strict=False):
            x = level(x) + moment
            features.append(x)
        x = self.context(x)
        for join, finer, moment in zip(self.joins, reversed(features[:-1]), moments[4:], strict=True):
            x = join(x, finer) + moment
        return functional.pixel_shuffle(self.head(x), 2)

    def start_from(self, regressor: IncludedObject) -> None:
        """Take over what a regressing network of the same widths has learnt to see; the rest begins at nothing."""
        theirs = regressor.state_dict()
        stem = theirs.pop("stem.0.weight")
        own = {name: values for name, values in theirs.items() if not name.startswith(("head", "up"))}
        own["stem.0.weight"] = functional.pad(stem, (0, 0, 0, 0, 0, _VIEW + CHANNELS - stem.shape[1]))
        self.load_state_dict(self.state_dict() | own)


class IncludedGenerator(nn.Module):
    """A cut-out thing fitted into a square window -> Layers, other ones for other noise.

    image: (B, 3, H, W) sRGB in [0, 1]; mask: (B, H, W) 0 or 1; height: (B, H, W) the mask inflated, in half sides.
    Residuals and noise are (B, 5, h, w), half as many pixels a side, with about unit variance; `scale` (5,) holds the
    residuals' own deviations, `mixing` (grids, 5, 5) what makes noise of each grid vary as they do (factors of
    covariances). outline: (B, 1, h, w), 1 where there is anything of the thing.
    """

    scale: Tensor
    mixing: Tensor

    def __init__(self, config: IncludedGeneratorConfig | None = None):
        super().__init__()
        self.config = config or IncludedGeneratorConfig()
        self.regressor = IncludedObject(self.config.regressor).requires_grad_(False)
        self.flow = Flow(self.config.widths, self.config.blocks)
        self.register_buffer("scale", torch.ones(CHANNELS))
        self.register_buffer("mixing", torch.eye(CHANNELS).repeat(len(GRIDS), 1, 1) / math.sqrt(len(GRIDS)))

    def regression(self, image: Tensor, mask: Tensor, height: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is likeliest, (B, 5, H, W): depths in half sides, colours about 0 to 1; and what is up, as in Layers."""
        with torch.no_grad():
            front, back, colour, up = self.regressor(image, mask, height)
        return torch.cat([front[:, None], back[:, None], colour], 1), up

    def view(
        self, image: Tensor, mask: Tensor, height: Tensor, regression: Tensor, known: Known | None = None
    ) -> tuple[Tensor, Tensor]:
        """All that the flow is told of the thing, (B, 22, h, w), and its outline."""
        told = self._told(regression, known, mask)
        image, height, regression = (halved(values, mask) for values in (image, height[:, None], regression))
        outline = functional.max_pool2d(mask[:, None], 2)
        seen = [(image * 4 - 2) * outline, outline * 2 - 1, height * 2, position(image)]
        return torch.cat([*seen, regression * 2, told], 1), outline

    def _told(self, regression: Tensor, known: Known | None, mask: Tensor) -> Tensor:
        """What is known, (B, 10, h, w): its residual to the regression, where it is known, and how well."""
        batch, _, height, width = regression.shape
        if known is None:
            return regression.new_zeros(batch, KNOWN, height // 2, width // 2)
        each = known.where[:, SIDE] * mask[:, None]
        share = functional.avg_pool2d(each, 2)
        residual = functional.avg_pool2d((_settled(known, regression) - regression) * each, 2) / share.clamp(min=0.25)
        where = share[:, :2].ceil()
        sure = (known.sure * known.sure.new_tensor(LOUD))[:, :, None, None] * where.amax(1, keepdim=True)
        return torch.cat([residual / self.scale[:, None, None], where, sure], 1)

    def noise(self, count: int, size: int, random: Generator) -> Tensor:
        """Noise (count, 5, size, size) as various as the residuals are, on the CPU so that a seed gives the same."""
        total = torch.zeros(count, CHANNELS, size, size)
        for grid, mixing in zip(GRIDS, self.mixing.cpu(), strict=True):
            values = torch.randn(count, CHANNELS, grid, grid, generator=random)
            weights = torch.from_numpy(interpolation(grid, size))
            total += torch.einsum("cd,bdij,yi,xj->bcyx", mixing, values, weights, weights)
        return total

    def velocity(self, noisy: Tensor, view: Tensor, time: Tensor) -> Tensor:
        """Where the flow goes at `time` (B,), 0 at the noise and 1 at the residual.

        As noise and residuals vary alike, the best straight guess at it is known; the U-Net says what that misses.
        """
        t = time[:, None, None, None]
        variance = (1 - t) ** 2 + t**2
        return (2 * t - 1) / variance * noisy + self.flow(noisy, view, time) * variance.rsqrt()

    def residual(
        self, noise: Tensor, view: Tensor, outline: Tensor, steps: int, check: Callable[[int], None]
    ) -> Tensor:
        """Follow the flow from noise in that many steps (Euler's), within the outline (B, 1, H, W).

        check(step) is called before each and may raise.
        """
        found = noise
        for step in range(steps):
            check(step)
            time = noise.new_full((len(noise),), step / steps)
            found = found + self.velocity(found, view, time) * outline / steps
        return found

    def layers(self, regression: Tensor, residual: Tensor, outline: Tensor, known: Known | None = None) -> Layers:
        """What the regression (B, 5, H, W) and a sampled residual make together; what is known stays as it is.

        A front that is known up to its shift (and scale) is brought to the sampled one's.
        """
        found = regression + enlarged(residual, outline, regression.shape[-1]) * self.scale[:, None, None]
        if known is not None:
            found = torch.where(known.where[:, SIDE] > 0, _settled(known, found), found)
        return Layers(found[:, 0], found[:, 1], found[:, 2:])


def _settled(known: Known, layers: Tensor) -> Tensor:
    """What is known (B, 5, H, W), its front brought to the mean, and the deviation, of other layers' front where its
    own shift, and scale, are arbitrary."""
    where, sure = known.where[:, 0], known.sure[:, :, None, None]
    count = where.sum((1, 2), keepdim=True).clamp(min=1)

    def moments(front: Tensor) -> tuple[Tensor, Tensor]:
        mean = (front * where).sum((1, 2), keepdim=True) / count
        return mean, (((front - mean) ** 2 * where).sum((1, 2), keepdim=True) / count).sqrt().clamp(min=1e-6)

    (mean, spread), (other, wanted) = moments(known.layers[:, 0]), moments(layers[:, 0])
    scale = torch.where(sure[:, 1] > 0, 1.0, wanted / spread)
    front = (known.layers[:, 0] - mean) * scale + torch.where(sure[:, 0] > 0, mean, other)
    return torch.cat([front[:, None], known.layers[:, 1:]], 1)


def halved(values: Tensor, mask: Tensor) -> Tensor:
    """Means of values (B, C, H, W) over what of 2x2 pixels lies within the mask (B, H, W); 0 outside."""
    share = functional.avg_pool2d(mask[:, None], 2)
    return functional.avg_pool2d(values * mask[:, None], 2) / share.clamp(min=0.25)


def enlarged(values: Tensor, outline: Tensor, size: int) -> Tensor:
    """Values (B, C, h, w), which count where the outline (B, 1, h, w) is, interpolated to (B, C, size, size)."""
    both = torch.cat([values * outline, outline], 1)
    grown = functional.interpolate(both, size=size, mode="bilinear", align_corners=False)
    return grown[:, :-1] / grown[:, -1:].clamp(min=1e-3)


def _waves(time: Tensor) -> Tensor:
    """(B,) times in [0, 1] as sines and cosines (B, 32) of rising frequency."""
    frequency = torch.exp(torch.linspace(0, math.log(FASTEST), MOMENT // 2, device=time.device))
    angle = time[:, None] * frequency * math.pi
    return torch.cat([angle.sin(), angle.cos()], 1)


def load(path: Path) -> IncludedGenerator:
    """Read weights written by worker.training.generator; eval mode, float32.

    Raises ValueError if the file is not of this network, or the regression that it goes with does not lie beside it.
    """
    values, state = shared.read(path, "IncludedGenerator")
    config = configured_generator(values)
    if config.regression:
        _, beside = shared.read(regression_beside(path, config.regression), "IncludedObject")
        state |= {f"{REGRESSION}{name}": values for name, values in beside.items()}
    network = IncludedGenerator(config)
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def metadata(config: IncludedGeneratorConfig) -> dict[str, str]:
    """What load() needs to know besides the tensors, for the file's header."""
    return shared.metadata("IncludedGenerator", config)
