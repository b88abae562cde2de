# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera sees of a textured mesh, without a graphics card: which face each pixel shows, how far it is, and a
picture of it. Must not know files or who looks at them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ...core.view import PinholeCamera, View
from ..mesh import Mesh
from .photo import sampled
from .rasterise import Covered, covered, projected

_PLAIN = 0.7  # sRGB of a mesh without a texture


@dataclass(frozen=True, eq=False)
class Seen:
    """The first surface along the lines of sight through the centres of pixels. under: the pixels that see any, once
    each, with what they see (weights are those on the surface, not in the picture). depth: (N,) float64 of each, along
    the optical axis."""

    mesh: Mesh
    camera: PinholeCamera
    under: Covered
    depth: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh, view: View) -> Seen:
        """Both sides of a face are seen; faces that reach behind the camera are left out."""
        place = projected(mesh.vertices, view)
        ahead = np.flatnonzero((place[:, 2] > 1e-9)[mesh.faces].all(axis=1))
        corners = place[mesh.faces[ahead]]
        found = covered(corners[..., :2], view.camera.width, view.camera.height)
        shares = found.weights / corners[found.face, :, 2]  # linear on the screen, which depth is not
        inverse = shares.sum(axis=1)
        first = np.full(view.camera.width * view.camera.height, -1)
        order = np.argsort(inverse, kind="stable")
        first[found.pixel[order]] = order  # of several the last one stays: the nearest
        chosen = first[first >= 0]
        weights = (shares[chosen] / inverse[chosen, None]).astype(np.float32)
        under = Covered(found.pixel[chosen], ahead[found.face[chosen]], weights)
        return cls(mesh, view.camera, under, 1.0 / inverse[chosen])

    def laid(self, values: np.ndarray, elsewhere: float | np.ndarray) -> np.ndarray:
        """(H, W) or (H, W, C) of values (N,) or (N, C) at the pixels that see something."""
        whole = np.empty((self.camera.height * self.camera.width, *values.shape[1:]), values.dtype)
        whole[:] = elsewhere
        whole[self.under.pixel] = values
        return whole.reshape(self.camera.height, self.camera.width, *values.shape[1:])

    @property
    def where(self) -> np.ndarray:
        """(H, W) bool."""
        return self.laid(np.ones(len(self.under), bool), False)

    @property
    def depths(self) -> np.ndarray:
        """(H, W) float32 along the optical axis, inf where nothing is."""
        return self.laid(self.depth.astype(np.float32), np.inf)

    @property
    def points(self) -> np.ndarray:
        """(N, 3) float32 on the surface."""
        return self.under.interpolated(self.mesh.vertices, self.mesh.faces)

    @property
    def normals(self) -> np.ndarray:
        """(N, 3) float32 unit vectors, smooth."""
        across = self.under.interpolated(self.mesh.with_normals().normals, self.mesh.faces)
        return across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)

    @property
    def texels(self) -> np.ndarray:
        """(N, 2) float32 places in the texture, column and row, in texels."""
        height, width = self.mesh.texture.shape[:2]
        return self.under.interpolated(self.mesh.uv, self.mesh.faces) * np.float32([width, height])

    @property
    def colours(self) -> np.ndarray:
        """(N, 3) float32 sRGB in [0, 1]."""
        if self.mesh.texture is None or self.mesh.uv is None:
            return np.full((len(self.under), 3), _PLAIN, np.float32)
        return sampled(self.mesh.texture[..., :3], self.texels).astype(np.float32) / np.float32(255.0)


def pictured(mesh: Mesh, view: View, behind: np.ndarray, finer: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """The mesh's picture (H, W, 3) uint8 sRGB before one colour `behind` (3,) in [0, 1], and its share (H, W) uint8 of
    each pixel. finer: rays along a pixel's side."""
    camera = view.camera
    fine = camera.scaled(camera.width * finer, camera.height * finer)
    seen = Seen.of(mesh, View(fine, view.rotation, view.position))
    rgb = np.rint(255.0 * seen.laid(np.clip(seen.colours, 0.0, 1.0), np.float32(behind))).astype(np.uint8)
    share = seen.laid(np.full(len(seen.under), 255, np.uint8), 0)
    size = camera.width, camera.height
    return tuple(np.asarray(Image.fromarray(each).resize(size, Image.Resampling.BOX)) for each in (rgb, share))


def middle_of(mesh: Mesh, view: View) -> float:
    """The mean depth half-way between the first and the last surface that a view sees. Nothing may be behind it."""
    place, camera = projected(mesh.vertices, view), view.camera
    found = covered(place[mesh.faces][..., :2], camera.width, camera.height)
    depth = (place[mesh.faces][found.face, :, 2] * found.weights).sum(axis=1)
    first, last = np.full(camera.width * camera.height, np.inf), np.full(camera.width * camera.height, -np.inf)
    np.minimum.at(first, found.pixel, depth)
    np.maximum.at(last, found.pixel, depth)
    there = np.isfinite(first)
    return float((first[there] + last[there]).mean()) / 2.0
