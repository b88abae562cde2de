# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls a mesh until its outlines are those of pictures from several sides. Must not know colours or files.

As `outline_pull` does it for one picture: what each outline says of the points that are seen at it holds across its own
lines of sight, and one displacement, as smooth as it can be, is found for all (sparse least squares), after the mesh
has been turned and stretched as a whole: what leans another way than it should is bent otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from ..core.view import View
from .outline_pull import bending_of, followed, framed, reduced, rim_wanted
from .texturing.rasterise import projected

_FACES = 5_000  # of the mesh on which it is worked out
_STIFF = (300.0, 100.0, 30.0, 10.0)  # of each round, against bending, beside 1 for each point of a rim
_WHOLE = 8
"""Rounds in which it is turned and stretched as a whole."""

_STAY = 1e-3  # against moving at all, where nothing pulls


def pulled(
    vertices: np.ndarray,
    faces: np.ndarray,
    views: Sequence[tuple[View, float]],
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Vertices (V, 3) float32 whose outlines are those of the views' masks, as far as that goes. faces: (F, 3), welded.
    views: each with a mask, and how much it counts beside a photo's 1. check: called between the rounds, may raise."""
    few, triangles = reduced(vertices, faces, _FACES)
    outlines = [_Outline(view, weight, few) for view, weight in views if (view.mask >= 128).any()]
    if not outlines:
        return vertices
    bending, start = sparse.kron(bending_of(triangles, len(few)), sparse.eye_array(3)).tocsr(), few
    scale = float(np.mean([outline.scale(few) for outline in outlines])) ** 2  # all else is in pixels
    for _ in range(_WHOLE if len(outlines) > 1 else 0):
        check()
        asked = [outline.asked(few, triangles) for outline in outlines]
        basis = _affine(few)
        found = [(rows @ basis, wanted) for rows, wanted in asked]
        system = sum(rows.T @ rows for rows, _ in found) + scale * _STAY * basis.T @ basis
        step = np.linalg.lstsq(system, sum(rows.T @ wanted for rows, wanted in found))[0]  # of a card some are free
        few = few + (basis @ step).reshape(-1, 3)
    for stiff in _STIFF:
        check()
        system, right = scale * (stiff * bending + _STAY * sparse.eye_array(3 * len(few))), np.zeros(3 * len(few))
        for outline in outlines:
            rows, wanted = outline.asked(few, triangles)
            system, right = system + rows.T @ rows, right + rows.T @ wanted
        few = few + splu(system.tocsc()).solve(right).reshape(-1, 3)
    return (vertices + followed(few - start, start, vertices)).astype(np.float32)


def _affine(points: np.ndarray) -> np.ndarray:
    """(3 V, 12) how points (V, 3) move with each entry of a matrix about their middle, and of a step."""
    own = points - points.mean(axis=0)
    return np.kron(np.column_stack([own / max(np.abs(own).max(), 1e-12), np.ones(len(own))]), np.eye(3))


class _Outline:
    """One view's: what it asks of a mesh's points."""

    def __init__(self, view: View, weight: float, points: np.ndarray) -> None:
        self.view, self.outline = framed(view.mask >= 128, points, view)
        self.weight = weight
        inward = ndimage.distance_transform_edt(self.outline) - ndimage.distance_transform_edt(~self.outline)
        self.inward = ndimage.gaussian_filter(inward, 1.0)

    def scale(self, points: np.ndarray) -> float:
        """Pixels per unit of length at the points' middle."""
        return self.view.camera.fx / float(projected(points, self.view)[:, 2].mean())

    def asked(self, points: np.ndarray, faces: np.ndarray) -> tuple[sparse.csr_array, np.ndarray]:
        """Rows (R, 3 V) of what steps (V, 3) do to the rim in the picture, and what they are to do (R,), in pixels."""
        place = projected(points, self.view)
        rim, wanted = rim_wanted(points, faces, self.view, place[:, :2], self.outline, self.inward)
        weight = np.full(len(rim), self.weight)
        return _rows(self.view, rim, place, weight, len(points)), _wanted(wanted - place[rim, :2], weight)


def _rows(view: View, chosen: np.ndarray, place: np.ndarray, weight: np.ndarray, count: int) -> sparse.csr_array:
    """(2 N, 3 V) what steps of the chosen (N,) of so many points do to their places in the picture, weighted (N,)."""
    across = view.rotation[:2] * np.array([[view.camera.fx], [view.camera.fy]])
    values = across[None] * np.sqrt(weight)[:, None, None] / place[chosen, 2, None, None]
    columns = np.broadcast_to(3 * chosen[:, None, None] + np.arange(3), values.shape)
    rows = np.broadcast_to(np.arange(2 * len(chosen)).reshape(-1, 2, 1), values.shape)
    return sparse.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=(2 * len(chosen), 3 * count))


def _wanted(steps: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return (np.sqrt(weight)[:, None] * steps).ravel()
