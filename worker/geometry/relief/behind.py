# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies behind silhouettes: the farther surface goes on behind the nearer one, so that no hole opens beside it.

Of a picture of depth and its photo, a second picture of both that is only there where something near hides something
far. Depth and colours are carried on smoothly from what is seen (push-pull, Gortler et al. 1996). Must not know meshes.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

REACH = 0.12
"""Of the picture's longer side: so far behind something near the far surface goes on. At 25 degrees to the side a hole
beside something at half the distance is about so wide; more costs faces that nobody sees."""

OVERLAP = 2  # pixels in which the second surface lies behind what is seen of the first, lest a crack opens
_SLOPE = 2.0  # of the change beside it: what changes by more is a step
_AHEAD = 0.3  # cosine of the angle to where the near side begins, beyond which a pixel is beside and not behind it
_THICK = 0.6  # of the near side's distance: what is nearer than that is another thing
_BELOW = 1.004  # so much farther it lies there


def behind(depth: np.ndarray, photo: np.ndarray, cut: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Depth (H, W) and photo (h, w, 3) uint8 of what is hidden, NaN where nothing is; None where nothing is at all.

    depth: (H, W) along the optical axis, NaN where there is no surface. cut: relative jump that is a silhouette.
    """
    there = np.isfinite(depth)
    filled = np.where(there, depth, np.inf)
    hiding, towards = _steps(np.where(there, depth, 0.0), there, cut)
    far_edge = np.isfinite(hiding)
    if not far_edge.any():
        return None
    away, nearest = ndimage.distance_transform_edt(~far_edge, return_indices=True)
    beyond, hiding = depth[tuple(nearest)], hiding[tuple(nearest)]
    offset = np.indices(depth.shape) - nearest
    along = (offset * towards[:, nearest[0], nearest[1]]).sum(axis=0) > _AHEAD * away
    near = away <= REACH * max(depth.shape)
    as_near = (filled <= hiding * (1.0 + cut)) & (filled >= hiding * _THICK)
    hidden = there & near & along & as_near & (filled * (1.0 + cut) < beyond)
    known = there & near & ~hidden & (filled * (1.0 + cut) >= beyond)
    if not hidden.any():
        return None
    inverse = carried_on(np.where(known, 1.0 / np.where(there, depth, 1.0), 0.0)[..., None], known)[..., 0]
    surface = np.maximum(1.0 / np.maximum(inverse, 1e-9), np.where(hidden, filled * (1.0 + cut), 0.0))
    rim = known & (ndimage.distance_transform_edt(~hidden) <= OVERLAP)
    second = np.where(hidden, surface, np.where(rim, filled * _BELOW, np.nan)).astype(np.float32)
    return second, _coloured(photo, known, hidden)


def _steps(depth: np.ndarray, there: np.ndarray, cut: float) -> tuple[np.ndarray, np.ndarray]:
    """(H, W): how far what is nearer beside a pixel is, inf where nothing is nearer by more than the cut; and
    (2, H, W): the unit direction, in rows and columns, in which that lies."""
    hiding, towards = np.full(depth.shape, np.inf), np.zeros((2, *depth.shape))
    for axis in (0, 1):
        ahead = tuple(slice(0, -1) if each == axis else slice(None) for each in (0, 1))
        after = tuple(slice(1, None) if each == axis else slice(None) for each in (0, 1))
        steep = _steeper_than_beside(np.where(there, depth, 1.0), axis)
        for far, near, sign in ((ahead, after, 1.0), (after, ahead, -1.0)):
            step = there[far] & there[near] & (depth[far] > depth[near] * (1.0 + cut)) & steep
            hiding[far] = np.where(step, np.minimum(hiding[far], depth[near]), hiding[far])
            towards[axis][far] += sign * step
    return hiding, towards / np.maximum(np.linalg.norm(towards, axis=0), 1e-9)


def _steeper_than_beside(depth: np.ndarray, axis: int) -> np.ndarray:
    """Where depth changes from pixel to pixel along an axis by much more than just before or just after: at steps, and
    not on a slope, however steep."""
    change = np.abs(np.diff(np.log(depth), axis=axis))
    size = [3 if each == axis else 1 for each in (0, 1)]
    return change > _SLOPE * ndimage.minimum_filter(change, size, mode="nearest")


def carried_on(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (H, W, C) float, where `known` (H, W) bool as they are, elsewhere carried on smoothly from there."""
    if min(known.shape) <= 1 or known.all():
        return values if known.all() else np.broadcast_to(values[known].mean(axis=0), values.shape).copy()
    weight = known[..., None].astype(np.float64)
    pad = [(0, side % 2) for side in known.shape] + [(0, 0)]
    total, count = (np.pad(each, pad) for each in (values * weight, weight))
    total, count = (
        each.reshape(each.shape[0] // 2, 2, each.shape[1] // 2, 2, -1).sum(axis=(1, 3)) for each in (total, count)
    )
    some = count[..., 0] > 0
    coarse = carried_on(total / np.maximum(count, 1.0), some)
    zoomed = np.stack([_doubled(coarse[..., c], known.shape) for c in range(values.shape[2])], axis=2)
    return np.where(known[..., None], values, zoomed)


def _doubled(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    whole = Image.fromarray(values.astype(np.float32)).resize(
        (2 * values.shape[1], 2 * values.shape[0]), Image.Resampling.BILINEAR
    )
    return np.asarray(whole)[: shape[0], : shape[1]]


def _coloured(photo: np.ndarray, known: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """The photo at the depth's size, with the colours of what lies behind carried on where that is hidden."""
    small = Image.fromarray(np.ascontiguousarray(photo[..., :3])).resize(known.shape[::-1], Image.Resampling.BOX)
    rgb = np.asarray(small, np.float32)
    inside = known & ~ndimage.binary_dilation(hidden, iterations=2)  # at the edge colours are mixed
    found = carried_on(rgb, inside if inside.any() else known)
    return np.clip(np.rint(np.where((hidden | ~inside)[..., None], found, rgb)), 0, 255).astype(np.uint8)
