# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixels of all views that are learned, a few bytes each, and their rays when they are asked for.

Imported on use: it brings torch. Rays are the capture's world's. Must not know what learns from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from . import grid_field
from .grid_space import ViewTensors, grown

_MARGIN = 0.05  # of a picture's longer side around the thing that is learned as well: its outline is learned from both


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pixels: their rays' origins and unit directions (N, 3), colours (N, 3) times mask, masks (N,), and the views that
    they are of (N,) int64."""

    origin: Tensor
    direction: Tensor
    colour: Tensor
    mask: Tensor
    view: Tensor


@dataclass(frozen=True, eq=False)
class PixelPool:
    """Of views with masks: the pixels in and around the thing that see a box. Of others: all.

    pixel: (P,) int32 index in its view, colour: (P, 3) and mask: (P,) uint8, view: (P,) int16. rotation, position,
    intrinsics (fx, fy, cx, cy), width: of each view. share: how much of all views' pixels that is; the others show
    nothing.
    """

    pixel: Tensor
    colour: Tensor
    mask: Tensor
    view: Tensor
    rotation: Tensor
    position: Tensor
    intrinsics: Tensor
    width: Tensor
    share: float

    @classmethod
    def of(cls, views: Sequence[ViewTensors], bounds: Tensor, most: int, random: torch.Generator) -> PixelPool:
        """bounds: (2, 3), the box. most: pixels in all; of more, each view gives its share by chance. random: the
        CPU's, so that a seed means the same everywhere."""
        parts = [_pixels(view, bounds, most // len(views), random) for view in views]
        pixels, colours, masks, seen = zip(*parts)
        counts = torch.tensor([len(each) for each in pixels], device=bounds.device)
        which = torch.arange(len(views), dtype=torch.int16, device=bounds.device).repeat_interleave(counts)
        cameras = [view.camera for view in views]
        return cls(
            *(torch.cat(values) for values in (pixels, colours, masks)),
            which,
            torch.stack([view.rotation for view in views]),
            torch.stack([view.position for view in views]),
            torch.tensor([(c.fx, c.fy, c.cx, c.cy) for c in cameras], dtype=torch.float32, device=bounds.device),
            torch.tensor([camera.width for camera in cameras], device=bounds.device),
            sum(seen) / sum(view.colour[..., 0].numel() for view in views),
        )

    def __len__(self) -> int:
        return len(self.pixel)

    def kept(self, index: Tensor) -> PixelPool:
        """Only some of the pixels; the others show nothing."""
        some = {name: getattr(self, name)[index] for name in ("pixel", "colour", "mask", "view")}
        return replace(self, **some, share=self.share * len(index) / len(self))

    def chance(self, count: int, random: torch.Generator) -> Tensor:
        """(count,) indices of pixels, by chance."""
        return torch.randint(len(self), (count,), generator=random).to(self.pixel.device)

    def rays(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Origins and unit directions (N, 3) of some pixels."""
        view, pixel = self.view[index].long(), self.pixel[index].long()
        row, column = pixel // self.width[view] + 0.5, pixel % self.width[view] + 0.5
        fx, fy, cx, cy = self.intrinsics[view].unbind(1)
        ahead = torch.stack([(column - cx) / fx, (row - cy) / fy, torch.ones_like(fx)], 1)
        direction = functional.normalize(ahead, dim=1)[:, None] @ self.rotation[view]
        return self.position[view], direction[:, 0]

    def drawn(self, index: Tensor) -> Drawn:
        colour, mask = self.colour[index] / 255.0, self.mask[index] / 255.0
        return Drawn(*self.rays(index), colour, mask, self.view[index].long())


def _pixels(
    view: ViewTensors, bounds: Tensor, most: int, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Indices (N,) int32, colours (N, 3) uint8 and masks (N,) uint8 of a view's pixels, and how many there were."""
    mask = torch.ones_like(view.colour[..., 0]) if view.mask is None else view.mask
    wanted = grown(mask > 0.02, math.ceil(_MARGIN * max(mask.shape))).view(-1)
    if view.mask is not None:
        near, far = grid_field.crossing(*bounds, *view.rays())
        wanted &= far > near
    index = wanted.nonzero()[:, 0]
    count = len(index)
    if count > most:
        index = index[torch.randperm(count, generator=random)[:most].to(index.device)]
    colour, mask = (
        (255.0 * values[index]).round().to(torch.uint8) for values in (view.colour.view(-1, 3), mask.view(-1))
    )
    return index.int(), colour, mask, count
