# SPDX-License-Identifier: GPL-3.0-or-later
"""A network's depth without what it is not sure of: plane where a large plane explains it, flat where it ripples.

A plane in space is affine in inverse depth over the picture. The largest planes are found (RANSAC, Fischler and Bolles
1981, each pixel with its slope being one guess), and what lies on them within the network's doubt is put onto them. The
rest is smoothed by total generalised variation of second order (Bredies et al. 2010), which asks for few steps between
affine pieces and so is the right smoothness for depth (Ferstl et al. 2013); a network that tells how far it may be
wrong says how much of it to apply: a rug's pattern that stands in relief vanishes, and what nobody knows is flat
instead of torn. Solved by primal and dual steps (Chambolle and Pock 2011).

On 20 pictures with truth (12 scenes of tests/bench/walk.py, 8 frames of 7-Scenes) the planes bring the median error of
normals from 32.6 to 31.5 degrees, on open ground from 8 to 2; smoothing after them takes the ripples away and leaves
both errors as they are. The included network's own normals are 1.5 degrees better than its depth's, but integrated with
it (as a pull on the slopes) they made depth worse by 2 to 6 % for 1 degree, so they are not used.

Works on small maps of inverse depth. Must not know networks, meshes or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

ROUNDS = 90
"""Of primal and dual steps."""

DOUBT = 40.0
"""How much of the square of the uncertainty is given to the smoothness. At 2 a rug's pattern stays, at 100 depth is 1 %
worse; between 20 and 60 one sees no difference."""

_BEND = 3.0  # weight of changes of slope, in pixels, against steps
_STEP = 12.0**-0.5  # of the primal and dual variables, by the norm of the operator
_JUMP = 0.12  # relative change from pixel to pixel that is a step and left alone; .08 kept ripples, .25 no silhouette
_LEAST = 0.02  # uncertainty of ln z below which no network is believed


def smooth(inverse: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    """Inverse depth (H, W) float32, positive, made piecewise affine as far as the uncertainty (H, W) of ln z allows."""
    level = ndimage.gaussian_filter(inverse, 4.0) + 1e-9
    start = inverse.astype(np.float32)
    jump = np.linalg.norm(_gradient(start), axis=0) / np.minimum(level, start)
    strength = 1.0 / (level * (1.0 + (jump / _JUMP) ** 4))
    data = (1.0 / (DOUBT * np.maximum(uncertainty, _LEAST) ** 2 * level * level)).astype(np.float32)
    u, w = start, _gradient(ndimage.gaussian_filter(inverse, 1.0).astype(np.float32))
    p, r = np.zeros_like(w), np.zeros((2, *w.shape), np.float32)
    ahead_u, ahead_w = u, w
    pull, rest, bend = _STEP * data * inverse, 1.0 / (1.0 + _STEP * data), _BEND * strength
    for _ in range(ROUNDS):
        rise = _gradient(ahead_u)
        rise -= ahead_w
        p = _within(p, rise, strength)
        r = _within(r, _gradient(ahead_w), bend)
        before_u, before_w = u, w
        u = (u + _STEP * _divergence(p) + pull) * rest
        w = w + _STEP * (p + _divergence(r))
        ahead_u, ahead_w = 2.0 * u - before_u, 2.0 * w - before_w
    return np.maximum(u, 0.5 * inverse.min()).astype(np.float32)


def _gradient(values: np.ndarray) -> np.ndarray:
    """(..., 2, H, W) of values (..., H, W): the change to the next pixel below and to the right, 0 at the last. Over
    rows one behind another, as many short ones are slow."""
    *more, height, width = values.shape
    flat, found = values.reshape(*more, -1), np.empty((*more, 2, height * width), np.float32)
    for each, step in ((found[..., 0, :], width), (found[..., 1, :], 1)):
        np.subtract(flat[..., step:], flat[..., :-step], out=each[..., :-step])
    found = found.reshape(*more, 2, height, width)
    found[..., 0, -1, :] = found[..., 1, :, -1] = 0.0
    return found


def _divergence(field: np.ndarray) -> np.ndarray:
    """(..., H, W) of a field (..., 2, H, W): the negative adjoint of `_gradient`."""
    down, right = field[..., 0, :, :], field[..., 1, :, :].copy()
    right[..., -1] = 0.0
    found = np.zeros_like(right)
    found[..., :-1, :] = down[..., :-1, :]
    found[..., 1:, :] -= down[..., :-1, :]
    found += right
    found.reshape(*right.shape[:-2], -1)[..., 1:] -= right.reshape(*right.shape[:-2], -1)[..., :-1]
    return found


def _within(field: np.ndarray, rise: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The field (..., H, W), which is overwritten, a step along its rise, which is too, and its vectors that are longer
    than the radius (H, W) then made as long."""
    rise *= _STEP
    field += rise
    first, *others = field.reshape(-1, *field.shape[-2:])
    square = first * first
    for each in others:  # many times as fast as a sum over short axes
        square += each * each
    np.sqrt(square, out=square)
    square /= radius
    field /= np.maximum(np.float32(1.0), square, out=square)
    return field


PLANES = 6
"""At most so many; a room has about five."""

SMALLEST = 0.03
"""Of the picture: what a plane covers at least."""

_GUESSES, _VOTERS = 160, 4000  # pixels whose planes are tried, and that are asked each time
_AT_ONCE = 20  # guesses, so that what is told of all voters stays in the processor's cache
_NEAR, _LIMIT = 0.5, 0.05  # of the uncertainty, and of ln z at most: within that a pixel lies on a plane
_ALIKE = float(np.cos(np.radians(25.0)))  # cosine of the angle between a plane and the surface's own slope
_FADE = 2.0  # of that distance: where a plane no longer pulls at all
_FITS = 4  # of a plane to what lies on it


def steady(inverse: np.ndarray, uncertainty: np.ndarray, focal: float) -> np.ndarray:
    """Inverse depth (H, W) float32, positive, with planes and without ripples.

    uncertainty: (H, W), how far ln z is believed to be wrong. focal: in pixels of the map.
    """
    return smooth(planar(inverse, uncertainty, focal), uncertainty)


@dataclass(frozen=True, eq=False)
class _Map:
    """A map of inverse depth (H, W) with all that is asked of each pixel: where it is, its slope (2, H, W) per pixel
    down and right, its unit normal (3, H, W), and how near in ln z a plane must be."""

    inverse: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    slope: np.ndarray
    normals: np.ndarray
    near: np.ndarray
    focal: float

    @classmethod
    def of(cls, inverse: np.ndarray, uncertainty: np.ndarray, focal: float) -> _Map:
        rows, columns = np.indices(inverse.shape, np.float32)
        slope = np.stack(np.gradient(ndimage.gaussian_filter(inverse, 2.0)))
        x, y = (columns - inverse.shape[1] / 2) / focal, (rows - inverse.shape[0] / 2) / focal
        across, down = slope[1] * focal, slope[0] * focal
        normals = np.stack([across, down, inverse - across * x - down * y])
        normals /= np.maximum(np.sqrt((normals * normals).sum(axis=0)), 1e-12)
        near = np.minimum(_NEAR * np.maximum(uncertainty, _LEAST), _LIMIT)
        return cls(inverse, rows, columns, slope, normals, near, focal)

    def of_plane(self, plane: np.ndarray) -> np.ndarray:
        """(H, W) inverse depth of a plane: its value at the first pixel, its change per pixel down and right."""
        first, down, right = map(float, plane)  # numbers of Python's, which leave float32 as it is
        return first + down * self.rows + right * self.columns

    def on(self, plane: np.ndarray, free: np.ndarray) -> np.ndarray:
        """(H, W) bool, which free pixels lie on a plane and slope as it does."""
        height, width = self.inverse.shape
        middle = plane[0] + plane[1] * height / 2 + plane[2] * width / 2
        normal = np.array([plane[2] * self.focal, plane[1] * self.focal, middle])
        normal = (normal / np.linalg.norm(normal)).astype(np.float32)
        alike = np.tensordot(normal, self.normals, 1) > _ALIKE
        return free & alike & (np.abs(self.of_plane(plane) / self.inverse - 1.0) < self.near)


def planar(inverse: np.ndarray, uncertainty: np.ndarray, focal: float) -> np.ndarray:
    """Inverse depth (H, W) with what lies on one of its large planes put onto it. focal: in pixels of the map."""
    seen, found = _Map.of(inverse, uncertainty, focal), inverse.astype(np.float32)
    free, rng = np.ones(inverse.shape, bool), np.random.default_rng(0)
    for _ in range(PLANES):
        plane = _largest(seen, free, rng)
        if plane is None:
            break
        on, flat = ndimage.binary_opening(seen.on(plane, free)), seen.of_plane(plane)
        off = np.abs(flat / inverse - 1.0) / seen.near
        pull = np.clip((_FADE - off) / (_FADE - 1.0), 0.0, 1.0) * ndimage.gaussian_filter(on.astype(np.float32), 2.0)
        found += (flat - found) * np.where(on, 1.0, np.where(free, pull, 0.0))
        free &= ~on
    return found


def _largest(seen: _Map, free: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """The plane that most of the free pixels lie on, fitted to them; None where it would be too small."""
    least = SMALLEST * free.size
    if free.sum() < least:
        return None
    plane = _guessed(seen, np.flatnonzero(free), rng)
    for _ in range(_FITS):
        on = seen.on(plane, free)
        if on.sum() < least:
            return None
        weight = 1.0 / seen.inverse[on]  # so that errors are of ln z
        design = np.stack([weight, weight * seen.rows[on], weight * seen.columns[on]], axis=1).astype(np.float64)
        plane = np.linalg.solve(design.T @ design + 1e-12 * np.eye(3), design.sum(axis=0))
    return plane


def _guessed(seen: _Map, free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The plane through one of the free pixels (their numbers), sloped as it is, that most of some others lie on."""
    tried = rng.choice(free, min(len(free), _GUESSES), replace=False)
    asked = rng.choice(free, min(len(free), _VOTERS), replace=False)
    inverse, rows, columns = (each.ravel() for each in (seen.inverse, seen.rows, seen.columns))
    down, right = seen.slope.reshape(2, -1)[:, tried]
    start = inverse[tried] - down * rows[tried] - right * columns[tried]
    guesses, normals = np.stack([start, down, right], axis=1), seen.normals.reshape(3, -1)
    places = np.stack([np.ones_like(rows[asked]), rows[asked], columns[asked]]) / inverse[asked]
    near, facing, votes = seen.near.ravel()[asked], normals[:, asked], []
    for some in (slice(first, first + _AT_ONCE) for first in range(0, len(tried), _AT_ONCE)):
        on = (np.abs(guesses[some] @ places - 1.0) < near) & (normals[:, tried[some]].T @ facing > _ALIKE)
        votes += map(np.count_nonzero, on)
    return guesses[int(np.argmax(votes))].astype(np.float64)
