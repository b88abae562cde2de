# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that lie turned in their files, with cameras of the pixels as they lie: the cameras are turned with them.

COLMAP, and what is made of its results, does not look at EXIF's orientation; this program shows pictures upright. Must
not know lists of cameras.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

_ORIENTATION = 0x0112
_TURNING = ("JPEG", "PNG", "WEBP")
"""Formats whose orientation is left to whoever reads them; others are turned as they are decoded."""

TURNS = {
    1: np.array([[1, 0], [0, 1]]),
    3: np.array([[-1, 0], [0, -1]]),
    6: np.array([[0, -1], [1, 0]]),
    8: np.array([[0, 1], [-1, 0]]),
}
"""Of each orientation (EXIF 2.32, tag 0112), the (2, 2) matrix that takes directions of the pixels as they lie, x right
and y down, to those of the upright picture. The others are mirrored: no camera sees them."""


def orientation(path: Path) -> int:
    """How the picture lies in its file, 1 where it is upright or does not say."""
    Image.init()  # else only some formats are known
    try:
        with Image.open(path, formats=_TURNING) as image:
            found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - of another format, or damaged EXIF, of which readers raise anything
        return 1
    return found if found in range(1, 9) else 1


def turned(values: np.ndarray, turn: int) -> np.ndarray:
    """Pixels (H, W, ...) as they lie, upright."""
    return np.ascontiguousarray(np.rot90(values, {1: 0, 3: 2, 6: 3, 8: 1}[turn]))
