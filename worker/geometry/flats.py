# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts what is nearly plane onto planes, which meet in edges as sharp as the grid on which they are asked for.

A network of few pixels says of a box that its faces are plane but for ripples, and round where they meet, over some
pixels. Planes are found where a large part of a surface lies on one (RANSAC, Fischler and Bolles 1981, each pixel with
its slope being one guess); what bends evenly is round and stays. Where two planes come near each other the surface goes
on upon both until they meet. Depths here are such that planes are affine in them. Lengths are in pixels of the map in
which planes are found. Must not know networks, photos or files.

Set on 26 views of YCB's scans against the layers of the truth: 15 of them have planes, whose normals' median error
falls from 11.9 to 11.0 degrees in front and from 12.7 to 12.1 behind, and errors of depth stay as they are. Without
`_OFF` and with twice the `_GAP` both means rise: what is not quite plane is torn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

_MOST = 6  # planes
_LEAST = 0.05  # of the thing's pixels: what a plane covers
_GUESSES = 160  # pixels whose planes are tried, each time
_NEAR = 0.7  # pixels across a plane within which something lies on it
_ALIKE = float(np.cos(np.radians(18.0)))  # cosine of the angle between a plane and what lies on it
_LEVEL = float(np.cos(np.radians(6.5)))
"""Cosine of the angle between a plane and half of what lies on it. Of 22 things those of 40 true planes are within 6.0
degrees, those of a dog's cheek, a teapot's side, a shoe or a bunny from 6.9 to 11; a clamp's false one has 5.9."""
_BENT = 1.0 / 100.0  # of a turn by 1 per pixel: what is bent more is no plane (a can that fills the map: 1 / 20)
_FITS = 4  # of a plane to what lies on it
_MEETS = 7.0  # pixels beside a plane where it may still be met by another, wholly within half of them
_ALONE = (0.0, 4.0)  # pixels beside it where it holds wholly, and no more
_GAP = (3.0, 6.0)  # pixels from it to another, or to the outline, over which it goes on wholly, and no more
_OFF = (0.8, 2.5)  # pixels across it, by which the surface is off where it holds wholly, and no more
_SOFT = 0.6  # pixels over which that is evened out


@dataclass(frozen=True, eq=False)
class Flat:
    """A plane and where a surface lies on it. plane: (3,) depth at the map's first pixel, and its change per pixel down
    and right. on: (S, S) bool."""

    plane: np.ndarray
    on: np.ndarray

    def at(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The plane's depth at places of the map."""
        return self.plane[0] + self.plane[1] * row + self.plane[2] * column


def flats(depth: np.ndarray, own: np.ndarray) -> list[Flat]:
    """The planes of a surface, large ones first. depth: (S, S) in pixels. own: (S, S) bool, where it means anything."""
    slope = np.stack(np.gradient(ndimage.gaussian_filter(depth, 1.0)))
    free, least, rng, found = own.copy(), _LEAST * own.sum(), np.random.default_rng(0), []
    for _ in range(3 * _MOST):
        if len(found) == _MOST or free.sum() < max(least, 3):
            break
        flat = _largest(depth, slope, free, rng)
        if flat.on.sum() < max(least, 1):  # of 23 things' sides none had a plane after that
            break
        free &= ~flat.on
        core = ndimage.binary_opening(flat.on, np.ones((3, 3)))
        if core.sum() >= max(least, 12) and _is_plane(depth, slope[:, core].T, core, flat.plane):
            found.append(Flat(flat.plane, core))
    return found


def _largest(depth: np.ndarray, slope: np.ndarray, free: np.ndarray, rng: np.random.Generator) -> Flat:
    """The plane through one of the free pixels, sloped as it is, that most of them lie on, fitted to the largest
    connected part of those."""
    place, steps = np.argwhere(free).T, slope[:, free]
    tried = rng.choice(place.shape[1], min(place.shape[1], _GUESSES), replace=False)
    starts = depth[free][tried] - (steps * place)[:, tried].sum(axis=0)
    guesses = np.column_stack([starts, steps[:, tried].T])
    lies = _Free.of(depth[free], steps, place)
    plane, found = guesses[np.count_nonzero(lies.on(guesses), axis=1).argmax()], np.zeros_like(free)
    for _ in range(_FITS):
        before, found = found, np.zeros_like(free)
        found[free] = lies.on(plane[None])[0]
        found = _largest_part(found)
        if found.sum() < 3 or (found == before).all():
            break
        rows, columns = np.nonzero(found)
        plane = np.linalg.lstsq(np.column_stack([np.ones(len(rows)), rows, columns]), depth[found], rcond=None)[0]
    return Flat(plane, found)


@dataclass(frozen=True, eq=False)
class _Free:
    """Pixels that are asked which planes they lie on. normals: (3, n) float32 of their slopes. points: (4, n) float32,
    1, place and depth."""

    normals: np.ndarray
    points: np.ndarray

    @classmethod
    def of(cls, depth: np.ndarray, slope: np.ndarray, place: np.ndarray) -> _Free:
        """depth: (n,), slope: (2, n), place: (2, n)."""
        points = np.concatenate([np.ones((1, len(depth))), place, depth[None]])
        return cls(_normals(slope.T).T.astype(np.float32), points.astype(np.float32))

    def on(self, planes: np.ndarray) -> np.ndarray:
        """(G, n) bool which pixels lie on which of the planes (G, 3), and slope as it does."""
        normals = _normals(planes[:, 1:]).astype(np.float32)
        across = (np.column_stack([planes, np.full(len(planes), -1.0)]) * normals[:, :1]).astype(np.float32)
        off = across @ self.points
        return (np.abs(off, out=off) < _NEAR) & (normals @ self.normals > _ALIKE)


def _normals(slope: np.ndarray) -> np.ndarray:
    """(n, 3) unit normals of slopes (n, 2)."""
    normal = np.column_stack([np.ones(len(slope)), slope])
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _largest_part(mask: np.ndarray) -> np.ndarray:
    label, count = ndimage.label(mask)
    return label == 1 + np.bincount(label.ravel())[1:].argmax() if count > 1 else mask


def _is_plane(depth: np.ndarray, slope: np.ndarray, on: np.ndarray, plane: np.ndarray) -> bool:
    """Whether what lies on a plane (S, S) bool, with slopes (n, 2), turns and bends no more than ripples do."""
    alike = _normals(slope) @ _normals(plane[None, 1:])[0]
    return float(np.median(alike)) > _LEVEL and _bend(depth, on, plane) < _BENT


def _bend(depth: np.ndarray, on: np.ndarray, plane: np.ndarray) -> float:
    """The larger curvature, per pixel, of the quadric through what lies on a plane."""
    y, x = (each - each.mean() for each in np.nonzero(on))
    terms = np.column_stack([y * y / 2, y * x, x * x / 2, y, x, np.ones(len(y))])
    yy, yx, xx = np.linalg.lstsq(terms, depth[on], rcond=None)[0][:3]
    first = np.eye(2) + np.outer(plane[1:], plane[1:])
    second = np.array([[yy, yx], [yx, xx]]) / np.sqrt(1.0 + plane[1:] @ plane[1:])
    return float(np.abs(np.linalg.eigvals(np.linalg.solve(first, second))).max())


def flattened(depth: np.ndarray, found: list[Flat], inside: np.ndarray) -> np.ndarray:
    """The depth (N, N), in pixels of the map of the planes, put onto these. inside: (N, N) those pixels to the
    thing's outline, positive inside."""
    if not found:
        return depth
    scale = len(depth) / len(found[0].on)
    at = (np.arange(len(depth)) + 0.5) / scale - 0.5
    place = np.stack(np.meshgrid(at, at, indexing="ij"))
    away = np.stack([ndimage.distance_transform_edt(~flat.on) for flat in found])
    far = np.stack([ndimage.map_coordinates(each, place, order=1, mode="nearest") for each in away])
    value, far = _met(np.stack([flat.at(*place) for flat in found]), far, _ridges(found, away))
    gap = far[0] + np.minimum(far[1] if len(far) > 1 else np.inf, np.maximum(inside, 0.0))
    steep = np.sqrt(1.0 + (np.stack(np.gradient(depth, 1.0 / scale)) ** 2).max(axis=0))
    share = np.maximum(_fading(far[0], *_ALONE), _fading(gap, *_GAP))
    share *= _fading(np.abs(value - depth) / steep, *_OFF)
    return depth + ndimage.gaussian_filter(share, _SOFT * scale) * (value - depth)


def _met(values: np.ndarray, far: np.ndarray, ridges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What planes with values (K, N, N) make together where each is so far (K, N, N), and how far the nearest are."""
    order = np.argsort(far, axis=0, kind="stable")[:3]
    values, far = np.take_along_axis(values, order, 0), np.take_along_axis(far, order, 0)
    value = values[0]
    for number in range(1, len(values)):
        kind, other = ridges[order[0], order[number]], values[number]
        both = np.where(kind > 0, np.maximum(value, other), np.minimum(value, other))
        between = value + (other - value) * _fading(far[number] - far[0], 0.0, _MEETS) / 2.0
        share = _fading(far[number], _MEETS / 2.0, _MEETS)  # all at once would be a step in the surface
        value = value + share * (np.where(kind != 0, both, between) - value)
    return value, far


def _ridges(found: list[Flat], away: np.ndarray) -> np.ndarray:
    """(K, K) 1 where two planes meet in a ridge, each lying behind where the other would go on; -1 where in a valley; 0
    where they do not meet so. away: (K, S, S) pixels to what lies on each."""
    kinds = np.zeros((len(found),) * 2, int)
    for a, one in enumerate(found):
        for b, other in enumerate(found):
            place = np.nonzero(one.on & (away[b] < 2.0 * _MEETS))
            if a != b and len(place[0]):
                kinds[a, b] = np.sign((one.at(*place) - other.at(*place)).mean())
    return np.where(kinds == kinds.T, kinds, 0)


def _fading(values: np.ndarray, wholly: float, no_more: float) -> np.ndarray:
    return np.clip((no_more - values) / (no_more - wholly), 0.0, 1.0)
