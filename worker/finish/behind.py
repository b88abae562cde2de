# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo does not show of a thing, imagined: a picture of it from behind, as one would see it through the front.

Knows pictures and geometry; must not know networks, representations or requests.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.view import View
from ..geometry.fill import blurred, nearest_filled
from ..geometry.texturing.photo import sampled
from ..geometry.texturing.rasterise import projected
from ..geometry.texturing.synthesis import synthesised
from ..pictures.silhouette import cut_out, present, seen_through, window_around

_SEAM = 0.04  # of the window's side: so far from the outline the back takes on the front's colour
_HALO = 3.0  # pixels of the back's picture that an outline mixes with what was behind the thing
_SYMMETRIC = 0.93  # of an outline and its mirror image lies in both: a can seen a little from above has more
_PIXELS = 192  # side of the back's picture
_GUESSED, _ALIKE = 64, 0.2  # pixels of a guess from the front alone, and of its side over which that is blurred


def behind(guess: np.ndarray, front: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(_PIXELS, _PIXELS, 3) float32 sRGB in [0, 1], all of one square window: the guess (S, S, 3) uint8, which near the
    outline passes into the front's colours (H, H, 3) uint8, where the same surface goes round, with detail like the
    front's. share: (N, N) float32 of each cell that is the thing's.

    Where the outline is its own mirror image detail comes from the front's mirror image, so that letters can be read.
    """
    size = (_PIXELS, _PIXELS)

    def picture(values: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC), np.float32)

    inside = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BILINEAR)) >= 0.5
    depth = ndimage.distance_transform_edt(inside)
    own = np.clip(depth / (_SEAM * _PIXELS), 0.0, 1.0)[..., None]
    shown, core = picture(front), depth > min(_HALO, depth.max() / 2)
    rim = ndimage.gaussian_filter(nearest_filled(shown, core) if core.any() else shown, (1.5, 1.5, 0))
    blended = picture(guess) * own + rim * (1.0 - own)
    if _mirrored(inside):
        shown, core = shown[:, ::-1], core[:, ::-1]
    detailed = synthesised(blended, inside, shown, core)
    return nearest_filled(np.clip(detailed / 255.0, 0.0, 1.0), inside if inside.any() else ~inside)


def imagined(view: View) -> Callable[[np.ndarray], np.ndarray] | None:
    """Colours of points (N, 3), in the view's axes, (N, 3) float32 sRGB in [0, 1], as they may be where its photo does
    not see them: the front's, blurred, with its detail. None where no mask shows what the thing is."""
    if view.mask is None or not (subject := present(view.mask)).any():
        return None
    window = window_around(subject)
    colour, inside = cut_out(view.rgb, subject, window, _GUESSED)
    guess = blurred(colour, inside, _ALIKE * _GUESSED)
    covered = seen_through(window, view.mask, _PIXELS).astype(np.float32) / 255.0
    picture = behind(np.uint8(np.clip(np.rint(guess * 255.0), 0, 255)), window.cropped(view.rgb), covered)

    def colours(points: np.ndarray) -> np.ndarray:
        place = projected(points, view)[:, :2] - (window.left, window.top)
        return sampled(picture, place / window.side * _PIXELS).astype(np.float32)

    return colours


def _mirrored(inside: np.ndarray) -> bool:
    """Whether an outline (H, W) in the middle of its window is nearly its own mirror image, left for right."""
    other = inside[:, ::-1]
    return np.count_nonzero(inside & other) > _SYMMETRIC * np.count_nonzero(inside | other)
