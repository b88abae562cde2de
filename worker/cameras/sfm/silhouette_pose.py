# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses by a silhouette: from where a hull shows nearly the same one.

Must not know features or colours. Exact to some degrees only, and many things look alike from several sides: such a
pose says where to look for points, and is worth nothing without them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ...core.view import PinholeCamera, View
from ..hull import Hull

_DIRECTIONS, _ROLLS = 400, 24
"""From which and how turned the hull is looked at: ten and fifteen degrees apart. Of a body without symmetry the best
pose is then 5 degrees off on average, with a tenth of the directions 9, with a sixth of the rolls 20."""

_CELLS, _GRID = 600, 40
"""Cells of the hull at most, and along each side of the picture in which silhouettes are compared: more of these need
more of those, or the hull has holes."""

_MARGIN = 0.1  # of the silhouette's sides around it in that picture: none makes poses worse, more changes nothing
_STEPS = 6.0, 3.0  # degrees by which the best are turned once more, and once more: half of what lies between two
_REFINED, _MOST = 100, 30  # so many are refined, and given
_APART = 15.0  # degrees between two that are given
_AT_ONCE = 400  # rotations: some 40 MB


def silhouette_poses(
    hull: Hull, camera: PinholeCamera, silhouette: np.ndarray, distance: float
) -> list[tuple[View, float]]:
    """Views from which the hull has about the silhouette (h, w) bool, and their intersection over union, best first.

    distance: from the hull's middle, about.
    """
    rows, columns = np.nonzero(silhouette)
    if len(rows) < 2 or not (np.ptp(rows) and np.ptp(columns)):
        return []
    shown = _Shown.of(camera, silhouette, rows, columns)
    middle = hull.cells.mean(0).astype(np.float64)
    cells = hull.cells[:: -(-len(hull.cells) // _CELLS)] - middle
    rotations = _all_around(_DIRECTIONS, _ROLLS)
    shares = np.concatenate([
        shown.alike(cells, part, distance)[0] for part in np.array_split(rotations, -(-len(rotations) // _AT_ONCE))
    ])  # fmt: skip
    best, ways = rotations[np.argsort(-shares, kind="stable")[:_REFINED]], np.indices((3, 3, 3)).reshape(3, -1).T - 1.0
    for step in _STEPS:
        turns = Rotation.from_rotvec(np.radians(step) * ways).as_matrix()
        around = [turns @ rotation for rotation in best]
        best = np.stack([near[shown.alike(cells, near, distance)[0].argmax()] for near in around])
    shares, centres = shown.alike(cells, best, distance)
    chosen = _best(best, shares)
    return [(View(camera, best[k], middle - best[k].T @ centres[k]), float(shares[k])) for k in chosen]


@dataclass(frozen=True, eq=False)
class _Shown:
    """The silhouette in a small picture of its own, `mask`. low, high: between which rays (x, y), with 1 at last, the
    silhouette lies. corner, side: of the picture, in the same."""

    low: np.ndarray
    high: np.ndarray
    corner: np.ndarray
    side: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, camera: PinholeCamera, silhouette: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> _Shown:
        own = camera.scaled(silhouette.shape[1], silhouette.shape[0])
        x, y = (columns + 0.5 - own.cx) / own.fx, (rows + 0.5 - own.cy) / own.fy
        low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
        margin = _MARGIN * (high - low).max()
        corner, side = low - margin, high - low + 2.0 * margin
        mask = np.zeros((_GRID, _GRID), bool)
        offset = np.stack([x, y], 1) - corner
        column, row = np.clip((offset / side * _GRID).astype(np.intp), 0, _GRID - 1).T
        mask[row, column] = True
        return cls(low, high, corner, side, mask)

    def alike(self, cells: np.ndarray, rotations: np.ndarray, distance: float) -> tuple[np.ndarray, np.ndarray]:
        """(B,) how much of both silhouettes is the same, and (B, 3) where the cells' middle lies for the camera."""
        turned = np.einsum("bij,kj->bik", rotations, cells).astype(np.float32)
        centre = np.tile(np.float32([0.0, 0.0, distance]), (len(rotations), 1))
        centre[:, :2] = distance * (self.low + self.high) / 2.0
        for _ in range(3):  # as large as the silhouette, and where it is
            rays = self._rays(turned, centre)
            low, high = rays.min(2), rays.max(2)
            larger = np.linalg.norm(high - low, axis=1) / np.linalg.norm(self.high - self.low)
            centre *= larger[:, None]
            centre[:, :2] += centre[:, 2:] * ((self.low + self.high) / 2.0 - (low + high) / 2.0) / larger[:, None]
        index = ((self._rays(turned, centre) - self.corner[:, None]) / self.side[:, None] * _GRID).astype(np.intp)
        column, row = index.clip(0, _GRID - 1).transpose(1, 0, 2)
        seen = np.zeros((len(rotations), _GRID, _GRID), bool)
        seen[np.arange(len(rotations))[:, None], row, column] = True
        seen = ndimage.binary_closing(seen, np.ones((1, 3, 3)))
        both, either = (seen & self.mask).sum((1, 2)), (seen | self.mask).sum((1, 2))
        return both / either, centre

    @staticmethod
    def _rays(turned: np.ndarray, centre: np.ndarray) -> np.ndarray:
        points = turned + centre[:, :, None]
        return points[:, :2] / np.maximum(points[:, 2:], 1e-6)


def _best(rotations: np.ndarray, shares: np.ndarray) -> list[int]:
    """Numbers of the best rotations, none near a better one."""
    chosen: list[int] = []
    for number in np.argsort(-shares, kind="stable"):
        cosine = (np.einsum("ij,nij->n", rotations[number], rotations[chosen]) - 1.0) / 2.0 if chosen else np.zeros(0)
        if (cosine < np.cos(np.radians(_APART))).all():
            chosen.append(int(number))
    return chosen[:_MOST]


def _all_around(directions: int, rolls: int) -> np.ndarray:
    """(directions * rolls, 3, 3) rotations whose z axes are spread evenly over the sphere (Fibonacci's spiral)."""
    number = np.arange(directions) + 0.5
    polar, around = np.arccos(1.0 - 2.0 * number / directions), number * np.pi * (1.0 + np.sqrt(5.0))
    first = Rotation.from_euler("ZYZ", np.stack([around, polar, np.zeros(directions)], 1)).as_matrix()
    roll = Rotation.from_euler("z", np.arange(rolls)[:, None] * (2.0 * np.pi / rolls)).as_matrix()
    return np.einsum("rij,dkj->drik", roll, first).reshape(-1, 3, 3)
