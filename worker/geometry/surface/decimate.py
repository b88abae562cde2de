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
_BULGE = 0.5
"""How much farther from the middle, of itself, a point is put that is as far from it as the surface is long: planes are
simplified bulged. On a plane that is flat no place is better than another, so triangles become slivers that lie
back to front. Of a boxy can's faces 6.4 % are slivers with .05, 4.9 with .1, 1.2 with .25, .5 here."""

_MANY = 1_000  # faces; bulged, thin things do not get down to fewer
_NEWTON = 8  # steps, after which the distance is exact
_SMALLEST = 4  # faces of a closed part


def decimated(vertices: np.ndarray, faces: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) int32 with about `target` faces or fewer. The input must be closed.

    Parts that shrink to nothing are left out. Raises ValueError if nothing would be left.
    """
    if len(faces) <= target:
        return vertices, faces
    unit = np.sqrt(np.linalg.norm(face_vectors(vertices, faces), axis=1).mean())  # the library counts in such lengths
    middle, reach = vertices.mean(axis=0, dtype=np.float64), float(np.ptp(vertices, axis=0).max()) / unit
    bulge = _BULGE / reach**2 if target >= _MANY else 0.0
    points = np.round(_bulged((vertices.astype(np.float64) - middle) / unit, bulge), _DIGITS)
    fewer, kept = fast_simplification.simplify(points, faces.astype(np.int32), target_count=target, agg=_AGGRESSION)
    fewer, kept = manifold(fewer, cancelled(kept.astype(np.int32)))
    part, count = connected(kept, len(fewer))
    kept = kept[np.bincount(part, minlength=count)[part] >= _SMALLEST]
    if not len(kept):
        raise ValueError(f"nothing of the surface is left with {target} faces; ask for more")
    fewer, kept, _ = used_only(fewer, kept)
    return (_flat_again(fewer, bulge) * unit + middle).astype(vertices.dtype), kept


def _bulged(points: np.ndarray, bulge: float) -> np.ndarray:
    """Points (V, 3) moved away from the origin, the more the farther they are."""
    return points * (1.0 + bulge * (points**2).sum(axis=1, keepdims=True))


def _flat_again(points: np.ndarray, bulge: float) -> np.ndarray:
    """The same undone, by Newton's method for the distance from the origin."""
    far = np.linalg.norm(points, axis=1, keepdims=True)
    own = far
    for _ in range(_NEWTON):
        own = own - (own + bulge * own**3 - far) / (1.0 + 3.0 * bulge * own**2)
    return points * own / np.maximum(far, 1e-30)
