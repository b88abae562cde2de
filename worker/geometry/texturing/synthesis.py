# SPDX-License-Identifier: GPL-3.0-or-later
"""Detail for a picture of which only the blurred colours are known, out of patches of another that shows it sharp.

Texture optimisation (Kwatra et al. 2005, "Texture optimization for example-based synthesis"), guided as image analogies
are (Hertzmann et al. 2001): what is synthesised is the difference from the blurred colours, so those stay as they are.
Must not know things, cameras or where the pictures come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scipy import ndimage

_PATCH = 9  # pixels along a patch's side
_EVERY = 3  # pixels between two patches that are looked for
_LEVELS = (2, 1)  # times as coarse as the pictures
_ROUNDS = 3  # of looking for patches and laying them together, per level
_LEAST, _SOURCES = 100, 6_000  # patches that there must be, and that are looked through
_DIMENSIONS = 24  # of what patches are compared by
_TURNS = 6  # of finding them: they then hold what those that vary most hold, within a thousandth
_QUIET = 0.3
"""Of the patches, those with less detail than the others are laid. Of a tin robot, a horse and a bird looked at: at 1
the robot has eyes and buttons behind; at .6, and with a level of 4, stripes where its arms end in front."""
_ALIKE = 8  # patches at first, of which any is taken
_GUIDED = 1.5  # how much the blurred colours count beside a patch's own pixels
_PLACED = (0.3, 0.05)  # how much a row's and a column's distance count: bands and labels go round a thing
_BLUR = 0.05  # of the side: what the guide does not know


@dataclass(frozen=True, eq=False)
class _Level:
    """Pictures at one scale, (H, W, 3) float32: the wanted and the given blurred colours, the given detail."""

    wanted: np.ndarray
    given: np.ndarray
    detail: np.ndarray
    inside: np.ndarray
    shown: np.ndarray


def synthesised(
    guide: np.ndarray, inside: np.ndarray, photo: np.ndarray, shown: np.ndarray, seed: int = 0
) -> np.ndarray:
    """The guide (H, W, 3) with detail like the photo's, (H, W, 3) float32, both 0 to 255, within `inside` (H, W).

    photo: (H, W, 3), of which `shown` (H, W) counts. The same seed gives the same.
    """
    rng = np.random.default_rng(seed)
    found = None
    for coarser in _LEVELS:
        level = _level(guide, inside, photo, shown, coarser)
        sources, targets = _places(level.shown, 1, rng), _places(level.inside, _EVERY, rng)
        if len(sources) < _LEAST or not len(targets):
            continue
        sources = _quiet(level.detail, sources)
        found = _filled(level, sources, targets, found, rng)
    return guide.astype(np.float32) if found is None else np.where(inside[..., None], level.wanted + found, guide)


def _level(guide: np.ndarray, inside: np.ndarray, photo: np.ndarray, shown: np.ndarray, coarser: int) -> _Level:
    guide, inside_share = _reduced(guide, inside, coarser)
    photo, shown_share = _reduced(photo, shown, coarser)
    inside, shown = inside_share >= 0.5, shown_share >= 0.5
    sigma = _BLUR * max(guide.shape[:2])
    given = _blurred(photo, shown, sigma)
    return _Level(_blurred(guide, inside, sigma / 2), given, (photo - given) * shown[..., None], inside, shown)


def _blurred(values: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """As `fill.blurred`, (H, W, C) float32, by products with matrices: for wide blurs of small pictures they are many
    times as fast."""
    down, right = (_blur(side, sigma) for side in known.shape)
    planes = np.concatenate([np.moveaxis(values * known[..., None], 2, 0), known[None]]).astype(np.float32)
    *found, share = down @ planes @ right.T
    return np.stack(found, axis=2) / np.maximum(share, 1e-6)[..., None]


@lru_cache(16)
def _blur(side: int, sigma: float) -> np.ndarray:
    """(side, side) float32 that blurs a row of so many pixels."""
    return ndimage.gaussian_filter1d(np.eye(side, dtype=np.float32), sigma, axis=0)


def _reduced(values: np.ndarray, mask: np.ndarray, coarser: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of the values within the mask over blocks of pixels, and the blocks' shares of it."""
    if coarser == 1:
        return (values * mask[..., None]).astype(np.float32), mask.astype(np.float32)
    height, width = (side // coarser for side in mask.shape)

    def means(plane: np.ndarray) -> np.ndarray:
        plane = plane[: height * coarser, : width * coarser].astype(np.float32)
        return plane.reshape(height, coarser, width, coarser, *plane.shape[2:]).mean(axis=(1, 3))

    share = means(mask)
    return means(values * mask[..., None]) / np.maximum(share, 1e-6)[..., None], share


def _filled(
    level: _Level, sources: np.ndarray, targets: np.ndarray, before: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """The level's detail (H, W, 3), from that of the level before or from nothing, out of the patches at `sources`."""
    patches, guides = _patches(level.detail, sources), _guides(level.given, sources)
    wanted = _guides(level.wanted, targets)
    own = np.concatenate([patches.reshape(len(patches), -1) / _PATCH, guides], axis=1)
    basis = _basis(own)
    own = _asked(own @ basis)
    detail = None if before is None else _enlarged(before, level.inside.shape)
    for _ in range(_ROUNDS):
        if detail is None:
            order = np.argpartition(_distances(wanted, _asked(guides)), _ALIKE, axis=1)[:, :_ALIKE]
            chosen = order[np.arange(len(order)), rng.integers(_ALIKE, size=len(order))]
        else:
            asked = np.concatenate([_patches(detail, targets).reshape(len(targets), -1) / _PATCH, wanted], axis=1)
            chosen = _distances(asked @ basis, own).argmin(axis=1)
        detail = _laid(patches[chosen], targets, level.inside.shape)
    return detail


def _places(mask: np.ndarray, every: int, rng: np.random.Generator) -> np.ndarray:
    """(N, 2) top left corners of patches whose middle lies in the mask; of all of them, at most _SOURCES."""
    half = _PATCH // 2
    middle = mask[half : max(mask.shape[0] - half, half), half : max(mask.shape[1] - half, half)]
    if every > 1:
        middle = middle & (np.add.outer(np.arange(middle.shape[0]) % every, np.arange(middle.shape[1]) % every) == 0)
    found = np.argwhere(middle)
    if every == 1 and len(found) > _SOURCES:
        found = found[rng.choice(len(found), _SOURCES, replace=False)]
    return found


def _quiet(detail: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The corners (N, 2) of the patches with the least detail: grain, fur and weave are everywhere, while an eye, a
    letter or the border between two parts stands out where it is, and laid elsewhere would be seen as a second one."""
    strength = (_patches(detail, corners) ** 2).mean(axis=(1, 2, 3))
    return corners[strength <= np.quantile(strength, _QUIET)]


def _patches(values: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N, P, P, 3)"""
    windows = sliding_window_view(values, (_PATCH, _PATCH), axis=(0, 1))
    return np.ascontiguousarray(windows[corners[:, 0], corners[:, 1]].transpose(0, 2, 3, 1))


def _guides(blurred: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N, 17) the blurred colours at a patch's middle and corners, and where it lies."""
    last = _PATCH - 1
    spots = ((last // 2, last // 2), (0, 0), (0, last), (last, 0), (last, last))
    colours = [blurred[corners[:, 0] + down, corners[:, 1] + right] for down, right in spots]
    place = corners / max(blurred.shape[:2]) * (np.array(_PLACED) * 255.0)
    return np.concatenate([_GUIDED * np.concatenate(colours, 1) / np.sqrt(len(spots)), place], axis=1).astype(
        np.float32
    )


def _basis(features: np.ndarray) -> np.ndarray:
    """The directions (D, d) in which features (N, D) vary most, nearly, by subspace iteration: to be compared by they
    need not be told apart, and whole decompositions keep the threads of the linear algebra waiting for each other."""
    centred = features - features.mean(axis=0)
    varies = centred.T @ centred
    basis = np.random.default_rng(0).standard_normal((len(varies), _DIMENSIONS)).astype(features.dtype)
    for _ in range(_TURNS):
        basis = np.linalg.qr(varies @ basis)[0]
    return basis


def _asked(own: np.ndarray) -> np.ndarray:
    """Features (N, D), made ready for `_distances` from them, (D + 1, N)."""
    return np.concatenate([-2.0 * own, (own**2).sum(axis=1, keepdims=True)], axis=1).T


def _distances(asked: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(M, N) squared distances of features (M, D), but for a constant per row: in one product, as they are many."""
    return np.column_stack([asked, np.ones(len(asked), asked.dtype)]) @ own


def _laid(patches: np.ndarray, corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Patches (N, P, P, 3) laid over each other and averaged, those near their middle counting most."""
    at = np.linspace(-1.0, 1.0, _PATCH)
    weight = np.exp(-3.0 * np.add.outer(at**2, at**2)).astype(np.float32)
    rows = (corners[:, 0, None] + np.arange(_PATCH))[:, :, None]
    columns = (corners[:, 1, None] + np.arange(_PATCH))[:, None, :]
    flat = (rows * shape[1] + columns).ravel()
    total = np.bincount(flat, np.broadcast_to(weight, patches.shape[:3]).ravel(), shape[0] * shape[1])
    laid = [
        np.bincount(flat, (patches[..., channel] * weight).ravel(), shape[0] * shape[1]) / np.maximum(total, 1e-6)
        for channel in range(3)
    ]
    return np.stack(laid, axis=1).reshape(*shape, 3).astype(np.float32)


def _enlarged(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    planes = [
        Image.fromarray(values[..., channel]).resize(shape[::-1], Image.Resampling.BICUBIC) for channel in range(3)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)
