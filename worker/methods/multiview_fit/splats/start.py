# SPDX-License-Identifier: GPL-3.0-or-later
"""Where splats begin: at the cameras' sparse points, and within the outlines of what is cut out. Brings torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ....cameras.capture import Capture
from ....core.errors import Unable
from ....core.harmonics import of_colours
from ....core.view import View

_OPACITY = 0.1
"""At the beginning, as published."""

_TRIES = 20
"""How many random places are tried for each that is wanted: a thin thing fills a hundredth of its box."""


@dataclass(frozen=True, eq=False)
class Start:
    """centres: (N, 3) float32 in the capture's world. colours: (N, 3) sRGB in [0, 1]."""

    centres: np.ndarray
    colours: np.ndarray

    def tensors(self, degree: int) -> dict[str, Tensor]:
        """As they are learned: scales as logarithms, opacities as logits, as large as the way to their neighbours."""
        count = len(self.centres)
        near = cKDTree(self.centres).query(self.centres, k=min(4, count))[0]
        size = np.clip(near.reshape(count, -1)[:, 1:].mean(1) if count > 1 else np.full(1, 0.01), 1e-4, 0.1)
        harmonics = np.zeros((count, (degree + 1) ** 2, 3), np.float32)
        harmonics[:, :1] = of_colours(self.colours)
        rotations = np.tile(np.float32([1.0, 0.0, 0.0, 0.0]), (count, 1))
        found = {
            "centres": self.centres,
            "scales": np.repeat(np.log(size)[:, None], 3, 1),
            "rotations": rotations,
            "opacities": np.full(count, np.log(_OPACITY / (1.0 - _OPACITY))),
            "harmonics": harmonics,
        }
        return {name: torch.from_numpy(np.ascontiguousarray(value, np.float32)) for name, value in found.items()}


def begun(capture: Capture, most: int, seed: int) -> Start:
    """At most so many places. Raises Unable where there is none."""
    random = np.random.default_rng(seed)
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
    return Start(centres, _colours(capture.views, centres))


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


def _colours(views: tuple[View, ...], points: np.ndarray) -> np.ndarray:
    """The mean of what the pictures show there, hidden or not: (N, 3) in [0, 1]."""
    total, count = np.zeros((len(points), 3)), np.zeros(len(points))
    for view in views:
        columns, rows, here = _pixels(view, points)
        total[here] += view.rgb[rows[here], columns[here]]
        count += here
    return total / np.maximum(count, 1)[:, None] / 255.0


def _pixels(view: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column, row and whether that is in the picture, of each point."""
    local, camera = (points - view.position) @ view.rotation.T, view.camera
    depth = np.maximum(local[:, 2], 1e-6)
    columns = np.floor(camera.fx * local[:, 0] / depth + camera.cx).astype(int)
    rows = np.floor(camera.fy * local[:, 1] / depth + camera.cy).astype(int)
    here = (local[:, 2] > 1e-6) & (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    return np.clip(columns, 0, camera.width - 1), np.clip(rows, 0, camera.height - 1), here
