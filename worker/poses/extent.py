# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the thing lies and how large it is: from its outlines, from sparse points, or from the cameras alone.

Must not know files, colours or how cameras were found. The world here is upright already, of any size. A visual hull is
the space that no picture shows to be empty (Laurentini 1994); a coarse one gives a good box at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..representations import View
from .orient import focus, goes_around

MARGIN = 0.03
"""A box is larger than what was found by this share of its longest side, on each side."""

OUTLINE_SIDE = 256
"""Outlines are looked at in so many pixels at most."""

_CELLS = 48  # of a hull along each axis
_VIEWS = 40  # at most so many outlines are asked
_DISSENT = 0.05  # a cell may lie outside of this share of the outlines: some mattes lack a piece
_COMMON = 0.8  # what so many of the cameras look at belongs to a thing that they go around


@dataclass(frozen=True, eq=False)
class Extent:
    """box: (2, 3) float64. unbounded: whether pictures show things outside of it."""

    box: np.ndarray
    unbounded: bool


def extent(
    views: Sequence[View], outlines: Sequence[np.ndarray | None], points: np.ndarray, sightings: np.ndarray
) -> Extent:
    """The box of what the `views` show.

    outlines: for each view, (h, w) bool where the thing is, in any number of pixels, or None. points: (P, 3) on
    surfaces. sightings: (P,) in how many pictures each was found.
    """
    shown = [(view, outline) for view, outline in zip(views, outlines) if outline is not None]
    if len(shown) >= 2:
        hull = hull_box([view for view, _ in shown], [outline for _, outline in shown])
        if hull is not None:
            return Extent(wider(hull), len(shown) < len(views))
    rotations, positions = np.stack([v.rotation for v in views]), np.stack([v.position for v in views])
    trusted = points[sightings >= min(3, len(views))]
    trusted = trusted if len(trusted) >= 20 else points
    if len(trusted) < 8:
        return Extent(_box_of_cameras(views, rotations, positions), True)
    around = goes_around(rotations, positions)
    common = trusted[_seen_by(views, trusted) >= _COMMON] if around else trusted
    box = _box_of(common if len(common) >= 0.2 * len(trusted) else trusted, 1.0 if around else 2.0)
    outside = ((points < box[0]) | (points > box[1])).any(1).mean()
    return Extent(box, not around or bool(outside > 0.03))


def hull_box(views: Sequence[View], outlines: Sequence[np.ndarray]) -> np.ndarray | None:
    """The box (2, 3) of the visual hull of outlines (h, w) bool, or None where they contradict each other."""
    used = np.unique(np.linspace(0, len(views) - 1, min(_VIEWS, len(views))).round().astype(int))
    kept = [(views[i], _small(outlines[i])) for i in used if outlines[i].any()]
    if len(kept) < 2:
        return None
    box = _first_box(kept)
    for _ in range(2):  # the second pass sees the box of the first with finer cells
        inside, cells = _hull(kept, box)
        labels, count = ndimage.label(inside)
        if not count:
            return None
        largest = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
        place = np.argwhere(largest)
        box = np.stack([box[0] + place.min(0) * cells, box[0] + (place.max(0) + 1) * cells])
    return box


def agreement(views: Sequence[View], outlines: Sequence[np.ndarray], box: np.ndarray) -> float:
    """How far outlines (h, w) bool are those of one thing in the box (2, 3): the median share of each, 0 to 1, that the
    shadow of their hull covers. What only some pictures show as the thing is not in the hull."""
    kept = [(view, _small(outline)) for view, outline in zip(views, outlines) if outline.any()]
    inside, cells = _hull(kept, box)
    places = (box[0] + (np.argwhere(inside) + 0.5) * cells).astype(np.float32)
    shares = []
    for view, outline in kept:
        row, column, visible = pixels_of(view, places, outline.shape)
        shadow = np.zeros(outline.shape, bool)
        shadow[row[visible], column[visible]] = True
        shares.append((ndimage.maximum_filter(shadow, 2 * _reach(view, outline, box, cells) + 1) & outline).sum())
        shares[-1] /= outline.sum()
    return float(np.median(shares)) if shares else 0.0


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


def _hull(kept: list[tuple[View, np.ndarray]], box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of _CELLS^3 cells of the box (2, 3) almost all pictures show as the thing, and the cells' sides (3,)."""
    cells = (box[1] - box[0]) / _CELLS
    grid = np.stack(np.meshgrid(*[np.arange(_CELLS)] * 3, indexing="ij"), -1).reshape(-1, 3)
    places = (box[0] + (grid + 0.5) * cells).astype(np.float32)
    seen, missed = np.zeros(len(places), np.int32), np.zeros(len(places), np.int32)
    for view, outline in kept:
        row, column, visible = pixels_of(view, places, outline.shape)
        wide = ndimage.maximum_filter(outline, 2 * _reach(view, outline, box, cells) + 1)
        seen += visible
        missed += visible & ~wide[row, column]
    inside = (seen >= min(3, len(kept))) & (missed <= _DISSENT * seen)
    return inside.reshape(_CELLS, _CELLS, _CELLS), cells


def _reach(view: View, outline: np.ndarray, box: np.ndarray, cells: np.ndarray) -> int:
    """How many pixels of an outline (h, w) half a cell (3,) of the box (2, 3) is wide, rounded up."""
    camera = view.camera.scaled(outline.shape[1], outline.shape[0])
    depth = np.linalg.norm((box[0] + box[1]) / 2.0 - view.position)
    return int(np.ceil(0.5 * cells.max() * camera.fx / depth))


def pixels_of(view: View, places: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of the pixel that shows each of the places (P, 3), of shape (h, w); whether it is in the picture.

    What is not in the picture has row and column 0.
    """
    camera = view.camera.scaled(shape[1], shape[0])
    x, y, z = view.rotation.astype(places.dtype) @ (places - view.position.astype(places.dtype)).T
    ahead = z > 1e-9
    z = np.where(ahead, z, 1.0)
    u, v = x / z * camera.fx + camera.cx, y / z * camera.fy + camera.cy
    visible = ahead & (u >= 0) & (v >= 0) & (u < shape[1]) & (v < shape[0])
    return np.where(visible, v, 0).astype(np.intp), np.where(visible, u, 0).astype(np.intp), visible


def _small(outline: np.ndarray) -> np.ndarray:
    step = max(1, int(np.ceil(max(outline.shape) / OUTLINE_SIDE)))
    return ndimage.maximum_filter(outline, step)[step // 2 :: step, step // 2 :: step]


def _seen_by(views: Sequence[View], points: np.ndarray) -> np.ndarray:
    """(P,) float: the share of the views in whose picture each of the points (P, 3) lies, hidden or not."""
    shares = [pixels_of(v, points, (v.camera.height, v.camera.width))[2] for v in views]
    return np.mean(shares, axis=0)


def _box_of(points: np.ndarray, percent: float) -> np.ndarray:
    """The box (2, 3) of the points (P, 3) without the outermost, which are mistakes or far away."""
    middle = np.median(points, axis=0)
    distance = np.linalg.norm(points - middle, axis=1)
    near = points[distance <= 4.0 * np.median(distance)]
    return wider(np.percentile(near, (percent, 100.0 - percent), axis=0))


def _box_of_cameras(views: Sequence[View], rotations: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """A cube around what the cameras look at, that fills two thirds of the narrower side of most pictures."""
    middle = focus(positions, rotations[:, 2])
    away = np.linalg.norm(positions - middle, axis=1)
    half = [min(v.camera.width / v.camera.fx, v.camera.height / v.camera.fy) / 2.0 for v in views]
    reach = max(2.0 / 3.0 * float(np.median(away * half)), 1e-9)
    return np.stack([middle - reach, middle + reach])


def wider(box: np.ndarray) -> np.ndarray:
    """The box (2, 3) with a margin around it."""
    margin = max(MARGIN * (box[1] - box[0]).max(), 1e-9)
    return np.stack([box[0] - margin, box[1] + margin])
