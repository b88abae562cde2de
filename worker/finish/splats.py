# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats at the size and place that are wished, and the mesh of what they show.

The mesh is the surface on which they began. What they show is no better: learned splats lie .85
pixels within a bottle of 128 pixels, whatever their opacities, sizes and number, as edges are seen where many of them
lie behind each other, which are dark farther out than one; cutting away what they show 1.5 pixels deeper tore a bowl's
wall. Where they began without one, depths of the splats seen from the photos' places are fused to a signed distance
(Curless and Levoy 1996). Both are textured from the photos as a field's is. Must not know networks, methods or
requests.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Distances, Field, Splats
from ..core.view import View
from ..geometry.place import place
from ..geometry.texturing.rasterise import projected
from . import field
from .asset import Asset
from .options import FieldOptions, SplatsOptions

_BAND = 4.0
"""Cells on either side of a seen surface in which its distance is believed."""

_SEEN_FROM, _PIXELS = 48, 256
"""Places at most from which depths are taken, and their pictures' longer side."""

_EVEN = 0.7  # cells over which distances are evened

_SOLID = 0.5
"""Opacity of a pixel that shows a surface."""

_MARGIN = 0.05
"""Of the splats' extent, around them; of the splats 1 % on each side are left out, which float."""

_SMOOTH = 20  # rounds of smoothing, as a field's


def finished(splats: Splats, options: SplatsOptions, job: Job | Span) -> Asset:
    """Both. Raises Unable where the splats show no surface."""
    with job.timed("fusing"):
        found = fused(splats, options.grid, job.span(0.0, 0.5))
    whole = FieldOptions(options.grid, options.faces, options.texture, True, _SMOOTH, 0.0, "centre")
    asset = field.finished(found, whole, job.span(0.5, 1.0))
    return _placed(asset, splats, options)


def _placed(asset: Asset, splats: Splats, options: SplatsOptions) -> Asset:
    """Both at the wished size and place: the mesh was moved to its middle, and the splats were not."""
    moved = np.asarray(asset.cameras[0].position) - splats.views[0].position
    final = place(asset.mesh, options.size or None, options.origin)
    centres = final.scale * (splats.centres + moved) + final.offset
    cameras = tuple(
        dataclasses.replace(camera, position=tuple((final.scale * np.asarray(camera.position) + final.offset).tolist()))
        for camera in asset.cameras
    )
    centres, scales = centres.astype(np.float32), splats.scales * np.float32(final.scale)
    own = dataclasses.replace(splats, centres=centres, scales=scales, seen=None, shape=None)
    return dataclasses.replace(asset, mesh=final.mesh, cameras=cameras, splats=own)


def fused(splats: Splats, grid: int, job: Span) -> Field:
    """A signed distance in glTF's axes: the shape on which splats began, else what their views see of them. Raises
    Unable where that is nothing."""
    found = splats.shape or _seen_shape(splats, grid, job)

    def value(where: np.ndarray) -> np.ndarray:
        places = ((where - found.low) / found.spacing).T
        return ndimage.map_coordinates(distances, places, order=1, mode="nearest")

    def known(where: np.ndarray) -> np.ndarray:
        corner = np.rint((where - found.low) / found.spacing).astype(int)
        return found.known[tuple(np.clip(corner, 0, np.array(found.known.shape) - 1).T)]

    distances = found.values.astype(np.float32)
    told = known if found.known is not None else None
    return Field(value, None, found.bounds, np.eye(3), splats.to_arrays, splats.views, splats.notes, told)


def _seen_shape(splats: Splats, grid: int, job: Span) -> Distances:
    low, high = np.percentile(splats.centres, (1.0, 99.0), axis=0)
    margin = _MARGIN * float((high - low).max())
    bounds = np.stack([low - margin, high + margin]).astype(np.float64)
    cell = float((bounds[1] - bounds[0]).max()) / grid
    shape = np.maximum(np.ceil((bounds[1] - bounds[0]) / cell).astype(int) + 1, 2)
    points = bounds[0] + cell * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)
    value = _seen_within(splats, points, _BAND * cell, job).reshape(shape)
    return Distances(ndimage.gaussian_filter(value, _EVEN), bounds[0], cell)


def _seen_within(splats: Splats, points: np.ndarray, reach: float, job: Span) -> np.ndarray:
    """(N,) float32 how far behind what the views see points (N, 3) lie, in the mean, at most `reach`, and that where no
    view tells."""
    total, weight = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
    empty = np.zeros(len(points), bool)
    views = splats.views[:: max(-(-len(splats.views) // _SEEN_FROM), 1)]
    for number, view in enumerate(views):
        job.report(number / len(views), "fusing depths", f"view {number + 1} of {len(views)}")
        small = View(view.camera.at_most(_PIXELS), view.rotation, view.position)
        distance, opacity = _along(splats, small, points)
        near = (opacity > _SOLID) & (distance > -reach)
        total[near] += np.minimum(distance[near], reach)
        weight[near] += 1.0
        empty |= (opacity >= 0.0) & (opacity < 0.1)
    if not (weight > 0.0).any():
        raise Unable("the splats show no surface from the photos' places: more photos, or longer training, would help")
    unseen = np.where(empty, -reach, reach).astype(np.float32)
    return np.where(weight > 0.0, -total / np.maximum(weight, 1.0), unseen)


def _along(splats: Splats, view: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far in front of what is seen each point lies, along the axis, and how opaque that is; -1 outside of the
    picture."""
    depth, opacity = splats.seen(view)
    place, camera = projected(points, view), view.camera
    column, row = np.floor(place[:, :2]).T
    inside = (place[:, 2] > 1e-6) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    pixel = tuple(np.where(inside, values, 0.0).astype(int) for values in (row, column))
    shown = opacity[pixel]
    distance = depth[pixel] - place[:, 2]
    return distance.astype(np.float32), np.where(inside, shown, -1.0).astype(np.float32)
