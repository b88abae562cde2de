# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed thing from its two layers and the picture it was cut out of, which is the front's texture.

Knows representations, pictures and geometry; must not know networks, backends or requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Layers
from ..core.view import PinholeCamera
from ..geometry.place import place
from ..geometry.relief.shell import ShellOptions, shell
from ..methods.matting import matte
from ..pictures.edges import decontaminated
from ..pictures.load import Picture
from ..pictures.silhouette import seen_through, without_specks
from ..wire.protocol import CameraInfo
from .asset import Asset, Stage

OBJECT_FOV = 35.0
"""Degrees across the longer side where neither user nor EXIF say otherwise: things are photographed from farther away
than rooms."""

OBJECT_CELLS = 160
"""Lattice cells along a thing's window, and no more: its layers are smoother than that."""


@dataclass(frozen=True)
class LayersPlan:
    """What is wanted of a thing with a front and a back.

    faces, texture: as ShellOptions has them. grid: lattice cells at most. fov: degrees, 0 as the picture says.
    """

    faces: int
    texture: int
    size: float
    origin: str
    grid: float = math.inf
    fov: float = 0.0

    def made_of(self, layers: Layers, picture: Picture, job: Job | Span, stage: Stage) -> Asset:
        """The finished thing. picture: the user's own. Raises Unable where no surface is left."""
        fov = self.fov or picture.fov_degrees or OBJECT_FOV
        height, width = picture.rgb.shape[:2]
        camera = PinholeCamera.from_fov(width, height, fov)
        with stage("meshing"):
            photo, subject, warnings = _cut_out(layers, picture)
            cells = max(32, min(OBJECT_CELLS, self.grid, layers.window.side))
            share = seen_through(layers.window, subject, cells).astype(np.float32) / 255.0
            try:
                mesh = shell(layers, share, photo, camera, ShellOptions(self.faces, self.texture), job.report)
            except ValueError as error:
                raise Unable(str(error)) from None
            placed = place(mesh, camera, self.size or None, self.origin)
        view = CameraInfo(tuple(map(float, placed.camera_position)), fov, width, height)
        return Asset(placed.mesh, (view,), double_sided=False, warnings=warnings)


def _cut_out(layers: Layers, picture: Picture) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The photo (H, W, 3) uint8, the thing's place in it (H, W) uint8, 0 or 255, and sentences for the user."""
    if layers.subject is not None:
        inside = np.uint8(255) * without_specks(layers.subject >= 128).astype(np.uint8)
        own = picture.rgb if picture.alpha is not None else decontaminated(picture.rgb, layers.subject)
        return own, inside, matte.remarks(layers.subject)
    if picture.background is None:
        raise Unable(f"{picture.name} has neither transparency nor a plain background: cut the object out first")
    return picture.rgb, np.uint8(255) * without_specks(~picture.background).astype(np.uint8), ()
