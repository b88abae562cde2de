# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished asset and its file. Must not know how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.camera_info import CameraInfo
from ..core.errors import Unable
from ..core.view import View
from ..geometry.glb import Part, write_parts
from ..geometry.mesh import Mesh

BEHIND = "scene"
"""What is behind a thing is called by its name and this word."""


@dataclass(frozen=True)
class Asset:
    """A mesh in glTF axes with its texture, and the cameras that see it as the photos do.

    photos: the views of these cameras, where their pictures are not the texture itself. behind: the scene that the mesh
    stands in, where it is a thing apart, as an asset of its own in the same place.
    """

    mesh: Mesh
    cameras: tuple[CameraInfo, ...]
    double_sided: bool
    warnings: tuple[str, ...] = ()
    photos: tuple[View, ...] = ()
    behind: Asset | None = None

    @property
    def meshes(self) -> tuple[Mesh, ...]:
        return (self.mesh, *(self.behind.meshes if self.behind else ()))


def write(asset: Asset, path: Path, name: str) -> None:
    """Writes the GLB, whole or not at all. What is behind is an object of its own, called so."""
    parts = [Part(asset.mesh, name, asset.double_sided)]
    if asset.behind:
        parts.append(Part(asset.behind.mesh, f"{name} {BEHIND}", asset.behind.double_sided))
    try:
        write_parts(parts, path)
    except OSError as error:
        reason = error.strerror or error
        raise Unable(f"{path} could not be written ({reason}): free space or choose another folder") from None
