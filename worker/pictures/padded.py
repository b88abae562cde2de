# SPDX-License-Identifier: GPL-3.0-or-later
"""A cut-out subject on white with an even border, and the sizes that networks want of it.

Exact to the pixel, because such networks see a shift of one pixel or another rounding: what TripoSG (Li et al. 2025,
arXiv:2502.06608) does to a picture before its network, with a margin of a tenth.
Must not know networks, meshes or files.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.view import Window
from .silhouette import faint


def padded_on_white(rgb: np.ndarray, alpha: np.ndarray, margin: float) -> tuple[np.ndarray, Window]:
    """(h, w, 3) uint8 sRGB of a subject on white, square but for a pixel, and where in the picture that lies.

    rgb: (H, W, 3) uint8 sRGB. alpha: (H, W) uint8; every pixel above 0 is the subject's. margin: the border beside the
    subject's longer side, as a share of that. Values are cut off and not rounded. Raises Unable without a subject.
    """
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if len(rows) == 0:
        raise Unable(faint("the picture", alpha))
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    longer = max(height, width)
    border = int(margin * longer)
    down, across = int(border + (longer - height) / 2), int(border + (longer - width) / 2)
    box = slice(top, top + height), slice(left, left + width)
    share = alpha[box][..., None].astype(np.float32) / 255.0
    blended = rgb[box].astype(np.float32) / 255.0 * share + (1.0 - share)
    whole = np.full((height + 2 * down, width + 2 * across, 3), 255, np.uint8)
    whole[down : down + height, across : across + width] = (blended * 255.0).astype(np.uint8)
    return whole, Window(left - across, top - down, max(whole.shape[:2]))


def resized_middle(rgb: np.ndarray, shorter: int, crop: int) -> np.ndarray:
    """(crop, crop, 3) uint8: the middle of the picture (H, W, 3) uint8 when its shorter side has `shorter` pixels.

    Bicubic, with the pixels below averaged, as Pillow does it; crop at most `shorter`.
    """
    height, width = rgb.shape[:2]
    size = shorter * width // min(height, width), shorter * height // min(height, width)
    resized = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))
    top, left = (resized.shape[0] - crop) // 2, (resized.shape[1] - crop) // 2
    return resized[top : top + crop, left : left + crop]
