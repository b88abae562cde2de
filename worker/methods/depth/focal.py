# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that sees a point map whose depth has an unknown shift: its focal length, and the shift.

As MoGe recovers it (Wang et al. 2024, arXiv:2410.19115, section 3.2), to the same tolerance: a solver that goes on
finds other numbers than the published ones. Must not know networks.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

SAMPLES = 64  # along each side, of the points that are looked at
_TOLERANCE = 1e-3
_LEAST = 2  # points


def recovered(points: np.ndarray, mask: np.ndarray, aspect: float, focal: float | None = None) -> tuple[float, float]:
    """Focal length in half diagonals, and the shift that z lacks.

    points: (H, W, 3), mask: (H, W) bool, where they are to be believed; aspect: width by height; focal: where it is
    known. Minimises |focal xy / (z + shift) - uv|, the focal length in closed form. (1, 0) where there are no points.
    """
    height, width = mask.shape
    rows, columns = (np.arange(SAMPLES) * side // SAMPLES for side in (height, width))
    chosen = points[rows][:, columns], _positions(height, width, aspect)[rows][:, columns], mask[rows][:, columns]
    xyz, uv = (values[chosen[2]].astype(np.float32) for values in chosen[:2])
    if len(xyz) < _LEAST:
        return focal or 1.0, 0.0
    xy, z = xyz[:, :2], xyz[:, 2]

    def focal_for(seen: np.ndarray) -> float:
        return focal if focal is not None else float((seen * uv).sum() / np.square(seen).sum())

    def error(shift: np.ndarray) -> np.ndarray:
        seen = xy / (z + shift)[:, None]
        return (focal_for(seen) * seen - uv).ravel()

    shift = least_squares(error, x0=0.0, ftol=_TOLERANCE, method="lm").x.squeeze().astype(np.float32)
    return focal_for(xy / (z + shift)[:, None]), float(shift)


def _positions(height: int, width: int, aspect: float) -> np.ndarray:
    """(H, W, 2) float32: u and v of the pixels' middles in half diagonals from the picture's middle."""
    half = np.array([aspect, 1.0]) / np.sqrt(1.0 + aspect**2)
    across, down = (np.linspace(-h * (n - 1) / n, h * (n - 1) / n, n) for h, n in zip(half, (width, height)))
    return np.stack(np.meshgrid(across, down), -1).astype(np.float32)
