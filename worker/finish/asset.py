# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished asset and its file. Must not know how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.camera_info import CameraInfo
from ..core.errors import Unable
from ..core.file_types import SPLATS, result_ending
from ..core.representations import Splats
from ..core.view import View
from ..core.whole_file import WholeFile
from ..geometry.glb import Part, write_parts
from ..geometry.mesh import Mesh
from ..geometry.splats import gltf, of_mesh, ply, spz

_ENCODED = dict(zip(SPLATS, (spz.encode, ply.encode, gltf.encode), strict=True))

LEAST_SPLATS, MOST_SPLATS, SPLATS_PER_FACE = 100_000, 600_000, 4
"""Of a surface: so many that the photo's detail is there, and no more than Blender turns at ease. With 8 for each face
a room gained .1 dB and was half as large again."""

BEHIND = "scene"
"""What is behind a thing is called by its name and this word."""


@dataclass(frozen=True)
class Asset:
    """A mesh in glTF axes with its texture, and the cameras that see it as the photos do.

    photos: the views of these cameras, where their pictures are not the texture itself. behind: the scene that the mesh
    stands in, where it is a thing apart, as an asset of its own in the same place. splats: the same in the same place,
    where it was learned as such.
    """

    mesh: Mesh
    cameras: tuple[CameraInfo, ...]
    double_sided: bool
    warnings: tuple[str, ...] = ()
    photos: tuple[View, ...] = ()
    behind: Asset | None = None
    splats: Splats | None = None

    @property
    def meshes(self) -> tuple[Mesh, ...]:
        return (self.mesh, *(self.behind.meshes if self.behind else ()))


def write(asset: Asset, path: Path, name: str) -> int:
    """Writes the file that the path's ending names, whole or not at all: a GLB with the mesh, or splats, whose number
    is returned. What is behind is an object of its own in a GLB, called so."""
    try:
        encode = _ENCODED.get(result_ending(path.name))
        if encode:
            splats = splats_of(asset)
            with WholeFile(path) as file:
                file.write(encode(splats))
            return len(splats)
        parts = [Part(asset.mesh, name, asset.double_sided)]
        if asset.behind:
            parts.append(Part(asset.behind.mesh, f"{name} {BEHIND}", asset.behind.double_sided))
        write_parts(parts, path)
        return 0
    except OSError as error:
        reason = error.strerror or error
        raise Unable(f"{path} could not be written ({reason}): free space or choose another folder") from None


def splats_of(asset: Asset) -> Splats:
    """As they were learned, else of the surface: one for each of the finest triangles, more where they are large,
    and larger ones behind; coloured as one camera sees them, where there is one."""
    if asset.splats is not None:
        return asset.splats
    faces = sum(len(mesh.faces) for mesh in asset.meshes)
    most = min(max(SPLATS_PER_FACE * faces, LEAST_SPLATS), MOST_SPLATS)
    return of_mesh.splats_of(asset.meshes, most, asset.cameras[0].position if len(asset.cameras) == 1 else None)
