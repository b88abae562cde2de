# SPDX-License-Identifier: GPL-3.0-or-later
"""What small networks are given and give, as arrays: where pixels are, and other sizes of what was said of them."""

from __future__ import annotations

import numpy as np


def positions(height: int, width: int) -> np.ndarray:
    """Where each pixel is: x and y (2, H, W) float32 from the centre, the longer side spanning -1 to 1."""
    longest = max(height, width)
    y, x = ((np.arange(side, dtype=np.float32) + 0.5 - side / 2) * (2 / longest) for side in (height, width))
    return np.stack([np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))])


def resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Values (C, h, w) at another size, bilinear; pixels are areas, and those at the rim reach beyond it."""
    for axis, wanted in ((1, height), (2, width)):
        side = values.shape[axis]
        place = np.maximum((np.arange(wanted) + 0.5) * (side / wanted) - 0.5, 0.0)
        before = np.minimum(place.astype(int), side - 1)
        share = np.expand_dims((place - before).astype(np.float32), 1 if axis == 1 else 0)
        first, next = values.take(before, axis), values.take(np.minimum(before + 1, side - 1), axis)
        values = first + (next - first) * share
    return values
