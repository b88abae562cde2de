# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed thing from its two layers, which bound a solid, and the picture it was cut out of.

Knows representations, pictures and geometry; must not know networks, methods or requests.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Field, Layers
from ..geometry.between import Between
from ..geometry.fill import nearest_filled
from ..geometry.texturing.photo import sampled
from ..geometry.texturing.synthesis import synthesised
from ..pictures.silhouette import FILL, apart, seen_through
from . import field
from .asset import Asset
from .options import FieldOptions, LayersOptions

_TO_CAMERA = np.diag([1.0, -1.0, -1.0])  # from glTF's axes, in which the camera looks along -z

_SEAM = 0.04  # of the window's side: so far from the outline the back takes on the front's colour
_HALO = 3.0  # pixels of the back's picture that an outline mixes with what was behind the thing
_SYMMETRIC = 0.93  # of an outline and its mirror image lies in both: a can seen a little from above has more
_BACK_PIXELS = 192  # side of the back's picture

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
    behind = _behind(layers, regions.sum(axis=0))

    def colour(points: np.ndarray) -> np.ndarray:
        return sampled(behind, found.seen(points)[0] * len(behind)).astype(np.float32)

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


def _mirrored(inside: np.ndarray) -> bool:
    """Whether an outline (H, W) in the middle of its window is nearly its own mirror image, left for right."""
    other = inside[:, ::-1]
    return np.count_nonzero(inside & other) > _SYMMETRIC * np.count_nonzero(inside | other)


def _behind(layers: Layers, share: np.ndarray) -> np.ndarray:
    """What the photo does not show, (_BACK_PIXELS, _BACK_PIXELS, 3) float32 sRGB in [0, 1]: the network's guess, which
    near the outline passes into the front's colours, where the same surface goes round, with detail like the front's.
    Where the outline is its own mirror image that comes from the front's mirror image, so that letters can be read."""
    size = (_BACK_PIXELS, _BACK_PIXELS)

    def picture(values: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC), np.float32)

    inside = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BILINEAR)) >= 0.5
    depth = ndimage.distance_transform_edt(inside)
    own = np.clip(depth / (_SEAM * _BACK_PIXELS), 0.0, 1.0)[..., None]
    front, core = picture(layers.window.cropped(layers.view.rgb)), depth > min(_HALO, depth.max() / 2)
    rim = ndimage.gaussian_filter(nearest_filled(front, core) if core.any() else front, (1.5, 1.5, 0))
    blended = picture(layers.back_colour) * own + rim * (1.0 - own)
    if _mirrored(inside):
        front, core = front[:, ::-1], core[:, ::-1]
    detailed = synthesised(blended, inside, front, core)
    return nearest_filled(np.clip(detailed / 255.0, 0.0, 1.0), inside if inside.any() else ~inside)
