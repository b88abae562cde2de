# SPDX-License-Identifier: GPL-3.0-or-later
"""A coarse shape as the networks are given it: in their box, as points of its surface with normals. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LONGEST = 1.9
"""The longest side of a coarse shape's box, which is centred: what DetailGen3D was made for. TripoSG's training is not
published to that point; its shapes fill a cube of 2.01."""


@dataclass(frozen=True)
class Box:
    """Where a shape was: a point p of it became (p - centre) / unit. centre: (3,) float64."""

    centre: np.ndarray
    unit: float

    def into(self, points: np.ndarray) -> np.ndarray:
        return (points - self.centre) / self.unit

    def back(self, points: np.ndarray) -> np.ndarray:
        return points * self.unit + self.centre


def in_box(vertices: np.ndarray) -> tuple[np.ndarray, Box]:
    """Vertices (V, 3) float64 centred, their box's longest side LONGEST; and where they were. Raises ValueError where
    they have no extent."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    longest = float((high - low).max())
    if not 0.0 < longest < np.inf:
        raise ValueError("the coarse shape has no extent")
    box = Box((low + high) / 2.0, longest / LONGEST)
    return box.into(vertices), box


def surface_points(vertices: np.ndarray, faces: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, 6) float32: points spread evenly over a mesh, each with its face's outward unit normal behind it.

    vertices: (V, 3). faces: (F, 3), counter-clockwise seen from outside; those without area have no points. Raises
    ValueError where none has an area.
    """
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(across, axis=1)
    if not 0.0 < (total := area.sum()) < np.inf:
        raise ValueError("the coarse shape has no surface")
    chosen = random.choice(len(faces), count, p=area / total)
    a, b = np.sort(random.random((2, count)), axis=0)
    return on_faces(vertices, faces[chosen], np.stack([a, b - a, 1.0 - b], axis=1))


def on_faces(vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, 6) float32: a point of each of N faces (N, 3), with those weights (N, 3) of its corners, and its unit normal.
    No face is without area."""
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    points = (corners * weights[..., None]).sum(axis=1)
    return np.hstack([points, across / np.linalg.norm(across, axis=1, keepdims=True)]).astype(np.float32)
