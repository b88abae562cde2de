# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a mesh the size and place at which it is handed over, and says where the photo's camera then stands.

Must not know how the mesh was made, nor files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .mesh import Mesh


@dataclass(frozen=True, eq=False)
class Placed:
    """A mesh in its final place: a point p of the mesh as it was made now lies at `scale * p + offset`.

    So a camera that stood at the origin stands at `offset` (3,) float64, and sees the mesh exactly as before.
    """

    mesh: Mesh
    scale: float
    offset: np.ndarray


def place(
    mesh: Mesh,
    size: float | None = 2.0,
    origin: Literal["base", "centre"] = "base",
    counted: np.ndarray | None = None,
) -> Placed:
    """Moves a mesh to where a person expects it.

    size: length of the longest side of its bounding box afterwards, in metres, or None to keep its own metres.
    origin: what comes to lie at (0, 0, 0): the middle of the bounding box's underside, or its middle. counted: (V,)
    bool, the vertices whose bounding box that is, all without.
    """
    vertices = mesh.vertices if counted is None or not counted.any() else mesh.vertices[counted]
    low, high = Mesh(vertices, mesh.faces[:0]).bounds.astype(np.float64)
    longest = float((high - low).max())
    if size is not None and not size > 0.0:
        raise ValueError(f"size must be positive, not {size:g}")
    scale = 1.0 if size is None or longest <= 0.0 else size / longest
    anchor = (low + high) / 2.0
    if origin == "base":
        anchor[1] = low[1]
    offset = -scale * anchor
    return Placed(mesh.transformed(scale, offset), scale, offset)
