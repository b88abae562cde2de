# SPDX-License-Identifier: GPL-3.0-or-later
"""Where splats begin: on the surface that outlines and photos tell of what is cut out, or that photos tell of a place,
else at the cameras' sparse points and anywhere beside them. Brings torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ....cameras.capture import Capture
from ....core.errors import Unable
from ....core.harmonics import of_colours
from ....core.job import Job, Span
from ....core.representations import Distances
from ....core.view import View
from ..grid_space import Lattice
from ..grid_training import placed_shape
from ..outlined import outlined_shape

_OPACITY, _ON_SURFACE = 0.1, 0.8
"""At the beginning: as published, and of what lies on a surface."""

_WIDE, _FLAT = 0.7, 0.15
"""Deviations of what lies on a surface, of the way to its neighbours: along it, and of these across it."""

_LOOSE = 10_000
"""Splats at most that begin without a surface."""

_PLACED = 0.7
"""Of the splats of a place, on its surface: the others are for what its photos do not see in common."""

_BESIDE, _STEEP = 0.7, 0.3
"""Cells from the surface of corners at which splats begin, and the least slope by which they are moved."""

_SQUARELY = 4
"""Power of the cosine by which a picture counts for the colour of a surface: what looks past it is seldom right."""

_TRIES = 20
"""How many random places are tried for each that is wanted: a thin thing fills a hundredth of its box."""


@dataclass(frozen=True, eq=False)
class Start:
    """centres: (N, 3) float32 in the capture's world. colours: (N, 3) sRGB in [0, 1]. normals: (N, 3) of the surface on
    which they lie, zero of those that lie anywhere."""

    centres: np.ndarray
    colours: np.ndarray
    normals: np.ndarray

    def tensors(self, degree: int) -> dict[str, Tensor]:
        """As they are learned: scales as logarithms, opacities as logits, as large as the way to their neighbours."""
        count = len(self.centres)
        near = cKDTree(self.centres).query(self.centres, k=min(4, count))[0]
        size = np.clip(near.reshape(count, -1)[:, 1:].mean(1) if count > 1 else np.full(1, 0.01), 1e-4, 0.1)
        harmonics = np.zeros((count, (degree + 1) ** 2, 3), np.float32)
        harmonics[:, :1] = of_colours(self.colours)
        on = self.normals.any(axis=1)[:, None]
        opacity = np.where(on[:, 0], _ON_SURFACE, _OPACITY)
        found = {
            "centres": self.centres,
            "scales": np.log(size)[:, None] + np.where(on, np.log([_WIDE, _WIDE, _WIDE * _FLAT]), 0.0),
            "rotations": np.where(on, _turned(self.normals), [1.0, 0.0, 0.0, 0.0]),
            "opacities": np.log(opacity / (1.0 - opacity)),
            "harmonics": harmonics,
        }
        return {name: torch.from_numpy(np.ascontiguousarray(value, np.float32)) for name, value in found.items()}


def _turned(normals: np.ndarray) -> np.ndarray:
    """(N, 4) unit quaternions (w, x, y, z) that turn the third axis to unit normals (N, 3): halfway there."""
    x, y, z = normals.T
    found = np.stack([1.0 + z, -y, x, np.zeros(len(x))], 1)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(length > 1e-3, found / np.maximum(length, 1e-3), (0.0, 1.0, 0.0, 0.0))


def shaped(capture: Capture, pixels: int, cells: int, job: Job | Span) -> Distances | None:
    """The surface that outlines and photos tell, in the capture's world; None where neither does. pixels: of the
    photos, of which those of a place are compared with twice as many. cells: along its longest side. Raises Unable
    where outlines agree on nothing."""
    lattice, known = Lattice.over(capture.bounds, cells), None
    if all(view.mask is None for view in capture.views):
        placed = placed_shape(capture, 2 * pixels, lattice, job)
        if placed is None:
            return None
        distance, known = placed
    elif capture.unbounded or any(view.mask is None for view in capture.views):
        return None
    else:
        _, distance = outlined_shape(capture, pixels, lattice, job)
    return Distances((-lattice.spacing * distance).astype(np.float16), np.array(lattice.low), lattice.spacing, known)


def begun(capture: Capture, most: int, seed: int, shape: Distances | None = None) -> Start:
    """So many places on the shape, those of a place partly in its box; or half as many in the box, at most `_LOOSE`.
    Raises Unable where there is none."""
    random = np.random.default_rng(seed)
    if shape is None:
        return _anywhere(capture, min(most // 2, _LOOSE), random)
    if shape.known is None:
        return _on(shape, capture.views, most, random)
    on = _on(shape, capture.views, round(_PLACED * most), random)
    beside = _anywhere(capture, min(most - len(on.centres), _LOOSE), random)
    both = zip(*((each.centres, each.colours, each.normals) for each in (on, beside)))
    return Start(*map(np.concatenate, both))


def _anywhere(capture: Capture, most: int, random: np.random.Generator) -> Start:
    """At most so many places at the cameras' sparse points and in the box. Raises Unable where there is none."""
    low, high = capture.bounds
    tried = random.uniform(low, high, (_TRIES * most, 3))
    places = tried[_within(capture.views, tried)]
    if len(places) > most:
        places = places[random.permutation(len(places))[:most]]
    sparse = capture.points if capture.unbounded else capture.points[_within(capture.views, capture.points)]
    if len(sparse):  # these are on surfaces: of others only so many that gaps are filled
        places = places[: max(most - len(sparse), most // 4)]
    centres = np.concatenate([sparse[:most], places]).astype(np.float32)[:most]
    if not len(centres):
        raise Unable("the outlines of the photos have no place in common: leave out photos of other things")
    return Start(centres, _colours(capture.views, centres), np.zeros_like(centres))


def _on(shape: Distances, views: tuple[View, ...], most: int, random: np.random.Generator) -> Start:
    """At most so many places on the shape: corners beside it, moved onto it."""
    outside = -shape.values.astype(np.float32) / shape.spacing
    near = np.argwhere((np.abs(outside) < _BESIDE) & (True if shape.known is None else shape.known))
    near = near[random.permutation(len(near))[:most]]
    slopes = np.stack(np.gradient(outside), -1)[tuple(near.T)]
    length = np.linalg.norm(slopes, axis=1, keepdims=True)
    normals = np.where(length > 1e-3, slopes / np.maximum(length, 1e-3), (0.0, 0.0, 1.0))
    cells = near - outside[tuple(near.T)][:, None] * normals / np.maximum(length, _STEEP)
    centres = (shape.low + cells * shape.spacing).astype(np.float32)
    return Start(centres, _colours(views, centres, normals), normals)


def _within(views: tuple[View, ...], points: np.ndarray) -> np.ndarray:
    """Which points are in every outline that is known and sees them, and in some picture, (N,) bool."""
    inside, seen = np.ones(len(points), bool), np.zeros(len(points), bool)
    for view in views:
        columns, rows, here = _pixels(view, points)
        seen |= here
        if view.mask is not None:
            shown = np.zeros(len(points), bool)
            shown[here] = view.mask[rows[here], columns[here]] > 127
            inside &= shown | ~here
    return inside & seen


def _colours(views: tuple[View, ...], points: np.ndarray, normals: np.ndarray | None = None) -> np.ndarray:
    """The mean of what the pictures show there, hidden or not, those counting most that look at it most squarely: (N,
    3) in [0, 1]."""
    total, weight = np.zeros((len(points), 3)), np.zeros(len(points))
    for view in views:
        columns, rows, here = _pixels(view, points)
        back = view.position - points
        back /= np.linalg.norm(back, axis=1, keepdims=True)
        squarely = 1.0 if normals is None else np.clip((back * normals).sum(1), 0.02, 1.0) ** _SQUARELY
        share = here * squarely
        total += share[:, None] * view.rgb[rows, columns]
        weight += share
    return total / np.maximum(weight, 1e-9)[:, None] / 255.0


def _pixels(view: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column, row and whether that is in the picture, of each point."""
    local, camera = (points - view.position) @ view.rotation.T, view.camera
    depth = np.maximum(local[:, 2], 1e-6)
    columns = np.floor(camera.fx * local[:, 0] / depth + camera.cx).astype(int)
    rows = np.floor(camera.fy * local[:, 1] / depth + camera.cy).astype(int)
    here = (local[:, 2] > 1e-6) & (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    return np.clip(columns, 0, camera.width - 1), np.clip(rows, 0, camera.height - 1), here
