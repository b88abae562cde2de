# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels are background because it is plain, and whether what is left is a single thing.

Must not know the geometry.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

PLAIN_TOLERANCE = 14.0
"""Largest distance (8-bit RGB, Euclidean) from the border's colour that still counts as the same plain background."""

PLAIN_SHARE = 0.85
"""A background is plain if that share of the picture's outermost pixels has one colour."""

THING_SHARES = (0.004, 0.9)
"""Least and largest share of the picture that a single thing covers."""

THING_BORDER = 0.12
"""Largest share of the picture's outermost pixels that a single thing covers: it may be a little cut off."""


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


def is_one_thing(subject: np.ndarray) -> bool:
    """Whether a silhouette (H, W) bool is that of a thing shown whole: neither a speck nor the whole picture, and
    hardly cut off by the picture's border."""
    border = np.concatenate([subject[0], subject[-1], subject[:, 0], subject[:, -1]])
    return bool(THING_SHARES[0] <= subject.mean() <= THING_SHARES[1] and border.mean() <= THING_BORDER)
