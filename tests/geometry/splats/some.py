# SPDX-License-Identifier: GPL-3.0-or-later
"""Random splats."""

from __future__ import annotations

import numpy as np
from image_to_3d.worker.core.representations import Splats


def splats(count: int = 300, degree: int = 3, seed: int = 0, side: float = 2.0) -> Splats:
    """Within a cube of that side, of sizes that a thing in it has."""
    random = np.random.default_rng(seed)
    rotations = random.normal(size=(count, 4))
    rotations /= np.linalg.norm(rotations, axis=1, keepdims=True)
    values = (
        random.uniform(-side / 2, side / 2, (count, 3)),
        np.exp(random.uniform(-5.0, -2.5, (count, 3))),
        rotations,
        random.uniform(0.05, 1.0, count),
        np.concatenate(
            [random.uniform(-1.5, 1.5, (count, 1, 3)), random.uniform(-0.4, 0.4, (count, (degree + 1) ** 2 - 1, 3))], 1
        ),
    )
    return Splats(*(value.astype(np.float32) for value in values))


def matrices(rotations: np.ndarray) -> np.ndarray:
    """(N, 3, 3) of unit quaternions (w, x, y, z)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(np.roll(rotations, -1, axis=1)).as_matrix()
