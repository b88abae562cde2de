# SPDX-License-Identifier: GPL-3.0-or-later
"""Who paints what a render does not know: a *repainter*. Rounds of refinement (pipeline/improve.py) ask one for each
view; networks that do it are methods' own. Must not know networks, meshes or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from .job import Job, Span


class Repainter(Protocol):
    """Makes a picture of a thing more like what its photos show, pixel for pixel from the same camera. draws: whether
    its outlines, and the places of what it paints, tell of the thing's shape; else they are the render's."""

    draws: bool

    def repaint(
        self,
        picture: np.ndarray,
        unknown: np.ndarray,
        references: Sequence[np.ndarray],
        strength: float,
        seed: int,
        job: Job | Span,
    ) -> np.ndarray:
        """(H, W, 3) uint8 sRGB: the picture, painted anew as far as it is unknown.

        picture: (H, W, 3) uint8 sRGB, a render of what is there so far before one plain colour, which its corner has; H
        and W of any size, at least 64. unknown: (H, W) bool, or float in [0, 1], how far each pixel may change: 0 is a
        photo's, or nothing's, and stays as it is to a few grey levels; 1 is one that nobody saw. It reaches a little
        beyond the outline: the thing may grow or shrink there, and whatever is not the thing keeps the plain colour.
        references: photos of the thing, (h, w, 3) uint8 sRGB of any sizes, before the same plain colour, the best
        first. strength: from 0, nothing changes, to 1, only what is known and the references count. seed: the same
        gives the same. job: hears how far it is, and raises Cancelled where the work should stop. Raises Unable where
        it cannot be done, OutOfMemory where memory is full.
        """
        ...
