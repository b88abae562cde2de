# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a thing that is cut out of pictures from all around, without learning: what their outlines tell, with
its hollows, moved to where the pictures agree.

Imported on use: it brings torch. Must not know requests, meshes or files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from ...cameras.capture import TO_GLTF, Capture
from ...cameras.extent import wider
from ...cameras.hull import hull_box
from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import Field
from ...core.view import View
from . import stereo
from .agreement import agreed
from .fairing import faired
from .grid_space import Lattice, at, entered, redistanced, tensor_of, tensors_of
from .hollows import opened
from .outlines import Hull

_CUT, _FAIRED, _OPENED = 0.2, 0.27, 0.67
"""Of the time, for the shape by outlines, as it bends least, and with its hollows."""

_COMPARED, _ASKED = 0.8, 0.83  # the same, before a few photos are compared with each other, and before all are
_FINE = 320  # pixels at least of the longer sides of photos of a thing that are compared
_ENOUGH = 24  # photos whose outlines mostly tell a shape: a few are asked first whether they do. On a ring they do not
_GLANCE, _BESIDE, _LACKING = 160, 3, 0.25
"""Pixels of the longer sides of pictures in which it is seen what a shape covers; of these, how far what it lacks must
reach beyond it, lest a plate gets frills; and the share of the pictures in which places of the hull must be lacking for
it to grow there: with .25 the key of a padlock is there, which is seen beside it in half of them."""

_STAYING = 0.003
"""Weight of staying where it is, of a shape that was there before, where neither outlines nor colours tell otherwise,
beside that of bending, 1. Of a plate with none F within 2 % falls from .63 to .34, as bending least blows it up; with
.01 a bottle is rougher (clay 18.4 dB instead of 18.9), with .1 more so (17.4)."""

_CHUNK = 1 << 16  # places at once


def outlined_shape(capture: Capture, pixels: int, lattice: Lattice, job: Job | Span) -> tuple[np.ndarray, np.ndarray]:
    """Signed distances (X + 1, Y + 1, Z + 1) in cells of what outlines tell, and of the same with its hollows, moved to
    where photos agree. pixels: of the photos' longer sides. job: hears each step. Raises Unable without a shape."""
    views = capture.views
    hull = Hull.of(views, lattice, job.span(0.0, _CUT))
    closed = faired(hull, job.span(_CUT, _FAIRED))
    distance = opened(views, closed, lattice, job.span(_FAIRED, _OPENED))
    distance = agreed(views, distance, closed, hull, job.span(_OPENED, _COMPARED))
    small = tensors_of(views, max(pixels, _FINE), torch.device("cpu"))
    asking, comparing = job.span(_COMPARED, _ASKED), job.span(_ASKED, 1.0)
    few = len(views) < _ENOUGH
    if stereo.large(small) and (few or stereo.looks_deep(small, capture.points, distance, lattice, told(asking))):
        seen = stereo.distances(small, capture.points, capture.bounds, told(comparing))
        distance = stereo.deepened(small, seen, distance, lattice)
    return hull.distance, distance


def outlined_field(
    views: Sequence[View], before: Callable[[np.ndarray], np.ndarray], cells: int, job: Job | Span
) -> Field:
    """The solid that pictures show, as a field in their axes, which are glTF's. views: with masks. before: points
    (N, 3) to (N,) signed distances, positive inside, of a shape that was there before: of it stays what lies within the
    outlines, and of their hull comes what several of them show and it does not cover. cells: along the longest side.
    job: hears each step. Raises Unable where outlines agree on no shape."""
    seen = [_in_the_world(view) for view in views]
    box = hull_box(seen, [view.mask >= 128 for view in seen])
    if box is None:
        raise Unable("the outlines agree on no shape")
    lattice = Lattice.over(wider(box), cells)
    hull = Hull.of(seen, lattice, job.span(0.0, _CUT))
    closed = faired(hull, job.span(_CUT, _FAIRED))
    kept = _grown(seen, _kept(before, closed, lattice), closed, lattice)
    distance = torch.from_numpy(agreed(seen, kept, kept, hull, job.span(_FAIRED, 1.0), _STAYING))
    corners = np.stack([lattice.low, np.array(lattice.low) + np.array(lattice.cells) * lattice.spacing]) @ TO_GLTF.T

    def value(points: np.ndarray) -> np.ndarray:
        return -lattice.spacing * at(distance, lattice, torch.from_numpy(np.float32(points @ TO_GLTF))).numpy()

    return Field(value, None, np.stack([corners.min(axis=0), corners.max(axis=0)]), np.eye(3), dict)


def told(job: Span) -> Callable[[float], None]:
    """Hears the share of comparing photos that is done."""
    return lambda share: job.report(share, "comparing photos")


def _in_the_world(view: View) -> View:
    return replace(view, rotation=view.rotation @ TO_GLTF, position=TO_GLTF.T @ view.position)


def _kept(before: Callable[[np.ndarray], np.ndarray], closed: np.ndarray, lattice: Lattice) -> np.ndarray:
    """(X + 1, Y + 1, Z + 1) float32 signed distance in cells, positive outside, of what a hull, `closed`, and what was
    there before have in common."""
    found, places = closed.copy(), np.argwhere(closed < 1.0)
    for some in np.array_split(places, len(places) // _CHUNK + 1):
        points = np.float32((np.array(lattice.low) + some * lattice.spacing) @ TO_GLTF.T)
        found[tuple(some.T)] = np.maximum(found[tuple(some.T)], -before(points) / lattice.spacing)
    return redistanced(found)


def _grown(views: Sequence[View], distance: np.ndarray, closed: np.ndarray, lattice: Lattice) -> np.ndarray:
    """The signed distance (X + 1, Y + 1, Z + 1), with those places of the hull, `closed`, that pictures show where it
    covers nothing."""
    where = (closed < 0.0) & (distance >= 0.0)
    places = torch.from_numpy(np.argwhere(where)).float() * lattice.spacing + lattice.origin(torch.device("cpu"))
    surface, lacking = torch.from_numpy(distance), torch.zeros(len(places))
    for view in views:
        small = tensor_of(view, _GLANCE, torch.device("cpu"))
        shown, covered = small.mask > 0.5, entered(surface, lattice, *small.rays()).isfinite().view(small.mask.shape)
        far = shown.numpy() & ~ndimage.binary_dilation(covered.numpy(), iterations=_BESIDE)
        empty = torch.from_numpy(ndimage.binary_propagation(far, mask=(shown & ~covered).numpy()))
        pixel, inside, _ = small.seen(places)
        lacking += inside & empty.view(-1)[pixel]
    where[where] = (lacking > _LACKING * len(views)).numpy()
    return redistanced(np.where(ndimage.binary_dilation(where), np.minimum(closed, distance), distance))
