# SPDX-License-Identifier: GPL-3.0-or-later
"""Training batches from a growing number of shards: random views, crops, mirrors and strong colour changes.

A batch depends on the generator's state and on how many shards are drawn from, on nothing else. Knows the shards;
not the network.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor

from .shards import write_shard

Sizes = dict[tuple[int, int], float]  # height and width in units of 32 pixels, and how often

# Layout is learnt most cheaply from small pictures, edges from larger ones.
TINY: Sizes = {(2, 3): 0.5, (3, 2): 0.2, (3, 3): 0.3}
COARSE: Sizes = {(3, 4): 0.55, (4, 3): 0.2, (4, 4): 0.15, (3, 5): 0.1}
FINE: Sizes = {(4, 5): 0.3, (5, 4): 0.12, (5, 5): 0.1, (4, 6): 0.1, (5, 6): 0.2, (3, 4): 0.18}
# until which progress of the run the smaller or the larger of two sets is drawn, and how often the smaller
_STAGES = ((0.7, TINY, COARSE, 0.35), (1.0, COARSE, FINE, 0.4))


class ShardPool:
    """The first so many shards of a folder, read through memory maps and rendered where missing."""

    def __init__(self, folder: Path):
        self.folder, self._shards = folder, []

    def grow(self, count: int) -> None:
        """Draw from shards 0 to count - 1 from now on; makes those that are missing, at some 20 s each."""
        for number in range(len(self._shards), count):
            self._shards.append(np.load(write_shard(self.folder, number), mmap_mode="r"))

    @property
    def views(self) -> int:
        """How many views are drawn from."""
        return sum(len(shard) for shard in self._shards)

    def draw(self, rng: Generator) -> np.void:
        """One random view's record."""
        shard = self._shards[rng.integers(len(self._shards))]
        return shard[rng.integers(len(shard))]


def draw_size(rng: Generator, progress: float) -> tuple[int, int]:
    """A batch's height and width in pixels, growing with the run's progress 0 to 1."""
    _, smaller, larger, share = next((stage for stage in _STAGES if progress < stage[0]), _STAGES[-1])
    sizes = smaller if rng.random() < share else larger
    weights = np.array(list(sizes.values()))
    height, width = list(sizes)[rng.choice(len(sizes), p=weights / weights.sum())]
    return 32 * height, 32 * width


def draw_batch(pool: ShardPool, count: int, progress: float, rng: Generator) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W) in [0, 1] and inverse depths (B, H, W), the latter with mean 1."""
    height, width = draw_size(rng, progress)
    images, targets = [], []
    while len(images) < count:
        view = pool.draw(rng)
        image, inverse = crop(view["image"], view["inverse_depth"], height, width, rng)
        if inverse.std() > 1e-2 * inverse.mean() > 0:
            images.append(image)
            targets.append(inverse / inverse.mean())
    return recolour(torch.stack(images), rng), torch.stack(targets)


def crop(image: np.ndarray, inverse: np.ndarray, height: int, width: int, rng: Generator) -> tuple[Tensor, Tensor]:
    """A random window of the wanted shape, mirrored half the time; (3, H, W) in [0, 1] and (H, W)."""
    full_h, full_w = inverse.shape
    share = rng.uniform(0.55, 1.0) if rng.random() < 0.6 else 1.0
    scale = share * min(full_h / height, full_w / width)
    y, x = rng.uniform(0, full_h - height * scale), rng.uniform(0, full_w - width * scale)
    window = (x, y, min(x + width * scale, full_w), min(y + height * scale, full_h))
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box=window)
    rows = (y + (np.arange(height) + 0.5) * scale).astype(int)
    columns = (x + (np.arange(width) + 0.5) * scale).astype(int)
    colour, depth = np.asarray(small), inverse[np.ix_(rows, columns)].astype(np.float32)
    if rng.random() < 0.5:
        colour, depth = colour[:, ::-1], depth[:, ::-1]
    colour = torch.from_numpy(colour.astype(np.float32) / 255).permute(2, 0, 1)
    return colour, torch.from_numpy(np.ascontiguousarray(depth))


def recolour(images: Tensor, rng: Generator) -> Tensor:
    """Per picture: saturation, hue, white balance, brightness, contrast, gamma, blur, noise; grey now and then."""
    count = len(images)

    def per_picture(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, channels, 1, 1)).astype(np.float32))

    grey = images.mean(1, keepdim=True)
    saturation = per_picture(0.4, 1.5) * torch.from_numpy(rng.random((count, 1, 1, 1)) > 0.1).float()
    images = grey + (images - grey) * saturation
    if rng.random() < 0.15:  # the same channel order for the whole batch; other batches have others
        images = images[:, rng.permutation(3)]
    images = images * per_picture(0.85, 1.15, 3)
    images = (images - 0.5) * per_picture(0.6, 1.4) + 0.5 + per_picture(-0.2, 0.2)
    images = images.clamp(0, 1) ** torch.exp(per_picture(-0.45, 0.45))
    soft = (images.roll(1, 2) + images.roll(-1, 2) + images.roll(1, 3) + images.roll(-1, 3)) / 4
    images = images + per_picture(-0.3, 0.6) * (soft - images)  # blur or sharpen
    noise = torch.from_numpy(rng.standard_normal(images.shape, np.float32))
    return (images + noise * per_picture(0, 0.18) ** 2).clamp(0, 1)
