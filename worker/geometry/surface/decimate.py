# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer triangles for a closed surface, which stays a closed manifold.

The library's quadric edge collapses (Garland and Heckbert 1997) do not look at what else meets at an edge, so thin
parts come out with edges of four faces. But a collapse moves a closed surface's faces onto others such that every edge
is still walked as often in one direction as in the other; so what cancels is taken out and the rest is taken apart
where sheets touch (`clean.manifold`), and is closed again.

Must not know where the surface came from.
"""

from __future__ import annotations

import fast_simplification
import numpy as np

from ..mesh import face_vectors, used_only
from .clean import cancelled, connected, manifold

_AGGRESSION = 7.0  # how fast the library raises its threshold for an edge's error
_DIGITS = 4
"""Of a face's size that are kept: on planes that are flat to the last bit the library's equations are all but singular,
and most collapses are refused (a slab asked for with 1,000 faces came with 7,808; from 3 to 7 digits it has 1,000)."""
_SMALLEST = 4  # faces of a closed part


def decimated(vertices: np.ndarray, faces: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) int32 with about `target` faces or fewer. The input must be closed.

    Parts that shrink to nothing are left out. Raises ValueError if nothing would be left.
    """
    if len(faces) <= target:
        return vertices, faces
    unit = np.sqrt(np.linalg.norm(face_vectors(vertices, faces), axis=1).mean())  # the library counts in such lengths
    middle = vertices.mean(axis=0, dtype=np.float64)
    points = np.round((vertices.astype(np.float64) - middle) / unit, _DIGITS)
    fewer, kept = fast_simplification.simplify(points, faces.astype(np.int32), target_count=target, agg=_AGGRESSION)
    fewer, kept = manifold(fewer, cancelled(kept.astype(np.int32)))
    part, count = connected(kept, len(fewer))
    kept = kept[np.bincount(part, minlength=count)[part] >= _SMALLEST]
    if not len(kept):
        raise ValueError(f"nothing of the surface is left with {target} faces; ask for more")
    fewer, kept, _ = used_only(fewer, kept)
    return (fewer * unit + middle).astype(vertices.dtype), kept
