# SPDX-License-Identifier: GPL-3.0-or-later
"""A solid's inside, told by points of its surface that know which way is out, and by outlines that it must keep to.

Near the surface the distance is that to the planes of the nearest points (Shen et al. 2004, "Interpolating and
approximating implicit surfaces from polygon soup"); what lies beyond an outline of any picture that is believed is
outside (visual hull: Laurentini 1994). Must not know colours, files or where the points come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..core.representations import Field
from ..core.view import View
from .mesh import Mesh, face_vectors
from .texturing.rasterise import projected

_NEIGHBOURS = 6  # of a place: of points that are exact
_POINTS = 80_000  # that stand for a mesh
_RAGGED, _SLACK = 2.5, 0.6
"""Pixels over which the outline of a picture that is no photo is evened out, and by which it may be too narrow."""
_ROOM = 0.05  # of the box that a surface is looked for in, on each side
_FAR = 4.0  # times as far as points are apart: beyond, the plane says the side alone


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of a surface.

    points, normals: (N, 3), these of length 1 and outwards. weights: (N,) how far each is to be believed. even: times
    as far as points are apart, over which they are averaged.
    """

    points: np.ndarray
    normals: np.ndarray
    weights: np.ndarray
    even: float = 1.0

    @classmethod
    def of(cls, mesh: Mesh, seed: int = 0) -> Cloud:
        """Points spread evenly over a mesh."""
        across = face_vectors(mesh.vertices, mesh.faces)
        area = np.linalg.norm(across, axis=1)
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(area), _POINTS, p=area / area.sum())
        share = rng.dirichlet(np.ones(3), _POINTS)
        points = np.einsum("nk,nkc->nc", share, mesh.vertices[mesh.faces[chosen]])
        return cls(points, across[chosen] / area[chosen, None], np.ones(_POINTS))

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    @cached_property
    def spacing(self) -> float:
        """About how far points are apart."""
        some = self.points[:: max(len(self.points) // 2000, 1)]
        return float(np.median(self._tree.query(some, k=2)[0][:, 1]))

    def value(self, points: np.ndarray) -> np.ndarray:
        """(N,) float32 distance to the surface, positive inside."""
        far, near = self._tree.query(points, k=round(_NEIGHBOURS * self.even**2))
        weight = self.weights[near] * np.exp(-np.square(far / np.maximum(far[:, :1] * 1.5, self.even * self.spacing)))
        steps = self.points[near] - points[:, None]
        inside = np.einsum("nkc,nkc->nk", steps, self.normals[near])
        found = (weight * inside).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
        away = far[:, 0] > _FAR * self.spacing
        return np.where(away, np.copysign(far[:, 0], found), found).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Outline:
    """What a view's mask says: within it may be anything, beyond it is nothing."""

    view: View

    @cached_property
    def _inward(self) -> np.ndarray:
        """(H, W) float32 pixels from the outline, positive inside."""
        mask = np.pad(self.view.mask >= 128, 1)
        inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
        found = np.where(mask, inside - 0.5, 0.5 - outside)[1:-1, 1:-1].astype(np.float32)
        return found if self.view.confidence is None else ndimage.gaussian_filter(found, _RAGGED) + _SLACK

    def value(self, points: np.ndarray) -> np.ndarray:
        """(N,) float32 how far within the lines of sight at the outline; large where the picture does not reach."""
        place, camera = projected(points, self.view), self.view.camera
        found = ndimage.map_coordinates(self._inward, place[:, 1::-1].T - 0.5, order=1, mode="nearest")
        beyond = ((place[:, :2] < 0) | (place[:, :2] >= (camera.width, camera.height))).any(axis=1)
        cut = np.concatenate([self._inward[0], self._inward[-1], self._inward[:, 0], self._inward[:, -1]]).max() > 0
        found = found * place[:, 2] / camera.fx
        return np.where((place[:, 2] <= 0) | (beyond & cut), np.inf, found).astype(np.float32)


def within(points: np.ndarray, outlines: Sequence[Outline]) -> np.ndarray:
    """(N,) float32 how far points (N, 3) lie within all outlines; infinite where there are none."""
    found = np.full(len(points), np.inf, np.float32)
    for outline in outlines:
        found = np.minimum(found, outline.value(points))
    return found


def bounded(cloud: Cloud, outlines: Sequence[Outline], views: tuple[View, ...] = ()) -> Field:
    """The solid that a cloud's points bound within outlines, as a field in the cloud's axes."""
    low, high = cloud.points.min(axis=0), cloud.points.max(axis=0)
    room = _ROOM * float((high - low).max())

    def value(points: np.ndarray) -> np.ndarray:
        return np.minimum(cloud.value(points), within(points, outlines))

    return Field(value, None, np.stack([low - room, high + room]).astype(np.float64), np.eye(3), dict, views)
