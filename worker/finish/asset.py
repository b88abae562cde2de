# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished asset and its file. Must not know how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.camera_info import CameraInfo
from ..core.errors import Unable
from ..core.view import View
from ..geometry.glb import write_glb
from ..geometry.mesh import Mesh


@dataclass(frozen=True)
class Asset:
    """A mesh in glTF axes with its texture, and the cameras that see it as the photos do.

    photos: the views of these cameras, where their pictures are not the texture itself.
    """

    mesh: Mesh
    cameras: tuple[CameraInfo, ...]
    double_sided: bool
    warnings: tuple[str, ...] = ()
    photos: tuple[View, ...] = ()


def write(asset: Asset, path: Path, name: str) -> None:
    """Writes the GLB, whole or not at all."""
    try:
        write_glb(asset.mesh, path, name, double_sided=asset.double_sided)
    except OSError as error:
        reason = error.strerror or error
        raise Unable(f"{path} could not be written ({reason}): free space or choose another folder") from None
