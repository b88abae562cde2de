# SPDX-License-Identifier: GPL-3.0-or-later
"""A cut-out subject as networks for single things were shown it: square, in the middle, on a plain grey.

Exact to the pixel, because such networks see a shift of one pixel or another rounding: what TripoSR (Tochilkin et al.
2024, arXiv:2403.02151) does to a picture before its network, with a fill of 0.85 on a grey of 0.5.
Must not know networks, meshes or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import Unable
from ..core.view import Window
from .silhouette import faint


@dataclass(frozen=True, eq=False)
class Crop:
    """A subject in the middle of a square. rgba: (S, S, 4) uint8 sRGB with straight alpha, all zero beyond the
    subject's box. window: where in the picture the square lies; it may reach beyond it."""

    rgba: np.ndarray
    window: Window

    def on_grey(self, grey: float) -> np.ndarray:
        """(S, S, 3) uint8 sRGB: laid over a grey in [0, 1], blended as the values stand, cut off and not rounded."""
        values = self.rgba.astype(np.float32) / 255.0
        alpha = values[..., 3:]
        return ((values[..., :3] * alpha + grey * (1.0 - alpha)) * 255.0).astype(np.uint8)


def square_crop(rgb: np.ndarray, alpha: np.ndarray, fill: float) -> Crop:
    """The square around a subject whose longer side spans `fill` of it, in (0, 1].

    rgb: (H, W, 3) uint8 sRGB. alpha: (H, W) uint8; every pixel above 0 is the subject's. The last row and the last
    column of its box are left out, as TripoSR's own preparation does; what does not halve evenly goes to the right and
    to the bottom. Raises Unable where there is no subject, or too little of it.
    """
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if len(rows) == 0:
        raise Unable(faint("the picture", alpha))
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    height, width = bottom - top, right - left
    if min(height, width) == 0:
        raise Unable("the object in the picture is only a pixel wide or high: choose a larger picture of it")
    longer = max(height, width)
    side = int(longer / fill)
    margin = (side - longer) // 2  # two steps, so that each rounds as the original does
    down, across = (longer - height) // 2 + margin, (longer - width) // 2 + margin
    rgba = np.zeros((side, side, 4), np.uint8)
    inner = rgba[down : down + height, across : across + width]
    inner[..., :3], inner[..., 3] = rgb[top:bottom, left:right], alpha[top:bottom, left:right]
    return Crop(rgba, Window(left - across, top - down, side))
