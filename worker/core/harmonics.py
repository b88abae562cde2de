# SPDX-License-Identifier: GPL-3.0-or-later
"""Real spherical harmonics of degree 0 to 3, in the order and with the signs of 3D Gaussian splatting.

Kerbl et al. 2023 (arXiv:2308.04079) after Green 2003; the same as KHR_gaussian_splatting, which keeps the
Condon-Shortley phase: odd orders have a minus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any  # numpy's or torch's

CONSTANT = 0.28209479177387814
"""Of degree 0."""

_1 = 0.4886025119029199
_2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
_3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)

HALF_TURN = np.array([1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)
"""The factor of each coefficient where space is turned by 180 degrees about x: y and z change their signs."""


def basis(directions: Array, degree: int, stack: Callable[..., Array] = np.stack) -> Array:
    """(N, (degree + 1)^2) of unit vectors (N, 3), in the order of degrees and, within one, of orders. stack: that of
    the library whose arrays they are."""
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    rows = [0.0 * x + CONSTANT]
    if degree > 0:
        rows += [-_1 * y, _1 * z, -_1 * x]
    if degree > 1:
        a, b, c = _2
        rows += [a * x * y, -a * y * z, b * (2 * z * z - x * x - y * y), -a * x * z, c * (x * x - y * y)]
    if degree > 2:
        a, b, c, d, e = _3
        rows += [-a * y * (3 * x * x - y * y), b * x * y * z, -c * y * (4 * z * z - x * x - y * y)]
        rows += [d * z * (2 * z * z - 3 * x * x - 3 * y * y), -c * x * (4 * z * z - x * x - y * y)]
        rows += [e * z * (x * x - y * y), -a * x * (x * x - 3 * y * y)]
    return stack(rows, -1)


def colours(harmonics: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(N, 3) sRGB, at least 0, of coefficients (N, K, 3) seen along unit vectors (N, 3)."""
    found = basis(directions, round(harmonics.shape[1] ** 0.5) - 1)
    return np.maximum(np.einsum("nk,nkc->nc", found, harmonics) + 0.5, 0.0)


def of_colours(colours: np.ndarray) -> np.ndarray:
    """Coefficients (N, 1, 3) float32 of sRGB (N, 3) in [0, 1] that looks the same from everywhere."""
    return ((np.asarray(colours, np.float32) - 0.5) / np.float32(CONSTANT))[:, None]
