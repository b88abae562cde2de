# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a network sees of a photo's thing is one clear thing, shown whole. Must not know networks or photos."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...pictures.silhouette import at_border

SHARES = (0.08, 0.6)
"""Least and largest share of the photo that it covers. Below lie a bush in a street and a rocket on its pad."""

BORDER = 0.03
"""Largest share of the photo's outermost pixels that it covers: from 0.045 up lie portraits that the photo cuts off."""

UNSURE = 0.22
"""Largest share of its area that is neither surely it nor surely not: from 0.23 up lie rooms, shelves and breads."""

SECOND, NECK = 0.6, 0.02
"""Where what is narrower than NECK of the matte's side is taken away, the second largest piece has at most this share
of the largest: two cars, one before the other, have 0.9, a lamp's head and foot 0.45."""

WHOLE = 0.95
"""Least share of it that is in one piece: four people side by side have 0.57, every single thing has 0.99."""

DOUBT = (0.15, 0.85)
"""All were set on U2-Net small's mattes of 50 photos, of which 3 change sides where UNSURE is 0.05 larger or smaller
and none where the others move by a fifth."""

ROUGH = 1.0
"""UNSURE of our own scene network, whose mask is soft: at 1.0 it finds one of these 50, and rightly, at 1.2 three, of
which one is wrong."""


_RIM = 3  # pixels around a hole that a rough matte shades


def closed(matte: np.ndarray) -> np.ndarray:
    """The matte (h, w) float32 without holes in the thing of which a rough network is nowhere sure: it takes an ear's
    shadow for grass, and a hole through an animal is worse than a gap that is closed."""
    thing = matte >= 0.5
    labels, count = ndimage.label(~thing)
    doubtful = ndimage.minimum(matte, labels, np.arange(count + 1)) >= DOUBT[0]
    doubtful[0] = doubtful[at_border(labels)] = False
    hole = doubtful[labels]
    around = ndimage.binary_dilation(hole, np.ones((3, 3), bool), _RIM, mask=thing | hole)
    return np.where(around, np.float32(1.0), matte)


def is_clear(matte: np.ndarray, unsure: float = UNSURE) -> bool:
    """matte: (h, w) float32 in [0, 1], the thing's share of each pixel."""
    thing = matte >= 0.5
    share = float(thing.mean())
    if not SHARES[0] <= share <= SHARES[1]:
        return False
    doubtful = ((matte > DOUBT[0]) & (matte < DOUBT[1])).mean() / share
    sure = at_border(thing).mean() <= BORDER and doubtful <= unsure
    return bool(sure and _pieces(thing)[-1] >= WHOLE * thing.sum() and _second(thing) <= SECOND)


def _pieces(mask: np.ndarray) -> np.ndarray:
    """The numbers of pixels of its connected pieces, the largest last."""
    return np.sort(np.bincount(ndimage.label(mask)[0].ravel())[1:])


def _second(thing: np.ndarray) -> float:
    """The second largest piece's share of the largest, without the necks between them."""
    core = ndimage.binary_erosion(thing, np.ones((3, 3), bool), iterations=max(1, round(NECK * max(thing.shape))))
    sizes = _pieces(core if core.any() else thing)
    return float(sizes[-2] / sizes[-1]) if len(sizes) > 1 else 0.0
