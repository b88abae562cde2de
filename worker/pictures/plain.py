# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling a subject from a background that is plain: exact to the pixel, and without any network.

Must not know networks, geometry or files.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

PLAIN_TOLERANCE = 14.0
"""Largest distance (8-bit RGB, Euclidean) from the border's colour that still counts as the same plain background."""

NEARLY = 60.0
"""The same for what may still be the background: a soft shadow on it, or what JPEG leaves around a thing."""

PLAIN_SHARE = 0.85
"""A background is plain if that share of the picture's outermost pixels has one colour."""

_EDGE = 1 / 1000  # of the longer side: how far from the outline pixels are mixtures of the subject and its background
_CONTRAST = 20.0  # smallest distance of a subject's colour from the background's that is told from noise
_COLOURED = (20, 235)  # of 255: a background between these is neither black nor white
_OPENING, _JUST = 1 / 1000, 3.0  # of the picture's pixels, and of its colour's distance: what an opening has
_LIT = 100  # of 255: darker backgrounds show no shadow
_SHADOW_SIDE = 320  # pixels of the longer side of the picture in which a shadow is looked for
_DARKEST = 0.5  # of the background's light: what a soft shadow leaves
_HUE = 0.04  # of the same, by which its colour may differ
_SOFT, _EDGED = 0.06, 0.12  # of the same, over three such pixels: changes of a soft shadow at most, and at its end
_CONTACT, _DENSE = 4, 0.3  # such pixels beside the thing where it changes more, and by how much
_UNDER = 0.6  # of the thing's height, from above: shadows begin there
_SHADOW_SHARE = 0.25  # of the thing's pixels that a shadow has at most
_BAND = 64  # rows that are compared at a time
_EIGHT = np.ones((3, 3), bool)


def plain_background(rgb: np.ndarray) -> np.ndarray | None:
    """(H, W) bool: what is connected to the border of the (H, W, 3) picture and has the border's colour; None if it has
    no single colour, or if nothing else would remain."""
    border = _border(rgb)
    if (_distance(border, border) < PLAIN_TOLERANCE).mean() < PLAIN_SHARE:
        return None
    labels, count = ndimage.label(_within(rgb, PLAIN_TOLERANCE))
    reached = np.zeros(count + 1, bool)
    reached[_border(labels)] = True
    reached |= _openings(rgb, labels, count)
    reached[0] = False
    found = reached[labels]
    if found.all() or not found.any():
        return None
    return found | _shadow(rgb, found)


def _openings(rgb: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """(count + 1,) bool: which enclosed pieces of the background's colour (H, W) are seen through the thing: large ones
    that have just that colour, unless it is white or black, which labels, eyes and highlights have, too."""
    border = _border(rgb)
    if not _COLOURED[0] < np.median(border, axis=0).min() <= np.median(border, axis=0).max() < _COLOURED[1]:
        return np.zeros(count + 1, bool)
    away, sizes = _distance(rgb, border), np.bincount(labels.ravel(), minlength=count + 1)
    mean = np.bincount(labels.ravel(), away.ravel(), minlength=count + 1) / np.maximum(sizes, 1)
    return (sizes > _OPENING * labels.size) & (mean < max(_JUST, 2.0 * float(np.median(_distance(border, border)))))


def _shadow(rgb: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(H, W) bool: the soft shadow that the thing throws on the plain background (H, W) bool under it.

    It is the background's colour but darker, passes into it without an edge, and ends at the thing with one. All false
    where what would be taken is too much for a shadow, or has no edge to the thing: then it is the thing itself that is
    pale and smooth.
    """
    none, border = np.zeros_like(background), np.median(_border(rgb), axis=0).astype(np.float32)
    if border.min() < _LIT:
        return none
    size = tuple(max(1, round(side * min(1.0, _SHADOW_SIDE / max(rgb.shape[:2])))) for side in rgb.shape[1::-1])
    seen = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX), np.float32) / border
    clear = np.asarray(Image.fromarray(background).resize(size, Image.Resampling.NEAREST))
    grey = seen.mean(axis=2)
    step = ndimage.maximum_filter(grey, 3) - ndimage.minimum_filter(grey, 3)
    labels, _ = ndimage.label(clear | (_darker(seen) & (step < _SOFT)))
    found = np.isin(labels, np.setdiff1d(labels[clear], 0)) & ~clear
    low = np.arange(len(clear))[:, None] > _lower(~clear)
    near = ndimage.binary_dilation(found & low, _EIGHT, _CONTACT, mask=_darker(seen) & (step < _DENSE) | clear)
    found = near & low & ~clear
    thing = ~(clear | found)
    end = ndimage.binary_dilation(found, _EIGHT, 2) & thing
    if found.sum() > _SHADOW_SHARE * thing.sum() or not end.any() or np.median(step[end]) < _EDGED:
        return none
    whole = np.asarray(Image.fromarray(found).resize(rgb.shape[1::-1], Image.Resampling.NEAREST))
    beside = ndimage.binary_dilation(whole, _EIGHT, max(1, round(max(rgb.shape[:2]) / _SHADOW_SIDE)))
    return beside & _darker(rgb / border)


def _darker(ratio: np.ndarray) -> np.ndarray:
    """(H, W) bool: where colours, as ratios (H, W, 3) of the background's, are those of a shadow on it."""
    middle = ratio.mean(axis=2)
    return (middle > _DARKEST) & (middle < 1.02) & (np.abs(ratio - middle[..., None]).max(axis=2) < _HUE)


def _lower(subject: np.ndarray) -> float:
    """The row below which a thing (H, W) bool throws its shadow."""
    rows = np.flatnonzero(subject.any(axis=1))
    return float(rows[0] + _UNDER * (rows[-1] - rows[0]))


def nearly_plain(rgb: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose colour is the border's, or near it."""
    return _within(rgb, NEARLY)


def plain_alpha(rgb: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The subject's share (H, W) uint8 of each pixel, where the `background` (H, W) bool of the picture is plain.

    Pixels on the outline are mixtures: their share is how far their colour is from the background's, measured by the
    farthest one around.
    """
    distance, reach = _distance(rgb, _border(rgb)), max(1, round(max(rgb.shape[:2]) * _EDGE))
    noise = float(np.median(distance[background]))
    outline = ndimage.binary_dilation(background, _EIGHT, reach) & ndimage.binary_dilation(~background, _EIGHT, reach)
    farthest = ndimage.maximum_filter(np.where(background, 0.0, distance), 4 * reach + 1)
    share = (distance - noise) / np.maximum(farthest - noise, _CONTRAST)
    share = np.where(outline, np.clip(share, 0.0, 1.0), ~background)
    return np.rint(255.0 * share).astype(np.uint8)


def _within(rgb: np.ndarray, tolerance: float) -> np.ndarray:
    """(H, W) bool: where a pixel's colour is so near to the border's most usual one."""
    near, border = np.empty(rgb.shape[:2], bool), _border(rgb)
    for row in range(0, len(rgb), _BAND):  # a huge picture's numbers are many
        near[row : row + _BAND] = _distance(rgb[row : row + _BAND], border) < tolerance
    return near


def _distance(rgb: np.ndarray, border: np.ndarray) -> np.ndarray:
    """(...) float32: how far each colour (..., 3) is from the most usual one of the border's (N, 3)."""
    away = rgb.astype(np.float32) - np.median(border, axis=0).astype(np.float32)
    return np.sqrt(np.einsum("...c,...c->...", away, away))


def _border(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
