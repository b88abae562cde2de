# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pictures are worth matching, and which of two pictures' keypoints are the same.

Must not know cameras. All pairs are matched while they are few; else a quick look at each pair's largest keypoints
picks the ones worth it, and neighbours in a video are always matched. Descriptors are compared by one matrix product,
which measured seven to twenty times as fast on a processor as COLMAP's comparison, with the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.job import Job, Span
from .features import Features

ALL_PAIRS = 30
"""Up to so many pictures, every pair is matched: of more, the time would grow with their square."""

RATIO = 0.8
"""A match's descriptors must be nearer than the next best by this (Lowe 2004; COLMAP's value too)."""

LARGEST_ANGLE = 0.7
"""Radians between the descriptors of a match, COLMAP's value."""

_PARTNERS = 14  # of the pictures that look most alike, so many are matched with each, where not all are
_ALIKE = 4  # matches among the largest keypoints, below which two pictures have nothing in common
_NEIGHBOURS = (1, 2, 3, 4, 6, 8, 12, 16)  # in a video, frames so far apart are matched


def worth_matching(features: Sequence[Features], ordered: bool, job: Job | Span) -> list[tuple[int, int]]:
    """The pairs of pictures, smaller number first, that may show the same."""
    count = len(features)
    if count <= ALL_PAIRS:
        return [(i, j) for i in range(count) for j in range(i + 1, count)]
    alike = np.zeros((count, count), np.int64)
    for i in range(count):
        job.report(i / count, "comparing", f"looking for pictures of the same, {i + 1} of {count}")
        for j in range(i + 1, count):
            alike[i, j] = alike[j, i] = len(matches(features[i].coarse, features[j].coarse))
    partners = np.argsort(-alike, axis=1, kind="stable")[:, :_PARTNERS]
    chosen = {(min(i, j), max(i, j)) for i in range(count) for j in map(int, partners[i]) if alike[i, j] >= _ALIKE}
    if ordered:
        chosen |= {(i, i + step) for step in _NEIGHBOURS for i in range(count - step)}
    return sorted(chosen)


def matches(first: Features, second: Features) -> np.ndarray:
    """(M, 2) uint32: which keypoints of the first are which of the second; each is the other's best, and clearly so."""
    if len(first.keypoints) < 2 or len(second.keypoints) < 2:
        return np.zeros((0, 2), np.uint32)
    return clear_pairs(first.directions @ second.directions.T, LARGEST_ANGLE, RATIO).astype(np.uint32)


def clear_pairs(likeness: np.ndarray, largest_angle: float, ratio: float) -> np.ndarray:
    """(M, 2) int64: rows and columns of likeness (N, K), cosines, that are each other's best, and clearly so.

    largest_angle: radians of a pair. ratio: of a row's best angle and its next best. likeness is written to.
    """
    best, back, number = likeness.argmax(1), likeness.argmax(0), np.arange(len(likeness))
    angle = np.arccos(likeness[number, best].clip(-1.0, 1.0))
    likeness[number, best] = -1.0
    next_best = np.arccos(likeness.max(1).clip(-1.0, 1.0))
    sure = (back[best] == number) & (angle < largest_angle) & (angle < ratio * next_best)
    return np.stack([number[sure], best[sure]], 1)
