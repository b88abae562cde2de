# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoes what is large and smooth between a mesh's outline and a picture's: how it was stretched, bent and swung.

One smooth map of space (a polynomial of the place, in the mesh's own axes, in which things are mostly stretched and
bent) and the camera's place are looked for together, so that neither takes what is the other's: first stretches, then
bends. Each round matches the outlines and solves for both (Gauss and Newton), with a price on whatever moves. Must not
know colours or files.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core.view import View
from .outline_match import Matched, Outline, matched
from .outline_pull import framed, reduced
from .texturing.projection import moved
from .texturing.rasterise import projected

_FACES = 6_000  # of the mesh on which it is worked out
_NUMBERS = 5, 3, 18  # of the camera's place, of stretches, of bends
_STAGES = ((8, 0.25, 6), (26, 0.15, 8))  # so many of the numbers, reach of the picture's side, rounds
_TURN, _SHIFT, _STRETCH, _BEND = 0.02, 0.001, 0.02, 0.03
"""Prices: parts of the picture's side by which outlines may be apart on average rather than that the camera swings by a
radian, moves by the thing's size, the thing becomes e times as long, or its ends move by half its longest side. On five
of YCB's scans, each deformed in three ways: with .05 for each, normals get better by half as much."""

_CAMERA = _NUMBERS[0]


def warped(
    vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, view: View, check: Callable[[], None] = lambda: None
) -> tuple[np.ndarray, View]:
    """Vertices (V, 3) float32 and the view, both moved so that the outline is more like the mask's (H, W) bool; its
    middle stays where it is. faces: (F, 3). check: called between the rounds, may raise."""
    few, triangles = reduced(vertices, faces, _FACES)
    small, shown = framed(mask, few, view)
    search, outline = _Search(few, small), Outline.of(shown)
    found = np.zeros(sum(_NUMBERS))
    for count, reach, rounds in _STAGES:
        for _ in range(rounds):
            check()
            points, here = search.at(found)
            pairs = matched(points, triangles, here, outline, reach)
            if len(pairs.point) < count:
                break
            found = search.better(found, pairs, count, outline.side)
    bent, there = search.bent(vertices, found), moved(view, found[:_CAMERA], search.middle, search.size)
    shift = search.middle - (bent.min(axis=0) + bent.max(axis=0)) / 2.0  # of both, which no picture shows
    return (bent + shift).astype(np.float32), View(there.camera, there.rotation, there.position + shift)


class _Search:
    """The unknowns: five of the camera's place, as in projection.moved, then the map's."""

    def __init__(self, points: np.ndarray, view: View) -> None:
        low, high = points.min(axis=0), points.max(axis=0)
        self.points, self.view = points, view
        self.middle, self.half = (low + high) / 2.0, float((high - low).max()) / 2.0
        self.size = float(np.linalg.norm(high - low))
        self.mean = self._squares(points).mean(axis=0)  # so that what is bent stays where it is
        self.price = np.repeat([_SHIFT, _TURN, _STRETCH, _BEND], [3, 2, *_NUMBERS[1:]])

    def bent(self, points: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Points (N, 3) after the map."""
        stretch, bend = found[_CAMERA : _CAMERA + 3], found[_CAMERA + 3 :].reshape(6, 3)
        place = (points - self.middle) * np.exp(stretch - stretch.mean())
        return self.middle + place + self.half * (self._squares(points) - self.mean) @ bend

    def _squares(self, points: np.ndarray) -> np.ndarray:
        """(N, 6) products of two coordinates, in halves of the longest side from the middle."""
        x, y, z = ((points - self.middle) / self.half).T
        return np.stack([x * x, y * y, z * z, x * y, y * z, z * x], axis=1)

    def at(self, found: np.ndarray) -> tuple[np.ndarray, View]:
        return self.bent(self.points, found), moved(self.view, found[:_CAMERA], self.middle, self.size)

    def better(self, found: np.ndarray, pairs: Matched, count: int, side: float) -> np.ndarray:
        """One step towards what the pairs want, of the first `count` unknowns."""

        def apart(found: np.ndarray) -> np.ndarray:
            points = self.bent(self.points[pairs.point], found)
            seen = projected(points, moved(self.view, found[:_CAMERA], self.middle, self.size))[:, :2]
            return ((seen - pairs.wanted) * pairs.out).sum(axis=1) / (side * np.sqrt(len(seen)))

        here, small = apart(found), 1e-4
        slope = np.stack([(apart(found + small * step) - here) / small for step in np.eye(len(found))[:count]], axis=1)
        square = slope.T @ slope + np.diag(self.price[:count] ** 2)
        step = np.linalg.solve(square, -slope.T @ here - self.price[:count] ** 2 * found[:count])
        return found + np.append(step, np.zeros(len(found) - count))
