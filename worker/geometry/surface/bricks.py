# SPDX-License-Identifier: GPL-3.0-or-later
"""A grid of samples of which only the bricks near a surface exist.

A brick is a cube of `side` samples along each axis; the samples on its far faces belong to the next bricks. Samples
that are not known are NaN. Must not know what is sampled.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

OFFSETS = np.array(list(product((0, 1), repeat=3)))
"""(8, 3) from a brick to itself and to the seven next to its far faces."""

_CHUNK = 1 << 18  # samples


class Bricks:
    """side: a power of two. places: (n, 3) int64 position of each brick, in bricks. values: (n + 1, side, side, side)
    float32; the last belongs to no brick and is always NaN, so that the number -1 can stand for one that does not
    exist. beyond: (n, 8) int32 numbers of the bricks at OFFSETS, -1 where there is none."""

    def __init__(self, coarse: np.ndarray, side: int) -> None:
        """coarse: every `side`-th sample of the whole grid, the first of each brick that may come to be."""
        self.side, self._coarse = side, coarse
        self._number = np.full(np.add(coarse.shape, 2), -1, np.int32)  # with a border, in which there never is a brick
        self.places = np.zeros((0, 3), np.int64)
        self.values = np.full((1, side, side, side), np.nan, np.float32)
        self.beyond = np.zeros((0, 8), np.int32)

    def add(self, wanted: np.ndarray) -> bool:
        """Make those bricks of a mask in the grid's shape that are not there yet; whether there were any."""
        places = np.argwhere(wanted & (self._number[1:-1, 1:-1, 1:-1] < 0))
        if not len(places):
            return False
        first = len(self.places)
        self._number[tuple(places.T + 1)] = np.arange(first, first + len(places), dtype=np.int32)
        self.places = np.concatenate([self.places, places])
        blank = np.full((len(places), *self.values.shape[1:]), np.nan, np.float32)
        blank[:, 0, 0, 0] = self._coarse[tuple(places.T)]
        self.values = np.concatenate([self.values[:-1], blank, self.values[-1:]])
        corner = self.places + 1
        self.beyond = np.stack([self._number[tuple((corner + offset).T)] for offset in OFFSETS], axis=1)
        return True

    def mixed(self) -> np.ndarray:
        """(k,) numbers of the bricks that know both a sample inside and one outside, the far faces included."""
        inside = np.append((self.values[:-1] > 0.0).any(axis=(1, 2, 3)), False)
        outside = np.append((self.values[:-1] <= 0.0).any(axis=(1, 2, 3)), False)
        return np.flatnonzero(inside[self.beyond].any(axis=1) & outside[self.beyond].any(axis=1))

    def chunks(self, which: np.ndarray) -> list[np.ndarray]:
        """Bricks (k,) in portions that fit a processor's cache."""
        return np.array_split(which, -(-len(which) * self.side**3 // _CHUNK) or 1)

    def gathered(self, which: np.ndarray, step: int = 1) -> np.ndarray:
        """Every `step`-th sample of some bricks with their far faces, (k, m + 1, m + 1, m + 1) for m = side / step."""
        count = self.side // step
        whole = np.empty((len(which), count + 1, count + 1, count + 1), np.float32)
        for column, (there, source) in enumerate(_shares(count, step)):
            whole[there] = self.values[(self.beyond[which, column], *source[1:])]
        return whole

    def numbers(self, which: np.ndarray) -> np.ndarray:
        """(k, side + 1, side + 1, side + 1) int64 where `values`, laid out flat, has what `gathered` brings."""
        whole = np.empty((len(which), *(self.side + 1,) * 3), np.int64)
        local = np.arange(self.side**3).reshape(1, self.side, self.side, self.side)
        for column, (there, source) in enumerate(_shares(self.side, 1)):
            whole[there] = self.beyond[which, column][:, None, None, None] * self.side**3 + local[source]
        return whole

    def mask(self) -> np.ndarray:
        """Of the shape of `values`, with nothing chosen."""
        return np.zeros(self.values.shape, bool)

    def scatter(self, whole: np.ndarray, which: np.ndarray, mask: np.ndarray) -> None:
        """The reverse for masks: choose also what is chosen in whole (k, m + 1, m + 1, m + 1), over every (side / m)-th
        sample of the bricks `which`, where there are bricks for it."""
        count = whole.shape[1] - 1
        for column, (there, target) in enumerate(_shares(count, self.side // count)):
            mask[(self.beyond[which, column], *target[1:])] |= whole[there]
        mask[-1] = False

    def positions(self, samples: np.ndarray) -> np.ndarray:
        """(k, 3) int64 grid positions of samples (k,), which are numbered as `values` laid out flat has them."""
        bits = self.side.bit_length() - 1
        found = self.places[samples >> 3 * bits] << bits
        for axis in range(3):
            found[:, axis] += samples >> (2 - axis) * bits & self.side - 1
        return found

    def no_places(self) -> np.ndarray:
        """Of the grid's shape in bricks, with nothing chosen."""
        return np.zeros(self._coarse.shape, bool)

    def mark_beyond(self, whole: np.ndarray, which: np.ndarray, places: np.ndarray) -> None:
        """Choose the places of what whole (k, side + 1, side + 1, side + 1) has chosen on the far faces."""
        for offset in OFFSETS[1:]:
            face = tuple(slice(-1, None) if o else slice(None) for o in offset)
            self._mark(which[whole[(slice(None), *face)].any(axis=(1, 2, 3))], offset, places)

    def mark_before(self, inside: np.ndarray, outside: np.ndarray, which: np.ndarray, places: np.ndarray) -> None:
        """Choose the places next to near faces and edges that the surface crosses.

        inside, outside: (k, side + 1, side + 1, side + 1) bool over the bricks `which`.
        """
        for offset in OFFSETS[1:-1]:  # no surface crosses a corner
            face = (slice(None), *(slice(1) if o else slice(None) for o in offset))
            crossed = inside[face].any(axis=(1, 2, 3)) & outside[face].any(axis=(1, 2, 3))
            self._mark(which[crossed], -offset, places)

    def _mark(self, which: np.ndarray, offset: np.ndarray, places: np.ndarray) -> None:
        places[tuple((self.places[which] + offset).T)] = True


@cache
def _shares(count: int, step: int) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each of OFFSETS, which part of blocks of (count + 1)^3 samples its bricks have, and where in themselves."""
    return [
        (
            (slice(None), *(slice(count, None) if o else slice(count) for o in offset)),
            (slice(None), *(slice(1) if o else slice(None, None, step) for o in offset)),
        )
        for offset in OFFSETS
    ]
