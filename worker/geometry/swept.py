# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a mesh lies before or behind what pictures from several sides show together: a sweep of surfaces beside it
(Collins 1996), of which that one is looked for on which the pictures agree. Must not know files, or who moves the mesh.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.view import View
from .mesh import Mesh
from .texturing.rasterise import projected
from .texturing.seen import Seen

_TRIED = 15  # places along a line of sight
_WINDOW = 2.5  # pixels, the deviation of the window in which pictures are compared
_OTHERS, _APART = 4, (8.0, 65.0)  # pictures that each is compared with; degrees between two lines of sight
_GRAZING = 0.25  # cosine: seen at less, a picture tells nothing
_SEEN = 0.15  # of the window's weight that other pictures have to see
_TELLING = (0.3, 1.0)
"""By how much the best place is better than the middle one, of what it is off by itself: nothing is believed below the
first, all above the second. Of a scan's renders with noise, above 1 the depth was off by .001 of the thing's size where
it had been by .008; below .3 it was off by more than before."""


@dataclass(frozen=True, eq=False)
class Deep:
    """What a picture tells of the mesh's depth. off: (H, W) float32, by how much the surface lies farther along the
    view's axis than the mesh; sure: (H, W) float32 in [0, 1], how surely."""

    view: View
    off: np.ndarray
    sure: np.ndarray


def swept(mesh: Mesh, views: Sequence[View], reach: float) -> list[Deep]:
    """Of each view. views: with pictures, in the mesh's axes. reach: how far beside the mesh is looked."""
    seen = [Seen.of(mesh, view) for view in views]
    depths, middle = [each.depths for each in seen], mesh.bounds.astype(np.float64).mean(axis=0)
    found = []
    for number, view in enumerate(views):
        beside = [(_degrees(view, other, middle), n) for n, other in enumerate(views) if n != number]
        near = sorted((angle, n) for angle, n in beside if _APART[0] < angle < _APART[1])[:_OTHERS]
        others = [(views[n], depths[n]) for _, n in near]
        found.append(_one(seen[number], view, others, reach) if others else _nothing(view))
    return found


def _degrees(one: View, other: View, middle: np.ndarray) -> float:
    """Between the lines of sight from two views to the thing's middle."""
    a, b = one.position - middle, other.position - middle
    return math.degrees(math.acos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1.0, 1.0)))


def _nothing(view: View) -> Deep:
    blank = np.zeros((view.camera.height, view.camera.width), np.float32)
    return Deep(view, blank, blank)


def _one(seen: Seen, view: View, others: Sequence[tuple[View, np.ndarray]], reach: float) -> Deep:
    """others: with the depths of the mesh in them."""
    steps = np.linspace(-reach, reach, _TRIED)
    cost, weight = np.zeros((_TRIED, *seen.where.shape), np.float32), np.zeros(seen.where.shape, np.float32)
    points = seen.points.astype(np.float64)
    along = (points - view.position) / seen.depth[:, None]  # per unit of depth
    own = view.rgb.reshape(-1, 3)[seen.under.pixel] / np.float32(255.0)
    for other, depth in others:
        share = _shown(points, seen.normals, other, depth, 1.5 * reach)
        weight += ndimage.gaussian_filter(seen.laid(share, np.float32(0.0)), _WINDOW)
        for number, step in enumerate(steps):
            apart = np.square(_colours(other, points + step * along) - own).mean(axis=1) * share
            cost[number] += ndimage.gaussian_filter(seen.laid(apart.astype(np.float32), np.float32(0.0)), _WINDOW)
    return _best(view, steps, cost / np.maximum(weight, 1e-6), seen.where & (weight > _SEEN))


def _shown(points: np.ndarray, normals: np.ndarray, view: View, depth: np.ndarray, reach: float) -> np.ndarray:
    """(N,) float32, how well a view sees points (N, 3) with normals (N, 3); 0 where something is before them."""
    back = view.position - points
    facing = (back * normals).sum(axis=1) / np.linalg.norm(back, axis=1)
    place = projected(points, view)
    first = np.where(np.isfinite(depth), depth, 0.0)
    first = ndimage.map_coordinates(first, place[:, 1::-1].T - 0.5, order=0, mode="constant")
    return np.where((place[:, 2] < first + reach) & (facing > _GRAZING), facing, 0.0).astype(np.float32)


def _colours(view: View, points: np.ndarray) -> np.ndarray:
    """(N, 3) float32 in [0, 1] where points (N, 3) lie in the view's picture."""
    where = projected(points, view)[:, 1::-1].T - 0.5
    planes = np.moveaxis(view.rgb, 2, 0)
    found = [ndimage.map_coordinates(plane, where, np.float32, order=1, mode="nearest") for plane in planes]
    return np.stack(found, axis=1) / np.float32(255.0)


def _best(view: View, steps: np.ndarray, cost: np.ndarray, known: np.ndarray) -> Deep:
    """The best of the steps at each pixel, between them by a parabola. cost: (K, H, W)."""
    lowest = cost.argmin(axis=0)
    inner = np.clip(lowest, 1, len(steps) - 2)
    before, here, after = (np.take_along_axis(cost, inner[None] + step, axis=0)[0] for step in (-1, 0, 1))
    bend = np.maximum(before - 2.0 * here + after, 1e-12)
    off = steps[inner] + np.clip((before - after) / (2.0 * bend), -1.0, 1.0) * (steps[1] - steps[0])
    better = (np.median(cost, axis=0) - here) / np.maximum(here, 1e-6)
    sure = np.clip((better - _TELLING[0]) / (_TELLING[1] - _TELLING[0]), 0.0, 1.0)
    return Deep(view, off.astype(np.float32), np.where(known & (lowest == inner), sure, 0.0).astype(np.float32))
