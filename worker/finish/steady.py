# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps of a sequence in one scale: what two frames both show keeps its depth, in the median.

Frames are compared at a small size, a few apart each, along the optical flow between them (iterative Lucas-Kanade, Le
Besnerais and Champagnat 2005, as scikit-image has it). All comparisons together, and what the network says of each
frame by itself, give the scales by least squares, so that what is added up over a long way does not drift off. Of
relative networks scale and shift are fitted to the frame before. Must not know networks or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.registration import optical_flow_ilk

from ..core.job import Job, Span
from ..core.representations import DepthMap

COMPARED = 128
"""Pixels of the longer side at which two frames are compared."""

APART = (1, 2, 4)
"""Frames between two that are compared."""

ALIKE = 16.0
"""8-bit grey levels by which what the flow brings together may differ, to be the same."""

OWN = 0.02
"""Weight of the scale that a network says of one frame by itself, beside a comparison's. On 40 frames of 7-Scenes
scales stray by 9 % (14 % of frames alone), with a quarter of it by 9, with five times as much by 10."""

LEAST = 0.3
"""Share of the pixels that two frames must both show for a comparison to count."""


def steadied(found: Sequence[DepthMap], photos: Sequence[np.ndarray], job: Job | Span) -> list[DepthMap]:
    """The maps in one scale (and of relative networks one shift). photos: (H, W, 3) uint8 of each."""
    greys = [_grey(photo) for photo in photos]
    if not (found[0].metric or found[0].proportional):
        return _one_range(found, greys, job)
    pairs = []
    for number in range(len(found)):
        job.report(number / len(found), "bringing frames together", f"frame {number + 1} of {len(found)}")
        for apart in (each for each in APART if each <= number):
            before = number - apart
            if (grown := _log_ratio(found[before], found[number], greys[before], greys[number])) is not None:
                pairs.append((before, number, grown))
    offsets = _offsets(len(found), pairs)
    return [
        replace(each, inverse_depth=(each.inverse_depth * np.exp(offset)).astype(np.float32))
        for each, offset in zip(found, offsets)
    ]


def _offsets(count: int, pairs: Sequence[tuple[int, int, float]]) -> np.ndarray:
    """(count,) what to take off the logarithm of each frame's depth. pairs: two frames, and by what it has grown."""
    rows = np.zeros((len(pairs) + count, count))
    wanted = np.zeros(len(rows))
    for row, (before, now, grown) in enumerate(pairs):
        rows[row, before], rows[row, now], wanted[row] = -1.0, 1.0, grown
    rows[len(pairs) :] = OWN**0.5 * np.eye(count)
    return np.linalg.lstsq(rows, wanted, rcond=None)[0]


def _grey(photo: np.ndarray) -> np.ndarray:
    image = Image.fromarray(photo).convert("L")
    scale = COMPARED / max(image.size)
    size = [max(8, round(side * scale)) for side in image.size]
    return np.asarray(image.resize(size, Image.Resampling.BOX), np.float32)


def _at(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(shape[::-1], Image.Resampling.BOX))


def _brought(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the grey picture `before` (h, w) is in `now`, (2, h, w) rows and columns, and whether both
    show the same there, (h, w) bool."""
    flow = optical_flow_ilk(before, now, radius=5)
    places = np.indices(before.shape) + flow
    same = np.abs(ndimage.map_coordinates(now, places, order=1, mode="constant", cval=-1e3) - before) <= ALIKE
    return places, same


def _log_ratio(one: DepthMap, other: DepthMap, before: np.ndarray, now: np.ndarray) -> float | None:
    """By what the logarithm of depth has grown in the median of what both show; None where that is too little."""
    places, same = _brought(before, now)
    first, second = (_at(each.inverse_depth, before.shape) for each in (one, other))
    whole = (_at(each.valid, before.shape) > 0.99 for each in (one, other))
    here, there = next(whole), next(whole)
    second = ndimage.map_coordinates(np.where(there, second, 0.0), places, order=0, mode="constant")
    both = same & here & (first > 0) & (second > 0)
    return float(np.median(np.log(first[both] / second[both]))) if both.mean() >= LEAST else None


def _one_range(found: Sequence[DepthMap], greys: Sequence[np.ndarray], job: Job | Span) -> list[DepthMap]:
    """Relative maps, each brought to the one before by the scale and shift that fit what both show."""
    done = [found[0]]
    for number, now in enumerate(found[1:], 1):
        job.report(number / len(found), "bringing frames together", f"frame {number + 1} of {len(found)}")
        places, same = _brought(greys[number - 1], greys[number])
        one = _at(done[-1].inverse_depth, same.shape)
        other = ndimage.map_coordinates(_at(now.inverse_depth, same.shape), places, order=1, mode="nearest")
        chosen = same if same.mean() >= LEAST else np.ones_like(same)
        scale, shift = np.polyfit(other[chosen], one[chosen], 1) if np.ptp(other[chosen]) > 1e-9 else (1.0, 0.0)
        inverse = np.maximum(now.inverse_depth * max(scale, 1e-6) + shift, 0.0).astype(np.float32)
        done.append(replace(now, inverse_depth=inverse))
    return done
