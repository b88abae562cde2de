# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing from its views: their layers, where they have any, bound it as those of one picture do. Else their depths
become points that know which way is out, their outlines bound what is closed, and all of their pictures agree on the
texture.

Knows representations and geometry; must not know networks, methods or requests.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Views
from ..core.view import View
from ..geometry.fill import blurred
from ..geometry.oriented import Cloud, Outline, bounded
from ..geometry.place import place
from ..geometry.texturing.bake import baked
from ..geometry.texturing.consensus import agreed
from ..geometry.texturing.unwrap import unwrapped
from . import layers
from .asset import Asset
from .field import camera_info, surface
from .options import FieldOptions, ViewsOptions, of_type

_POINTS = 60_000  # of all views, at most
_GRAZING = 0.15  # cosine: what is seen at less is not believed
_BLUR = 1.5  # pixels over which depth is averaged
_JUMP = 0.03  # of the depth: between two pixels, where one part stands before another
_EVEN = 2.5  # times as far as points are apart, over which they are averaged: several views never agree wholly
_SMOOTH = 5  # rounds of smoothing


def finished(views: Views, options: ViewsOptions, job: Job | Span) -> Asset:
    """The finished thing. Raises Unable where no surface is left."""
    if views.layers:
        return layers.finished(views.layers, of_type("Layers", options), job)
    with job.timed("surface"):
        cloud, outlines = _cloud(views), [Outline(view) for view in views.pictures if view.mask is not None]
        field = bounded(cloud, outlines, views.views)
        mesh = surface(field, FieldOptions(options.grid, options.faces, smooth=_SMOOTH), job.span(0.0, 0.6))
    with job.timed("texture"):
        flat = unwrapped(mesh, options.texture, check=job.check)
        first = baked(flat, options.texture, None, views.pictures, job.span(0.6, 0.8).report)
        mesh = agreed(first, views.pictures, job.span(0.8, 1.0).report)
    placed = place(mesh, options.size or None, options.origin)
    cameras = tuple(camera_info(view, placed) for view in views.views)
    return Asset(placed.mesh, cameras, False, views.notes, views.views)


def _cloud(views: Views) -> Cloud:
    """Raises Unable where nothing is seen."""
    parts = [_points(view, depth) for view, depth in zip(views.pictures, views.depths)]
    points, normals, weights = (np.concatenate(each) for each in zip(*parts)) if parts else (np.zeros((0, 3)),) * 3
    if len(points) < 16:
        raise Unable("the views show nothing that a surface could be made of")
    step = -(-len(points) // _POINTS)
    return Cloud(points[::step], normals[::step], weights[::step], _EVEN)


def _points(view: View, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, 3) that a view sees, their normals (N, 3) towards it, and how far they are believed (N,)."""
    camera, there = view.camera, np.isfinite(depth)
    rows, columns = np.indices(depth.shape) + 0.5
    z = np.where(there, depth, 1.0).astype(np.float64)
    z = np.where(there, blurred(z[..., None], there, _BLUR)[..., 0], 1.0)
    local = np.stack([(columns - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], axis=2)
    across = np.cross(np.gradient(local, axis=0), np.gradient(local, axis=1))
    length = np.linalg.norm(across, axis=2)
    across /= np.maximum(length, 1e-30)[..., None]
    towards = -(across * local).sum(axis=2) / np.linalg.norm(local, axis=2)
    across *= np.sign(towards)[..., None]
    step = ndimage.maximum_filter(np.where(there, z, 0.0), 3) - ndimage.minimum_filter(np.where(there, z, np.inf), 3)
    good = ndimage.binary_erosion(there) & (step < _JUMP * z) & (np.abs(towards) > _GRAZING)
    weight = np.abs(towards) * (1.0 if view.confidence is None else view.confidence)
    good &= weight > 0.0
    return local[good] @ view.rotation + view.position, across[good] @ view.rotation, weight[good]
