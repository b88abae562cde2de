# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts flat charts side by side into a square, as falling blocks do: each goes where its lower outline comes to lie
deepest on what is there already (Levy et al. 2002, section 4, "Tetris").

Must not know meshes or textures. Lengths are in texels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...core.errors import Unable
from .rasterise import runs

_ATTEMPTS = 8  # scales that are tried until the square is full
_FEW = 24  # columns of a chart, about half of which tell where it cannot lie
Order = Callable[[np.ndarray, np.ndarray], np.ndarray]
_ORDERS: tuple[Order, ...] = (
    np.maximum,
    lambda width, tall: tall,
    lambda width, tall: width * tall,
    lambda width, tall: width + tall,
)
"""What charts of these widths and heights are put down by, the largest first."""
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


def packed(
    outlines: Outlines, area: float, size: int, padding: int, check: Callable[[], None] = lambda: None
) -> tuple[float, np.ndarray]:
    """The scale and the offsets (count, 2) at which all charts lie in a square of `size` texels, at least `padding`
    texels apart and half of that from its border. area: of all charts together, before the scale. check: called before
    each attempt, and may raise to stop. Raises Unable where the charts do not fit however small they are.
    """
    full = Unable(
        f"the surface comes to {outlines.count:,} pieces, which do not fit a texture of {size} texels: choose a larger "
        "texture, or weld the mesh's vertices by distance first"
    )
    if outlines.count * padding**2 > size**2:  # what is kept free around each
        raise full
    room, taken = _room(outlines, size, padding), _Boxes.of(outlines, padding)
    scale = min(np.sqrt(0.6 * size * size / max(area, 1e-30)), room)
    best: tuple[float, np.ndarray] | None = None
    too_large, orders = np.inf, list(_ORDERS)
    for _ in range(_ATTEMPTS):
        offsets, height = _dropped(outlines, scale, size, padding, orders, check)
        if height <= size:
            best = scale, offsets
            if height >= _FULL * size or scale >= room:
                break
        else:
            too_large = scale
        wanted = taken.scaled(scale, 0.994 * size / height)
        if best and not best[0] < wanted < too_large:
            wanted = 0.5 * (best[0] + too_large)
        scale = min(wanted, room)
    while best is None:
        scale *= 0.8
        offsets, height = _dropped(outlines, scale, size, padding, orders, check)
        best = (scale, offsets) if height <= size else None
        if scale * size < 1e-9 * room:
            raise full
    return best


@dataclass(frozen=True)
class _Boxes:
    """The area of all charts' boxes, with half the padding around each, at a scale: square scale^2 + edge scale +
    padding."""

    square: float
    edge: float
    padding: float

    @classmethod
    def of(cls, outlines: Outlines, padding: int) -> _Boxes:
        box = np.zeros((outlines.count, 2))
        np.maximum.at(box, outlines.chart, outlines.ends.max(axis=1))
        return cls(float(box.prod(axis=1).sum()), float(padding * box.sum()), float(padding**2 * outlines.count))

    def scaled(self, scale: float, share: float) -> float:
        """The scale at which they take that share of what they take at this one, or half the scale if none is small
        enough."""
        wanted = share * (self.square * scale**2 + self.edge * scale + self.padding) - self.padding
        root = np.sqrt(max(self.edge**2 + 4.0 * self.square * wanted, 0.0))
        return (root - self.edge) / (2.0 * self.square) if wanted > 0.0 and self.square > 0.0 else scale / 2.0


def _room(outlines: Outlines, size: int, padding: int) -> float:
    """The largest scale at which the longest chart still fits the square."""
    longest = float(outlines.ends.max(initial=0.0))
    return (size - padding - 2) / max(longest, 1e-30)


def _dropped(
    outlines: Outlines, scale: float, size: int, padding: int, orders: list[Order], check: Callable[[], None]
) -> tuple[np.ndarray, float]:
    """Offsets (count, 2) of the charts at a scale, and the height that they need, in the best of the orders; of those
    the two best stay, as they will be the best of them at another scale."""
    low, high, begin = _profiles(outlines, scale, padding)
    width, tall = np.diff(begin), np.maximum.reduceat(high, begin[:-1])
    tried = []
    for order in orders:
        check()
        tried.append(_laid_down(low, high, begin, np.lexsort((-width, -order(width, tall))), size))
    ranked = sorted(range(len(orders)), key=lambda number: tried[number][1])
    orders[:] = [orders[number] for number in ranked[:2]]
    offsets, height = tried[ranked[0]]
    return offsets + padding / 2.0, height


def _laid_down(
    low: np.ndarray, high: np.ndarray, begin: np.ndarray, order: np.ndarray, size: int
) -> tuple[np.ndarray, float]:
    """Offsets (count, 2) of the charts, put down in this order, and the height that they need."""
    width, floor = np.diff(begin), np.zeros(size)
    offsets = np.zeros((len(width), 2))
    for chart in order:
        part = slice(begin[chart], begin[chart + 1])
        left, lowest = _lowest(floor, low[part])
        bottom = np.ceil(lowest)
        floor[left : left + width[chart]] = bottom + high[part]
        offsets[chart] = left, bottom
    return offsets, float(floor.max())


def _lowest(floor: np.ndarray, low: np.ndarray) -> tuple[int, float]:
    """The first column at which a chart with the lower outline `low` (w,) comes to lie lowest on the floor, and where.

    What a few of its columns rest on is less or equal to what all do: places that lie higher even so are not looked at.
    """
    places = len(floor) - len(low) + 1
    windows = np.ndarray((places, len(low)), floor.dtype, floor, strides=floor.strides * 2)  # the floor from each on
    if len(low) <= _FEW:
        rest = (windows - low).max(axis=1)
        first = int(rest.argmin())
        return first, rest[first]
    step = len(low) // (_FEW // 2)
    at_least = (windows[:, ::step] - low[::step]).max(axis=1)
    found = (windows[int(at_least.argmin())] - low).max()
    hopeful = np.flatnonzero(at_least <= found)
    rest = (windows[hopeful] - low).max(axis=1)
    best = int(rest.argmin())
    return int(hopeful[best]), rest[best]


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
