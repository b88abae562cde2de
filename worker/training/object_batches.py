# SPDX-License-Identifier: GPL-3.0-or-later
"""Training batches of single things from a growing folder of shards, and the object network's loss on them.

A batch depends on (seed, step) and the shards that are there, on nothing else, so that a resumed run goes on as if
never interrupted. Knows the shards' format and what the network gives; not the training loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from ..networks.included_object import Layers
from .batches import recolour

# until which progress of the run which side in pixels is trained: shape is learnt most cheaply from small pictures
STAGES = ((0.3, 48), (0.78, 64), (1.0, 96))

_FARTHEST = 1.6  # half sides; what lies deeper is clipped


class Batch(NamedTuple):
    """image, back_colour (B, 3, S, S) in [0, 1]; mask, height, front, back (B, S, S)."""

    image: Tensor
    back_colour: Tensor
    mask: Tensor
    height: Tensor
    front: Tensor
    back: Tensor

    def to(self, device: str) -> Batch:
        return Batch(*(values.to(device) for values in self))


class ThingPool:
    """All shards in a folder, opened as they appear and read through memory maps."""

    def __init__(self, folder: Path):
        self.folder, self._open = folder, {}
        self.refresh()

    def refresh(self) -> None:
        """Look for new shards. Raises FileNotFoundError while there is none."""
        for path in sorted(self.folder.glob("things*.npy")):
            if path not in self._open:
                self._open[path] = np.load(path, mmap_mode="r")
        if not self._open:
            raise FileNotFoundError(f"no shards in {self.folder}; make some with worker.training.layers")
        self._shards = [self._open[path] for path in sorted(self._open)]

    @property
    def views(self) -> int:
        """How many views there are."""
        return sum(len(shard) for shard in self._shards)

    def draw(self, count: int, rng: Generator) -> np.ndarray:
        """Random views' records (count,)."""
        chosen = [self._shards[rng.integers(len(self._shards))] for _ in range(count)]
        return np.stack([shard[rng.integers(len(shard))] for shard in chosen])


def side_at(progress: float) -> int:
    """The side in pixels that is trained at a run's progress 0 to 1."""
    return next((side for until, side in STAGES if progress < until), STAGES[-1][1])


def draw_batch(pool: ThingPool, count: int, progress: float, rng: Generator) -> Batch:
    """Random views, mirrored half the time, with strong changes of colour, which the back shares."""
    batch = as_batch(pool.draw(count, rng))
    mirror = torch.from_numpy(rng.random(count) < 0.5)
    batch = Batch(*(torch.where(mirror.view(-1, *[1] * (v.ndim - 1)), v.flip(-1), v) for v in batch))
    batch = resized(batch, side_at(progress))
    both = recolour(torch.cat([batch.image, batch.back_colour], 3), rng)
    image, back_colour = both.chunk(2, 3)
    return batch._replace(image=image * batch.mask[:, None], back_colour=back_colour)


def as_batch(views: np.ndarray) -> Batch:
    """Records of layers.VIEW as tensors, depths clipped."""

    def picture(name: str) -> Tensor:
        return torch.from_numpy(views[name].astype(np.float32) / 255).permute(0, 3, 1, 2)

    def plane(name: str) -> Tensor:
        return torch.from_numpy(views[name].astype(np.float32)).clamp(-_FARTHEST, _FARTHEST)

    mask = torch.from_numpy(views["mask"].astype(np.float32))
    image = picture("image") * mask[:, None]
    return Batch(image, picture("back_colour"), mask, plane("height"), plane("front"), plane("back"))


def resized(batch: Batch, side: int) -> Batch:
    """The batch at another size: means over what lies within the mask."""
    if batch.mask.shape[-1] == side:
        return batch

    def mean(values: Tensor) -> Tensor:
        stacked = values if values.ndim == 4 else values[:, None]
        total = functional.adaptive_avg_pool2d(stacked * batch.mask[:, None], side)
        return (total / share.clamp(min=1e-6)).view(*values.shape[:-2], side, side) * mask.view(-1, *[1] * (values.ndim - 3), side, side)

    share = functional.adaptive_avg_pool2d(batch.mask[:, None], side)
    mask = (share[:, 0] > 0.5).float()
    planes = (mean(batch.height), mean(batch.front), mean(batch.back))
    return Batch(mean(batch.image), mean(batch.back_colour), mask, *planes)


def layers_loss(guess: Layers, truth: Batch) -> tuple[Tensor, Tensor]:
    """What is minimised, and the mean depth error in half sides, which is what the curve shows."""
    mask = truth.mask
    count = mask.sum().clamp(min=1)
    error = ((guess.front - truth.front).abs() + (guess.back - truth.back).abs()) * mask
    depth = error.sum() / count / 2
    slope = sum(_slope_error(g, t, mask, axis) for g, t in zip(guess[:2], truth[4:], strict=True) for axis in (1, 2))
    colour = ((guess.colour - truth.back_colour).abs().mean(1) * mask).sum() / count
    return 2 * depth + 0.1 * slope + 0.3 * colour, depth


def _slope_error(guess: Tensor, truth: Tensor, mask: Tensor, axis: int) -> Tensor:
    """How wrong the surface's slope is along an axis; at jumps in depth a wrong slope costs little more."""
    both = mask.narrow(axis, 1, mask.shape[axis] - 1) * mask.narrow(axis, 0, mask.shape[axis] - 1)
    error = (guess - truth).diff(dim=axis).abs() * (mask.shape[axis] / 2)
    return (error / (1 + 0.5 * error) * both).sum() / both.sum().clamp(min=1)
