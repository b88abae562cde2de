# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing's outline: the square window around it, the picture fitted into that, and the outline blown up.

Inflating is the plainest guess at a thing's thickness, and the floor for better ones. The half thickness is the root of
the solution of Poisson's equation with a constant right-hand side and zero on the outline: a disc becomes an exact
ball, a strip an elliptic rod, and no seams appear along its skeleton.
Must not know cameras, meshes or networks.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.special import ndtri

from ..core.view import Window

FILL = 0.875
"""How much of the window the longer side of the thing's outline spans."""

HAZE = 12
"""Alpha (of 255) up to which a pixel is haze that matting left, not a part of the subject."""

THING_SHARES = (0.004, 0.9)
"""Least and largest share of the picture that a single thing covers."""

THING_BORDER = 0.12
"""Largest share of the picture's outermost pixels that a single thing covers: it may be a little cut off."""

_RIM, _LEAST_RIM = 0.03, 2  # of a thing's longer side, and pixels: how far hair and blur reach beyond its outline
_MEANT = 0.005  # of all pixels: less that is transparent cuts nothing out
_CORNER = 0.2  # of the picture's sides: as large are corners that a window or a card has rounded off
_SPRITE = 10_000  # pixels, below which each of them was drawn, and meant
_INSIDE, _STEEP, _LINE = 0.02, 0.6, 0.02
"""How far inside, of the picture's side and 3 pixels more, a thing's width is looked at beside that on its edge; how
much of it the edge has at least where a thing goes on beyond it (a disc that touches has .2 to .45); and the least part
of an edge."""
_EVEN = 0.7
"""Pixels over which shares are evened out before their outline is measured. Of boxes' hulls from 32 photos, skins of .9
degrees are .7 with 1 pixel and 1.1 with .5; a line one pixel wide is lost beyond .74."""

_MOST = 5  # pixels across: a thing's edge is no wider
_SURE = 0.02  # a share of a pixel that is told from none, and from all
_PIECE, _NEAR = 0.75, 8.0  # pixels: half the length of a straight piece of an outline, and how near it is measured so
_SPECK = 1 / 200  # of the largest piece's pixels: smaller pieces are dirt of the cut-out


def is_one_thing(subject: np.ndarray) -> bool:
    """Whether a silhouette (H, W) bool is that of a thing shown whole: neither a speck nor the whole picture, and
    hardly cut off by the picture's border."""
    share = subject.mean()
    return bool(THING_SHARES[0] <= share <= THING_SHARES[1] and at_border(subject).mean() <= THING_BORDER)


def cut_off(subject: np.ndarray) -> bool:
    """Whether a silhouette (H, W) bool goes on beyond the picture's edge, as far as one can see: it meets the edge in a
    line nearly as long as the one a little farther inside. What only touches the edge with a round side does not."""
    for turns in range(4):
        lines = np.rot90(subject, turns)
        edge, inner = lines[0].sum(), lines[min(3 + int(_INSIDE * len(lines)), len(lines) - 1)].sum()
        if edge > _LINE * lines.shape[1] and edge > _STEEP * inner:
            return True
    return False


def at_border(values: np.ndarray) -> np.ndarray:
    """The outermost pixels of values (H, W)."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def without_specks(subject: np.ndarray) -> np.ndarray:
    """The silhouette (H, W) bool without pieces that are tiny beside its largest one."""
    labels, count = ndimage.label(subject)
    if count < 2:
        return subject
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= _SPECK * sizes.max())[labels]


def large_parts(mask: np.ndarray, least: float) -> np.ndarray:
    """The mask (H, W) bool without pieces that cover less than a share of the picture."""
    labels, count = ndimage.label(mask)
    large = np.bincount(labels.ravel(), minlength=count + 1) >= least * mask.size
    large[0] = False
    return large[labels]


def present(alpha: np.ndarray) -> np.ndarray:
    """(H, W) bool: where a thing is, of its share (H, W) uint8 of each pixel. The one answer to that question: at least
    half of the pixel is the thing's, and it is not dirt beside the thing."""
    return without_specks(alpha >= 128)


def apart(alpha: np.ndarray) -> tuple[np.ndarray, int]:
    """(H, W) the number, from 1, of the part of what is present that each pixel belongs to, 0 for none, and how many
    there are. Parts do not touch each other, not even by a corner."""
    return ndimage.label(present(alpha), np.ones((3, 3)))


def solid_part(alpha: np.ndarray) -> np.ndarray:
    """The alpha (H, W) uint8 of what is present, its soft rim and what is seen through it: without haze, dirt and soft
    shadows, which would make the crop around the thing too large. All zero where nothing is present."""
    core = present(alpha)
    result = np.zeros_like(alpha)
    if not core.any():
        return result
    rows, columns = np.flatnonzero(core.any(axis=1)), np.flatnonzero(core.any(axis=0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    rim = max(_LEAST_RIM, round(_RIM * int(longer)))
    box = tuple(slice(max(0, int(used[0]) - rim), int(used[-1]) + rim + 1) for used in (rows, columns))
    near = ndimage.maximum_filter(_without_holes(core[box]).view(np.uint8), 2 * rim + 1)
    result[box] = np.where((alpha[box] > HAZE) & (near > 0), alpha[box], 0)
    return result


def _without_holes(subject: np.ndarray) -> np.ndarray:
    """The silhouette (H, W) bool with what is not joined to the picture's edge outside of it: as
    ndimage.binary_fill_holes, which creeps inwards pixel by pixel."""
    labels, _ = ndimage.label(np.pad(~subject, 1, constant_values=True))
    return labels[1:-1, 1:-1] != labels[0, 0]


def faint(name: str, alpha: np.ndarray) -> str:
    """The sentence about an alpha (H, W) uint8 in which nothing is present. name: what to call the picture."""
    share = round(100 * int(alpha.max(initial=0)) / 255)
    how = f"nowhere more than {share} % opaque" if share else "transparent everywhere"
    return f"{name} is {how}, so there is no object in it: choose another picture"


def marked(rgb: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """A file's colours (H, W, 3) uint8 and alpha (H, W) uint8, this without haze and dirt; None, and the colours as of
    an opaque picture, where it marks nothing."""
    away = alpha < 128
    if away.all():
        return rgb, alpha  # nothing is present, which is for others to say
    if not away.any():
        return rgb, None
    if alpha.size >= _SPRITE and _unmarked(away):
        nearest = ndimage.distance_transform_edt(away, return_distances=False, return_indices=True)
        return rgb[tuple(nearest)], None
    return rgb, solid_part(alpha)


def _unmarked(away: np.ndarray) -> bool:
    """Whether what is transparent, (H, W) bool, is only a window's round corners, and less than can be meant."""
    corners = ((0, 0), (0, -1), (-1, 0), (-1, -1))
    labels, count = ndimage.label(away)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    for label in {int(labels[corner]) for corner in corners} - {0}:
        height, width = (np.ptp(np.flatnonzero((labels == label).any(axis=axis))) + 1 for axis in (1, 0))
        if height <= _CORNER * away.shape[0] and width <= _CORNER * away.shape[1]:
            sizes[label] = 0
    return bool(sizes.sum() < _MEANT * away.size)


def outline_distance(share: np.ndarray) -> np.ndarray:
    """(H, W) float32 pixels from a thing's outline, negative on it, of the thing's share (H, W), 0 to 1, of each pixel.

    The outline is where the share is a half. In each pixel that it crosses, the share and its slope tell where, as
    along any straight edge that is blurred like a Gaussian; elsewhere it is the distance to the nearest such piece
    (after Gustavson and Strand 2011). Outlines of whole pixels have steps, and of one that is nearly upright long ones.
    Without an outline, all lie as far from it as the picture is long.
    """
    share = _of_the_most(np.asarray(share, np.float32))
    even = ndimage.gaussian_filter(share, _EVEN)
    most = share > 0.5
    thin = most & ~ndimage.binary_opening(most)  # blurred away, lines would be lost
    on = (even > 0.5) | thin
    crossed = ndimage.binary_dilation(on) & ndimage.binary_dilation(~on)
    sign = np.where(on, np.float32(-1.0), np.float32(1.0))
    if not crossed.any():
        return sign * max(share.shape)
    slope = np.stack([ndimage.gaussian_filter(share, _EVEN, order) for order in ((1, 0), (0, 1))])[:, crossed]
    steep = np.maximum(np.hypot(*slope), _SURE)
    blurred = ndtri(np.clip(even[crossed], _SURE, 1.0 - _SURE))  # the distance, in widths of the blur
    off = blurred * np.exp(-(blurred**2) / 2.0) / math.sqrt(2.0 * math.pi) / steep
    away = 0.5 + ndimage.distance_transform_edt(~crossed).astype(np.float32)
    places, near = np.argwhere(crossed), away < _NEAR
    normal = (slope / steep).T
    pieces, wanted = places - off[:, None] * normal, np.argwhere(near)
    nearest = cKDTree(pieces).query(wanted)[1]
    apart, normal = wanted - pieces[nearest], normal[nearest]
    across = (apart * normal).sum(1)
    along = np.maximum(np.abs(apart[:, 0] * normal[:, 1] - apart[:, 1] * normal[:, 0]) - _PIECE, 0.0)
    away[near] = np.maximum(np.hypot(across, along), _SURE)
    return sign * away


def _of_the_most(share: np.ndarray) -> np.ndarray:
    """Shares (H, W) of what is most present near by, where that is half a pixel and more: of what is seen through."""
    most = ndimage.maximum_filter(share, _MOST)
    return np.where(most > 0.5, share / np.maximum(most, 0.5), share)


def window_around(subject: np.ndarray) -> Window:
    """The window in whose middle the silhouette (H, W) bool lies, spanning FILL of it; not for empty ones."""
    rows, columns = np.flatnonzero(subject.any(1)), np.flatnonzero(subject.any(0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    side = math.ceil(max(bottom - top, right - left) / FILL)
    return Window((left + right - side) // 2, (top + bottom - side) // 2, side)


def seen_through(window: Window, values: np.ndarray, size: int) -> np.ndarray:
    """Means of values (H, W) or (H, W, 3), uint8, over each of the window's (size, size) cells, uint8; 0 beyond."""
    whole = Image.fromarray(window.cropped(values))
    return np.asarray(whole.resize((size, size), Image.Resampling.BOX))


def cut_out(rgb: np.ndarray, subject: np.ndarray, window: Window, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The subject's colours (size, size, 3) float32 sRGB in [0, 1], black elsewhere, and its silhouette (size, size)
    bool, from the picture (H, W, 3) uint8 and the silhouette (H, W) bool."""
    share = seen_through(window, np.uint8(255) * subject.astype(np.uint8), size).astype(np.float32)
    colour = seen_through(window, rgb * subject[..., None].astype(np.uint8), size).astype(np.float32)
    inside = share >= 128
    if not inside.any():
        inside = share >= share.max()  # thinner than a pixel everywhere
    return np.where(inside[..., None], np.minimum(colour / np.maximum(share, 1.0)[..., None], 1.0), 0.0), inside


def inflated(mask: np.ndarray) -> np.ndarray:
    """Half the thickness (H, W) float32 in pixels of a silhouette (H, W) bool; zero outside of it.

    Solves laplace(u) = -4 with u = 0 outside; the half thickness is sqrt(u). What lies beyond the picture's border
    counts as outside. Costs about H W min(H, W)^2 operations (5 ms for 96 x 96): meant for small pictures.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    cut = mask[window]
    height = np.zeros(mask.shape, np.float32)
    height[window] = _solved(cut) if cut.shape[1] <= cut.shape[0] else _solved(cut.T).T
    return height


def _solved(mask: np.ndarray) -> np.ndarray:
    """As inflated(), for a mask that is at least as high as wide and ends where its silhouette does."""
    from scipy.linalg import solveh_banded  # on use: takes as long as reading a photo

    inside = np.flatnonzero(mask)
    number = np.full(mask.shape, -1, np.int64)
    number.flat[inside] = np.arange(len(inside))
    band = np.zeros((mask.shape[1] + 1, len(inside)))  # lower form: band[k, i] couples pixels i and i + k
    band[0] = 4.0
    beside = np.flatnonzero(mask[:, :-1] & mask[:, 1:])
    here = number[:, :-1].flat[beside]
    band[1, here] = -1.0
    below = np.flatnonzero(mask[:-1] & mask[1:])
    here, there = number[:-1].flat[below], number[1:].flat[below]
    band[there - here, here] = -1.0
    solution = solveh_banded(band, np.full(len(inside), 4.0), overwrite_ab=True, lower=True, check_finite=False)
    height = np.zeros(mask.shape, np.float32)
    height.flat[inside] = np.sqrt(np.maximum(solution, 0.0))
    return height
