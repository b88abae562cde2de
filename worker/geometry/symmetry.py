# SPDX-License-Identifier: GPL-3.0-or-later
"""Planes in which a surface is its own mirror image, at least nearly. Must not know colours, cameras or files.

Points of the surface are reflected in many planes through its middle; the best planes are then moved to where most of
the reflected points lie on the surface again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .mesh import face_vectors

ALIKE = 0.85
"""Share of the surface that must lie on it again after being reflected."""

_DIRECTIONS = 256  # of planes that are tried
_PROBES, _SURFACE = 400, 12_000  # points that are reflected, and those that stand for the surface
_REACH = 0.015  # of the surface's size: how far beside the surface still counts as on it
_NEIGHBOURS = 4  # of a reflected point, one of which must face as it does: thin things have two sides
_FACING = 0.7  # cosine between the normals of a reflected point and of the surface where it lies
_TRIED, _APART = 8, 20.0  # planes that are moved to where they fit best, and degrees between any two of them


@dataclass(frozen=True, eq=False)
class Mirror:
    """The plane of the points p with normal @ p == offset. normal: (3,) float64, of length 1. alike: the share of the
    surface that lies on it again after being reflected."""

    normal: np.ndarray
    offset: float
    alike: float

    @property
    def turn(self) -> np.ndarray:
        """(3, 3), what a reflection does to directions."""
        return np.eye(3) - 2.0 * np.outer(self.normal, self.normal)

    def reflected(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) on the other side."""
        return points - 2.0 * (points @ self.normal - self.offset)[..., None] * self.normal


def mirrors(vertices: np.ndarray, faces: np.ndarray) -> list[Mirror]:
    """The planes of symmetry of vertices (V, 3) and faces (F, 3), the best first; those that are nearly the same once.

    A body of revolution has any number of them and gets several."""
    surface = _Surface.of(vertices, faces)
    if surface is None:
        return []
    directions = _hemisphere(_DIRECTIONS)
    shares = np.array([surface.alike(normal, normal @ surface.middle, 3.0) for normal in directions])
    found: list[Mirror] = []
    for number in np.argsort(-shares, kind="stable"):
        if len(found) == _TRIED:
            break
        if all(_apart(directions[number], other.normal) for other in found):
            found.append(surface.refined(directions[number]))
    good = sorted((mirror for mirror in found if mirror.alike >= ALIKE), key=lambda mirror: -mirror.alike)
    return [
        mirror
        for place, mirror in enumerate(good)
        if all(_apart(mirror.normal, other.normal) for other in good[:place])
    ]


@dataclass(frozen=True, eq=False)
class _Surface:
    """Points of the surface with normals, of which the first are reflected; the surface's middle and size."""

    points: np.ndarray
    normals: np.ndarray
    tree: cKDTree
    middle: np.ndarray
    size: float

    @classmethod
    def of(cls, vertices: np.ndarray, faces: np.ndarray) -> _Surface | None:
        across = face_vectors(np.asarray(vertices, np.float64), faces)
        doubled = np.linalg.norm(across, axis=1)
        if not doubled.sum() > 0:
            return None
        rng = np.random.default_rng(0)
        face = rng.choice(len(faces), _SURFACE, p=doubled / doubled.sum())
        share = rng.dirichlet(np.ones(3), _SURFACE)
        points = np.einsum("nk,nkc->nc", share, np.asarray(vertices, np.float64)[faces[face]])
        size = float(np.linalg.norm(np.ptp(points, axis=0)))
        return cls(points, across[face] / doubled[face, None], cKDTree(points), points.mean(axis=0), size)

    def alike(self, normal: np.ndarray, offset: float, patience: float = 1.0) -> float:
        """The share of points that lie on the surface again after reflection, less for those a little beside it; with
        more patience farther away counts, too."""
        mirror = Mirror(normal, offset, 0.0)
        there = mirror.reflected(self.points[:_PROBES])
        facing = self.normals[:_PROBES] @ mirror.turn
        reach = patience * _REACH * self.size
        near = self.tree.query(there, _NEIGHBOURS, distance_upper_bound=3.0 * reach)[1]
        hit = near < len(self.points)
        near = np.where(hit, near, 0)
        # along the normals: the nearest points of the sample are not the nearest of the surface
        beside = np.abs(((there[:, None] - self.points[near]) * self.normals[near]).sum(axis=2))
        turned = (facing[:, None] * self.normals[near]).sum(axis=2)
        lies = np.where(hit & (turned > _FACING), np.clip(2.0 - beside / reach, 0.0, 1.0), 0.0)
        return float(lies.max(axis=1).mean())

    def refined(self, normal: np.ndarray) -> Mirror:
        """The best plane near the one with this normal through the middle."""
        from scipy.optimize import minimize  # on use: takes a tenth of a second

        first, second = np.linalg.svd(normal[None])[2][1:]

        def plane(change: np.ndarray) -> tuple[np.ndarray, float]:
            turned = normal + change[0] * first + change[1] * second
            turned = turned / np.linalg.norm(turned)
            return turned, float(turned @ self.middle + change[2] * self.size)

        start = np.vstack([np.zeros(3), 0.08 * np.eye(3)[:2], [0.0, 0.0, 0.02]])

        def off(change: np.ndarray, patience: float) -> float:
            return -self.alike(*plane(change), patience)

        best = np.zeros(3)
        for patience in (3.0, 1.0):
            options = {"initial_simplex": best + start / (4.0 - patience), "maxfev": 60}
            best = minimize(off, best, (patience,), method="Nelder-Mead", options=options).x
        return Mirror(*plane(best), self.alike(*plane(best)))


def _apart(first: np.ndarray, second: np.ndarray) -> bool:
    return abs(float(first @ second)) < np.cos(np.radians(_APART))


def _hemisphere(count: int) -> np.ndarray:
    """(count + 3, 3) unit vectors: the axes, and some spread evenly over half a sphere (Fibonacci's spiral)."""
    number = np.arange(count) + 0.5
    up = number / count
    around = number * np.pi * (1.0 + np.sqrt(5.0))
    beside = np.sqrt(1.0 - up * up)
    return np.vstack([np.eye(3), np.stack([beside * np.cos(around), beside * np.sin(around), up], 1)])
