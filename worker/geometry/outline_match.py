# SPDX-License-Identifier: GPL-3.0-or-later
"""Which point of a mesh's outline belongs to which place of a picture's. Must not know colours or files.

Two outlines are curves with a direction, outwards, at each place. A place belongs to the nearest that looks the same
way, so that the left of a thin part is not taken for its right, nor one part for another that lies beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..core.view import View
from .texturing.rasterise import depth_buffer, projected

_TURNED = 0.08
"""Of the picture's side: as far as that lie two places apart of which one looks aside and the other up. On three of
YCB's scans, each deformed in three ways, half and twice of it change normals by .3 degrees at most; with none the left
of a thin part is taken for its right."""

_EVEN = 1.5  # pixels over which directions are evened out
_RIM = 2.0  # pixels from its outline within which a point of the mesh is the rim's
_MOST = 1500  # places of an outline that are asked


@dataclass(frozen=True, eq=False)
class Outline:
    """places: (N, 2) column and row; out: (N, 2) unit vectors; side: of the picture's longer side, in pixels."""

    places: np.ndarray
    out: np.ndarray
    side: float

    @classmethod
    def of(cls, mask: np.ndarray) -> Outline:
        """The outline of a mask (H, W) bool that is not empty."""
        padded = np.pad(mask, 1)
        rows, columns = np.nonzero((padded & ~ndimage.binary_erosion(padded))[1:-1, 1:-1])
        step = -(-len(rows) // _MOST)
        places = np.column_stack([columns, rows])[::step] + 0.5
        return cls(places, _outwards(mask, places), float(max(mask.shape)))

    def features(self) -> np.ndarray:
        return np.hstack([self.places, self.out * (_TURNED * self.side)])


@dataclass(frozen=True, eq=False)
class Matched:
    """point: (N,) numbers of the mesh's points; wanted: (N, 2) where each is to be seen; out: (N, 2) the direction
    along which that is sure."""

    point: np.ndarray
    wanted: np.ndarray
    out: np.ndarray


def matched(points: np.ndarray, faces: np.ndarray, view: View, outline: Outline, reach: float) -> Matched:
    """What an outline asks of the points (V, 3) that are seen at their own, no farther than `reach` of the picture's
    side: of each the nearest place, and at each place its nearest point."""
    own, place = np.isfinite(depth_buffer(points, faces, view)), projected(points, view)[:, :2]
    if not own.any():
        return Matched(np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros((0, 2)))
    edge = ndimage.distance_transform_edt(np.pad(own, 1))[1:-1, 1:-1] + ndimage.distance_transform_edt(~own)
    rim = np.flatnonzero(read(edge, place) < _RIM)
    mesh = Outline(place[rim], _outwards(own, place[rim]), outline.side)
    asked, asking = mesh.features(), outline.features()
    if not len(rim):
        return Matched(rim, place[rim], place[rim])
    far, nearest = cKDTree(asking).query(asked)
    back, point = cKDTree(asked).query(asking)
    near, there = far < reach * outline.side, back < reach * outline.side
    places = np.concatenate([nearest[near], np.flatnonzero(there)])
    return Matched(np.concatenate([rim[near], rim[point[there]]]), outline.places[places], outline.out[places])


def _outwards(mask: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, 2) unit vectors out of a mask (H, W) bool at places (N, 2)."""
    inward = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] - ndimage.distance_transform_edt(~mask)
    down, right = np.gradient(ndimage.gaussian_filter(inward, _EVEN))
    out = -np.stack([read(right, places), read(down, places)], axis=1)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)


def read(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values (H, W) at places (N, 2), column and row."""
    return ndimage.map_coordinates(values, place.T[::-1] - 0.5, order=1, mode="nearest")
