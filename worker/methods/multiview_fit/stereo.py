# SPDX-License-Identifier: GPL-3.0-or-later
"""From outlines to a surface: the visual hull, and what neighbouring photos agree on within it.

The hull (Laurentini 1994) is smooth and certain, but fills every hollow. So each photo is compared with its neighbours
along its rays, from where they enter the present surface (plane sweep, Collins 1996, with the planes bent like that
surface, so that windows are slanted as it is). Windows are compared by their colours as they are, not normalised:
where nothing is printed, the light that fades towards the bottom of a hollow still tells how deep it is. What several
photos agree on is averaged into the signed distance, in front of it as empty (Curless and Levoy 1996). Where nothing
is told the surface stays as it was, so that a thing without hollows remains its hull.

Imported on use: it brings torch. Points and distances are in the capture's world. Must not know what is learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from torch.nn import functional

from ...core.job import Job, Span
from .grid_space import Lattice, ViewTensors, at, redistanced

_BATCH = 1 << 16  # points that are asked for in all views at once
_OUTLINE_BLUR = 0.7  # pixels by which steps of an outline are evened out
_NEIGHBOURS, _NEAREST, _FARTHEST = 5, 6.0, 50.0  # photos to compare with, and degrees between two directions of view
_AGREEING = 2  # of these, the best: the others may not see the place
_WINDOW = 3  # pixels from a window's middle to its sides
_STEP = 1.0  # pixels by which neighbours 27 degrees apart see two planes apart
_MOST_PLANES, _CHUNK = 64, 8
_BEHIND = 2.5  # cells behind what a photo sees that are full
_ASIDE = 8  # planes before and behind a surface that is nearly right
_SPREAD = math.sin(math.radians(27.0))
_NOISE, _UNLIKE = (
    1e-4,
    0.25,
)  # of mean squared differences of colours that are alike: constant, and a share of the least
_STRANGE = 0.08  # root mean square difference of colours that are not of one place
_HELD = 5.0  # how much more likely (logarithm) the present surface is than any other place, before photos are asked
_WALL = 2.0  # cells that walls are thick at least
_WEIGHT = 1.0  # of the present surface, in photos that are certain
_BELIEVED = 0.5  # of what a photo says must be in one place
"""All of these were set on a bowl, a mug and a bottle of 32 renders each; half and twice give F within 1 % by .02."""


@dataclass(frozen=True)
class Round:
    """Once all photos: their longest side in pixels; whether the surface is looked for in the whole depth."""

    pixels: int
    wide: bool


@dataclass(frozen=True, eq=False)
class Depths:
    """What one photo tells, of the pixels in `rows` and `columns`. depth: (h, w) along the camera's z. weight: (h, w)
    how sure. step: between planes."""

    rows: slice
    columns: slice
    depth: Tensor
    weight: Tensor
    step: float


def hull_distance(views: Sequence[ViewTensors], lattice: Lattice, dissent: float) -> Tensor:
    """(X + 1, Y + 1, Z + 1) the signed distance in the world's unit, positive outside, from the hull of the views'
    masks, of which the share `dissent` may be wrong about a point."""
    outlines = [_outline_distance(view) for view in views]
    which = int(dissent * len(views)) + 1
    found = []
    for points in lattice.corners(views[0].position.device).split(_BATCH):
        rows = []
        for view, outline in zip(views, outlines):
            own = (points - view.position) @ view.rotation.T
            depth = own[:, 2].clamp(min=1e-6)
            rows.append(_sampled(outline[None], _pixels(view, own))[0] * depth / view.camera.fx)
        found.append(torch.stack(rows).topk(which, 0).values[-1])
    return torch.cat(found).view(lattice.samples)


def _outline_distance(view: ViewTensors) -> Tensor:
    """(H, W) pixels from the thing's outline, negative on it."""
    thing = view.mask.cpu().numpy() > 0.5
    distance = np.where(thing, 0.5 - distance_transform_edt(thing), distance_transform_edt(~thing) - 0.5)
    return torch.from_numpy(gaussian_filter(distance.astype(np.float32), _OUTLINE_BLUR)).to(view.position.device)


def _pixels(view: ViewTensors, own: Tensor) -> Tensor:
    """(..., 2) column and row at which points (..., 3) in the camera's axes are seen."""
    camera, depth = view.camera, own[..., 2].clamp(min=1e-6)
    return torch.stack([own[..., 0] / depth * camera.fx + camera.cx, own[..., 1] / depth * camera.fy + camera.cy], -1)


def _sampled(picture: Tensor, pixels: Tensor) -> Tensor:
    """(C, ...) values of a picture (C, H, W) at columns and rows (..., 2), clamped to its border."""
    size = torch.tensor([picture.shape[2], picture.shape[1]], device=pixels.device)
    asked = (pixels / size * 2.0 - 1.0).reshape(1, 1, -1, 2)
    found = functional.grid_sample(picture[None], asked, padding_mode="border", align_corners=False)
    return found.view(len(picture), *pixels.shape[:-1])


@torch.no_grad()
def opened(
    views: Sequence[ViewTensors], hull: Tensor, lattice: Lattice, rounds: Sequence[Round], job: Job | Span
) -> np.ndarray:
    """(X + 1, Y + 1, Z + 1) float32 signed distance in cells, positive outside: the hull (signed distance as from
    `hull_distance`) with what the photos see to be empty taken away. views: with masks. job: hears every photo."""
    distance, total = redistanced((hull / lattice.spacing).cpu().numpy()), len(rounds) * len(views)
    for number, each in enumerate(rounds):
        small = [view.resized(each.pixels) for view in views]
        near = _neighbours(small)
        surface = torch.from_numpy(distance).to(hull.device)
        found = []
        for index, view in enumerate(small):
            job.report((number * len(views) + index) / total, "comparing the photos", f"photo {index + 1}")
            found.append(_told(view, [small[other] for other in near[index]], surface, lattice, each.wide))
        found = [_confirmed(small, found, index, near[index]) for index in range(len(small))]
        fused = _fused(small, found, surface, lattice, 1.0 if each.wide else 1.2)
        distance = redistanced(np.maximum(fused, (hull / lattice.spacing).cpu().numpy()))
    return distance


def _neighbours(views: Sequence[ViewTensors]) -> list[list[int]]:
    """For each view those that look at its middle from nearly the same side, the nearest first."""
    ahead = torch.stack([view.rotation[2] for view in views])
    apart = torch.rad2deg(torch.arccos((ahead @ ahead.T).clamp(-1.0, 1.0)))
    fitting = [
        [int(k) for k in row.argsort() if _NEAREST < row[k] < _FARTHEST and int(k) != i] for i, row in enumerate(apart)
    ]
    return [those[:_NEIGHBOURS] for those in fitting]


def _told(
    view: ViewTensors, others: Sequence[ViewTensors], surface: Tensor, lattice: Lattice, wide: bool
) -> Depths | None:
    """What the view's photo and its neighbours' say about where the surface is."""
    thing = view.mask > 0.5
    if len(others) < _AGREEING or not bool(thing.any()):
        return None
    rows, columns = (_range(thing.any(axis)) for axis in (1, 0))
    rays = _rays(view, rows, columns)
    first, last = _crossed(view, rays, surface, lattice)
    hit = first.isfinite() & thing[rows, columns]
    if not bool(hit.any()):
        return None
    middle = float(first[hit].median())
    step = _STEP * middle / view.camera.fx / _SPREAD
    start = torch.where(hit, first, middle)
    planes = torch.arange(-2.0 if wide else -_ASIDE, _planes(first, last, hit, step) if wide else _ASIDE + 1.0)
    least = torch.maximum(last - _WALL * lattice.spacing, first) + step
    depth = start + planes.to(start.device)[:, None, None] * step
    unlike = _unlike(view, others, rays, (rows, columns), depth)
    unlike = torch.where(depth <= least, unlike, torch.inf)
    place, sure = _peaks(unlike, planes.abs().to(start.device) < 2.0)
    return Depths(rows, columns, start + (planes[0] + place) * step, torch.where(hit, sure, 0.0), step)


def _planes(first: Tensor, last: Tensor, hit: Tensor, step: float) -> float:
    """How many planes reach through the thing."""
    return min(_MOST_PLANES, math.ceil(float((last - first)[hit & last.isfinite()].quantile(0.99)) / step)) + 2.0


def _range(present: Tensor) -> slice:
    where = present.nonzero()[:, 0]
    return slice(int(where[0]), int(where[-1]) + 1)


def _rays(view: ViewTensors, rows: slice, columns: slice) -> Tensor:
    """(h, w, 3) in the world, one deep along the camera's z."""
    camera, device = view.camera, view.position.device
    row, column = torch.meshgrid(
        torch.arange(rows.start, rows.stop, device=device) + 0.5,
        torch.arange(columns.start, columns.stop, device=device) + 0.5,
        indexing="ij",
    )
    own = torch.stack([(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, torch.ones_like(row)], 2)
    return own @ view.rotation


def _crossed(view: ViewTensors, rays: Tensor, surface: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """(h, w) depths at which rays go in, infinite where they miss, and at which they come out again."""
    low = lattice.origin(rays.device)
    high = low + torch.tensor(lattice.cells, device=rays.device) * lattice.spacing
    ends = torch.stack([(low - view.position) / rays, (high - view.position) / rays])
    start, end = ends.amin(0).amax(2).clamp(min=1e-3), ends.amax(0).amin(2)
    first = _entered(view.position, rays, start, end, surface, lattice)
    within = first + 0.5 * lattice.spacing
    return first, _entered(view.position, rays, within, end, -surface, lattice)


def _entered(origin: Tensor, rays: Tensor, start: Tensor, end: Tensor, surface: Tensor, lattice: Lattice) -> Tensor:
    """(h, w) by sphere tracing (Hart 1996), from `start` on along `rays` (h, w, 3), infinite from `end` on."""
    length = rays.norm(dim=2)
    depth, active = start.clone().view(-1), (start < end).view(-1).nonzero()[:, 0]
    found = torch.full_like(depth, torch.inf)
    origins, rays = origin.expand_as(rays).reshape(-1, 3), rays.reshape(-1, 3)
    length, end = length.view(-1), end.reshape(-1)
    for _ in range(3 * max(lattice.cells)):
        if not len(active):
            break
        away = at(surface, lattice, origins[active] + rays[active] * depth[active, None]) * lattice.spacing
        depth[active] += torch.where(away > 0.0, away.clamp(min=0.3 * lattice.spacing), away) / length[active]
        inside = away <= 0.0
        found[active[inside]] = depth[active[inside]]
        active = active[~inside & (depth[active] < end[active])]
    return found.view(start.shape)


def _unlike(
    view: ViewTensors, others: Sequence[ViewTensors], rays: Tensor, part: tuple[slice, slice], depth: Tensor
) -> Tensor:
    """(K, h, w) mean squared difference of colours in windows around pixels, were they seen at depths (K, h, w), from
    the neighbours that are most alike."""
    own, weight = view.colour[part].permute(2, 0, 1)[:, None], (view.mask[part] > 0.5).float()
    size = _mean(weight[None])[0].clamp(min=1e-6)
    found = []
    for some in depth.split(_CHUNK):
        each = []
        for other in others:
            seen = other.rotation @ (view.position - other.position) + some[..., None] * (rays @ other.rotation.T)
            colour = _sampled(other.colour.permute(2, 0, 1), _pixels(other, seen))
            each.append(_mean((colour - own).square().mean(0) * weight) / size)
        found.append(torch.stack(each).topk(_AGREEING, 0, largest=False).values.mean(0))
    return torch.cat(found)


def _mean(values: Tensor) -> Tensor:
    """(K, h, w) over windows."""
    side = 2 * _WINDOW + 1
    values = functional.avg_pool2d(values[:, None], (side, 1), 1, (_WINDOW, 0))
    return functional.avg_pool2d(values, (1, side), 1, (0, _WINDOW))[:, 0]


def _peaks(unlike: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
    """(h, w) the most likely of planes (K, h, w), between them, and how sure it is, 0 to 1. held: (K,) the planes on
    the present surface."""
    least = unlike.amin(0)
    scale = _NOISE + _UNLIKE * least
    chance = torch.softmax((least - unlike) / scale + _HELD * held[:, None, None], 0)
    best = chance.argmax(0)
    index = torch.stack([(best + move).clamp(0, len(unlike) - 1) for move in (-1, 0, 1)])
    before, there, behind = unlike.gather(0, index)
    bend = before - 2.0 * there + behind
    offset = torch.where(bend.isfinite() & (bend > 1e-9), 0.5 * (before - behind) / bend.clamp(min=1e-9), 0.0)
    near = chance.gather(0, index).sum(0)
    sure = near * torch.exp(-least / _STRANGE**2)
    edge = (best == 0) | behind.isinf()
    return best + offset.clamp(-0.5, 0.5), torch.where(edge | (near < _BELIEVED), 0.0, sure)


def _confirmed(
    views: Sequence[ViewTensors], found: Sequence[Depths | None], index: int, near: list[int]
) -> Depths | None:
    """The view's depths, less sure where fewer than two of its neighbours say the same."""
    own, view = found[index], views[index]
    if own is None:
        return None
    points = view.position + _rays(view, own.rows, own.columns) * own.depth[..., None]
    agreed = torch.zeros_like(own.depth)
    for other, told in ((views[k], found[k]) for k in near if found[k] is not None):
        depth, weight, away = _looked_up(other, told, points)
        agreed += (weight > 0.0) & ((depth - away).abs() < own.step)
    return Depths(own.rows, own.columns, own.depth, own.weight * (agreed / 2.0).clamp(max=1.0), own.step)


def _looked_up(view: ViewTensors, told: Depths, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a view tells of points (..., 3): its depth and weight there, 0 where it does not; their own depth."""
    own = (points - view.position) @ view.rotation.T
    pixel = _pixels(view, own).floor().long()
    column, row = pixel[..., 0] - told.columns.start, pixel[..., 1] - told.rows.start
    height, width = told.depth.shape
    inside = (row >= 0) & (column >= 0) & (row < height) & (column < width) & (own[..., 2] > 0.0)
    place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    return told.depth.view(-1)[place], torch.where(inside, told.weight.reshape(-1)[place], 0.0), own[..., 2]


def _fused(
    views: Sequence[ViewTensors], found: Sequence[Depths | None], surface: Tensor, lattice: Lattice, blur: float
) -> np.ndarray:
    """(X + 1, Y + 1, Z + 1) float32 the surface's distances in cells, averaged with what photos tell in front of and
    just behind what they see."""
    inside = (surface.view(-1) < 2.0).nonzero()[:, 0]
    points = lattice.corners(surface.device)[inside]
    reach = _BEHIND * lattice.spacing
    total, weights = (torch.zeros(surface.numel(), device=surface.device) for _ in range(2))
    for view, told in zip(views, found):
        if told is None:
            continue
        depth, weight, away = _looked_up(view, told, points)
        ahead = depth - away
        weight = torch.where(ahead > -reach, weight, 0.0)
        total[inside] += weight * ahead.clamp(-reach, reach) / lattice.spacing
        weights[inside] += weight
    total, weights = total.view(surface.shape), weights.view(surface.shape)
    total += _WEIGHT * surface.clamp(-_BEHIND, _BEHIND)
    weights += _WEIGHT
    return gaussian_filter(total.cpu().numpy(), blur) / gaussian_filter(weights.cpu().numpy(), blur)
