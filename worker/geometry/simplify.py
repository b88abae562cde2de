# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer triangles at the least visible cost: quadric simplification that keeps outlines where they are.

Quadrics of the faces alone (Garland and Heckbert 1997) let the outline of a flat sheet shrink. As in that paper every
outline edge gets a plane perpendicular to the sheet; here as real triangles, a fin along the viewing direction, which
the library counts into the quadrics of the edge's ends and whose rest is cut off afterwards. A fin has two sides, so
that no edge is open: the library treats open edges specially, and cuts the corners of a sheet in doing so.

Must not know cameras or pictures. Works in whatever space it is given: distances there are what counts as an error.
"""

from __future__ import annotations

import fast_simplification
import numpy as np

from .mesh import used_only

_FIN = 8.0  # how far a fin reaches behind the surface; any length gives the same plane
_AGGRESSION = 7.0  # how fast the library raises its threshold for an edge's error


def simplified(points: np.ndarray, faces: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (V, 3) float64 and faces (F, 3) int32 with about `target` faces or fewer; outlines stay in place.

    The third coordinate is the viewing direction. A unit of length should be about the size of a face: the library
    starts with collapses that move the surface by less than a thousandth of a unit.
    """
    if len(faces) <= target:
        return points, faces.astype(np.int32)
    edges = outline(faces)
    behind = points[:, 2].max() + _FIN
    tips = points[edges].mean(axis=1)
    tips[:, 2] = behind
    fins = np.column_stack([edges[:, 1], edges[:, 0], len(points) + np.arange(len(edges))])
    fins = np.concatenate([fins, fins[:, ::-1]])
    kept_points, kept_faces = fast_simplification.simplify(
        np.concatenate([points, tips]),
        np.concatenate([faces, fins]).astype(np.int32),
        target_count=target,
        agg=_AGGRESSION,
    )
    real = (kept_points[kept_faces][:, :, 2] < behind - _FIN / 2.0).all(axis=1)
    kept_points, kept_faces, _ = used_only(kept_points, kept_faces[real])
    return kept_points, kept_faces


def outline(faces: np.ndarray) -> np.ndarray:
    """(E, 2) directed edges (as their face walks them) that only one face has."""
    start = faces.T.astype(np.int64).ravel()  # all first corners, all second, all third
    end = np.roll(start, -len(faces))
    key = np.minimum(start, end) * (int(faces.max()) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])
    alone = order[begins[1:] & begins[:-1]]
    return np.stack([start[alone], end[alone]], axis=1)
