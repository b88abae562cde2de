# SPDX-License-Identifier: GPL-3.0-or-later
"""A depth map with the fine detail of the normals that its network tells beside it.

Networks see folds and letters in their normals that their depth has lost. The logarithm of depth is found whose slopes
are those of the normals where the depth goes on, and which stays near the depth as it was: what is finer than REACH
pixels comes from the normals, what is larger from the depth. Normals under perspective as in Cao et al. 2022,
"Bilateral Normal Integration", eq. 7; unlike there, where the surface is torn is read from the depth, which is known.
Conjugate gradients (Hestenes and Stiefel 1952) begun at the depth; a few are enough for what is that fine.

Works on maps. Must not know networks, meshes or files.
"""

from __future__ import annotations

import numpy as np

from ...core.view import PinholeCamera

REACH = 8.0
"""Pixels of the map up to which detail is the normals'.

On six rendered scenes (bird, room, street, table, portrait, cyclist of tests/bench/walk.py, 1024 pixels) whose true
depth was blurred by 4 pixels and spoilt by .4 % fine and 3 % coarse noise, with normals 7 degrees off: the surface's
normals 27, 38, 17, 43, 41, 11 degrees off before; 13, 16, 8, 21, 18, 7 after; at a reach of 4 15, 21, 9, 25, 22, 7; and
at 32 11, 12, 8, 16, 15, 7, where fine depth is worse than before in the last and the cost is twice."""

_ROUNDS = 16
_GRAZING = 0.1  # cosine of the angle of sight below which a normal tells no slope
_TORN = 0.02  # what the depth's own slope may differ from the normals' by, in ln z per pixel, for half the weight


def integrated(inverse: np.ndarray, valid: np.ndarray, normals: np.ndarray, camera: PinholeCamera) -> np.ndarray:
    """Inverse depth (H, W) float32 with the detail of normals.

    normals: (H, W, 3) unit vectors towards the camera, x right, y down, z forward; zero or NaN where unknown. valid:
    (H, W) bool; elsewhere inverse depth is given back as it was. camera: of the map.
    """
    depth = -np.log(np.where(valid, np.maximum(inverse, 1e-12), 1.0)).astype(np.float32)
    steps = [_Edges.of(depth, valid, slope, axis) for axis, slope in enumerate(_slopes(normals, camera))]

    def pulled(values: np.ndarray) -> np.ndarray:
        return values / np.float32(REACH**2) + sum(each.spread(each.weight * each.along(values)) for each in steps)

    wanted = sum(each.spread(each.weight * (each.slope - each.along(depth))) for each in steps)
    finer = _solved(pulled, wanted) + depth
    return np.where(valid, np.exp(-finer), inverse).astype(np.float32)


def _slopes(normals: np.ndarray, camera: PinholeCamera) -> list[np.ndarray]:
    """Change of ln z per pixel down and to the right, each (H, W), NaN where the surface is seen edge-on."""
    height, width = normals.shape[:2]
    across, down, forward = np.moveaxis(normals.astype(np.float32), 2, 0)
    x = (np.arange(width, dtype=np.float32) + 0.5 - camera.cx)[None, :] / camera.fx
    y = (np.arange(height, dtype=np.float32) + 0.5 - camera.cy)[:, None] / camera.fy
    sight = across * x + down * y + forward
    sight = np.where(sight < -_GRAZING * np.sqrt(1.0 + x * x + y * y), sight, np.nan)
    return [-down / (sight * camera.fy), -across / (sight * camera.fx)]


class _Edges:
    """Between each pixel and the next along an axis: the normals' slope, and how far it is believed."""

    def __init__(self, axis: int, slope: np.ndarray, weight: np.ndarray):
        self.axis, self.slope, self.weight = axis, slope, weight

    @classmethod
    def of(cls, depth: np.ndarray, valid: np.ndarray, slope: np.ndarray, axis: int) -> _Edges:
        first, second = _pairs(slope, axis)
        mean = (first + second) / 2.0
        apart = (np.diff(depth, axis=axis) - mean) / _TORN
        known = np.logical_and(*_pairs(valid, axis)) & np.isfinite(mean)
        weight = np.where(known, 1.0 / (1.0 + np.where(known, apart, 0.0) ** 4), 0.0).astype(np.float32)
        return cls(axis, np.where(known, mean, 0.0).astype(np.float32), weight)

    def along(self, values: np.ndarray) -> np.ndarray:
        return np.diff(values, axis=self.axis)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """The adjoint of `along`."""
        edge = [(0, 0), (0, 0)]
        edge[self.axis] = (1, 1)
        return -np.diff(np.pad(values, edge), axis=self.axis)


def _pairs(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    return (values[:-1], values[1:]) if axis == 0 else (values[:, :-1], values[:, 1:])


def _solved(pulled, wanted: np.ndarray) -> np.ndarray:
    """x (H, W) for which pulled(x), linear, symmetric and positive, is nearly `wanted`."""
    found, rest = np.zeros_like(wanted), wanted.copy()
    direction, length = rest.copy(), float(np.vdot(rest, rest))
    for _ in range(_ROUNDS):
        if length <= 0.0:
            break
        image = pulled(direction)
        share = np.float32(length / float(np.vdot(direction, image)))
        found += share * direction
        rest -= share * image
        before, length = length, float(np.vdot(rest, rest))
        direction = rest + np.float32(length / before) * direction
    return found
