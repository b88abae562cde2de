# SPDX-License-Identifier: GPL-3.0-or-later
"""The outline of a cut-out: a small, smeared matte brought to the photo's edges, and colours freed of the background.

Must not know networks, geometry or files.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

FINEST = 2048
"""Longer side in pixels beyond which outlines are not refined: no network here sees, and no texture shows, more."""

_COARSEST = 768  # longer side at which the filter's coefficients are found, at least
_RADIUS = 2.0  # of the filter, in pixels of the matte
_SMOOTHNESS = 1e-5  # squared difference of colours (0 to 1) below which the photo says nothing about the edge
_SMEARED, _RINGING = (0.25, 0.75), (0.2, 0.8)  # what the network blurred, and what the filter leaves of it
_COLOUR_RADII = (1 / 12, 1 / 120)  # of the longer side: first where colours come from, then how local they are


def refined(matte: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """The matte (h, w) float32 in [0, 1] at the photo's size, (H, W) float32, with its outline on the photo's edges.

    rgb: (H, W, 3) uint8. A guided filter (He et al. 2013), whose coefficients are found on a smaller photo and applied
    to the large one (He and Sun 2015). Networks smear an outline over some of their pixels, so the matte is steepened
    before and after.
    """
    shape, cell = rgb.shape[:2], max(matte.shape)
    fine = _within(shape, FINEST)
    coarse = _within(shape, min(FINEST, max(_COARSEST, cell)))
    guide = _photo(rgb, coarse)
    radius = max(1, round(_RADIUS * max(coarse) / cell))
    slope, offset = _linear_model(guide, _steepened(_resized(matte, coarse), *_SMEARED), radius)
    guide = _photo(rgb, fine)
    found = _resized(offset, fine)
    for channel in range(3):
        found += _resized(slope[..., channel], fine) * guide[..., channel]
    return np.clip(_resized(_steepened(found, *_RINGING), shape), 0.0, 1.0)


def decontaminated(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The photo (H, W, 3) uint8 with the subject's own colours where it is mixed with the background, (H, W, 3) uint8.

    alpha: (H, W) uint8, the subject's share. Where it is 0 or 255 nothing changes. Estimates both colours as weighted
    means around and corrects the subject's so that the mixture is the photo's ("blur fusion", Forte 2021, ICIP).
    """
    mixed = (alpha > 0) & (alpha < 255)
    if not mixed.any():
        return rgb
    rows, columns = np.flatnonzero(mixed.any(axis=1)), np.flatnonzero(mixed.any(axis=0))
    pad = 2 * max(1, round(max(rgb.shape[:2]) * _COLOUR_RADII[1]))
    box = tuple(slice(max(0, int(used[0]) - pad), int(used[-1]) + pad + 1) for used in (rows, columns))
    inner, shape = mixed[box], _within(mixed[box].shape, FINEST)  # a large photo in full would take gigabytes
    photo, share = 255.0 * _photo(rgb[box], shape), _photo(alpha[box], shape)[..., None]
    subject = background = photo
    for radius in _COLOUR_RADII:
        size = 2 * max(1, round(max(rgb.shape[:2]) * radius * max(shape) / max(inner.shape))) + 1
        subject, background = _fused(photo, share, subject, background, size)
    own, behind = (_as_large(colours, inner.shape)[inner].astype(np.float32) for colours in (subject, background))
    share, result = alpha[box][inner][:, None].astype(np.float32) / 255.0, rgb.copy()
    rest = rgb[box][inner] - share * own - (1.0 - share) * behind
    result[box][inner] = np.rint(np.clip(own + share * rest, 0.0, 255.0)).astype(np.uint8)
    return result


def _as_large(colours: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Colours (h, w, 3) in 0 to 255 as (H, W, 3) uint8."""
    small = Image.fromarray(np.rint(colours).astype(np.uint8))
    return np.asarray(small.resize(shape[::-1], Image.Resampling.BILINEAR))


def _fused(
    photo: np.ndarray, share: np.ndarray, subject: np.ndarray, background: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """One round of blur fusion: better colours (H, W, 3) of subject and background, both in 0 to 255."""
    near = _mean(share, size)
    subject = _mean(subject * share, size) / np.maximum(near, 1e-5)
    background = _mean(background * (1.0 - share), size) / np.maximum(1.0 - near, 1e-5)
    rest = photo - share * subject - (1.0 - share) * background
    return np.clip(subject + share * rest, 0.0, 255.0), background


def _linear_model(guide: np.ndarray, values: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """The guided filter's mean coefficients: values (h, w) are about slope (h, w, 3) times guide (h, w, 3) + offset."""
    size = 2 * radius + 1
    mean, mean_value = _mean(guide, size), _mean(values, size)
    with_value = _mean(guide * values[..., None], size) - mean * mean_value[..., None]
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    rr, rg, rb, gg, gb, bb = (
        _mean(guide[..., i] * guide[..., j], size) - mean[..., i] * mean[..., j] + _SMOOTHNESS * (i == j)
        for i, j in pairs
    )
    # The inverse of a symmetric 3 x 3 matrix by its cofactors, for all pixels at once
    cofactors = (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb)
    determinant = rr * cofactors[0] + rg * cofactors[1] + rb * cofactors[2]
    inverse = (
        cofactors,
        (cofactors[1], rr * bb - rb * rb, rb * rg - rr * gb),
        (cofactors[2], rb * rg - rr * gb, rr * gg - rg * rg),
    )
    slope = np.stack([sum(line[k] * with_value[..., k] for k in range(3)) / determinant for line in inverse], axis=2)
    offset = mean_value - (slope * mean).sum(axis=2)
    return _mean(slope, size), _mean(offset, size)


def _mean(values: np.ndarray, size: int) -> np.ndarray:
    """Means over size x size pixels, each channel for itself."""
    return ndimage.uniform_filter(values, (size, size) + (1,) * (values.ndim - 2), mode="nearest")


def _steepened(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _within(shape: tuple[int, int], longer_side: int) -> tuple[int, int]:
    scale = min(1.0, longer_side / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _resized(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.array(image.resize(shape[::-1], Image.Resampling.BICUBIC))


def _photo(rgb: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Eight-bit values (H, W) or (H, W, 3) at a smaller size, float32 in [0, 1]."""
    small = Image.fromarray(rgb).resize(shape[::-1], Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255.0
