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

from .batches import recolour
from .object_network import Layers

# until which progress of the run which side in pixels is trained: shape is learnt most cheaply from small pictures
STAGES = ((0.6, 48), (1.0, 64))

_MISSED = 0.15
"""Half sides. F-scores count what is nearer than 0.1 and 0.2; not searched."""

_FARTHEST = 1.6  # half sides; what lies deeper is clipped


class Batch(NamedTuple):
    """image, back_colour (B, 3, S, S) in [0, 1]; mask, height, front, back (B, S, S); up (B, 3), 0 where unknown."""

    image: Tensor
    back_colour: Tensor
    mask: Tensor
    height: Tensor
    front: Tensor
    back: Tensor
    up: Tensor

    def to(self, device: str) -> Batch:
        return Batch(*(values.to(device) for values in self))


class ThingPool:
    """All shards in a folder, opened as they appear, reduced once to the size that is trained and kept in memory."""

    def __init__(self, folder: Path):
        self.folder, self._paths = folder, []
        self._reduced: dict[Path, Batch] = {}
        self._side = 0
        self.refresh()

    def refresh(self) -> None:
        """Look for new shards. Raises FileNotFoundError while there is none."""
        self._paths = sorted(self.folder.glob("things*.npy"))
        if not self._paths:
            raise FileNotFoundError(f"no shards in {self.folder}; make some with worker.training.layers")

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self._paths)

    def draw(self, count: int, side: int, rng: Generator) -> Batch:
        """Random views of that size."""
        paths = self._paths
        shards = [self._shard(paths[rng.integers(len(paths))], side) for _ in range(count)]
        chosen = [(shard, int(rng.integers(len(shard.mask)))) for shard in shards]
        return _unpacked(Batch(*(torch.stack([shard[k][i] for shard, i in chosen]) for k in range(len(Batch._fields)))))

    def _shard(self, path: Path, side: int) -> Batch:
        if side != self._side:
            self._reduced.clear()
            self._side = side
        if path not in self._reduced:
            self._reduced[path] = _packed(resized(as_batch(np.load(path)), side))
        return self._reduced[path]


def _packed(batch: Batch) -> Batch:
    """Colours in eight bits, depths in half precision: a quarter of the memory."""
    colours = ((values * 255).round().to(torch.uint8) for values in (batch.image, batch.back_colour))
    return Batch(*colours, *(values.half() for values in batch[2:]))


def _unpacked(batch: Batch) -> Batch:
    return Batch(batch.image.float() / 255, batch.back_colour.float() / 255, *(v.float() for v in batch[2:]))


def side_at(progress: float) -> int:
    """The side in pixels that is trained at a run's progress 0 to 1."""
    return next((side for until, side in STAGES if progress < until), STAGES[-1][1])


def draw_batch(pool: ThingPool, count: int, progress: float, rng: Generator) -> Batch:
    """Random views, mirrored half the time, with strong changes of colour, which the back shares."""
    batch = pool.draw(count, side_at(progress), rng)
    mirror = torch.from_numpy(rng.random(count) < 0.5)
    up = torch.where(mirror[:, None], batch.up * torch.tensor([-1.0, 1.0, 1.0]), batch.up)
    maps = (torch.where(mirror.view(-1, *[1] * (v.ndim - 1)), v.flip(-1), v) for v in batch[:-1])
    batch = Batch(*maps, up)
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
    up = torch.from_numpy(views["up"].astype(np.float32))
    return Batch(image, picture("back_colour"), mask, plane("height"), plane("front"), plane("back"), up)


def resized(batch: Batch, side: int) -> Batch:
    """The batch at another size: means over what lies within the mask."""
    if batch.mask.shape[-1] == side:
        return batch

    def mean(values: Tensor) -> Tensor:
        stacked = values if values.ndim == 4 else values[:, None]
        total = functional.adaptive_avg_pool2d(stacked * batch.mask[:, None], side)
        return (total / share.clamp(min=1e-6)).view(*values.shape[:-2], side, side) * mask.view(
            -1, *[1] * (values.ndim - 3), side, side
        )

    share = functional.adaptive_avg_pool2d(batch.mask[:, None], side)
    mask = (share[:, 0] > 0.5).float()
    planes = (mean(batch.height), mean(batch.front), mean(batch.back))
    return Batch(mean(batch.image), mean(batch.back_colour), mask, *planes, batch.up)


def layers_loss(guess: Layers, truth: Batch) -> Tensor:
    """What is minimised: the errors of depths in half sides, of their slopes, of the back's colours, and of what is up.

    Depths' errors beyond _MISSED cost less and less: what a picture leaves open (which end of a thing is nearer,
    whether it lies or stands) has several answers, and one of them is better than what lies between.
    """
    mask = truth.mask
    count = mask.sum().clamp(min=1)
    error = torch.stack([guess.front - truth.front, guess.back - truth.back]).abs()
    missed = _MISSED * torch.log1p(error / _MISSED)
    depth = ((0.5 * error + missed) * mask).sum() / count
    slope = sum(_slope_error(g, t, mask, axis) for g, t in zip(guess[:2], truth[4:6], strict=True) for axis in (1, 2))
    colour = ((guess.colour - truth.back_colour).abs().mean(1) * mask).sum() / count
    return depth + 0.1 * slope + 0.3 * colour + 0.2 * _lean(guess.up, truth.up)


def _lean(guess: Tensor, truth: Tensor) -> Tensor:
    """Mean distance between the tips of two unit vectors (B, 3), where the true one is known."""
    known = truth.norm(dim=1) > 0.5
    distance = (functional.normalize(guess, dim=1) - truth).norm(dim=1)
    return (distance * known).sum() / known.sum().clamp(min=1)


def _slope_error(guess: Tensor, truth: Tensor, mask: Tensor, axis: int) -> Tensor:
    """How wrong the surface's slope is along an axis; at jumps in depth a wrong slope costs little more."""
    both = mask.narrow(axis, 1, mask.shape[axis] - 1) * mask.narrow(axis, 0, mask.shape[axis] - 1)
    error = (guess - truth).diff(dim=axis).abs() * (mask.shape[axis] / 2)
    return (error / (1 + 0.5 * error) * both).sum() / both.sum().clamp(min=1)
