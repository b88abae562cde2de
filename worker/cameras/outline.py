# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a thing is in its picture, roughly: good enough for the box that it fills, not for a matte.

Must not know cameras. A picture without alpha tells it where its backdrop is plain, or dark: then what is bright is the
thing (Otsu 1979 tells bright from dark).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..pictures.plain import plain_background

DARK = 64.0
"""8-bit grey level under which almost all of a picture's border lies where the backdrop is dark."""

SHARES = (0.004, 0.9)
"""Least and largest share of its picture that a thing covers."""

SHARE_WITH_OUTLINE = 0.8
"""What a plain or dark backdrop tells of the thing's outline counts if at least this share of the pictures tell it."""

_APART = 0.75  # of the brightness's variance lies between bright and dark where there are two kinds of pixels
_SHADE = 0.6  # of the level between bright and dark: parts of the thing that lie in shadow belong to it
_PIECE = 0.05  # of the largest piece: smaller ones are lint on the backdrop


def outlines(pictures: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> list[np.ndarray | None]:
    """Where the thing is in each picture and its alpha, (H, W) bool: by alpha, or where almost all have a plain or dark
    backdrop."""
    found = [alpha >= 128 if alpha is not None else outline(rgb) for rgb, alpha in pictures]
    enough = sum(shape is not None for shape in found) >= SHARE_WITH_OUTLINE * len(found)
    return [shape if enough or alpha is not None else None for shape, (_, alpha) in zip(found, pictures)]


def outline(rgb: np.ndarray) -> np.ndarray | None:
    """(H, W) bool where the thing is in the picture (H, W, 3) uint8, or None where it does not tell."""
    grey = rgb.astype(np.float32).mean(-1)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    found = _bright(grey) if np.percentile(border, 90.0) < DARK else _not_plain(rgb)
    return found if found is not None and SHARES[0] <= found.mean() <= SHARES[1] else None


def _not_plain(rgb: np.ndarray) -> np.ndarray | None:
    background = plain_background(rgb)
    return None if background is None else ~background


def _bright(grey: np.ndarray) -> np.ndarray | None:
    level, apart = otsu(grey)
    if apart < _APART:
        return None
    labels, count = ndimage.label(ndimage.binary_opening(grey > _SHADE * level))
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return ndimage.binary_fill_holes((sizes >= _PIECE * sizes.max())[labels])


def otsu(grey: np.ndarray) -> tuple[float, float]:
    """The level that parts the values (0 to 255) best into dark and bright, and the share of their variance that lies
    between both parts, 0 to 1."""
    counts = np.bincount(grey.ravel().astype(np.intp), minlength=256).astype(float)
    levels, total = np.arange(256.0), counts.sum()
    below, weighted = np.cumsum(counts), np.cumsum(counts * levels)
    above, mean = total - below, weighted[-1] / total
    between = np.where((below > 0) & (above > 0), (mean * below - weighted) ** 2 / np.maximum(below * above, 1.0), 0.0)
    variance = (counts * (levels - mean) ** 2).sum() / total
    best = float(between.max())
    level = np.flatnonzero(between >= (1.0 - 1e-9) * best).mean()  # with nothing between both parts, amid them
    return float(level) + 0.5, best / max(variance, 1e-12)
