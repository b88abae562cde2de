# SPDX-License-Identifier: GPL-3.0-or-later
"""Hollows that open upwards, which no outline shows: bowls, mugs, lids that are set in.

A visual hull closes them with a flat lid. What is under the lid is seldom printed, so that photos can hardly be matched
point by point there (plane sweeps over neighbouring photos were tried: they opened half of a bowl, and tore its wall);
but whether a thing is hollow, how deep, and how thick its wall is are three questions that all photos together answer
well: the right answer is the one with which the colours that different photos see in one place agree. So hollows with
walls of one thickness and a flat floor are tried, and the best is taken where it explains the photos clearly better
than the lid.

Imported on use: it brings torch. Points are in the capture's world, whose z goes up; distances are in cells, positive
outside. Must not know outlines or what is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...core.job import Job, Span
from ...core.view import View
from .grid_space import Lattice, ViewTensors, entered, tensor_of

_PIXELS, _CELLS = 128, 112  # of the photos, and along the longest side of the lattice, on which hollows are tried
_WALLS = (0.012, 0.025, 0.04, 0.065, 0.1)  # of the longest side
_FLOORS = (0.06, 0.16, 0.4, 0.8)  # below the lid, of the height
_FINER = (0.7, 0.85, 1.0, 1.2, 1.35)  # times the best of these, to be tried after them
_RIMS, _THINNER = (1.0, 1.25, 1.6, 2.0), (0.35, 0.5, 0.7, 0.85, 1.0)  # times the best wall: its rim's, and its own
_CLOSER = (0.92, 1.0, 1.08)
_TRIED = len(_WALLS) * len(_FLOORS) + 2 * len(_FINER) + len(_RIMS) + len(_THINNER) + 2 * len(_CLOSER) + 5
_BETTER = 0.88
"""Of the colours' disagreement at the lid, what may be left of it for a hollow to be believed. Of 32 renders each a mug
left .69, a bowl .42, a can whose lid is set in .73, a cup .38; a box, a brick and a bottle, with the best hole that
could be made in them, 1."""

_ROUNDING = 1e-4  # of colours, by which the disagreement must fall besides
_ALIKE = 0.08  # differences of colours are counted up to this: something else is seen there
_AS_GOOD = 1.025
"""Times the least disagreement. What photos tell less clearly is taken as it usually is: walls thin (of a cup photos
found .04, true were .028; .03 was 1.023 times worse), bottoms one and a half times as thick as the rim (true of a mug,
1.3 times of a cup; both between .7 and 1 of the height are as good within .005), and insides narrower downwards (a mug
by .08 for each cell, and 0 to .08 within .02)."""

_BOTTOM, _TAPER = 1.5, 0.04
_EVERY = 3  # of the pixels that are asked, one in so many is compared
_WITNESSED = 0.6  # share of the pixels whose places other photos must see, too
_WHOLE = 0.99
"""Of a pixel is the thing's for its colour to count: mixed ones agree with no others, and plain blocks got hollows."""

_DEEPER = 2.5  # cells by which a hollow must show deeper at a pixel for that to be asked
_BEHIND = 1.0
"""Cells behind what a photo sees that it does not see any more. With 2.5, photos saw a bowl's inside through its wall,
and walls came out a hundredth too thick; .7 and 1.3 give what 1 does."""

_LEAST = 0.03
"""Share of the thing's pixels that look under a lid: fewer tell nothing. Of an airplane .01 did, which left .85; of
hollow things .1 to .6."""

THINNEST = 1.7  # cells of a wall: thinner ones get holes
_EVEN = 0.7  # cells over which distances from the sides are evened out


@dataclass(frozen=True)
class Hollow:
    """wall: its thickness, rim: the same at the top, floor: how far below the top it lies, in cells. taper: by how
    much the opening that the rim leaves is narrower for each cell down."""

    wall: float
    rim: float
    floor: float
    taper: float = 0.0

    def times(self, scale: float) -> Hollow:
        """The same in cells of another size."""
        return Hollow(self.wall * scale, self.rim * scale, self.floor * scale, self.taper)


@torch.no_grad()
def opened(views: Sequence[View], distance: np.ndarray, lattice: Lattice, job: Job | Span) -> np.ndarray:
    """The signed distance (X + 1, Y + 1, Z + 1) with the hollow that the photos agree on, the same where there is none.

    job: hears every hollow that is tried.
    """
    step = max(1, round(max(lattice.cells) / _CELLS))
    small = np.ascontiguousarray(distance[::step, ::step, ::step]) / step
    coarse = Lattice(lattice.low, lattice.spacing * step, tuple(n - 1 for n in small.shape))
    seen = [tensor_of(view, _PIXELS, torch.device("cpu")) for view in views]
    found = _Search(seen, small, coarse, job).best()
    if found is None:
        return distance
    found = found.times(step)
    return hollowed(distance, replace(found, wall=max(found.wall, THINNEST)))


def hollowed(distance: np.ndarray, hollow: Hollow, known: np.ndarray | None = None) -> np.ndarray:
    """The shape without what can be reached from straight above, farther than the wall from its sides and underside,
    and through the opening that the rim leaves.

    known: as `sides` makes of the distance.
    """
    solid = distance < 0.0
    top = solid.any((0, 1)).nonzero()[0].max()
    height = np.arange(distance.shape[2], dtype=np.float32)
    known = sides(distance) if known is None else known
    column = np.where(solid, known + np.float32(hollow.wall), -np.inf)
    beside = np.maximum.accumulate(column[:, :, ::-1], 2)[:, :, ::-1]  # the narrowest on the way up
    draft = known[:, :, top, None] + np.float32(hollow.rim) + np.float32(hollow.taper) * (top - height)
    cavity = np.maximum(np.maximum(beside, draft), top - np.float32(hollow.floor) - height)
    labels, count = ndimage.label((cavity < 0.0) & solid)
    if count > 1:  # not handles
        largest = np.bincount(labels.ravel())[1:].argmax() + 1
        cavity = np.where(ndimage.binary_dilation(labels == largest, iterations=2) | ~solid, cavity, 1.0)
    return np.where(solid, np.maximum(distance, -cavity), distance).astype(np.float32)


def sides(distance: np.ndarray) -> np.ndarray:
    """(X, Y, Z) how far samples are from the outside that is not above the thing, negative inside.

    Above its top it is taken to go on: the hull's lid bulges, and says nothing of where the wall is.
    """
    solid = distance < 0.0
    lid = np.maximum.accumulate(solid, 2) & ~np.maximum.accumulate(solid[:, :, ::-1], 2)[:, :, ::-1]
    nearest = ndimage.distance_transform_edt(solid | lid, return_distances=False, return_indices=True)
    even, total = ndimage.gaussian_filter(distance, 1.0), np.zeros(distance.shape, np.float32)
    slopes, places = np.gradient(even), np.ogrid[tuple(map(slice, distance.shape))]
    between = np.clip(distance, 0.0, 1.5) / (np.sqrt(sum(map(np.square, slopes))) + 1e-6)  # the surface, of two samples
    for slope, place in zip(slopes, (each.astype(np.float32) for each in places)):
        total += np.square((place - slope * between)[tuple(nearest)] - place)
    away = np.sqrt(total, out=total)
    return ndimage.gaussian_filter(np.where(solid | lid, -away, 0.0), _EVEN)


class _Search:
    """Hollows in one shape, compared by what photos see of them."""

    def __init__(self, views: Sequence[ViewTensors], distance: np.ndarray, lattice: Lattice, job: Job | Span) -> None:
        self._views, self._distance, self._lattice, self._job = views, distance, lattice, job
        self._sides, self._tried = sides(distance), 0
        self._height = float(np.ptp((distance < 0.0).any((0, 1)).nonzero()[0]))
        self._rays = [view.rays() for view in views]
        self._depths = [entered(torch.from_numpy(distance), lattice, *rays) for rays in self._rays]
        self._whole = [view.mask.view(-1) > _WHOLE for view in views]
        thinnest = _WALLS[0] * max(lattice.cells)
        widest = self._hollowed(Hollow(thinnest, thinnest, _FLOORS[-1] * self._height))
        self._asked = [
            (
                whole & depth.isfinite() & (entered(widest, lattice, *rays) - depth > _DEEPER * lattice.spacing)
            ).nonzero()[:, 0]
            for rays, depth, whole in zip(self._rays, self._depths, self._whole)
        ]
        asked = [[rays[some] for rays in pair] for pair, some in zip(self._rays, self._asked)]
        self._asked_rays = [torch.cat(parts) for parts in zip(*asked)]  # of all views at once takes half the time
        self._colours = torch.cat([view.colour.view(-1, 3)[some] for view, some in zip(views, self._asked)])
        self._whose = torch.cat([torch.full_like(some, number) for number, some in enumerate(self._asked)])

    def best(self) -> Hollow | None:
        """The hollow that photos agree on, None where that is the lid."""
        shown = sum(int(depth.isfinite().sum()) for depth in self._depths)
        if sum(map(len, self._asked)) <= _LEAST * shown:
            return None
        walls = [wall * max(self._lattice.cells) for wall in _WALLS]
        best = self._best([Hollow(wall, wall, share * self._height) for wall in walls for share in _FLOORS], self._odd)
        best = self._best([Hollow(best.wall * more, best.wall * more, best.floor) for more in _FINER])
        for rims, thinner in ((_RIMS, _THINNER), (_CLOSER, _CLOSER)):
            best = self._best([replace(best, rim=best.rim * more) for more in rims])
            best = self._best([replace(best, wall=best.wall * more) for more in thinner], lambda hollow: hollow.wall)
        floors = [*(min(best.floor * more, self._height) for more in _FINER), self._usual(best)]
        best = self._best([replace(best, floor=floor) for floor in floors], self._odd)
        best = self._best([replace(best, taper=taper) for taper in (0.0, _TAPER)], lambda hollow: -hollow.taper)
        return best if self._disagreement(best) < _BETTER * self._disagreement(None) - _ROUNDING else None

    def _best(self, tried: list[Hollow], odd: Callable[[Hollow], float] | None = None) -> Hollow:
        """Of hollows that agree about as well as the best, the least odd one."""
        told = [self._disagreement(hollow) for hollow in tried]
        if odd is None:
            return tried[told.index(min(told))]
        return min(
            (pair for pair in zip(tried, told) if pair[1] <= _AS_GOOD * min(told)), key=lambda pair: odd(pair[0])
        )[0]

    def _usual(self, hollow: Hollow) -> float:
        return self._height - _BOTTOM * hollow.rim

    def _odd(self, hollow: Hollow) -> float:
        """How far the floor is from where it usually is: deep ones are seen by few photos."""
        return abs(hollow.floor - self._usual(hollow))

    def _hollowed(self, hollow: Hollow) -> Tensor:
        return torch.from_numpy(hollowed(self._distance, hollow, self._sides))

    def _disagreement(self, hollow: Hollow | None) -> float:
        """How unlike the colours are that photos see in one place, in the mean over pixels that may look under a
        lid and at what another photo sees."""
        self._tried += 1
        self._job.report(min(self._tried / _TRIED, 1.0), "looking for hollows", f"shape {self._tried}")
        surface = torch.from_numpy(self._distance) if hollow is None else self._hollowed(hollow)
        away = entered(surface, self._lattice, *self._asked_rays)
        parts = away.split([len(asked) for asked in self._asked])
        depths = [depth.index_copy(0, *new) for depth, *new in zip(self._depths, self._asked, parts)]
        told = self._unlike(away, depths)
        witnessed = float(told.isfinite().float().mean())
        return float(told.nanmean()) if witnessed >= _WITNESSED else _ALIKE

    def _unlike(self, away: Tensor, depths: Sequence[Tensor]) -> Tensor:
        """(N,) for some of the pixels that are asked how much they differ from the mean of the other views that see the
        same place; NaN where none does; as much as counts at most where the shape has a hole."""
        origins, rays = (every[::_EVERY] for every in self._asked_rays)
        away, own, whose = away[::_EVERY], self._colours[::_EVERY], self._whose[::_EVERY]
        points = origins + rays * away.clamp(max=1e3)[:, None]
        total, seen = torch.zeros(len(points), 3), torch.zeros(len(points))
        for number, (other, depth) in enumerate(zip(self._views, depths)):
            pixel, inside, far = other.seen(points)
            near = (depth[pixel] - far).abs() < _BEHIND * self._lattice.spacing
            visible = inside & near & self._whole[number][pixel] & (whose != number)
            total += visible[:, None] * other.colour.view(-1, 3)[pixel]
            seen += visible
        unlike = (own - total / seen.clamp(min=1.0)[:, None]).abs().mean(1).clamp(max=_ALIKE)
        unlike = torch.where(seen > 0.0, unlike, torch.nan)
        return torch.where(away.isfinite(), unlike, _ALIKE)
