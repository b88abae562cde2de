# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls a mesh until its outlines are those of pictures from several sides. Must not know colours or files.

As `outline_pull` does it for one picture: what each outline says of the points that are seen at it holds across its own
lines of sight, and one displacement, as smooth as it can be, is found for all (sparse least squares). What pictures say
of the depth between the outlines holds across the surface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from ..core.view import View
from .mesh import Mesh
from .outline_pull import bending_of, followed, framed, reduced, rim_wanted
from .swept import Deep
from .texturing.rasterise import depth_buffer, projected

_FACES = 5_000  # of the mesh on which it is worked out
_STIFF = (300.0, 100.0, 30.0, 10.0)  # of each round, against bending, beside 1 for each point of a rim
_STAY = 1e-3  # against moving at all, where nothing pulls
_DEPTHS = 1.0  # of a point of a rim counts one whose depth is told
_EVEN = 2.0  # pixels over which depths are averaged
_SEEN = 0.01  # of the depth: farther behind the first surface a point is hidden


def pulled(
    vertices: np.ndarray,
    faces: np.ndarray,
    views: Sequence[tuple[View, float]],
    depths: Sequence[Deep] = (),
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Vertices (V, 3) float32 whose outlines are those of the views' masks, as far as that goes. faces: (F, 3), welded.
    views: each with a mask, and how much it counts beside a photo's 1. depths: of the mesh as it comes. check: called
    between the rounds, may raise."""
    few, triangles = reduced(vertices, faces, _FACES)
    outlines = [_Outline(view, weight, few) for view, weight in views if (view.mask >= 128).any()]
    if not outlines:
        return vertices
    outlines += [_Deepened(deep, few, triangles) for deep in depths]
    bending, start = sparse.kron(bending_of(triangles, len(few)), sparse.eye_array(3)).tocsr(), few
    scale = float(np.mean([outline.scale(few) for outline in outlines])) ** 2  # all else is in pixels
    for stiff in _STIFF:
        check()
        system, right = scale * (stiff * bending + _STAY * sparse.eye_array(3 * len(few))), np.zeros(3 * len(few))
        for outline in outlines:
            rows, wanted = outline.asked(few, triangles)
            system, right = system + rows.T @ rows, right + rows.T @ wanted
        few = few + splu(system.tocsc()).solve(right).reshape(-1, 3)
    return (vertices + followed(few - start, start, vertices)).astype(np.float32)


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


class _Deepened:
    """What one picture tells of depth: what it asks of the points that it sees."""

    def __init__(self, deep: Deep, points: np.ndarray, faces: np.ndarray) -> None:
        self.view, place = deep.view, projected(points, deep.view)
        first = depth_buffer(points, faces, deep.view)
        where = place[:, 1::-1].T - 0.5
        first = ndimage.map_coordinates(np.where(np.isfinite(first), first, 0.0), where, order=0, mode="constant")
        sure, off = (ndimage.gaussian_filter(each, _EVEN) for each in (deep.sure, deep.sure * deep.off))
        sure, off = (ndimage.map_coordinates(each, where, order=1, mode="constant") for each in (sure, off))
        self.points = np.flatnonzero((place[:, 2] < first * (1.0 + _SEEN)) & (sure > 0.05))
        along = (points[self.points] - self.view.position) / place[self.points, 2, None]
        self.wanted = points[self.points] + along * (off / np.maximum(sure, 1e-9))[self.points, None]
        self.across = Mesh(np.float32(points), np.int32(faces)).with_normals().normals[self.points]
        self.pixels = self.view.camera.fx / place[self.points, 2]  # per unit of length
        self.weight = np.sqrt(_DEPTHS * sure[self.points]) * self.pixels

    def scale(self, points: np.ndarray) -> float:
        return self.view.camera.fx / float(projected(points, self.view)[:, 2].mean())

    def asked(self, points: np.ndarray, faces: np.ndarray) -> tuple[sparse.csr_array, np.ndarray]:
        """As an outline's, of the points that it sees, and across the surface alone."""
        count, values = len(self.points), self.across * self.weight[:, None]
        columns = 3 * self.points[:, None] + np.arange(3)
        rows = np.repeat(np.arange(count), 3)
        left = ((self.wanted - points[self.points]) * values).sum(axis=1)
        return sparse.csr_array((values.ravel(), (rows, columns.ravel())), shape=(count, 3 * len(points))), left


def _rows(view: View, chosen: np.ndarray, place: np.ndarray, weight: np.ndarray, count: int) -> sparse.csr_array:
    """(2 N, 3 V) what steps of the chosen (N,) of so many points do to their places in the picture, weighted (N,)."""
    across = view.rotation[:2] * np.array([[view.camera.fx], [view.camera.fy]])
    values = across[None] * np.sqrt(weight)[:, None, None] / place[chosen, 2, None, None]
    columns = np.broadcast_to(3 * chosen[:, None, None] + np.arange(3), values.shape)
    rows = np.broadcast_to(np.arange(2 * len(chosen)).reshape(-1, 2, 1), values.shape)
    return sparse.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=(2 * len(chosen), 3 * count))


def _wanted(steps: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return (np.sqrt(weight)[:, None] * steps).ravel()
