# SPDX-License-Identifier: GPL-3.0-or-later
"""Visual hulls: the space that no outline shows to be empty (Laurentini 1994).

Must not know files, colours or how cameras were found. A coarse hull gives a good box at once; and it tells wrong
cameras from right ones: what one of them shows as the thing, another then shows to be empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.view import View
from .orient import focus

OUTLINE_SIDE = 256
"""Outlines are looked at in so many pixels at most: five for each cell."""

_COVER_SIDE = 128  # in so many where it is only asked how much of them a hull covers
_CELLS = 48  # of a hull along each axis
_VIEWS = 40  # at most so many outlines are asked for its box
_DISSENT = 0.05  # a cell may lie outside of this share of the outlines: some mattes lack a piece


@dataclass(frozen=True, eq=False)
class Hull:
    """The hull of N outlines.

    box: (2, 3) float64. cells: (K, 3) float32, the middles of the cells that it fills. side: longest of a cell's sides.
    outlines: N times (h, w) bool. pixels: (N, K), the pixel of each outline, row by row, that shows each cell; -1 where
    it is not in the picture. reaches: how many pixels half a cell is wide. shares: (N,) how much of each outline the
    hull covers, 1 for all of it.
    """

    box: np.ndarray
    cells: np.ndarray
    side: float
    outlines: tuple[np.ndarray, ...]
    pixels: np.ndarray
    reaches: tuple[int, ...]
    shares: np.ndarray

    @classmethod
    def of(cls, views: Sequence[View], outlines: Sequence[np.ndarray]) -> Hull | None:
        """The hull of outlines (h, w) bool, in any number of pixels; None where they have nothing in common."""
        box = hull_box(views, outlines)
        if box is None:
            return None
        small = tuple(_small(outline, _COVER_SIDE) for outline in outlines)
        inside, sides = _filled(list(zip(views, small)), box)
        cells, side = (box[0] + (np.argwhere(inside) + 0.5) * sides).astype(np.float32), float(sides.max())
        pixels = np.stack([_pixel_of(view, cells, outline) for view, outline in zip(views, small)])
        reaches = tuple(_reach(view, outline, box, side) for view, outline in zip(views, small))
        return cls(box, cells, side, small, pixels, reaches, _shares(pixels, small, reaches))

    @property
    def agreement(self) -> float:
        """How far the outlines are those of one thing, 0 to 1: the median share of each that the hull covers. What only
        some pictures show as the thing is not in the hull."""
        return float(np.median(self.shares))

    def with_view(self, view: View, outline: np.ndarray) -> tuple[float, np.ndarray]:
        """How much of one more outline the hull covers, and how much of the others what is left of it after that."""
        small = _small(outline, _COVER_SIDE)
        reach, pixels = _reach(view, small, self.box, self.side), _pixel_of(view, self.cells, small)
        left = _wider(small, reach).ravel()[pixels] & (pixels >= 0)
        own = _shares(pixels[None, left], (small,), (reach,))
        return float(own[0]), _shares(self.pixels[:, left], self.outlines, self.reaches)


def _pixel_of(view: View, cells: np.ndarray, outline: np.ndarray) -> np.ndarray:
    row, column, visible = pixels_of(view, cells, outline.shape)
    return np.where(visible, row * outline.shape[1] + column, -1)


def _shares(pixels: np.ndarray, outlines: Sequence[np.ndarray], reaches: Sequence[int]) -> np.ndarray:
    """(N,) the share of each outline that the shadows of cells, seen in `pixels` (N, K), cover."""
    shares = np.zeros(len(outlines))
    for number, (outline, reach) in enumerate(zip(outlines, reaches)):
        shadow = np.zeros(outline.size, bool)
        shadow[pixels[number][pixels[number] >= 0]] = True
        covered = _wider(shadow.reshape(outline.shape), reach) & outline
        shares[number] = covered.sum() / max(outline.sum(), 1)
    return shares


def hull_box(views: Sequence[View], outlines: Sequence[np.ndarray]) -> np.ndarray | None:
    """The box (2, 3) of the visual hull of outlines (h, w) bool, or None where they contradict each other."""
    used = np.unique(np.linspace(0, len(views) - 1, min(_VIEWS, len(views))).round().astype(int))
    kept = [(views[i], _small(outlines[i], OUTLINE_SIDE)) for i in used if outlines[i].any()]
    if len(kept) < 2:
        return None
    box = _first_box(kept)
    for _ in range(2):  # the second pass sees the box of the first with finer cells
        inside, sides = _filled(kept, box)
        labels, count = ndimage.label(inside)
        if not count:
            return None
        largest = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
        index = np.argwhere(largest)
        box = np.stack([box[0] + index.min(0) * sides, box[0] + (index.max(0) + 1) * sides])
    return box


def _first_box(kept: list[tuple[View, np.ndarray]]) -> np.ndarray:
    """A cube that holds what all outlines show, around the point that their middles look at."""
    positions = np.stack([view.position for view, _ in kept])
    rays = [_rays_of(view, outline) for view, outline in kept]
    towards = np.stack(
        [(ray.mean(0) / np.linalg.norm(ray.mean(0))) @ view.rotation for ray, (view, _) in zip(rays, kept)]
    )
    middle = focus(positions, towards)
    radius = []
    for ray, (view, _) in zip(rays, kept):
        centre = view.rotation @ (middle - view.position)
        if centre[2] > 0:
            radius.append(centre[2] * np.linalg.norm(ray[:, :2] - centre[:2] / centre[2], axis=1).max())
    reach = 1.1 * (np.median(radius) if radius else np.linalg.norm(positions - middle, axis=1).min())
    return np.stack([middle - reach, middle + reach])


def _rays_of(view: View, outline: np.ndarray) -> np.ndarray:
    """(K, 3) directions (x, y, 1) in the camera's axes of the outline's pixels."""
    camera = view.camera.scaled(outline.shape[1], outline.shape[0])
    row, column = np.nonzero(outline)
    x, y = (column + 0.5 - camera.cx) / camera.fx, (row + 0.5 - camera.cy) / camera.fy
    return np.stack([x, y, np.ones_like(x)], 1)


def _filled(kept: list[tuple[View, np.ndarray]], box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of _CELLS^3 cells of the box (2, 3) almost all pictures show as the thing, and the cells' sides (3,)."""
    sides = (box[1] - box[0]) / _CELLS
    grid = np.stack(np.meshgrid(*[np.arange(_CELLS)] * 3, indexing="ij"), -1).reshape(-1, 3)
    cells = (box[0] + (grid + 0.5) * sides).astype(np.float32)
    views, masks = zip(*kept)
    reaches = [_reach(view, mask, box, sides.max()) for view, mask in kept]
    inside = carved(cells, views, masks, reaches, min(3, len(kept)), _DISSENT)
    return inside.reshape(_CELLS, _CELLS, _CELLS), sides


def carved(
    cells: np.ndarray,
    views: Sequence[View],
    masks: Sequence[np.ndarray | None],
    reaches: Sequence[int],
    least: int,
    dissent: float,
) -> np.ndarray:
    """(K,) bool: which of cells, given by their middles (K, 3) float32, may hold matter.

    They are in at least so many pictures, and outside of the masks (h, w) bool of no more than the share `dissent` of
    those. A picture without a mask may be of matter everywhere. reaches: pixels by which each mask is grown, for a cell
    that it shows in part.
    """
    seen, missed = np.zeros(len(cells), np.int32), np.zeros(len(cells), np.int32)
    left = np.arange(len(cells))  # those that may still be
    for view, mask, reach in zip(views, masks, reaches):
        shape = (view.camera.height, view.camera.width) if mask is None else mask.shape
        row, column, visible = pixels_of(view, cells[left], shape)
        seen[left] += visible
        if mask is not None:
            missed[left] += visible & ~_wider(mask, reach)[row, column]
            left = left[missed[left] <= dissent * len(views)]
    return (seen >= least) & (missed <= dissent * seen)


def _reach(view: View, outline: np.ndarray, box: np.ndarray, side: float) -> int:
    """How many pixels of an outline (h, w) half a cell of the box (2, 3) is wide, rounded up."""
    camera = view.camera.scaled(outline.shape[1], outline.shape[0])
    depth = np.linalg.norm((box[0] + box[1]) / 2.0 - view.position)
    return int(np.ceil(0.5 * side * camera.fx / depth))


def _wider(mask: np.ndarray, reach: int) -> np.ndarray:
    return ndimage.maximum_filter(mask, 2 * reach + 1)


def pixels_of(view: View, points: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of the pixel that shows each of the points (P, 3), of shape (h, w); whether it is in the picture.

    What is not in the picture has row and column 0.
    """
    camera = view.camera.scaled(shape[1], shape[0])
    x, y, z = view.rotation.astype(points.dtype) @ (points - view.position.astype(points.dtype)).T
    ahead = z > 1e-9
    z = np.where(ahead, z, 1.0)
    u, v = x / z * camera.fx + camera.cx, y / z * camera.fy + camera.cy
    visible = ahead & (u >= 0) & (v >= 0) & (u < shape[1]) & (v < shape[0])
    return np.where(visible, v, 0).astype(np.intp), np.where(visible, u, 0).astype(np.intp), visible


def _small(outline: np.ndarray, side: int) -> np.ndarray:
    step = max(1, int(np.ceil(max(outline.shape) / side)))
    return ndimage.maximum_filter(outline, step)[step // 2 :: step, step // 2 :: step]
