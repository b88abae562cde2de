# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed thing from its two layers, which bound a solid, and the picture it was cut out of.

Knows representations, pictures and geometry; must not know networks, methods or requests.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Field, Layers
from ..geometry.between import Between
from ..geometry.texturing.photo import sampled
from ..pictures.silhouette import FILL, apart, seen_through
from . import field
from .asset import Asset
from .behind import behind
from .options import FieldOptions, LayersOptions

_TO_CAMERA = np.diag([1.0, -1.0, -1.0])  # from glTF's axes, in which the camera looks along -z

SMOOTH = 5
"""Rounds of smoothing: the layers are smooth already, and only the stairs of marching cubes have to go."""


def finished(layers: Layers, options: LayersOptions, job: Job | Span) -> Asset:
    """The finished thing. Raises Unable where no surface is left."""
    own = asdict(options)
    fov, stands = own.pop("fov"), own.pop("upright") == "auto"
    found = solid(layers, fov, options.grid)
    if stands and layers.up is not None:
        found = replace(found, to_gltf=_raised(_TO_CAMERA @ layers.up))
    return field.finished(found, FieldOptions(smooth=SMOOTH, **own), job)


def _raised(up: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) on the shortest way that takes what is up (3,) to glTF's +Y."""
    return Rotation.align_vectors([0.0, 1.0, 0.0], up)[0].as_matrix()


def solid(layers: Layers, fov: float, grid: int) -> Field:
    """What the layers bound, in glTF axes with the camera in the origin. fov: degrees across the picture's longer side,
    0 as the view says. grid: cells along the thing. Raises Unable where the outline is empty."""
    camera = layers.view.with_fov(fov)
    regions = _regions(layers, round(grid / FILL))
    try:
        found = Between.of(layers, regions, camera)
    except ValueError as error:
        raise Unable(str(error)) from None
    picture = behind(layers.back_colour, layers.window.cropped(layers.view.rgb), regions.sum(axis=0))

    def colour(points: np.ndarray) -> np.ndarray:
        return sampled(picture, found.seen(points)[0] * len(picture)).astype(np.float32)

    view = replace(layers.view, camera=camera, rotation=_TO_CAMERA)
    return Field(found.value, colour, found.bounds, np.eye(3), dict, (view,), layers.notes)


def _regions(layers: Layers, cells: int) -> np.ndarray:
    """(K, cells, cells) float32, how much of each of the window's cells each part of the outline covers that does not
    touch the others, not even by a corner; one that is zero where there is none. Pixels at its outline that are less
    than half the thing's count with what they touch: without them walls have the stairs of the picture's pixels."""
    mask, (label, count) = layers.view.mask, apart(layers.view.mask)
    label = np.where(label, label, ndimage.maximum_filter(label, 3)) if count else label
    each = [np.where(label == part, mask, np.uint8(0)) for part in range(1, max(count, 1) + 1)]
    return np.stack([seen_through(layers.window, part, cells) for part in each]).astype(np.float32) / 255.0
