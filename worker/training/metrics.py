# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a depth is after the fit that its unknowns allow: a scale and a shift of its inverse, or a scale alone.

Knows numpy only.
"""

from typing import NamedTuple

import numpy as np


class Score(NamedTuple):
    """Mean |depth - truth| / truth, and the share of pixels with max(depth / truth, truth / depth) < 1.25."""

    abs_rel: float
    delta1: float


def affine_score(inverse: np.ndarray, true_depth: np.ndarray) -> Score:
    """Score relative inverse depth (H, W) on pixels where true_depth (H, W) is finite and > 0.

    Scale and shift come from least squares on inverse depth; fitted depth is limited to 1.5 times the true range. A
    guess that takes far for near gets no credit for it: its scale would be negative and counts as zero.
    """
    valid = np.isfinite(true_depth) & (true_depth > 0)
    truth, guess = true_depth[valid].astype(np.float64), inverse[valid].astype(np.float64)
    design = np.stack([guess, np.ones_like(guess)], 1)
    scale, shift = np.linalg.lstsq(design, 1 / truth, rcond=None)[0]
    fitted = scale * guess + shift if scale > 0 else np.full_like(guess, (1 / truth).mean())
    return _score(1 / np.clip(fitted, 1 / (1.5 * truth.max()), 1.5 / truth.min()), truth)


def scale_score(depth: np.ndarray, true_depth: np.ndarray, among: np.ndarray | None = None) -> Score:
    """Score depth (H, W), known up to a factor, on pixels where true_depth (H, W) is finite and > 0.

    The factor is the median of truth / depth over all of them; among: (H, W) bool, which of them are scored.
    """
    valid = np.isfinite(true_depth) & (true_depth > 0)
    truth, guess = true_depth[valid].astype(np.float64), depth[valid].astype(np.float64)
    guess = guess * np.median(truth / guess)
    chosen = slice(None) if among is None else among[valid]
    return _score(guess[chosen], truth[chosen])


def _score(depth: np.ndarray, truth: np.ndarray) -> Score:
    ratio = np.maximum(depth / truth, truth / depth)
    return Score(float(np.mean(np.abs(depth - truth) / truth)), float(np.mean(ratio < 1.25)))


def vertical_ramp(height: int, width: int) -> np.ndarray:
    """The guess to beat: inverse depth (height, width) growing evenly from top to bottom."""
    return np.broadcast_to(np.linspace(0.0, 1.0, height)[:, None], (height, width))


def median_score(scores: list[Score]) -> Score:
    """Each figure's median over pictures, for sets in which single far pixels spoil the mean."""
    return Score(*(float(value) for value in np.median(scores, axis=0)))


def mean_score(scores: list[Score]) -> Score:
    """Each figure averaged over pictures."""
    return Score(*(float(value) for value in np.mean(scores, axis=0)))
