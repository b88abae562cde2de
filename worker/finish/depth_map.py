# SPDX-License-Identifier: GPL-3.0-or-later
"""What one photo shows, in depth: a relief from a depth map, whose texture is the photo.

Knows representations, pictures and geometry; must not know networks, methods or requests.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.camera_info import CameraInfo
from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import DepthMap
from ..core.view import PinholeCamera, View
from ..geometry.mesh import Mesh
from ..geometry.place import place
from ..geometry.relief.integrate import integrated
from ..geometry.relief.relief import ReliefOptions, relief
from ..geometry.relief.steady import steady
from ..geometry.relief.upsample import refined, steepened
from ..pictures.plain import plain_background
from ..pictures.silhouette import at_border, faint, large_parts, present
from .asset import Asset
from .options import DepthMapOptions

DEEP = 4.0
"""Of what knows no scale the farthest point is so many times as far as the nearest: deep enough to look like a room."""

FARTHEST = 0.5
"""Per cent of a metric map's pixels that lie beyond what is shown: single pixels of sky would be miles away."""

SKY = 1.25
"""The sky is a backdrop that lies so many times as far as the farthest surface: behind all, and not miles away."""

LEAST_SKY = 0.01
"""Share of the picture below which what has no surface is a hole in a solid, to be filled."""

SCENE_BORDER = 0.5
"""Share of the picture's outermost pixels that a thing does not cover: busts, cut off below, cover a quarter."""

HALO = 3
"""Pixels of the network's depth map within which a subject's outline is softened by what was behind it."""


def finished(depth_map: DepthMap, options: DepthMapOptions, job: Job | Span) -> Asset:
    """A relief: what the photo shows, in depth. Raises Unable where no surface is left."""
    photo, camera = depth_map.view.rgb, depth_map.view.with_fov(options.fov)
    size = None if depth_map.metric else options.size or None
    depth_map = depth_map if options.far else depth_map.with_unit(options.near)
    away, warnings = _background(depth_map.view, options.background)
    if away is None and options.solid:
        away = _sky(depth_map.valid)
    elif away is None and options.background != "cut":
        depth_map = _with_sky(depth_map)
    options = replace(options, **_range(depth_map, options))
    with job.timed("refining"):
        job.report(0.0, "refining depth")
        grid = max(2, min(options.grid, max(photo.shape[:2]) + 1))  # no finer than the photo
        finer = max(grid, min(2 * grid, 1024))  # outlines are placed between the grid's points
        options = options if away is None else _of_a_thing(depth_map, away, options)
        seen = _steady(_in_metres(depth_map, options), camera)
        seen = seen if away is None else _without_halo(seen, away)
        inverse, valid = refined(seen.inverse_depth, seen.valid, photo, finer, seen.uncertainty)
        depth = seen.redrawn(inverse, valid).depth(options.near, options.far)
    with job.timed("meshing"):
        cut = ReliefOptions.cut if options.cut else math.inf
        behind = options.behind and options.cut and away is None
        surface = ReliefOptions(grid, options.faces, cut, behind=behind, solid=options.solid, texture=options.texture)
        surface = replace(surface, beyond=seen.uncertainty is None)  # an unsure depth goes on in tatters
        try:
            mesh = relief(depth, camera, photo, surface, away, job.span(0.2, 1.0).report)
        except ValueError as error:
            raise Unable(str(error)) from None
        placed = place(mesh, size, options.origin, _shown(mesh, camera) if behind else None)
    info = CameraInfo(tuple(map(float, placed.offset)), camera.fov_degrees, camera.width, camera.height)
    return Asset(placed.mesh, (info,), double_sided=not options.solid, warnings=(*depth_map.notes, *warnings))


def _shown(mesh: Mesh, camera: PinholeCamera) -> np.ndarray:
    """(V,) bool: vertices in the photo's field. What is guessed beyond it would make all that is shown smaller."""
    focal, middle = np.array([camera.fx, -camera.fy]), np.array([camera.cx, camera.cy])
    place = mesh.vertices[:, :2] / np.maximum(-mesh.vertices[:, 2:], 1e-9) * focal + middle
    return ((place > -1.0) & (place < np.array([camera.width, camera.height]) + 1.0)).all(1)


def _range(depth_map: DepthMap, options: DepthMapOptions) -> dict[str, float]:
    """The nearest and the farthest distance in metres, as the user or the network says, else as is usual."""
    if options.far:
        return {"near": options.near, "far": options.far}
    if not depth_map.metric or not depth_map.valid.any():
        return {"near": options.near, "far": DEEP * options.near}
    inverse = depth_map.inverse_depth[depth_map.valid]
    least = max(float(inverse.min()), float(np.percentile(inverse, FARTHEST)) / SKY)  # cut just there it had a plateau
    far = 1.0 / max(least, 1e-6)
    return {"near": min(options.near, far / DEEP), "far": far}


def _background(view: View, wish: str) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Where the background is, (H, W) bool or None, and sentences for the user where the wish cannot be met."""
    if wish == "keep" or (wish == "auto" and view.mask is None):
        return None, ()
    found = plain_background(view.rgb) if view.mask is None else ~present(view.mask)
    if found is None:
        return None, ("the photo has no transparency and no plain background, so nothing was cut away",)
    if found.all():
        raise Unable(faint(view.name, view.mask))
    return found, ()


def _sky(valid: np.ndarray) -> np.ndarray | None:
    """Where there is no surface, (H, W) bool, in parts that are no mere holes: of the sky no solid can be made."""
    found = large_parts(~valid, LEAST_SKY)
    return found if found.any() and not found.all() else None


def _with_sky(depth_map: DepthMap) -> DepthMap:
    """The map with a backdrop where it sees no surface, a little behind the farthest one that it sees."""
    valid = depth_map.valid
    if valid.all() or not valid.any():
        return depth_map
    far = float(np.percentile(depth_map.inverse_depth[valid], FARTHEST)) / SKY
    inverse = np.maximum(np.where(valid, depth_map.inverse_depth, 0.0), np.float32(far))
    unsure = None if depth_map.uncertainty is None else np.where(valid, depth_map.uncertainty, np.float32(0.0))
    return replace(depth_map, inverse_depth=inverse, valid=np.ones_like(valid), uncertainty=unsure)


def _steady(depth_map: DepthMap, camera: PinholeCamera) -> DepthMap:
    """The map, in metres, without what its network is not sure of, where that tells; else with its normals' detail."""
    unsure, valid = depth_map.uncertainty, depth_map.valid
    if min(valid.shape) < 2 or not valid.any():
        return depth_map
    if unsure is None:
        return _detailed(depth_map, camera)
    inverse = steepened(depth_map.inverse_depth, valid, depth_map.view.rgb)
    level = np.float32(np.median(inverse[valid]))
    scaled = np.maximum(inverse / level, np.float32(1e-3))
    inverse = steady(scaled, unsure, camera.scaled(*inverse.shape[::-1]).fx) * level
    return replace(depth_map, inverse_depth=np.where(valid, inverse, depth_map.inverse_depth))


def _detailed(depth_map: DepthMap, camera: PinholeCamera) -> DepthMap:
    """The map with the fine detail of the normals that its network tells, if it tells them."""
    if depth_map.normals is None:
        return depth_map
    own = camera.scaled(*depth_map.valid.shape[::-1])
    finer = integrated(depth_map.inverse_depth, depth_map.valid, depth_map.normals, own)
    return replace(depth_map, inverse_depth=finer)


def _of_a_thing(depth_map: DepthMap, away: np.ndarray, options: DepthMapOptions) -> DepthMapOptions:
    """The options, with a range in which a thing that is cut out is no deeper than it is large.

    Networks that know no scale would have it reach from `near` to `far`, and a bust that is four times as deep as wide
    is torn at every fold. What fills the picture's border is a scene without its sky, and stays as deep as it was.
    """
    if depth_map.metric or at_border(~away).mean() > SCENE_BORDER:
        return options
    rows, columns = np.flatnonzero(~away.all(axis=1)), np.flatnonzero(~away.all(axis=0))
    pixels = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    camera = depth_map.view.with_fov(options.fov).scaled(*away.shape[::-1])
    large = options.near * float(pixels) / max(camera.fx, camera.fy)
    return replace(options, far=min(options.far, options.near + large))


def _without_halo(depth_map: DepthMap, away: np.ndarray) -> DepthMap:
    """The map with the subject's own depth up to its outline and beyond.

    Networks are soft: near a subject's outline they see a mixture of it and of its background, which would be shreds
    once the background is gone. What lies within HALO of the outline takes the depth of what is nearest inside.
    """
    inverse = depth_map.inverse_depth
    share = Image.fromarray(away.astype(np.uint8) * 255).resize(inverse.shape[::-1], Image.Resampling.BOX)
    inside = depth_map.valid & ndimage.binary_erosion(np.asarray(share) < 128, iterations=HALO, border_value=1)
    if not inside.any():
        return depth_map
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return replace(depth_map, inverse_depth=inverse[tuple(nearest)], valid=np.ones_like(inside))


def _in_metres(depth_map: DepthMap, options: DepthMapOptions) -> DepthMap:
    """The map with its inverse depth in 1/m."""
    inverse = 1.0 / depth_map.depth(options.near, options.far)
    return replace(depth_map, inverse_depth=np.nan_to_num(inverse), metric=True)
