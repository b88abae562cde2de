# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixels of all photos that are learned, a few bytes each, and their rays when they are drawn.

Imported on use: it brings torch. Rays are the capture's world's. Must not know what learns from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from . import grid_field
from .grid_space import Photo, grown

_MOST = 40_000_000  # pixels, twelve bytes each: of more, each photo gives its share by chance
_MARGIN = 0.05  # how much of a picture's size around the thing is learned as well


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pixels: their rays' origins and unit directions (N, 3), colours (N, 3) times matte, mattes (N,), and the photos
    that they are of (N,) int64."""

    origin: Tensor
    direction: Tensor
    colour: Tensor
    matte: Tensor
    photo: Tensor


class PixelPool:
    """Of photos with mattes: the pixels in and around the thing that see `bounds` (2, 3). Of others: all.

    share: how much of all the photos' pixels that is; the others show nothing.
    """

    def __init__(self, photos: Sequence[Photo], bounds: Tensor) -> None:
        parts = [_pixels(photo, bounds, _MOST // len(photos)) for photo in photos]
        pixels, colours, mattes, seen = zip(*parts)
        self._pixel, self._colour, self._matte = map(torch.cat, (pixels, colours, mattes))
        device = bounds.device
        counts = torch.tensor([len(each) for each in pixels], device=device)
        self._photo = torch.arange(len(photos), dtype=torch.int16, device=device).repeat_interleave(counts)
        self.share = sum(seen) / sum(photo.colour[..., 0].numel() for photo in photos)
        self._rotation = torch.stack([photo.rotation for photo in photos])
        self._position = torch.stack([photo.position for photo in photos])
        cameras = [photo.camera for photo in photos]
        self._width = torch.tensor([camera.width for camera in cameras], device=device)
        self._lens = torch.tensor([(c.fx, c.fy, c.cx, c.cy) for c in cameras], device=device)

    def drawn(self, count: int) -> Drawn:
        """So many pixels, by chance."""
        some = torch.randint(len(self._pixel), (count,), device=self._pixel.device)
        photo, pixel = self._photo[some].long(), self._pixel[some].long()
        row, column = pixel // self._width[photo] + 0.5, pixel % self._width[photo] + 0.5
        fx, fy, cx, cy = self._lens[photo].unbind(1)
        ahead = torch.stack([(column - cx) / fx, (row - cy) / fy, torch.ones_like(fx)], 1)
        direction = (functional.normalize(ahead, dim=1)[:, None] @ self._rotation[photo])[:, 0]
        colour, matte = self._colour[some] / 255.0, self._matte[some] / 255.0
        return Drawn(self._position[photo], direction, colour, matte, photo)


def _pixels(photo: Photo, bounds: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """Indices (N,) int32, colours (N, 3) uint8 and mattes (N,) uint8 of a photo's pixels, and how many there were."""
    matte = torch.ones_like(photo.colour[..., 0]) if photo.matte is None else photo.matte
    wanted = grown(matte > 0.02, math.ceil(_MARGIN * max(matte.shape))).view(-1)
    if photo.matte is not None:
        near, far = grid_field.crossing(*bounds, *photo.rays())
        wanted &= far > near
    index = wanted.nonzero()[:, 0]
    count = len(index)
    if count > most:
        index = index[torch.randperm(count, device=index.device)[:most]]
    colour, matte = (
        (255.0 * values[index]).round().to(torch.uint8) for values in (photo.colour.view(-1, 3), matte.view(-1))
    )
    return index.int(), colour, matte, count
