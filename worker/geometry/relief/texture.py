# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos made ready to be textures. Must not know meshes or files."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..fill import nearest_filled


def fitted(photo: np.ndarray, longest: int) -> np.ndarray:
    """The photo (h, w, 3 or 4) uint8, reduced so that no side is longer than `longest`, without alpha if all opaque."""
    if photo.shape[2] == 4 and (photo[..., 3] == 255).all():
        photo = photo[..., :3]
    height, width = photo.shape[:2]
    if max(height, width) > longest:
        scale = longest / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        photo = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
    return np.ascontiguousarray(photo)


def without_background(photo: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The photo (h, w, 3) uint8 with the background's colours replaced by those of the nearest foreground.

    The surface ends at the mask, but texture filtering and compression reach a little further: what they find there
    must not be a white or black fringe. background: bool of any size.
    """
    height, width = photo.shape[:2]
    rows = np.arange(height) * background.shape[0] // height
    columns = np.arange(width) * background.shape[1] // width
    hidden = background[rows][:, columns]
    if photo.shape[2] == 4:
        hidden = hidden | (photo[..., 3] < 250)  # half-transparent pixels carry the old background's colour
    if hidden.all() or not hidden.any():
        return np.ascontiguousarray(photo[..., :3])
    return nearest_filled(photo[..., :3], ~hidden)
