# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangle meshes of simple and procedural shapes, as plain arrays.

All shapes use metres with z up; unless said otherwise they stand on z = 0, centred on the z axis. Knows numpy only, and
nothing of materials, scenes or rendering.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator


class Mesh(NamedTuple):
    """Triangles: vertices (V, 3) float32 in metres, faces (F, 3) int32, counter-clockwise from outside."""

    vertices: np.ndarray
    faces: np.ndarray


_BOX_FACES = np.array(
    [[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4], [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6],
     [1, 3, 5], [3, 7, 5]],
    np.int32,
)  # fmt: skip
_BOX_CORNERS = np.array([[x, y, z] for z in (0, 1) for y in (-0.5, 0.5) for x in (-0.5, 0.5)], np.float32)


def box(width: float, depth: float, height: float) -> Mesh:
    """An axis-aligned box: width along x, depth along y, height along z."""
    return Mesh(_BOX_CORNERS * np.array([width, depth, height], np.float32), _BOX_FACES)


def plane(width: float, depth: float) -> Mesh:
    """A rectangle in z = 0, facing up."""
    corners = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [-0.5, 0.5, 0], [0.5, 0.5, 0]], np.float32)
    return Mesh(corners * np.array([width, depth, 1], np.float32), np.array([[0, 1, 2], [1, 3, 2]], np.int32))


def grid(points: np.ndarray, closed: bool = False) -> Mesh:
    """Triangulate a lattice of points (rows, columns, 3); closed joins the last column to the first."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    if closed:
        index = np.concatenate([index, index[:, :1]], 1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    return Mesh(points.reshape(-1, 3).astype(np.float32), faces)


def lathe(profile: np.ndarray, segments: int = 20) -> Mesh:
    """Turn a profile (N, 2) of (radius, height), from bottom to top, about the z axis."""
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    radius, height = profile[:, :1], profile[:, 1:]
    points = np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(height, (len(profile), segments))], -1
    )
    return grid(points, closed=True)


def cylinder(radius: float, height: float, top: float | None = None, segments: int = 16) -> Mesh:
    """A closed cylinder, or a cone frustum when the top radius differs."""
    top = radius if top is None else top
    return lathe(np.array([[0, 0], [radius, 0], [top, height], [0, height]], np.float32), segments)


def superquadric(size: np.ndarray, roundness: tuple[float, float] = (1.0, 1.0), rings: int = 14) -> Mesh:
    """A superquadric of full extents `size` (3,); roundness 1 is an ellipsoid, 0.2 nearly a box, 2 an octahedron."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)[:, None]
    longitude = np.linspace(-np.pi, np.pi, 2 * rings, endpoint=False)[None]

    def power(value: np.ndarray, exponent: float) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** exponent

    ring = power(np.cos(latitude), roundness[0])
    points = np.stack(
        [
            ring * power(np.cos(longitude), roundness[1]),
            ring * power(np.sin(longitude), roundness[1]),
            np.broadcast_to(power(np.sin(latitude), roundness[0]), (rings, 2 * rings)),
        ],
        -1,
    )
    points = points * np.asarray(size) / 2
    points[..., 2] += size[2] / 2
    return grid(points, closed=True)


def ellipsoid(size: np.ndarray, rings: int = 10) -> Mesh:
    """An ellipsoid of full extents `size` (3,)."""
    return superquadric(size, (1.0, 1.0), rings)


def displaced(mesh: Mesh, rng: Generator, amount: float, waves: int = 6, frequency: float = 3.0) -> Mesh:
    """Push vertices about by a sum of random sine waves; amount and frequency are relative to the mesh's size."""
    extent = float(np.ptp(mesh.vertices, 0).max()) + 1e-9
    direction = rng.normal(size=(3, waves)) * frequency / extent * rng.uniform(0.5, 2.0, waves)
    phase = np.sin(mesh.vertices @ direction + rng.uniform(0, 6.28, waves))
    offset = phase @ rng.normal(size=(waves, 3)) * (amount * extent / np.sqrt(waves))
    return Mesh((mesh.vertices + offset).astype(np.float32), mesh.faces)


def tube(path: np.ndarray, radius: np.ndarray | float, segments: int = 8) -> Mesh:
    """A tube along a path (N, 3) with one radius or one per point; the ends are open."""
    path = np.asarray(path, np.float32)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    helper = np.where(np.abs(tangent[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(tangent, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    up = np.cross(side, tangent)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)[None, :, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * up[:, None]
    return grid(path[:, None] + ring * np.reshape(radius, (-1, 1, 1)), closed=True)


def extrusion(outline: np.ndarray, height: float) -> Mesh:
    """A star-shaped outline (N, 2), counter-clockwise around the origin, extruded from z = 0 to `height`."""
    count = len(outline)
    low = np.concatenate([outline, np.zeros((count, 1))], 1)
    high = low + [0, 0, height]
    centres = np.array([[0, 0, 0], [0, 0, height]])
    vertices = np.concatenate([low, high, centres]).astype(np.float32)
    here, following = np.arange(count), np.roll(np.arange(count), -1)
    sides = np.concatenate(
        [np.stack([here, following, here + count], 1), np.stack([following, following + count, here + count], 1)]
    )
    caps = np.concatenate(
        [
            np.stack([following, here, np.full(count, 2 * count)], 1),
            np.stack([here + count, following + count, np.full(count, 2 * count + 1)], 1),
        ]
    )
    return Mesh(vertices, np.concatenate([sides, caps]).astype(np.int32))


def star_outline(rng: Generator, points: int = 24) -> np.ndarray:
    """A random smooth or jagged star-shaped outline (points, 2) of radius about 1."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = 1 + rng.uniform(0, 0.4) * np.sin(angle * rng.integers(2, 7) + rng.uniform(0, 6)) * rng.uniform(0.3, 1)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def leaves(rng: Generator, size: np.ndarray, count: int, leaf: float) -> Mesh:
    """A cloud of `count` randomly turned quads of edge `leaf` filling an ellipsoid of extents `size`, base at z = 0."""
    centre = rng.normal(size=(count, 3))
    centre *= (rng.uniform(0.2, 1, (count, 1)) ** 0.4) / np.linalg.norm(centre, axis=1, keepdims=True)
    centre = centre * np.asarray(size) / 2 + [0, 0, size[2] / 2]
    a = rng.normal(size=(count, 3))
    b = np.cross(a, rng.normal(size=(count, 3)))
    a *= leaf / np.linalg.norm(a, axis=1, keepdims=True)
    b *= leaf * 0.6 / np.linalg.norm(b, axis=1, keepdims=True)
    vertices = np.stack([centre - a, centre - b, centre + b, centre + a], 1).reshape(-1, 3)
    first = np.arange(count, dtype=np.int32)[:, None] * 4
    faces = np.concatenate([first + [0, 1, 2], first + [1, 3, 2]]).astype(np.int32)
    return Mesh(vertices.astype(np.float32), faces)


def fractal(rng: Generator, size: int, slope: float, tileable_aspect: float = 1.0) -> np.ndarray:
    """A tileable fractal field (size, size), mean 0, deviation 1, spectrum f**-slope, stretched by the aspect."""
    fy, fx = np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    frequency = np.hypot(fy * tileable_aspect, fx / tileable_aspect)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(size, size))) * frequency**-slope
    field = np.fft.irfft2(spectrum, s=(size, size))
    return ((field - field.mean()) / (field.std() + 1e-9)).astype(np.float32)


def terrain(heights: np.ndarray, width: float) -> Mesh:
    """A square height field (N, N) in metres spread over `width` metres, centred at the origin."""
    axis = np.linspace(-width / 2, width / 2, len(heights))
    x, y = np.meshgrid(axis, axis)
    return grid(np.stack([x, y, heights], -1))
