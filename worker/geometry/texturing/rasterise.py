# SPDX-License-Identifier: GPL-3.0-or-later
"""Which triangle covers which pixel, without a graphics card: for atlases and for depth seen from a camera.

Every triangle is cut into its rows, each row's first and last pixel follow from the three edges, and the rows are laid
out one behind another; so the work grows with the pixels that are covered. Must not know textures, colours or files.

Positions are in pixels: x right, y down, the centre of the pixel (row 0, column 0) lies at (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.view import View
from ..simplify import outline

_NO_AREA = 1e-12  # twice that of a triangle, in pixels; each of its corners counts a third
_ROWS_AT_ONCE = 1 << 20  # bounds the memory for large triangles on large pictures


@dataclass(frozen=True, eq=False)
class Covered:
    """Pixels and what covers them. pixel: (N,) int64, row * width + column; face: (N,) int64; weights: (N, 3) float32
    barycentric, summing to 1. A pixel occurs once for each triangle that covers it."""

    pixel: np.ndarray
    face: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.pixel)

    def taken(self, chosen: np.ndarray) -> Covered:
        """Only what `chosen` (indices or bool) picks."""
        if chosen.dtype == bool:
            if chosen.all():
                return self
            chosen = np.flatnonzero(chosen)
        return Covered(*(np.take(each, chosen, axis=0) for each in (self.pixel, self.face, self.weights)))

    def part(self, which: slice) -> Covered:
        """Only that part of them, without a copy."""
        return Covered(self.pixel[which], self.face[which], self.weights[which])

    def interpolated(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(N, C) float32: values (V, C) of the vertices at the pixels; faces (F, 3)."""
        return self.between(values.astype(np.float32, copy=False)[faces])

    def between(self, corners: np.ndarray) -> np.ndarray:
        """(N, C) float32: values (F, 3, C) float32 of the faces' corners at the pixels."""
        own, (first, second, third) = np.take(corners, self.face, axis=0), self.weights.T
        found = np.empty((len(own), corners.shape[2]), np.float32)
        for channel in range(corners.shape[2]):  # one after the other: rows of two are slow
            mean = own[:, 0, channel] * first
            mean += own[:, 1, channel] * second
            mean += own[:, 2, channel] * third
            found[:, channel] = mean
        return found


def covered(corners: np.ndarray, width: int, height: int, margin: float = 0.0, first_row: int = 0) -> Covered:
    """What triangles (F, 3, 2) of any winding cover of a picture: pixels whose centre lies inside or on an edge.

    margin: pixels by which the triangles' edges are moved outwards; weights may then be negative. first_row: only the
    rows from there on, up to `height`. Triangles without area cover nothing; with a margin, what lies within it.
    """
    corners = corners.astype(np.float64)
    top, bottom = _ends(corners[..., 1])
    low = np.maximum(np.ceil(top - margin - 0.5), first_row).astype(np.int64)
    high = np.minimum(np.floor(bottom + margin - 0.5), height - 1).astype(np.int64)
    rows = np.maximum(high - low + 1, 0)
    ends = np.cumsum(rows)
    parts = []
    first = 0
    while first < len(corners):
        done = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, done + _ROWS_AT_ONCE, "right")), first + 1)
        chosen = np.arange(first, last)
        parts.append(_filled(corners[chosen], chosen, low[chosen], rows[chosen], width, margin))
        first = last
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Covered(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.float32))
    return Covered(*(np.concatenate([getattr(p, k) for p in parts]) for k in ("pixel", "face", "weights")))


def _filled(
    corners: np.ndarray, number: np.ndarray, low: np.ndarray, rows: np.ndarray, width: int, margin: float
) -> Covered:
    """What triangles (F, 3, 2) with these numbers cover in `rows` rows each, from row `low` on."""
    *edges, twice_area, per_distance = _edges(corners)
    face, step = runs(rows)
    row = low[face] + step
    across, down, along = (np.take(planes, face, axis=1) for planes in edges)
    along += down * (row + 0.5)  # edge functions at x = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = -(along + margin) / across
    left = np.where(across > 0, crossing, -np.inf).max(axis=0)
    right = np.where(across < 0, crossing, np.inf).min(axis=0)
    outside = ((across == 0) & (along < -margin)).any(axis=0)
    leftmost, rightmost = _ends(corners[..., 0])
    left = np.maximum(left, (leftmost - margin)[face])
    right = np.minimum(right, (rightmost + margin)[face])
    start = np.clip(np.ceil(left - 0.5), 0, width).astype(np.int64)
    count = np.where(outside, 0, np.clip(np.floor(right - 0.5), -1, width - 1).astype(np.int64) - start + 1)
    if not margin:
        count[twice_area[face] <= 0] = 0
    span, step = runs(np.maximum(count, 0))
    each = np.take(per_distance, face, axis=1)
    first, more = (along + across * (start + 0.5)) * each, across * each
    first[:, twice_area[face] <= _NO_AREA] = 1.0 / 3.0
    along_row, weights = step.astype(np.float32), np.empty((len(span), 3), np.float32)
    for corner, (start_weight, change) in enumerate(zip(first.astype(np.float32), more.astype(np.float32))):
        weights[:, corner] = np.take(change, span) * along_row + np.take(start_weight, span)
    return Covered(np.take(row * width + start, span) + step, np.take(number[face], span), weights)


def _ends(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest (F,) of three values (F, 3) each: over planes, as rows of three are slow."""
    a, b, c = values.T
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _edges(corners: np.ndarray) -> tuple[np.ndarray, ...]:
    """Slopes to the right and down and offsets, each (3, F), of the signed distances to the edge opposite of each
    corner, positive inside; twice the areas (F,); and (3, F) barycentric weights per distance, nothing where a triangle
    has no area. One plane for each edge: rows of three are slow."""
    x, y = np.ascontiguousarray(corners.transpose(2, 1, 0))
    begin_x, begin_y = x[[1, 2, 0]], y[[1, 2, 0]]
    edge_x, edge_y = x[[2, 0, 1]] - begin_x, y[[2, 0, 1]] - begin_y
    length = np.sqrt(edge_x**2 + edge_y**2)
    signed = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    scale = np.where(signed < 0, -1.0, 1.0) / np.maximum(length, 1e-12)
    across, down, twice_area = -edge_y * scale, edge_x * scale, np.abs(signed)
    per_distance = np.divide(length, twice_area, where=twice_area > _NO_AREA, out=np.zeros_like(length))
    return across, down, -(across * begin_x + down * begin_y), twice_area, per_distance


def runs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts (2, 0, 3): which one (0, 0, 2, 2, 2) and how far in it (0, 1, 0, 1, 2), both int64."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)


def atlas(
    uv: np.ndarray, faces: np.ndarray, size: int, gutter: float = 1.5, rows: tuple[int, int] | None = None
) -> Covered:
    """One triangle for each texel of a square texture that a face covers, or that lies within `gutter` texels of one.

    Bilinear lookups at a chart's edge reach a texel beyond it: such texels get the nearest point of the chart
    instead of whatever lies there. uv: (V, 2), faces: (F, 3). Where faces overlap, one of them is taken. rows: only
    those from the first to before the second, which is the same as to take them of all.
    """
    first, end = rows or (0, size)
    corners = uv[faces].astype(np.float64) * size
    inner = covered(corners, size, end, 0.0, first)
    texel = np.full((end - first) * size, -1, np.int64)
    number = np.arange(len(inner))
    texel[inner.pixel - first * size] = number
    inner = inner.taken(texel[inner.pixel - first * size] == number)
    at_rim = np.zeros(len(uv), bool)
    at_rim[outline(faces)] = True
    rim = np.flatnonzero(at_rim[faces].any(axis=1))
    outer = covered(corners[rim], size, end, gutter, first)
    outer = outer.taken(texel[outer.pixel - first * size] < 0)
    outer = Covered(outer.pixel, rim[outer.face], outer.weights)
    near = clamped(outer.weights)
    offset = np.einsum("nk,nkc->nc", near - outer.weights, np.take(corners, outer.face, axis=0))
    away, nearest = np.einsum("nc,nc->n", offset, offset), np.full(len(texel), np.inf)
    np.minimum.at(nearest, outer.pixel - first * size, away)
    chosen = np.flatnonzero(away == nearest[outer.pixel - first * size])
    texel[:] = -1
    texel[outer.pixel[chosen] - first * size] = chosen  # of those that are as near the last one stays
    chosen = texel[texel >= 0]
    pixel = np.concatenate([inner.pixel, outer.pixel[chosen]])
    face = np.concatenate([inner.face, outer.face[chosen]])
    return Covered(pixel, face, np.concatenate([inner.weights, near[chosen]]))


def clamped(weights: np.ndarray) -> np.ndarray:
    """Barycentric weights (N, 3) moved into the triangle."""
    inside = np.maximum(weights, 0.0)
    inside /= (inside[:, 0] + inside[:, 1] + inside[:, 2])[:, None]
    return inside


def projected(points: np.ndarray, view: View) -> np.ndarray:
    """(N, 3) float64 of points (N, 3) in a view: x and y in pixels, depth along the optical axis. Behind the camera x
    and y mean nothing."""
    x, y, z = view.rotation @ (np.asarray(points, np.float64) - view.position).T  # planes: rows of three are slow
    depth = np.where(np.abs(z) < 1e-12, 1e-12, z)
    c = view.camera
    return np.stack([c.fx * x / depth + c.cx, c.fy * y / depth + c.cy, z]).T


def depth_buffer(vertices: np.ndarray, faces: np.ndarray, view: View) -> np.ndarray:
    """(height, width) float32 depth along the optical axis of the first surface in each pixel, inf where there is none.

    Both sides of a face are seen. Faces that reach behind the camera are left out.
    """
    width, height = view.camera.width, view.camera.height
    seen = projected(vertices, view)
    ahead = _ahead(seen, faces)
    corners = seen[faces[ahead]]
    found = covered(corners[..., :2], width, height)
    inverse = _inverse_depth(corners, found)
    nearest = np.zeros(height * width, np.float64)
    np.maximum.at(nearest, found.pixel, inverse)
    with np.errstate(divide="ignore"):
        return (1.0 / nearest).reshape(height, width).astype(np.float32)


def first_seen(vertices: np.ndarray, faces: np.ndarray, view: View) -> Covered:
    """Which face (of all) is the first in each pixel of a view that any covers, and where on it.

    As with `depth_buffer`; weights are linear on the screen.
    """
    seen = projected(vertices, view)
    ahead = np.flatnonzero(_ahead(seen, faces))
    corners = seen[faces[ahead]]
    found = covered(corners[..., :2], view.camera.width, view.camera.height)
    inverse = _inverse_depth(corners, found)
    first = np.full(view.camera.width * view.camera.height, -1)
    nearest = np.zeros(len(first))
    np.maximum.at(nearest, found.pixel, inverse)
    chosen = np.flatnonzero(inverse == nearest[found.pixel])
    first[found.pixel[chosen]] = chosen  # of those that are as near the last one stays
    found = found.taken(first[first >= 0])
    return Covered(found.pixel, ahead[found.face], found.weights)


def _ahead(seen: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) bool, which faces lie before the camera as a whole. seen: as `projected`."""
    a, b, c = (seen[:, 2] > 1e-9)[faces].T
    return a & b & c


def _inverse_depth(corners: np.ndarray, found: Covered) -> np.ndarray:
    """(N,) float64 where triangles (F, 3, 3) cover pixels: it is linear on the screen, depth is not."""
    inverse = (1.0 / corners[..., 2]).T
    a, b, c = (np.take(each, found.face) * weight for each, weight in zip(inverse, found.weights.T))
    return a + b + c
