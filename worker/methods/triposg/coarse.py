# SPDX-License-Identifier: GPL-3.0-or-later
"""A coarse shape as the networks are given it: in their box, as points of its surface with normals. Arrays alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...core.representations import Layers
from ...pictures.silhouette import seen_through

LONGEST = 1.9
"""The longest side of a coarse shape's box, which is centred: what DetailGen3D was made for. TripoSG's training is not
published to that point; its shapes fill a cube of 2.01."""


_THINNEST = 0.012  # half sides of the window: layers do not come nearer to each other
_NEAREST = 0.05  # of the thing's distance: nothing comes closer to the camera


@dataclass(frozen=True)
class Box:
    """Where a shape was: a point p of it became (p - centre) / unit. centre: (3,) float64."""

    centre: np.ndarray
    unit: float

    def into(self, points: np.ndarray) -> np.ndarray:
        return (points - self.centre) / self.unit

    def back(self, points: np.ndarray) -> np.ndarray:
        return points * self.unit + self.centre


@dataclass(frozen=True)
class Coarse:
    """A closed mesh in axes with y up whose front faces +z. vertices: (V, 3). faces: (F, 3), counter-clockwise seen
    from outside."""

    vertices: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What a camera at (3,) saw of the thing: points (N, 3) of its surface, in the coarse mesh's axes and unit. trust:
    from 0, which is as if nothing had been seen, to 1."""

    points: np.ndarray
    camera: np.ndarray
    trust: float = 1.0


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


def between(layers: Layers) -> tuple[Coarse, np.ndarray]:
    """The solid between two layers, in glTF axes with the camera in the origin and the thing's mean depth 1; and the
    points (N, 3) of its front that lie wholly within the outline. Raises ValueError where the outline is empty.

    As plain as can be, a wall of one strip between two sheets: only its points are looked at.
    """
    size = len(layers.front)
    inside = seen_through(layers.window, layers.view.mask, size) >= 128
    quads = inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:] & inside[1:, 1:]
    if not quads.any():
        raise ValueError("the outline is empty: nothing would be left of the picture")
    number = np.arange(size * size).reshape(size, size)
    a, b, c, d = (part[quads] for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    front = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    back = front[:, ::-1] + size * size
    start, end = _rim(front, size * size)
    wall = [np.stack([end, start, start + size * size], 1), np.stack([end, start + size * size, end + size * size], 1)]
    faces = np.concatenate([front, back, *wall])
    deep = np.maximum(layers.back, layers.front + _THINNEST)
    vertices = np.concatenate([_places(layers, layers.front), _places(layers, deep)])
    used, faces = np.unique(faces, return_inverse=True)
    seen = ndimage.binary_erosion(inside, iterations=2).ravel()
    return Coarse(vertices[used], faces.reshape(-1, 3)), vertices[: size * size][seen]


def _rim(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the edges of faces (F, 3) that have a face on one side only, in its direction."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    alone = ~np.isin(start * count + end, end * count + start)
    return start[alone], end[alone]


def _places(layers: Layers, depth: np.ndarray) -> np.ndarray:
    """(S S, 3) float64: where the cells of a layer of that depth (S, S) lie."""
    window, camera = layers.window, layers.view.camera
    at = (np.arange(len(depth)) + 0.5) / len(depth) * window.side
    row, column = np.meshgrid(at + window.top, at + window.left, indexing="ij")
    z = np.maximum(1.0 + depth * window.side / 2.0 / camera.fx, _NEAREST)
    x, y = (column - camera.cx) / camera.fx * z, (camera.cy - row) / camera.fy * z
    return np.stack([x, y, -z], -1).reshape(-1, 3)
