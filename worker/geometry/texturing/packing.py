# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts flat charts side by side into a square, as falling blocks do: each goes where its lower outline comes to lie
deepest on what is there already (Levy et al. 2002, section 4, "Tetris").

Must not know meshes or textures. Lengths are in texels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .rasterise import runs

_ATTEMPTS = 8  # scales that are tried until the square is full
_FULL = 0.97  # the share of the square's height that is good enough


@dataclass(frozen=True, eq=False)
class Outlines:
    """Segments that draw the charts: their outlines, or all their edges.

    ends: (S, 2, 2) float64. chart: (S,) int64, in 0 .. count - 1. Every chart has at least one, and the smallest
    coordinates of each chart are (0, 0).
    """

    ends: np.ndarray
    chart: np.ndarray
    count: int


def packed(outlines: Outlines, area: float, size: int, padding: int) -> tuple[float, np.ndarray]:
    """The scale and the offsets (count, 2) at which all charts lie in a square of `size` texels, at least `padding`
    texels apart and half of that from its border. area: of all charts together, before the scale.
    """
    room = _room(outlines, size, padding)
    scale = min(np.sqrt(0.6 * size * size / max(area, 1e-30)), room)
    best: tuple[float, np.ndarray] | None = None
    too_large = np.inf
    for _ in range(_ATTEMPTS):
        offsets, height = _dropped(outlines, scale, size, padding)
        if height <= size:
            best = scale, offsets
            if height >= _FULL * size or scale >= room:
                break
        else:
            too_large = scale
        wanted = scale * np.sqrt(size / height) * 0.997
        if best and not best[0] < wanted < too_large:
            wanted = 0.5 * (best[0] + too_large)
        scale = min(wanted, room)
    while best is None:
        scale *= 0.8
        offsets, height = _dropped(outlines, scale, size, padding)
        best = (scale, offsets) if height <= size else None
        if scale * size < 1e-9 * room:
            raise ValueError(f"{outlines.count} charts {padding} texels apart do not fit a texture of {size} texels")
    return best


def _room(outlines: Outlines, size: int, padding: int) -> float:
    """The largest scale at which the longest chart still fits the square."""
    longest = float(outlines.ends.max(initial=0.0))
    return (size - padding - 2) / max(longest, 1e-30)


def _dropped(outlines: Outlines, scale: float, size: int, padding: int) -> tuple[np.ndarray, float]:
    """Offsets (count, 2) of the charts at a scale, and the height that they need."""
    low, high, begin = _profiles(outlines, scale, padding)
    width, tall = np.diff(begin), np.maximum.reduceat(high, begin[:-1])
    keys = (np.maximum(tall, width), tall, width * tall, width + tall)
    tried = (_laid_down(low, high, begin, np.lexsort((-width, -key)), size) for key in keys)
    offsets, height = min(tried, key=lambda found: found[1])
    return offsets + padding / 2.0, height


def _laid_down(
    low: np.ndarray, high: np.ndarray, begin: np.ndarray, order: np.ndarray, size: int
) -> tuple[np.ndarray, float]:
    """Offsets (count, 2) of the charts, put down in this order, and the height that they need."""
    width, floor = np.diff(begin), np.zeros(size)
    offsets = np.zeros((len(width), 2))
    for chart in order:
        part = slice(begin[chart], begin[chart + 1])
        rest = (sliding_window_view(floor, width[chart]) - low[part]).max(axis=1)
        left = int(rest.argmin())
        bottom = np.ceil(rest[left])
        floor[left : left + width[chart]] = bottom + high[part]
        offsets[chart] = left, bottom
    return offsets, float(floor.max())


def _profiles(outlines: Outlines, scale: float, padding: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest position (T,) of each chart in each column that it touches, half the padding around it
    included, one chart's columns after another's, and where each begins (count + 1,)."""
    half = padding / 2.0
    ends = outlines.ends * scale + half
    wide = np.zeros(outlines.count)
    np.maximum.at(wide, outlines.chart, ends[..., 0].max(axis=1))
    begin = np.concatenate([[0], np.cumsum(np.ceil(wide + half).astype(np.int64))])
    first = np.floor(ends[..., 0].min(axis=1) - half).astype(np.int64)
    last = np.ceil(ends[..., 0].max(axis=1) + half).astype(np.int64)
    segment, step = runs(last - first)
    column = first[segment] + step
    y = [_height_at(ends[segment], column + reach) for reach in (-half, 1.0 + half)]
    slot = begin[outlines.chart[segment]] + column
    low, high = np.full(begin[-1], np.inf), np.full(begin[-1], -np.inf)
    np.minimum.at(low, slot, np.minimum(*y) - half)
    np.maximum.at(high, slot, np.maximum(*y) + half)
    return low, high, begin


def _height_at(ends: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N,) y of segments (N, 2, 2) at x, or at the end that lies nearest to it."""
    run = ends[:, 1, 0] - ends[:, 0, 0]
    along = (x - ends[:, 0, 0]) / np.where(run == 0, 1.0, run)
    steep = np.clip(along, 0.0, 1.0)
    return ends[:, 0, 1] + steep * (ends[:, 1, 1] - ends[:, 0, 1])
