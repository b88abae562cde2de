# SPDX-License-Identifier: GPL-3.0-or-later
"""Training batches from a growing number of shards: random views, crops, mirrors and strong colour changes.

A batch depends on the generator's state and on how many shards are drawn from, on nothing else. Knows the shards;
not the network.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor

from .shards import write_shard

Sizes = dict[tuple[int, int], float]  # height and width in units of 16 pixels, and how often

# Layout is learnt most cheaply from small pictures, edges from larger ones.
SMALL: Sizes = {(8, 11): 0.35, (11, 8): 0.15, (8, 12): 0.15, (8, 8): 0.1, (8, 14): 0.1, (6, 8): 0.15}
LARGE: Sizes = {(10, 13): 0.35, (13, 10): 0.15, (10, 15): 0.15, (10, 10): 0.1, (10, 18): 0.1, (8, 11): 0.15}
LARGER_FROM = 0.45
"""The run's progress from which the larger sizes are drawn."""

_OFF_CENTRE = 0.25  # how far a crop may lie from the middle, in what is cropped away
_CROPS = (0.55, 1.0)  # what a crop leaves of a picture's side


class Views(NamedTuple):
    """A batch: images (B, 3, H, W) in [0, 1], and at half that size inverse depth (B, h, w) in 1/m with 0 for sky,
    normals (B, 3, h, w), saliency (B, h, w) as in shards; the logarithm of the focal length (B,) in half longer sides.
    """

    image: Tensor
    inverse: Tensor
    normal: Tensor
    salient: Tensor
    log_focal: Tensor


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
    sizes = SMALL if progress < LARGER_FROM else LARGE
    weights = np.array(list(sizes.values()))
    height, width = list(sizes)[rng.choice(len(sizes), p=weights / weights.sum())]
    return 16 * height, 16 * width


def draw_batch(pool: ShardPool, count: int, progress: float, rng: Generator) -> Views:
    """Random views, cropped, mirrored and spoilt."""
    height, width = draw_size(rng, progress)
    cropped: list[Views] = []
    while len(cropped) < count:
        one = crop(pool.draw(rng), height, width, rng)
        if one.inverse.std() > 1e-2 * one.inverse.mean() > 0:
            cropped.append(one)
    batch = Views(*(torch.stack(parts) for parts in zip(*cropped, strict=True)))
    return batch._replace(image=recolour(darkened(batch.image, rng), rng))


def crop(view: np.void, height: int, width: int, rng: Generator) -> Views:
    """A random window of the wanted shape, mirrored half the time, without the batch's dimension."""
    full_h, full_w = view["inverse_depth"].shape
    share = rng.uniform(*_CROPS) if rng.random() < 0.6 else 1.0
    scale = share * min(full_h / height, full_w / width)
    y, x = (0.5 + rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2)) * (full_h - height * scale, full_w - width * scale)
    window = (x, y, min(x + width * scale, full_w), min(y + height * scale, full_h))
    colour = np.asarray(Image.fromarray(view["image"]).resize((width, height), Image.Resampling.BILINEAR, box=window))
    rows, columns = (
        (start + (np.arange(side // 2) + 0.5) * 2 * scale).astype(int) for start, side in ((y, height), (x, width))
    )
    inverse, normal, salient = (view[name][rows[:, None], columns] for name in ("inverse_depth", "normal", "salient"))
    if rng.random() < 0.5:
        colour, inverse, normal, salient = (part[:, ::-1] for part in (colour, inverse, normal, salient))
        normal = normal * np.array([-1, 1, 1], np.int8)
    half = math.tan(math.radians(float(view["fov"])) / 2) * scale * max(height, width) / max(full_h, full_w)
    return Views(
        torch.from_numpy(colour.astype(np.float32) / 255).permute(2, 0, 1),
        torch.from_numpy(inverse.astype(np.float32)),
        torch.from_numpy(normal.astype(np.float32) / 127).permute(2, 0, 1),
        torch.from_numpy(salient.copy()),
        torch.tensor(-math.log(half)),
    )


def darkened(images: Tensor, rng: Generator) -> Tensor:
    """Per picture: lamps of another colour now and then, and corners that are darker than the middle."""
    count, _, height, width = images.shape
    tint = 1.0 + 0.35 * (torch.from_numpy(rng.random((count, 3, 1, 1), np.float32)) - 0.5)
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)
    strength = torch.from_numpy(rng.uniform(-0.5, 0.5, (count, 1, 1, 1)).astype(np.float32)).clamp(min=0.0)
    shade = 1.0 - strength * (x.square() + y.square()) / 2
    return (images * torch.where(torch.from_numpy(rng.random((count, 1, 1, 1)) < 0.3), tint, 1.0) * shade).clamp(0, 1)


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
