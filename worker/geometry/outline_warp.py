# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoes what is large and smooth between a mesh's outline and a picture's: how it was stretched, bent and swung.

One smooth map of space (a polynomial of the place, in the mesh's own axes, in which things are mostly stretched and
bent) and the camera's place are looked for together, so that neither takes what is the other's: first stretches, then
bends. Each round matches the outlines and solves for both (Gauss and Newton), with a price on whatever moves. Where
the picture's normals are known the mesh's are brought to them as well: an outline alone does not tell in which
direction a thing is bent, nor how long it is along the line of sight. Must not know colours or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..core.view import View
from .outline_match import Matched, Outline, matched
from .outline_pull import framed, reduced
from .texturing.facing import Faced, facing
from .texturing.projection import moved
from .texturing.rasterise import first_seen, projected

_FACES = 6_000  # of the mesh on which it is worked out
_NUMBERS = 5, 3, 18  # of the camera's place, of stretches, of bends
_STAGES = ((8, 0.25, 6), (26, 0.15, 8))  # so many of the numbers, reach of the picture's side, rounds
_TURN, _SHIFT, _STRETCH, _BEND = 0.02, 0.001, 0.02, 0.03
"""Prices: parts of the picture's side by which outlines may be apart on average rather than that the camera swings by a
radian, moves by the thing's size, the thing becomes e times as long, or its ends move by half its longest side. On five
of YCB's scans, each deformed in three ways: with .05 for each, normals get better by half as much."""

_FACING, _OTHER = 0.04, 0.4
"""Parts of the picture's side by which outlines may be apart on average rather than that normals are (by 57 degrees);
and how far apart two normals are, as vectors, from where on they count less. On six of YCB's scans with normals of the
included object network F within 2 % goes from .52, .64 and .82, where they are stretched, bent or with a bulge, to .67,
.70 and .82 with .03, to .69, .76 and .78 with .05; with .2 (three scans) all get worse than with .05."""

_MOST = 1500  # pixels of which normals are asked
_CAMERA = _NUMBERS[0]


def warped(
    vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, view: View, check: Callable[[], None] = lambda: None
) -> tuple[np.ndarray, View]:
    """Vertices (V, 3) float32 and the view, both moved so that the outline is more like the mask's (H, W) bool; its
    middle stays where it is. faces: (F, 3). check: called between the rounds, may raise."""
    few, triangles = reduced(vertices, faces, _FACES)
    small, shown = framed(mask, few, view)
    search, outline, known = _Search(few, small), Outline.of(shown), Faced.of(view, small.camera)
    found = np.zeros(sum(_NUMBERS))
    for count, reach, rounds in _STAGES:
        for _ in range(rounds):
            check()
            points, here = search.at(found)
            pairs = matched(points, triangles, here, outline, reach)
            if len(pairs.point) < count:
                break
            turned = _Turned.of(points, triangles, here, known) if known else None
            found = search.better(found, pairs, turned, count, outline.side)
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

    def better(self, found: np.ndarray, pairs: Matched, turned: _Turned | None, count: int, side: float) -> np.ndarray:
        """One step towards what the pairs and normals want, of the first `count` unknowns."""

        def apart(found: np.ndarray) -> np.ndarray:
            view = moved(self.view, found[:_CAMERA], self.middle, self.size)
            seen = projected(self.bent(self.points[pairs.point], found), view)[:, :2]
            off = ((seen - pairs.wanted) * pairs.out).sum(axis=1) / (side * np.sqrt(len(seen)))
            return off if turned is None else np.append(off, turned.apart(self.bent(self.points, found), view))

        here, small = apart(found), 1e-4
        slope = np.stack([(apart(found + small * step) - here) / small for step in np.eye(len(found))[:count]], axis=1)
        square = slope.T @ slope + np.diag(self.price[:count] ** 2)
        step = np.linalg.solve(square, -slope.T @ here - self.price[:count] ** 2 * found[:count])
        return found + np.append(step, np.zeros(len(found) - count))


@dataclass(frozen=True, eq=False)
class _Turned:
    """What a picture's normals ask of a mesh's. corners: (N, 3) of triangles; wanted: (N, 3) their normals in the
    camera's axes; weight: (N, 1), less where they are far apart: that is another part, or the normals lie."""

    corners: np.ndarray
    wanted: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, triangles: np.ndarray, view: View, known: Faced) -> _Turned:
        seen = first_seen(points, triangles, view)
        seen = seen.taken(known.known.ravel()[seen.pixel])
        seen = seen.taken(np.arange(0, len(seen), -(-len(seen) // _MOST) or 1))
        whole = cls(triangles[seen.face], known.normals.reshape(-1, 3)[seen.pixel], np.ones((len(seen), 1)))
        far = np.linalg.norm(whole._off(points, view), axis=1, keepdims=True)
        return replace(whole, weight=_FACING / np.sqrt(max(len(seen), 1) * (1.0 + (far / _OTHER) ** 2)))

    def apart(self, points: np.ndarray, view: View) -> np.ndarray:
        """(3 N,)"""
        return (self._off(points, view) * self.weight).ravel()

    def _off(self, points: np.ndarray, view: View) -> np.ndarray:
        return facing(((points - view.position) @ view.rotation.T)[self.corners]) - self.wanted
