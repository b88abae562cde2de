# SPDX-License-Identifier: GPL-3.0-or-later
"""A silhouette blown up like a cushion: the plainest guess at a thing's thickness, and the floor for better ones.

The half thickness is the root of the solution of Poisson's equation with a constant right-hand side and zero on the
outline: a disc becomes an exact ball, a strip an elliptic rod, and no seams appear along its skeleton.
Must not know pictures, cameras or networks.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded


def inflated(mask: np.ndarray) -> np.ndarray:
    """Half the thickness (H, W) float32 in pixels of a silhouette (H, W) bool; zero outside of it.

    Solves laplace(u) = -4 with u = 0 outside; the half thickness is sqrt(u). What lies beyond the picture's border
    counts as outside. Costs about H W min(H, W)^2 operations (5 ms for 96 x 96): meant for small pictures.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    cut = mask[window]
    height = np.zeros(mask.shape, np.float32)
    height[window] = _solved(cut) if cut.shape[1] <= cut.shape[0] else _solved(cut.T).T
    return height


def _solved(mask: np.ndarray) -> np.ndarray:
    """As inflated(), for a mask that is at least as high as wide and ends where its silhouette does."""
    inside = np.flatnonzero(mask)
    number = np.full(mask.shape, -1, np.int64)
    number.flat[inside] = np.arange(len(inside))
    band = np.zeros((mask.shape[1] + 1, len(inside)))  # lower form: band[k, i] couples pixels i and i + k
    band[0] = 4.0
    beside = np.flatnonzero(mask[:, :-1] & mask[:, 1:])
    here = number[:, :-1].flat[beside]
    band[1, here] = -1.0
    below = np.flatnonzero(mask[:-1] & mask[1:])
    here, there = number[:-1].flat[below], number[1:].flat[below]
    band[there - here, here] = -1.0
    solution = solveh_banded(band, np.full(len(inside), 4.0), overwrite_ab=True, lower=True, check_finite=False)
    height = np.zeros(mask.shape, np.float32)
    height.flat[inside] = np.sqrt(np.maximum(solution, 0.0))
    return height
