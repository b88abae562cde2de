# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharpens and enlarges a network's small, smeared depth map with the photo as a guide.

Networks draw a silhouette as a ramp a few of their pixels wide; taken literally a ramp is a curtain. Around every ramp
the two surfaces beside it are estimated (depth as a plane, mean colour), and each pixel of the enlarged map is given to
one of them: by its depth where that is clear, by the photo's colours where it is not. What lay between disappears, and
the step lies on the photo's edge. Everywhere else the map is interpolated. Related: joint bilateral upsampling (Kopf et
al. 2007), toggle mapping (Kramer and Bruckner 1975).

Works on inverse depth. Must not know networks, meshes or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from ..fill import nearest_filled

_WIDER = (4, 2)  # a silhouette of which a network is not sure is so many times as wide
_RAMP = 2  # a smeared silhouette is at most about twice this many of the map's pixels wide
_REACH = 4  # how far, in the map's pixels, the surfaces beside a ramp are looked at
_CONTRAST = 0.06  # smallest step that is sharpened, as a share of the map's whole range
_STEPS = (0.05, 0.25)
"""Relative change of depth from which a step is sharpened, of a network that is sure and of one that knows nothing."""
_TOLD = 0.8
"""How far apart the colours beside a wide ramp are, 0 to 1, where the photo says at which of its places the edge is. At
.4 a blue vase before a blue wall was cut in two, and a tree from its pot; a man, a monkey, a lamp have .9 and more."""
_DOUBTS = 1.5
"""A step is so many times as large as the network may be wrong there. On 35 photos (included network) edges of smaller
ones stood out in clay as embossed worms, all over a cup and an animal's face."""
_SHARP = 0.5  # of a step lies between two pixels; of what networks smear no more than .4
_SPREAD = 2.0  # standard deviation, in the map's pixels, of the weight of pixels around a ramp
_STEEP = 0.12  # change within 3 pixels, as a share of the step, beyond which a pixel counts as part of the ramp
_ALONE = 0.6  # a step has at least this share of the change over a wider window; a slanted plane has 0.4
_ON = 0.05
"""Share of a step within which a pixel lies on its surface already, and keeps its detail. At .15 what bicubic
enlargement rings by, .07 of the step, stayed, and seen from beside every outline was a comb."""
_RIM = 0.5
"""Where a network is unsure the near surface reaches so many of the map's pixels beyond its edge: colours are mixed
there, and on the far surface they are a ghost of the outline in the sky (dilation of what is near, as in rendering from
depth images, Fehn 2004). At half of it a man and a lamp leave dotted lines there."""
_COLOUR_NOISE = 0.06  # difference of colours (0 to 1) below which they say little about where the edge is
_COLOUR_WEIGHT = 0.8  # of the photo against the depth map, where each is fully certain


def refined(
    inverse_depth: np.ndarray,
    valid: np.ndarray,
    photo: np.ndarray,
    longer_side: int = 1024,
    uncertainty: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A map of inverse depth (H, W) float32 with its mask (H, W) bool at up to `longer_side` pixels (no more than the
    photo has, no fewer than it has itself), edges sharpened.

    photo: (h, w, 3 or 4) uint8 of the same view. uncertainty: (H, W), how far ln z is believed to be wrong.
    """
    shape = _target_shape(inverse_depth.shape, photo.shape[:2], longer_side)
    source = _filled(inverse_depth, valid)
    fine = _resized(source, shape, Image.Resampling.BICUBIC)
    fine = np.clip(fine, source.min(), source.max())
    finer = _resized(valid.astype(np.float32), shape, Image.Resampling.BILINEAR) > 0.5
    if uncertainty is None:
        ramps, rim = _ramps(source, _STEPS[0]), 0
    else:
        ramps = _ramps(source, np.clip(_DOUBTS * uncertainty, *_STEPS)) | _stairs(source)
        rim = round(_RIM * shape[0] / source.shape[0])
    return _split(fine, source, photo, ramps, rim=rim).astype(np.float32), finer


def steepened(inverse_depth: np.ndarray, valid: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """The map of inverse depth (H, W) float32, filled where it is not valid, with wide ramps made as steep as a network
    makes others: where it is not sure of a silhouette, the surface would be drawn out into the depth like rubber.

    photo: (h, w, 3 or 4) uint8 of the same view.
    """
    source = _filled(inverse_depth, valid)
    for factor in _WIDER:
        height, width = (side // factor for side in source.shape)
        if min(height, width) > 2 * _REACH:
            small = _resized(source, (height, width), Image.Resampling.BOX)
            source = _split(source, small, photo, _ramps(small, _STEPS[1]), _TOLD)
    return source


def _split(
    fine: np.ndarray, small: np.ndarray, photo: np.ndarray, ramps: np.ndarray, told: float = 0.0, rim: int = 0
) -> np.ndarray:
    """A map with the pixels on ramps (H, W) bool of a smaller map of the same given to one of the surfaces beside them.
    told: how far apart their colours must be, 0 to 1. rim: pixels by which the near surface reaches beyond its edge."""
    row, column = np.nonzero(ramps)
    if not len(row):
        return fine
    sides = _sides(small, _colours(photo, small.shape), row, column)
    if told:
        sides.depth[:, ~(_told_apart(sides.colour, sides.power) > told)] = np.nan
    return _sharpened(fine, _colours(photo, fine.shape), small.shape, sides, rim)


def _target_shape(small: tuple[int, int], photo: tuple[int, int], longer_side: int) -> tuple[int, int]:
    """The photo's shape (whose aspect is the true one), reduced to the wanted size but not below the map's own."""
    wanted = max(min(longer_side, max(photo)), max(small))
    scale = wanted / max(photo)
    return max(1, round(photo[0] * scale)), max(1, round(photo[1] * scale))


def _filled(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Values (float32) with those that are not valid taken from the nearest that is."""
    valid = valid & np.isfinite(values)
    if not valid.any():
        return np.zeros(values.shape, np.float32)
    return nearest_filled(values.astype(np.float32), valid)


def _resized(values: np.ndarray, shape: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(values).resize((shape[1], shape[0]), how))


def _colours(photo: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The photo as (H, W, 3) float32 in 0 to 1 at another size."""
    small = Image.fromarray(np.ascontiguousarray(photo[..., :3])).resize((shape[1], shape[0]), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255.0


def _range_within(values: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    size = 2 * radius + 1
    return ndimage.minimum_filter(values, size, mode="nearest"), ndimage.maximum_filter(values, size, mode="nearest")


def _ramps(values: np.ndarray, least: float | np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels within reach of a step that is more than the slope of the surfaces around it. least: the
    relative change that makes a step, one number or (H, W)."""
    low, high = _range_within(values, _RAMP)
    far_low, far_high = _range_within(values, round(2.5 * _RAMP))
    bottom, top = np.percentile(values, (2.0, 98.0))
    contrast = high - low
    step = (contrast > np.maximum(_CONTRAST * (top - bottom), least * low)) & (contrast > _ALONE * (far_high - far_low))
    return ndimage.binary_dilation(step, np.ones((3, 3), bool))  # for their faint ends


def _stairs(values: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels around a step from one pixel to the next, however sure the network is of it. It was made so
    (see `steepened`), and as it is would be a flight of stairs in the enlarged map."""
    low, high = ndimage.minimum_filter(values, 2), ndimage.maximum_filter(values, 2)
    wide_low, wide_high = _range_within(values, _RAMP)
    step = high - low > np.maximum(_SHARP * (wide_high - wide_low), _STEPS[0] * low)
    return ndimage.binary_dilation(step, np.ones((3, 3), bool), 2)


@dataclass(frozen=True)
class _Sides:
    """The two surfaces beside each ramp pixel of the small map, near one first (index 0), as maps with NaN elsewhere.

    depth: (2, H, W) inverse depth at the pixel; colour: (2, 3, H, W) mean; power: (2, H, W) mean square of the colour's
    length.
    """

    depth: np.ndarray
    colour: np.ndarray
    power: np.ndarray


def _sides(values: np.ndarray, colours: np.ndarray, row: np.ndarray, column: np.ndarray) -> _Sides:
    """Weighted means over the window around each ramp pixel, of what is nearer and what is farther than the middle.

    Pixels on the ramp itself hardly count, close ones more than far ones: where three surfaces meet, the means are
    those of the two that touch here.
    """
    height, width = values.shape
    low, high = (bound[row, column] for bound in _range_within(values, _REACH))
    near_low, near_high = _range_within(values, 1)
    slopes = np.stack(np.gradient(values)) if min(values.shape) > 1 else np.zeros((2, *values.shape))
    power = (colours**2).sum(axis=2)
    data = np.stack([values, *np.moveaxis(colours, 2, 0), power]).reshape(5, -1)  # planes: rows of five are slow
    data, steps = data.astype(np.float32), (near_high - near_low).ravel()
    middle, noise = 0.5 * (low + high), _STEEP * np.maximum(high - low, 1e-12)
    total = np.zeros((2, len(data) + 1, len(row)), np.float32)
    for down, right in _disc(_REACH):
        y, x = np.clip(row + down, 0, height - 1), np.clip(column + right, 0, width - 1)
        pixel = y * width + x
        found, (slope_y, slope_x) = np.take(data, pixel, axis=1), np.take(slopes.reshape(2, -1), pixel, axis=1)
        nearer = found[0] > middle
        # the shoulder of a ramp slopes, the surface it comes from need not
        plain = np.exp(-((np.take(steps, pixel) / noise) ** 2))
        # the plane's value at the ramp pixel
        found[0] -= slope_y * plain * (y - row) + slope_x * plain * (x - column)
        weight = plain * math.exp(-(down * down + right * right) / (2.0 * _SPREAD**2)) + 1e-9
        for side, share in enumerate((weight * nearer, weight * ~nearer)):
            total[side, :-1] += share * found
            total[side, -1] += share
    mean = total[:, :-1] / np.maximum(total[:, -1:], 1e-30)
    mean[:, 0] = np.clip(mean[:, 0], low, high)
    maps = np.full((2, len(data), height, width), np.nan, np.float32)
    maps[:, :, row, column] = mean
    return _Sides(maps[:, 0], maps[:, 1:4], maps[:, 4])


def _disc(radius: int) -> list[tuple[int, int]]:
    span = range(-radius, radius + 1)
    return [(down, right) for down in span for right in span if down * down + right * right <= (radius + 0.5) ** 2]


def _sharpened(fine: np.ndarray, colours: np.ndarray, small: tuple[int, int], sides: _Sides, rim: int) -> np.ndarray:
    """The enlarged map with every pixel near a ramp moved onto one of the two surfaces, the near one `rim` wider."""
    y_small = (np.arange(fine.shape[0]) + 0.5) * small[0] / fine.shape[0] - 0.5
    x_small = (np.arange(fine.shape[1]) + 0.5) * small[1] / fine.shape[1] - 0.5
    y_near = np.clip(np.rint(y_small), 0, small[0] - 1).astype(np.int64)
    x_near = np.clip(np.rint(x_small), 0, small[1] - 1).astype(np.int64)
    row, column = np.nonzero(~np.isnan(sides.depth[0][y_near][:, x_near]))
    place = np.stack([y_small[row], x_small[column]])
    told = _between(np.concatenate([sides.depth, sides.power, sides.colour.reshape(6, *small)]), place)
    (near, far), power, colour = told[:2], told[2:4], told[4:].reshape(2, 3, -1)
    here = fine[row, column]
    contrast = np.maximum(near - far, 1e-12)
    by_depth = np.clip((here - far) / contrast * 2.0 - 1.0, -1.0, 1.0)
    by_colour = _colour_votes(colours[row, column], colour, power)
    score = np.zeros_like(fine)
    score[row, column] = by_depth + _COLOUR_WEIGHT * by_colour * (1.0 - by_depth**2)
    nearer = ndimage.maximum_filter(ndimage.uniform_filter(score, 3), 2 * rim + 1) > 0.0
    chosen = np.where(nearer[row, column], near, far)
    moved = np.clip(np.abs(here - chosen) / (_ON * contrast), 0.0, 1.0)
    around = ndimage.uniform_filter((~np.isnan(sides.depth[0])).astype(np.float32), 3, mode="nearest")
    moved *= np.clip(2.0 * _interpolated(around[None], place)[0] - 0.6, 0.0, 1.0)  # a ramp ends gradually
    result = fine.copy()
    result[row, column] = here + (chosen - here) * moved
    return result


def _between(maps: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(C, n) values of maps (C, H, W) between their pixels, at places (2, n) of which the nearest pixel has a value;
    pixels that are NaN do not count."""
    known = ~np.isnan(maps[:1])
    found = _interpolated(np.concatenate([known.astype(np.float32), np.where(known, maps, 0.0)]), place)
    return found[1:] / np.maximum(found[0], 1e-6)


def _interpolated(maps: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(C, n) values of maps (C, H, W) float32 between their pixels, at places (2, n); beyond the border those
    at it. As scipy's map_coordinates of first order, with what is the same for all maps reckoned once."""
    flat, last = maps.reshape(len(maps), -1), np.array(maps.shape[1:])[:, None] - 1
    place = np.clip(place, 0, last).astype(np.float32)
    first = np.minimum(place.astype(np.int64), np.maximum(last - 1, 0))
    (down, right), (below, beside) = place - first.astype(np.float32), np.minimum(first + 1, last) - first
    pixel, below = first[0] * maps.shape[2] + first[1], below * maps.shape[2]
    upper = np.take(flat, pixel, axis=1) * (1.0 - right) + np.take(flat, pixel + beside, axis=1) * right
    pixel = pixel + below
    lower = np.take(flat, pixel, axis=1) * (1.0 - right) + np.take(flat, pixel + beside, axis=1) * right
    return upper * (1.0 - down) + lower * down


def _told_apart(mean: np.ndarray, power: np.ndarray) -> np.ndarray:
    """(...) how far apart the colours of two sides are, 0 to 1. mean: (2, 3, ...) and power: (2, ...)."""
    between, total = _differences(mean, power)
    return between / total


def _differences(mean: np.ndarray, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(...) the squared distance between two sides' mean colours, and that with how much each side varies."""
    between = ((mean[0] - mean[1]) ** 2).sum(axis=0)
    variance = np.maximum(power - (mean**2).sum(axis=1), 0.0).sum(axis=0)
    return between, between + variance + _COLOUR_NOISE**2


def _colour_votes(colour: np.ndarray, mean: np.ndarray, power: np.ndarray) -> np.ndarray:
    """(n,) 1 where a colour (n, 3) is the near side's, -1 where the far side's, about 0 where the two are alike.

    mean: (2, 3, n) and power: (2, n) of the sides' colours. A textured side varies, and then its mean says little.
    """
    near, far = mean[0].T, mean[1].T
    to_near = ((colour - near) ** 2).sum(axis=1)
    to_far = ((colour - far) ** 2).sum(axis=1)
    return np.clip((to_far - to_near) / _differences(mean, power)[1], -1.0, 1.0)
