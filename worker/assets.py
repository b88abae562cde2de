# SPDX-License-Identifier: GPL-3.0-or-later
"""From a representation and its picture to a finished asset: surface, place, texture, file.

Knows representations, pictures and geometry; must not know networks, backends or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import Unable
from .geometry.glb import write_glb
from .geometry.mesh import Mesh
from .geometry.place import place
from .geometry.relief import ReliefOptions, relief
from .geometry.upsample import refine_depth
from .pictures import matte
from .pictures.load import Picture
from .representations import DepthMap, PinholeCamera
from .wire.jobs import Job, Span
from .wire.protocol import CameraInfo, Value

DEFAULT_FOV = 55.0
"""Degrees across the longer side, where neither user, network nor EXIF say otherwise: between a phone's main camera
(about 67) and a portrait lens (about 40)."""

Stage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Asset:
    """A mesh in glTF axes with its texture, and the camera that sees it as the photo does."""

    mesh: Mesh
    camera: CameraInfo
    double_sided: bool
    warnings: tuple[str, ...] = ()


def from_depth(
    depth_map: DepthMap, picture: Picture, options: Mapping[str, Value], job: Job | Span, stage: Stage
) -> Asset:
    """A relief: what the photo shows, in depth. Options are those of the Depth backend."""
    height, width = grid_size(picture.rgb.shape[:2], int(options["grid"]))
    fov, warnings = float(options["fov"]) or depth_map.fov_degrees or picture.fov_degrees or DEFAULT_FOV, []
    with stage("refining"):
        job.report(0.0, "refining depth")
        guide = np.asarray(Image.fromarray(picture.rgb).resize((width, height), Image.Resampling.BOX))
        inverse, valid = refine_depth(depth_map.inverse_depth, depth_map.valid, guide)
        away = _background(picture, str(options["background"]), (height, width), warnings)
        fine = DepthMap(inverse, depth_map.metric, valid if away is None else valid & ~away)
        depth = fine.depth(*_range(options))
    camera = PinholeCamera.from_fov(width, height, fov)
    with stage("meshing"):
        settings = ReliefOptions(faces=int(options["faces"]), cut=bool(options["cut"]), solid=bool(options["solid"]))
        texture = _texture(picture.rgb, int(options["texture"]))
        mesh = relief(depth, camera, texture, settings, report=job.span(0.2, 1.0).report)
        longest = None if depth_map.metric else float(options["size"]) or None
        placed = place(mesh, camera, size=longest, origin=str(options["origin"]))
    view = CameraInfo(tuple(map(float, placed.camera_position)), fov, picture.rgb.shape[1], picture.rgb.shape[0])
    return Asset(placed.mesh, view, double_sided=not options["solid"], warnings=tuple(warnings))


def write(asset: Asset, path: Path, name: str) -> None:
    """Writes the GLB, whole or not at all."""
    try:
        write_glb(asset.mesh, path, name, double_sided=asset.double_sided)
    except OSError as error:
        reason = error.strerror or error
        raise Unable(f"{path} could not be written ({reason}): free space or choose another folder") from None


def grid_size(picture: tuple[int, int], longer: int) -> tuple[int, int]:
    """Height and width of the mesh's grid: the picture's shape, never finer than its pixels."""
    scale = min(1.0, longer / max(picture))
    height, width = (max(1, round(side * scale)) for side in picture)
    return height, width


def _range(options: Mapping[str, Value]) -> tuple[float, float]:
    near, far = float(options["near"]), float(options["far"])
    if not near < far:
        raise Unable(f"the nearest distance ({near:g} m) must be smaller than the farthest ({far:g} m)")
    return near, far


def _background(picture: Picture, wish: str, size: tuple[int, int], warnings: list[str]) -> np.ndarray | None:
    """Where the background is, at the grid's size, or None. `warnings` gets a sentence if the wish cannot be met."""
    if wish == "keep" or (wish == "auto" and picture.alpha is None):
        return None
    found = matte.background(picture)
    if found is None:
        warnings.append("the photo has no transparency and no plain background, so nothing was cut away")
        return None
    if found.all():
        raise Unable(f"{picture.name} is transparent everywhere: choose another picture, or keep the background")
    share = Image.fromarray(found.astype(np.uint8) * 255).resize(size[::-1], Image.Resampling.BOX)
    return np.asarray(share) > 127


def _texture(rgb: np.ndarray, longer: int) -> np.ndarray:
    height, width = rgb.shape[:2]
    if max(height, width) <= longer:
        return rgb
    scale = longer / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
