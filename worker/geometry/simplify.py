# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer triangles at the least visible cost: quadric simplification that keeps outlines where they are.

Quadrics of the faces alone (Garland and Heckbert 1997) let the outline of a flat sheet shrink. As in that paper every
outline edge gets a plane perpendicular to the sheet; here as real triangles, a skirt along the viewing direction, which
is cut off afterwards.

Must not know cameras or pictures. Works in whatever space it is given: distances there are what counts as an error.
"""

from __future__ import annotations

import fast_simplification
import numpy as np

from .mesh import used_only

_SKIRT = 8.0  # length of the skirt; any length gives the same planes
_AGGRESSION = 7.0  # how fast the library raises its threshold for an edge's error


def simplified(points: np.ndarray, faces: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (V, 3) float64 and faces (F, 3) int32 with about `target` faces or fewer; outlines stay in place.

    The third coordinate is the viewing direction. A unit of length should be about the size of a face: the library
    starts with collapses that move the surface by less than a thousandth of a unit.
    """
    if len(faces) <= target:
        return points, faces.astype(np.int32)
    edges = outline(faces)
    skirted, skirt = _skirt(points, faces, edges)
    share = 1.0 + len(skirt) / len(faces)
    everything = np.concatenate([faces, skirt]).astype(np.int32)
    kept_points, kept_faces = fast_simplification.simplify(
        skirted, everything, target_count=min(int(target * share), len(everything)), agg=_AGGRESSION
    )
    floor = points[:, 2].max() + _SKIRT / 2.0
    above = (kept_points[kept_faces][:, :, 2] < floor).all(axis=1)
    kept_points, kept_faces, _ = used_only(kept_points, kept_faces[above])
    return kept_points, kept_faces


def outline(faces: np.ndarray) -> np.ndarray:
    """(E, 2) directed edges (as their face walks them) that only one face has."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    size = int(faces.max()) + 1
    low, high = edges.min(axis=1), edges.max(axis=1)
    key = low * size + high
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    alone = np.ones(len(ordered), bool)
    same = ordered[1:] == ordered[:-1]
    alone[1:] &= ~same
    alone[:-1] &= ~same
    return edges[order[alone]]


def _skirt(points: np.ndarray, faces: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points with a lowered copy of the outline's, and the triangles between outline and copy."""
    vertices = np.unique(edges)
    lowered = points[vertices].copy()
    lowered[:, 2] = points[:, 2].max() + _SKIRT
    copy = np.full(len(points), -1, np.int64)
    copy[vertices] = len(points) + np.arange(len(vertices))
    a, b = edges[:, 0], edges[:, 1]
    skirt = np.concatenate([np.stack([b, a, copy[a]], axis=1), np.stack([b, copy[a], copy[b]], axis=1)])
    return np.concatenate([points, lowered]), skirt
