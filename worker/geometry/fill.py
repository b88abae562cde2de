# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills gaps in pictures of numbers or colours. Must not know what they mean."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def nearest_filled(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Values (H, W) or (H, W, C) with each pixel that is not valid (H, W) taken from the nearest pixel that is.

    At least one pixel must be valid.
    """
    if valid.all():
        return values
    row, column = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return values[row, column]
