# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing, closed, and the scene behind it as a layer without it: two meshes that one camera sees as one photo.

Knows representations, pictures and geometry; must not know networks, methods or requests.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Apart, DepthMap
from ..geometry.mesh import Mesh
from ..geometry.place import place
from ..geometry.relief.behind import carried_on
from . import depth_map, field, layers
from .asset import Asset
from .options import ApartOptions, DepthMapOptions, FieldOptions

RIM = 0.008
"""Of the picture's longer side: so far around the thing depth and colours are mixtures of it and of what is behind."""

PAINTED = 1024
"""Pixels of the longer side at which what is behind the thing is painted: it is smooth, and finer shows no more."""

FARTHER = 1.01
"""What is behind the thing lies so many times as far, at least, as the thing's middle."""


def finished(apart: Apart, options: ApartOptions, job: Job | Span) -> Asset:
    """The thing's asset, whose `behind` is the scene's. Raises Unable where nothing is left of one."""
    scene = _in_metres(apart.scene, options.scene)
    fov = scene.view.with_fov(options.scene.fov).fov_degrees
    covered = apart.thing.view.mask >= 128
    distance = _distance(scene, covered)
    behind = depth_map.finished(
        _without(scene, covered, distance), replace(options.scene, size=0.0, background="keep"), job.span(0.0, 0.5)
    )
    solid = layers.solid(apart.thing, fov, options.thing.grid)
    own = options.thing
    plain = FieldOptions(own.grid, own.faces, own.texture, smooth=layers.SMOOTH, size=0.0)
    thing = field.finished(solid, plain, job.span(0.5, 1.0))
    return _together(thing, behind, distance, options.scene, scene.metric and apart.scene.metric)


def _in_metres(found: DepthMap, options: DepthMapOptions) -> DepthMap:
    """The map as if it were metric, with the range that it would be finished with."""
    found = found if options.far else found.with_unit(options.near)
    if found.metric:
        return found
    depth = found.depth(options.near, options.far or depth_map.DEEP * options.near)
    there = np.isfinite(depth)
    inverse = np.where(there, 1.0 / np.where(there, depth, 1.0), 0.0).astype(np.float32)
    return replace(found, inverse_depth=inverse, metric=True, valid=there)


def _at(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The share of each of `shape`'s pixels that a mask (H, W) bool covers."""
    whole = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(whole.resize(shape[::-1], Image.Resampling.BOX), np.float32) / 255.0


def _distance(scene: DepthMap, covered: np.ndarray) -> float:
    """How far the thing's surface is, in the middle, as the scene's depth says. Raises Unable where it says nothing."""
    there = (_at(covered, scene.valid.shape) > 0.9) & scene.valid & (scene.inverse_depth > 0)
    there = there if there.any() else (_at(covered, scene.valid.shape) > 0) & scene.valid & (scene.inverse_depth > 0)
    if not there.any():
        raise Unable("the network sees no distance where the thing is: choose the subject thing or scene")
    return 1.0 / float(np.median(scene.inverse_depth[there]))


def _without(scene: DepthMap, covered: np.ndarray, distance: float) -> DepthMap:
    """The scene without the thing: depth and colours of what is around it carried on behind it."""
    shape = scene.valid.shape
    hidden = _grown(_at(covered, shape) > 0)
    known = scene.valid & ~hidden
    if not known.any():
        raise Unable("the thing fills the photo, so there is no scene behind it: choose the subject thing")
    inverse = carried_on(scene.inverse_depth[..., None].astype(np.float64), known)[..., 0]
    inverse = np.where(hidden, np.minimum(inverse, 1.0 / (FARTHER * distance)), scene.inverse_depth)
    around = np.minimum(inverse, np.where(hidden & scene.valid, np.maximum(scene.inverse_depth, 1e-9), np.inf))
    valid = scene.valid | (hidden & (_carried_share(known, scene.valid) >= 0.5))
    view = replace(scene.view, rgb=_painted(scene.view.rgb, covered), mask=None)
    return replace(
        scene, inverse_depth=around.astype(np.float32), valid=valid, view=view, uncertainty=None, normals=None
    )


def _carried_share(known: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """How much of what is around each hidden pixel is surface rather than sky."""
    outside = known | ~valid
    return carried_on(valid[..., None].astype(np.float64), outside)[..., 0] if outside.any() else np.ones(known.shape)


def _painted(photo: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """The photo (H, W, 3) uint8 with what is around the thing carried on behind it."""
    scale = min(1.0, PAINTED / max(photo.shape[:2]))
    small = tuple(max(1, round(side * scale)) for side in photo.shape[:2])
    hidden = _grown(_at(covered, small) > 0)
    rgb = np.asarray(Image.fromarray(photo).resize(small[::-1], Image.Resampling.BOX), np.float64)
    filled = np.clip(np.rint(carried_on(rgb, ~hidden)), 0, 255).astype(np.uint8)
    large = np.asarray(Image.fromarray(filled).resize(photo.shape[1::-1], Image.Resampling.BICUBIC))
    share = Image.fromarray(hidden.astype(np.uint8) * 255).resize(photo.shape[1::-1], Image.Resampling.BILINEAR)
    return np.where((np.asarray(share) >= 128)[..., None], large, photo)


def _grown(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask, iterations=max(2, round(RIM * max(mask.shape))))


def _together(thing: Asset, scene: Asset, distance: float, options: DepthMapOptions, metric: bool) -> Asset:
    """Both in one place, of one size, as their common camera sees them. metric: whether the scene's metres are true."""
    seen = [_from_camera(asset.mesh, asset) for asset in (thing, scene)]
    seen[0] = seen[0].transformed(_reach(seen[0], distance), np.zeros(3))
    both = Mesh(np.concatenate([mesh.vertices for mesh in seen]), seen[0].faces)
    placed = place(both, None if metric else options.size or None, options.origin)
    first, second = (mesh.transformed(placed.scale, placed.offset) for mesh in seen)
    camera = replace(scene.cameras[0], position=tuple(map(float, placed.offset)))
    said = (*scene.warnings, *thing.warnings)
    return Asset(first, (camera,), thing.double_sided, said, behind=Asset(second, (camera,), scene.double_sided))


def _from_camera(mesh: Mesh, asset: Asset) -> Mesh:
    """The mesh in the axes of its camera, which looks along -z, not turned."""
    return mesh.transformed(1.0, -np.array(asset.cameras[0].position))


def _reach(thing: Mesh, distance: float) -> float:
    """By how much a thing is enlarged from the camera, so that the surface that this sees lies at that distance."""
    facing = thing.with_normals().normals[:, 2] > 0.3
    near = -thing.vertices[facing if facing.any() else slice(None), 2]
    return distance / max(float(np.median(near)), 1e-6)
