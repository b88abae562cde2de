# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed thing from its two layers and the picture it was cut out of, which is the front's texture.

Knows representations, pictures and geometry; must not know networks, methods or requests.
"""

from __future__ import annotations

import numpy as np

from ..core.camera_info import CameraInfo
from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Layers
from ..geometry.place import place
from ..geometry.relief.shell import ShellOptions, shell
from ..pictures.silhouette import seen_through, without_specks
from .asset import Asset
from .options import LayersOptions

OBJECT_CELLS = 160
"""Lattice cells along a thing's window, and no more: its layers are smoother than that."""


def finished(layers: Layers, options: LayersOptions, job: Job | Span) -> Asset:
    """The finished thing. Raises Unable where no surface is left."""
    camera = layers.view.with_fov(options.fov)
    with job.timed("meshing"):
        subject = np.uint8(255) * without_specks(layers.view.mask >= 128)
        cells = max(32, min(OBJECT_CELLS, layers.window.side))
        share = seen_through(layers.window, subject, cells).astype(np.float32) / 255.0
        wish = ShellOptions(options.faces, options.texture)
        try:
            mesh = shell(layers, share, layers.view.rgb, camera, wish, job.report)
        except ValueError as error:
            raise Unable(str(error)) from None
        placed = place(mesh, options.size or None, options.origin)
    position = tuple(map(float, placed.offset))
    info = CameraInfo(position, camera.fov_degrees, camera.width, camera.height)
    return Asset(placed.mesh, (info,), double_sided=False, warnings=layers.notes)
