# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills gaps in pictures of numbers or colours, and averages beside them. Must not know what they mean."""

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


def blurred(values: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """Values (H, W, C) averaged over those around that are known (H, W), by a Gaussian of `sigma` pixels; what is not
    known counts nothing, and where nothing is known nearby the result means nothing."""
    share = np.maximum(ndimage.gaussian_filter(known.astype(np.float32), sigma), 1e-6)
    return ndimage.gaussian_filter(values * known[..., None], (sigma, sigma, 0)) / share[..., None]
