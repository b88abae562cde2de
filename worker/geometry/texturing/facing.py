# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a mesh faces in each pixel of a view, beside which way a network says that the picture does.

An outline alone does not tell a thing's front from its back, nor a bent thing from one that is seen from elsewhere;
normals do, though they be ten or twenty degrees off. Must not know colours, files or networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...core.view import PinholeCamera, View
from .rasterise import first_seen

AS_TOLD = 10.0
"""Degrees by which a mesh may face otherwise than a picture says: less is what the included network for things errs by
itself, so that it does not contradict the mesh. Seven meshes by the included generator, which guesses alike, are at 5
to 9 with the picture of which they were made, 13 deformed scans at 12 to 39."""

_KNOWN = 0.9  # of what a pixel is the mean of: less mixes in what nobody knows
_LEAST = 1e-9


def facing(corners: np.ndarray) -> np.ndarray:
    """(F, 3) unit normals, towards the camera, of triangles (F, 3, 3) in its axes; zero without an area."""
    found = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-300)
    return found * -np.sign((found * corners.mean(axis=1)).sum(axis=1, keepdims=True))


def faced(vertices: np.ndarray, faces: np.ndarray, view: View) -> np.ndarray:
    """(height, width, 3) normals of what a view sees of a mesh, as `View.normals`; zero where it sees nothing."""
    seen = first_seen(vertices, faces, view)
    own = facing(((vertices - view.position) @ view.rotation.T)[faces])
    found = np.zeros((view.camera.height * view.camera.width, 3))
    found[seen.pixel] = own[seen.face]
    return found.reshape(view.camera.height, view.camera.width, 3)


@dataclass(frozen=True, eq=False)
class Faced:
    """What a picture says. normals: (H, W, 3) unit vectors; known: (H, W) bool, where that is so."""

    normals: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, view: View, camera: PinholeCamera) -> Faced | None:
        """A view's normals in the pixels of a camera that looks from the same place; None where it has none."""
        if view.normals is None:
            return None
        rows, columns = view.normals.shape[:2]
        own = view.camera.scaled(columns, rows)
        x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx * own.fx + own.cx - 0.5
        y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy * own.fy + own.cy - 0.5
        share, places = max(own.fx / camera.fx, 1.0) / 2.0 - 0.5, np.meshgrid(y, x, indexing="ij")

        def read(values: np.ndarray) -> np.ndarray:
            return ndimage.map_coordinates(ndimage.gaussian_filter(values, share), places, order=1, mode="constant")

        found = np.stack([read(plane) for plane in np.moveaxis(view.normals.astype(np.float64), 2, 0)], axis=2)
        length = np.linalg.norm(found, axis=2, keepdims=True)
        known = read((np.abs(view.normals).sum(axis=2) > 0.0).astype(np.float64)) > _KNOWN
        return cls(found / np.maximum(length, _LEAST), known & (length[..., 0] > _LEAST))

    def apart(self, own: np.ndarray) -> np.ndarray:
        """(H, W, 3) what a mesh's normals, as `faced`, have more than these; zero where either is unknown."""
        return np.where(self._both(own)[..., None], own - self.normals, 0.0)

    def degrees(self, own: np.ndarray) -> float:
        """The mean angle to a mesh's normals, as `faced`; 90 where nothing is known of both."""
        both = self._both(own)
        cosine = (own[both] * self.normals[both]).sum(axis=1)
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).mean()) if both.any() else 90.0

    def _both(self, own: np.ndarray) -> np.ndarray:
        return self.known & (np.abs(own).sum(axis=2) > 0.0)
