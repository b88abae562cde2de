# SPDX-License-Identifier: GPL-3.0-or-later
"""What one photo shows, in depth: a relief from a depth map, whose texture is the photo.

Knows representations, pictures and geometry; must not know networks, backends or requests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.errors import Invalid, Unable
from ..core.job import Job, Span
from ..core.representations import DepthMap, Layers, Representation
from ..core.view import PinholeCamera
from ..geometry.place import place
from ..geometry.relief.relief import ReliefOptions, relief
from ..geometry.relief.upsample import refine_depth
from ..pictures.load import Picture
from ..wire.protocol import CameraInfo, Value
from .asset import Asset, Stage
from .layers import LayersPlan

DEFAULT_FOV = 55.0
"""Degrees across the longer side, where neither user, network nor EXIF say otherwise: between a phone's main camera
(about 67) and a portrait lens (about 40)."""

HALO = 3
"""Pixels of the network's depth map within which a subject's outline is softened by what was behind it."""


@dataclass(frozen=True)
class ReliefPlan:
    """What is wanted of a relief, read from the options before any work is done. fov 0: as the picture says."""

    relief: ReliefOptions
    near: float
    far: float
    fov: float
    background: str
    size: float
    origin: str

    @classmethod
    def of(cls, options: Mapping[str, Value]) -> ReliefPlan:
        """From the Depth backend's options. Raises Invalid where they contradict each other."""
        near, far = float(options["near"]), float(options["far"])
        if not near < far:
            raise Invalid(f"the nearest distance ({near:g} m) must be smaller than the farthest ({far:g} m)")
        surface = ReliefOptions(
            grid=int(options["grid"]),
            faces=int(options["faces"]),
            cut=ReliefOptions.cut if options["cut"] else math.inf,
            solid=bool(options["solid"]),
            texture=int(options["texture"]),
        )
        wishes = (float(options["fov"]), str(options["background"]), float(options["size"]), str(options["origin"]))
        return cls(surface, near, far, *wishes)

    def made_of(self, found: Representation, picture: Picture, job: Job | Span, stage: Stage) -> Asset:
        """The asset that suits the representation. Raises Unable where no surface is left."""
        if isinstance(found, Layers):
            wish = LayersPlan(
                self.relief.faces, self.relief.texture, self.size, self.origin, self.relief.grid, self.fov
            )
            return wish.made_of(found, picture, job, stage)
        return from_depth(found, picture, self, job, stage)


def from_depth(depth_map: DepthMap, picture: Picture, plan: ReliefPlan, job: Job | Span, stage: Stage) -> Asset:
    """A relief: what the photo shows, in depth. Raises Unable where no surface is left."""
    photo = picture.rgb
    fov = plan.fov or depth_map.fov_degrees or picture.fov_degrees or DEFAULT_FOV
    camera = PinholeCamera.from_fov(photo.shape[1], photo.shape[0], fov)
    with stage("refining"):
        job.report(0.0, "refining depth")
        grid = max(2, min(plan.relief.grid, max(photo.shape[:2]) + 1))  # no finer than the photo
        finer = max(grid, min(2 * grid, 1024))  # outlines are placed between the grid's points
        away, warnings = _background(picture, plan.background)
        seen = depth_map if away is None else _without_halo(depth_map, away, plan)
        depth = refine_depth(seen, photo, finer).depth(plan.near, plan.far)
    with stage("meshing"):
        try:
            mesh = relief(depth, camera, photo, replace(plan.relief, grid=grid), away, job.span(0.2, 1.0).report)
        except ValueError as error:
            raise Unable(str(error)) from None
        placed = place(mesh, camera, None if depth_map.metric else plan.size or None, plan.origin)
    view = CameraInfo(tuple(map(float, placed.camera_position)), fov, photo.shape[1], photo.shape[0])
    return Asset(placed.mesh, (view,), double_sided=not plan.relief.solid, warnings=warnings)


def _background(picture: Picture, wish: str) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Where the background is, (H, W) bool or None, and sentences for the user where the wish cannot be met."""
    if wish == "keep" or (wish == "auto" and picture.alpha is None):
        return None, ()
    found = picture.background
    if found is None:
        return None, ("the photo has no transparency and no plain background, so nothing was cut away",)
    if found.all():
        raise Unable(f"{picture.name} is transparent everywhere: choose another picture, or keep the background")
    return found, ()


def _without_halo(depth_map: DepthMap, away: np.ndarray, plan: ReliefPlan) -> DepthMap:
    """The map as metres, with the subject's own depth up to its outline and beyond.

    Networks are soft: near a subject's outline they see a mixture of it and of its background, which would be shreds
    once the background is gone. What lies within HALO of the outline takes the depth of what is nearest inside.
    """
    inverse = 1.0 / depth_map.depth(plan.near, plan.far)
    share = Image.fromarray(away.astype(np.uint8) * 255).resize(inverse.shape[::-1], Image.Resampling.BOX)
    inside = depth_map.valid & ndimage.binary_erosion(np.asarray(share) < 128, iterations=HALO, border_value=1)
    if not inside.any():
        return DepthMap(np.nan_to_num(inverse), True, depth_map.valid)
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return DepthMap(inverse[tuple(nearest)], True, np.ones_like(inside))
