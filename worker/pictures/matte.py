# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels are background: from the picture's alpha, or because it is plain. Must not know the geometry."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .load import Picture

PLAIN_TOLERANCE = 14.0
"""Largest distance (8-bit RGB, Euclidean) from the border's colour that still counts as the same plain background."""

PLAIN_SHARE = 0.85
"""A background is plain if that share of the picture's outermost pixels has one colour."""


def background(picture: Picture) -> np.ndarray | None:
    """(H, W) bool, True where the background is, or None where the picture has no alpha and no plain background."""
    if picture.alpha is not None:
        return picture.alpha < 128
    return plain_background(picture.rgb)


def plain_background(rgb: np.ndarray) -> np.ndarray | None:
    """(H, W) bool: what is connected to the border of the (H, W, 3) picture and has the border's colour; None if it has
    no single colour, or if nothing else would remain."""
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]).astype(np.float32)
    colour = np.median(border, axis=0)
    if (np.linalg.norm(border - colour, axis=1) < PLAIN_TOLERANCE).mean() < PLAIN_SHARE:
        return None
    alike = np.linalg.norm(rgb.astype(np.float32) - colour, axis=2) < PLAIN_TOLERANCE
    labels, _ = ndimage.label(alike)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    found = np.isin(labels, edge[edge > 0])
    return None if found.all() or not found.any() else found
