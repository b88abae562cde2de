# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a depth network sees a photo, and which cameras are believed."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ...core.view import PinholeCamera, View
from ...pictures.load import Picture

DEFAULT_FOV = 55.0
"""Degrees across the longer side, where neither user, network nor EXIF say otherwise: between a phone's main camera
(about 67) and a portrait lens (about 40)."""

WIDEST, NARROWEST = 150.0, 3.0
"""Fields of view in degrees beyond which a camera that was recovered is not believed."""


def view_of(picture: Picture, focal: float) -> View:
    """The picture's view by a camera with that focal length in pixels."""
    height, width = picture.rgb.shape[:2]
    camera = PinholeCamera.centred(width, height, focal)
    return View(camera, rgb=picture.rgb, mask=picture.alpha, name=picture.name)


def network_size(picture: tuple[int, int], shorter: float, multiple: int) -> tuple[int, int]:
    """Height and width nearest to the picture's shape with that shorter side, both multiples of `multiple`.

    A picture longer than 2:1 gets fewer pixels, so that the cost stays within bounds.
    """
    scale = min(shorter / min(picture), 2.0 * shorter / max(picture))
    height, width = (max(multiple, round(side * scale / multiple) * multiple) for side in picture)
    return height, width


def resized(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width, 3) float32 in [0, 1], bicubic, antialiased."""
    small = Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.array(small, dtype=np.float32) / 255.0
