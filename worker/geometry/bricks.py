# SPDX-License-Identifier: GPL-3.0-or-later
"""A grid of samples of which only the bricks near a surface exist.

A brick is a cube of `side` samples along each axis; the samples on its far faces belong to the next bricks. Samples
that are not known are NaN. Must not know what is sampled.
"""

from __future__ import annotations

from itertools import product

import numpy as np

OFFSETS = np.array(list(product((0, 1), repeat=3)))
"""(8, 3) from a brick to itself and to the seven next to its far faces."""


class Bricks:
    """places: (n, 3) int64 position of each brick, in bricks. values: (n + 1, side, side, side) float32; the last
    belongs to no brick and is always NaN, so that the number -1 can stand for one that does not exist.
    beyond: (n, 8) int32 numbers of the bricks at OFFSETS, -1 where there is none."""

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

    def gathered(self, values: np.ndarray, which: np.ndarray, step: int = 1) -> np.ndarray:
        """Every `step`-th sample of some bricks with their far faces, (k, m + 1, m + 1, m + 1) for m = side / step.

        values: (n + 1, side, side, side), this object's or others of the same layout.
        """
        count = self.side // step
        whole = np.empty((len(which), count + 1, count + 1, count + 1), values.dtype)
        for column, offset in enumerate(OFFSETS):
            source = tuple(slice(0, 1) if o else slice(None, None, step) for o in offset)
            there = tuple(slice(count, None) if o else slice(count) for o in offset)
            whole[(slice(None), *there)] = values[(self.beyond[which, column], *source)]
        return whole

    def scattered(self, whole: np.ndarray, which: np.ndarray) -> np.ndarray:
        """The reverse for masks: (n + 1, side, side, side) bool, what any brick's share of the samples asks for.

        whole: (k, m + 1, m + 1, m + 1) bool over every (side / m)-th sample of the bricks `which`.
        """
        count = whole.shape[1] - 1
        step = self.side // count
        mask = np.zeros(self.values.shape, bool)
        for column, offset in enumerate(OFFSETS):
            target = tuple(slice(0, 1) if o else slice(None, None, step) for o in offset)
            there = tuple(slice(count, None) if o else slice(count) for o in offset)
            mask[(self.beyond[which, column], *target)] |= whole[(slice(None), *there)]
        mask[-1] = False
        return mask

    def positions(self, mask: np.ndarray) -> np.ndarray:
        """(k, 3) int64 grid positions of a mask's samples, in the order in which `values[mask]` has them."""
        number, *local = np.nonzero(mask)
        return self.places[number] * self.side + np.stack(local, axis=1)

    def across(self, whole: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Places (a mask in the grid's shape) of what the samples on far faces belong to.

        whole: (k, side + 1, side + 1, side + 1) bool over the bricks `which`.
        """
        asked = np.zeros(self._coarse.shape, bool)
        for offset in OFFSETS[1:]:
            face = tuple(slice(-1, None) if o else slice(None) for o in offset)
            self._mark(asked, which[whole[(slice(None), *face)].any(axis=(1, 2, 3))], offset)
        return asked

    def before(self, inside: np.ndarray, outside: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Places (a mask in the grid's shape) next to the near faces and edges that the surface crosses.

        inside, outside: (k, side + 1, side + 1, side + 1) bool over the bricks `which`.
        """
        asked = np.zeros(self._coarse.shape, bool)
        for offset in OFFSETS[1:-1]:  # no surface crosses a corner
            face = (slice(None), *(slice(1) if o else slice(None) for o in offset))
            crossed = inside[face].any(axis=(1, 2, 3)) & outside[face].any(axis=(1, 2, 3))
            self._mark(asked, which[crossed], -offset)
        return asked

    def _mark(self, mask: np.ndarray, which: np.ndarray, offset: np.ndarray) -> None:
        mask[tuple((self.places[which] + offset).T)] = True
