# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed shapes that single objects are made of, beyond those of shapes.py: rounded, hollow, bent and carved ones.

Like there, z is up and shapes stand on z = 0 unless said otherwise. Knows numpy and marching cubes, nothing of scenes.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from skimage.measure import marching_cubes

from .shapes import Mesh, grid, lathe


def rounded_box(size: np.ndarray, radius: float, steps: int = 5) -> Mesh:
    """A box of extents `size` (3,) whose edges have a radius of at most half its shortest side, centred at 0."""
    half = np.asarray(size, float) / 2
    radius = min(radius, 0.999 * float(half.min()))
    corner = np.tan(np.linspace(0, np.pi / 4, steps))
    line = np.concatenate([-1 - corner[::-1], 1 + corner])  # beyond +-1 lies the rounded part
    u, v = np.meshgrid(line, line, indexing="ij")
    parts = []
    for side in range(3):
        for sign in (-1.0, 1.0):
            a, b = ((side + 1) % 3, (side + 2) % 3) if sign > 0 else ((side + 2) % 3, (side + 1) % 3)
            out = np.empty((*u.shape, 3))
            out[..., side], out[..., a], out[..., b] = 2.0 * sign, u, v
            core = np.clip(out, -1, 1)
            away = out - core
            away /= np.linalg.norm(away, axis=-1, keepdims=True)
            parts.append(grid(core * (half - radius) + away * radius))
    return joined([Mesh(part.vertices, part.faces[:, ::-1]) for part in parts])


def joined(meshes: list[Mesh]) -> Mesh:
    """All meshes as one; their insides are not removed."""
    first = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    faces = [mesh.faces + start for mesh, start in zip(meshes, first, strict=True)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces).astype(np.int32))


def moved(mesh: Mesh, offset: tuple[float, float, float] | np.ndarray, turn: np.ndarray | None = None) -> Mesh:
    """The mesh turned by a matrix (3, 3), then moved."""
    vertices = mesh.vertices if turn is None else mesh.vertices @ turn.T
    return Mesh((vertices + np.asarray(offset)).astype(np.float32), mesh.faces)


def scaled(mesh: Mesh, scale: tuple[float, float, float] | np.ndarray | float) -> Mesh:
    return Mesh((mesh.vertices * np.asarray(scale)).astype(np.float32), mesh.faces)


def about_x(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def about_y(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def turned(profile: np.ndarray, segments: int = 40, corner: float = 0.0, aspect: float = 1.0) -> Mesh:
    """A lathe of a profile (N, 2) whose cross-section is a circle, or towards a rectangle: corner 0 to 1.

    aspect: extent along y by that along x.
    """
    mesh = lathe(np.repeat(profile, 2, axis=0), segments)  # twice, so that edges stay sharp when shaded smoothly
    x, y = mesh.vertices[:, 0], mesh.vertices[:, 1]
    longest = np.maximum(np.abs(x), np.abs(y)) + 1e-9
    swell = 1 + corner * (np.hypot(x, y) / longest - 1)
    return Mesh(mesh.vertices * np.stack([swell, swell * aspect, np.ones_like(x)], 1).astype(np.float32), mesh.faces)


def torus(radius: float, thickness: float, start: float = 0.0, stop: float = 2 * np.pi) -> Mesh:
    """A ring, or its arc from `start` to `stop`, about the z axis; centred at 0. thickness: of the tube, a diameter."""
    angle = np.linspace(start, stop, 28)[:, None]
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)[None]
    out = radius + thickness / 2 * np.cos(around)
    points = np.stack([out * np.cos(angle), out * np.sin(angle), thickness / 2 * np.sin(around) + 0 * angle], -1)
    return grid(points, closed=True)


def capped_tube(path: np.ndarray, radius: np.ndarray, segments: int = 14, flat: float = 1.0) -> Mesh:
    """A tube with rounded ends along a path (N, 3) in the plane z = 0. radius: (N,); flat: height by width."""
    path, radius = np.asarray(path, float), np.broadcast_to(radius, len(path)).astype(float)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    cap = np.array([1.0, 0.9, 0.6, 0.3])
    heads = path[0] - tangent[0] * (radius[0] * cap)[:, None]
    tails = path[-1] + tangent[-1] * (radius[-1] * cap[::-1])[:, None]
    shrink = np.sqrt(1 - cap**2) + 1e-3
    spine = np.concatenate([heads, path, tails])
    widths = np.concatenate([radius[0] * shrink, radius, radius[-1] * shrink[::-1]])
    tangent = np.concatenate([np.repeat(tangent[:1], 4, 0), tangent, np.repeat(tangent[-1:], 4, 0)])
    side = np.stack([-tangent[:, 1], tangent[:, 0], 0 * tangent[:, 0]], -1)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)[None, :, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * np.array([0, 0, flat])
    return grid(spine[:, None] + ring * widths[:, None, None], closed=True)


def prism(outline: np.ndarray, height: float, bevel: float = 0.0) -> Mesh:
    """A star-shaped outline (N, 2), counter-clockwise around 0, from z = 0 to `height`, edges bevelled by a share."""
    levels = [(1e-3, 0.0), (1 - bevel, 0.0), (1 - bevel, 0.0), (1.0, bevel * 0.5), (1.0, bevel * 0.5)]
    levels += [(1.0, 1 - bevel * 0.5), (1.0, 1 - bevel * 0.5), (1 - bevel, 1.0), (1 - bevel, 1.0), (1e-3, 1.0)]
    rows = [np.column_stack([outline * share, np.full(len(outline), z * height)]) for share, z in levels]
    return grid(np.stack(rows), closed=True)


def carved(rng: Generator, cells: int = 36) -> Mesh:
    """A random solid out of two to six blended primitives, some taken away from the others; within a unit cube."""
    axis = np.linspace(-1, 1, cells)
    space = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    soft = rng.choice([0.02, 0.08, 0.2])
    field = _primitive(space, rng, 0.75)
    for _ in range(int(rng.integers(1, 6))):
        other = _primitive(space, rng, 0.5)
        blend = np.clip(0.5 + (field - other) / (2 * soft), 0, 1)
        if rng.random() < 0.3:
            trial = np.maximum(field, -other)
            field = trial if (trial < 0).sum() > 600 else field
        else:
            field = field * (1 - blend) + other * blend - soft * blend * (1 - blend)
    field[[0, -1]] = field[:, [0, -1]] = field[:, :, [0, -1]] = 0.3
    vertices, faces, _, _ = marching_cubes(field, 0.0)
    vertices = vertices / (cells - 1) - 0.5
    return Mesh(vertices.astype(np.float32), faces.astype(np.int32)[:, ::-1])


def _primitive(space: np.ndarray, rng: Generator, largest: float) -> np.ndarray:
    """Distances (about) to a turned, moved box, ellipsoid or cylinder; negative inside."""
    turn = np.eye(3) if rng.random() < 0.4 else np.linalg.qr(rng.normal(size=(3, 3)))[0]
    size = largest * np.exp(rng.uniform(np.log(0.25), 0, 3))
    local = (space - rng.uniform(-0.45, 0.45, 3)) @ turn
    kind = rng.integers(3)
    if kind == 0:
        away = np.abs(local) - size
        return np.linalg.norm(np.maximum(away, 0), axis=-1) + np.minimum(away.max(-1), 0)
    if kind == 1:
        return (np.linalg.norm(local / size, axis=-1) - 1) * size.min()
    radius = np.hypot(local[..., 0], local[..., 1]) - min(size[0], size[1])
    return np.maximum(radius, np.abs(local[..., 2]) - size[2])
