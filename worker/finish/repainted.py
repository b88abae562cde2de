# SPDX-License-Identifier: GPL-3.0-or-later
"""The repainter that ships (see core/repaint.py): colours stay, and get detail out of patches of the photo.

It needs no network and adds nothing that the photo does not show. Must not know meshes, cameras or requests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.job import Job, Span
from ..geometry.fill import blurred
from ..geometry.texturing.synthesis import synthesised

_PIXELS = 192  # of the longer side at which patches are looked for
_COARSE = 3.0  # of these pixels: what is as large is no detail
_LOUDEST = 1.0  # times the photo's grain (median of what is fine in it) may detail be
_PLAIN = 0.02  # sRGB of 1 from the plain colour: less is not the thing


class Patches:
    """See the module."""

    draws = False

    def repaint(
        self,
        picture: np.ndarray,
        unknown: np.ndarray,
        references: Sequence[np.ndarray],
        strength: float,
        seed: int,
        job: Job | Span,
    ) -> np.ndarray:
        """As core.repaint.Repainter says. The outline stays."""
        job.report(0.0, "painting")
        share = strength * np.asarray(unknown, np.float32) * _thing(picture)
        if not references or share.max() <= 0.0:
            return picture
        height, width = picture.shape[:2]
        size = tuple(max(8, round(side * min(1.0, _PIXELS / max(width, height)))) for side in (width, height))
        guide, photo = _small(picture, size), _small(_cropped(references[0]), size)
        found = synthesised(guide, _thing(guide), photo, _thing(photo), seed)
        found = _grain(found, guide, photo)
        detail = np.stack([_large(found[..., channel], (width, height)) for channel in range(3)], axis=2)
        return np.rint(np.clip(picture + share[..., None] * detail, 0.0, 255.0)).astype(np.uint8)


def _grain(found: np.ndarray, guide: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """(H, W, 3) what is fine in what was found, as loud as the photo's grain at most, and where the guide has less.
    Without that, a patch with a seam in it is laid again and again, as stripes."""
    own, inner = _fine(photo, _thing(photo)), ndimage.binary_erosion(_thing(photo), iterations=round(_COARSE))
    loud = float(np.median(np.abs(own[inner]))) if inner.any() else 0.0
    there = np.sqrt(ndimage.gaussian_filter(np.square(_fine(guide, _thing(guide))).mean(axis=2), _COARSE))
    lacking = np.clip(1.0 - there / max(_LOUDEST * loud, 1e-6), 0.0, 1.0)
    return lacking[..., None] * np.clip(_fine(found, _thing(guide)), -_LOUDEST * loud, _LOUDEST * loud)


def _fine(picture: np.ndarray, thing: np.ndarray) -> np.ndarray:
    """(H, W, 3) what of a picture is finer than _COARSE, within the thing (H, W)."""
    return np.where(thing[..., None], picture - blurred(picture, thing, _COARSE), np.float32(0.0))


def _thing(picture: np.ndarray) -> np.ndarray:
    """(H, W) bool: what has not the colour of the corner."""
    return np.abs(picture.astype(np.float32) - picture[0, 0]).max(axis=2) > 255.0 * _PLAIN


def _cropped(picture: np.ndarray) -> np.ndarray:
    """The square in which the thing is."""
    rows, columns = (np.flatnonzero(_thing(picture).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return picture
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    whole = np.empty((side, side, 3), np.uint8)
    whole[:] = picture[0, 0]
    cut = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    top, left = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    whole[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return whole


def _small(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX), np.float32)


def _large(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
