# SPDX-License-Identifier: GPL-3.0-or-later
"""How far each photo of a place sees, from what its neighbours show: plane sweeps, and what several of them agree on.

Each photo is compared with a few others that look at the same from aside (Collins 1996), by the normalised correlation
of small windows, the better half of the others counting, as the rest may look at something else. Which distances fit is
decided along four directions of the picture at once (Hirschmueller 2008). It is begun in few pixels, where all
distances are tried, and made finer around what was found, with windows that lie as the surface does. Believed is what
others see at the same place.

Imported on use: it brings torch. Points are in the capture's world. Must not know what is learned, nor what becomes of
it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from .grid_space import Lattice, ViewTensors, entered, redistanced

_FIRST = 160  # pixels of a picture's longer side where all distances are tried
_OTHERS = 4  # photos that each one is compared with
_ANGLE, _LESS, _MORE = 10.0, 5.0, 12.0
"""Degrees between the lines of sight of two photos that are compared best, and by how much it may be less or more:
nearer, distances are vague, and farther apart photos look unlike."""

_PLANES = 32, 128  # distances that are tried at least and at most: a pixel apart in the other photos
_WINDOW = 5  # pixels along a window's side
_NOISE = 1.5 / 255.0  # of brightness: weaker contrast is none
_SMOOTH = 0.06, 0.4  # costs of one distance beside the next one, and beside any other
_STEPS = 4  # distances on each side of what was found that are tried in finer pictures, half a pixel apart
_NEAR = 0.01  # of its distance, by which photos may differ about a place
_AGREED = 2  # others that must see a place where a photo sees it
_REACH = 3.0  # cells from what a photo sees within which its distance is believed
_EVEN, _FEW = 0.7, 0.05  # cells over which distances are evened, and votes that are none
_SURER = 2.0  # times as many must look through a place as see something there
_DEEP, _MUCH = 0.03, 0.01
"""How deep photos look into a thing, of its lattice's longest side, and into how much of it, where its outlines are
wrong about it: a tenth of the dinosaur of 16 photos, none of a bottle of 32, whose hull is near (F within 1 % .968) and
of which photos that disagree with it are wrong (all of them believed: .827)."""
_GLANCES, _GLANCE, _OPEN = 3, 160, 0.06
"""Photos that are asked first whether outlines are that wrong, of so many pixels, and the share of the thing's pixels
that must look so deep: of lego's digger .2 to .3 do, of two legs .05 to .08, of a brick with studs .03 to .05, of a can
.01. Too low costs time only."""
_WIDE = 120
"""Pixels that a thing spans in photos that tell of its gaps: half a pixel, seen from ten degrees aside, is three pixels
of depth. A bottle of 70 was carved to F within 1 % .337, its hull having .618."""
_LIKE = 0.25  # how alike windows must look: on what is plain any distance is as good as another
_MARGIN = 0.8, 1.3  # of the nearest and the farthest point, where distances begin and end


@torch.no_grad()
def distances(
    views: Sequence[ViewTensors],
    points: np.ndarray,
    bounds: np.ndarray,
    tell: Callable[[float], None],
    wanted: Sequence[int] | None = None,
) -> list[Tensor]:
    """For each view (H W,) how far its pixels see, NaN where that is not known.

    points: (P, 3) on surfaces, by which photos are chosen that look at the same; with few, a box (2, 3) tells it. tell:
    hears the share done. wanted: of which views, in that order; None: of all.
    """
    wanted = range(len(views)) if wanted is None else wanted
    asked = torch.from_numpy(np.float32(points if len(points) >= 100 else _filled(bounds)))
    sights = [_Sight.of(view, asked) for view in views]
    others = _others(views, sights, asked)
    needed, depths = sorted({k for number in wanted for k in (number, *others[number])}), {}
    for done, number in enumerate(needed):
        tell(done / len(needed))
        depth, like = _depth(views[number], [views[k] for k in others[number]], sights[number])
        depths[number] = torch.where(like > _LIKE, depth, torch.nan)
    return [_believed(number, views, depths, others[number]) for number in wanted]


@torch.no_grad()
def looks_deep(
    views: Sequence[ViewTensors],
    points: np.ndarray,
    distance: np.ndarray,
    lattice: Lattice,
    tell: Callable[[float], None],
) -> bool:
    """Whether a few photos, smaller and far apart, look deep into the signed distance of a thing that is cut out: what
    outlines tell of a thing with much between its parts is wrong however many they are.

    points, tell: as of `distances`.
    """
    views = [view.resized(_GLANCE) for view in views]
    wanted, high = _spread(views), np.array(lattice.low) + np.array(lattice.cells) * lattice.spacing
    seen = distances(views, points, np.stack([lattice.low, high]), tell, wanted)
    deep = shown = 0
    for number, found in zip(wanted, seen):
        away = entered(torch.from_numpy(distance), lattice, *views[number].rays())
        there = away.isfinite() & (views[number].mask.view(-1) > 0.5)
        shown += int(there.sum())
        deep += int((there & (found - away > _DEEP * max(lattice.cells) * lattice.spacing)).sum())
    return deep > _OPEN * shown


def _spread(views: Sequence[ViewTensors]) -> list[int]:
    """Some views that look along directions far from each other (farthest first)."""
    axes, chosen = torch.stack([view.rotation[2] for view in views]), [0]
    while len(chosen) < min(_GLANCES, len(views)):
        chosen.append(int((axes @ axes[chosen].T).amax(1).argmin()))
    return chosen


@torch.no_grad()
def fused(
    views: Sequence[ViewTensors], seen: Sequence[Tensor], lattice: Lattice, tell: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """(X + 1, Y + 1, Z + 1) float32 signed distance in cells at the corners, positive outside, and where it is known
    (bool): near what two photos or more see.

    seen: as `distances` tells. What none can look into is inside.
    """
    layers = []
    for number in range(lattice.samples[0]):
        tell(number / lattice.samples[0])
        layers.append(_votes(views, seen, lattice.layer(number, torch.device("cpu")), lattice.spacing).numpy())
    total, votes, near, _, _ = np.stack(layers, 1).reshape(-1, *lattice.samples)
    return redistanced(_mean_of(total, votes, _EVEN)), near >= _AGREED


@torch.no_grad()
def deepened(
    views: Sequence[ViewTensors], seen: Sequence[Tensor], distance: np.ndarray, lattice: Lattice
) -> np.ndarray:
    """The signed distance (X + 1, Y + 1, Z + 1) of a thing without what photos look through, in cells.

    distance: that of the thing as few outlines tell it, which fill the gap between two legs; it stays as it is unless
    photos look deep into much of it, and nowhere grows. seen: as `distances` tells; where a view's
    mask leaves the thing out it says nothing.
    """
    told = np.zeros((5, *lattice.samples), np.float32)
    masked = [torch.where(view.mask.view(-1) > 0.5, each, torch.nan) for view, each in zip(views, seen)]
    for number in range(lattice.samples[0]):
        asked = distance[number] < 1.0
        if asked.any():
            points = lattice.layer(number, torch.device("cpu"))[torch.from_numpy(asked.ravel())]
            told[:, number, asked] = _votes(views, masked, points, lattice.spacing).numpy()
    total, votes, _, through, there = told
    gone = (distance < 0.0) & (through >= _AGREED) & (through >= _SURER * there)
    parts, count = ndimage.label(gone)
    depth = np.append(0.0, ndimage.maximum(-distance, parts, np.arange(1, count + 1)))[parts] / max(lattice.cells)
    if (gone & (depth > _DEEP)).sum() < _MUCH * (distance < 0.0).sum():
        return distance
    share = ndimage.gaussian_filter(
        ndimage.binary_dilation(gone & (depth > _DEEP / 2.0), iterations=4).astype(np.float32), 1.0
    )
    inner = np.maximum(distance, _mean_of(total, votes, 1.0))
    return redistanced(distance + share * (inner - distance))


def large(views: Sequence[ViewTensors]) -> bool:
    """Whether views with masks show a thing large enough to tell of its gaps."""
    return float(np.median([_span(view) for view in views])) >= _WIDE


def _span(view: ViewTensors) -> int:
    """The pixels of the longer side of what a view's mask shows."""
    rows, columns = (view.mask > 0.5).nonzero(as_tuple=True)
    return 0 if not len(rows) else int(max(rows.max() - rows.min(), columns.max() - columns.min())) + 1


def _votes(views: Sequence[ViewTensors], seen: Sequence[Tensor], points: Tensor, cell: float) -> Tensor:
    """(5, N) of points (N, 3): the sum of how far they lie before what photos see, in cells, where it is not far
    behind; how many photos that is; how many see something near; through them; and just there."""
    told = torch.zeros(5, len(points))
    for view, distance in zip(views, seen):
        index, inside, away = view.seen(points)
        ahead = torch.where(inside, distance[index] - away, torch.nan) / cell
        before = ahead > -_REACH
        told[0] += torch.where(before, ahead.clamp(max=_REACH), 0.0)
        for row, found in zip(told[1:], (before, ahead.abs() < _REACH, ahead > _REACH / 2, ahead.abs() <= _REACH / 2)):
            row += found
    return told


def _mean_of(total: np.ndarray, votes: np.ndarray, even: float) -> np.ndarray:
    """The mean of what views say (Curless and Levoy 1996), evened over so many cells; inside where none says
    anything."""
    total, votes = (ndimage.gaussian_filter(values, even) for values in (total, votes))
    return np.where(votes > _FEW, total / np.maximum(votes, _FEW), -_REACH).astype(np.float32)


def _filled(bounds: np.ndarray) -> np.ndarray:
    """(512, 3) points all over a box (2, 3)."""
    steps = (np.arange(8) + 0.5) / 8.0
    return bounds[0] + np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3) * (bounds[1] - bounds[0])


@dataclass(frozen=True, eq=False)
class _Sight:
    """inside: (P,) bool, which points are in the picture. near, far: between which depths it sees them."""

    inside: Tensor
    near: float
    far: float

    @classmethod
    def of(cls, view: ViewTensors, points: Tensor) -> _Sight:
        inside = view.seen(points)[1]
        depth = ((points - view.position) @ view.rotation.T)[:, 2]
        some = depth[inside] if inside.any() else depth.abs()
        near, far = np.percentile(some.numpy(), (1.0, 99.0))
        return cls(inside, max(_MARGIN[0] * float(near), 1e-3), _MARGIN[1] * float(far))


def _others(views: Sequence[ViewTensors], sights: Sequence[_Sight], points: Tensor) -> list[list[int]]:
    """For each view those that it is compared with, best first."""
    chosen = []
    for number, view in enumerate(views):
        scores = torch.zeros(len(views))
        for k, other in enumerate(views):
            common = points[sights[number].inside & sights[k].inside]
            if k == number or not len(common):
                continue
            own, away = (functional.normalize(each.position - common, dim=1) for each in (view, other))
            angle = torch.rad2deg(torch.arccos((own * away).sum(1).clamp(-1.0, 1.0)))
            wide = torch.where(angle < _ANGLE, _LESS, _MORE)
            scores[k] = torch.exp(-0.5 * ((angle - _ANGLE) / wide) ** 2).sum()
        best = scores.topk(min(_OTHERS, len(views) - 1))
        chosen.append([int(k) for score, k in zip(*best) if score > 0.02 * len(points)])
    return chosen


def _depth(view: ViewTensors, others: Sequence[ViewTensors], sight: _Sight) -> tuple[Tensor, Tensor]:
    """(H, W) depth along the view's axis, as well as it can be told, NaN with no others; and how alike photos look."""
    longest = max(view.camera.width, view.camera.height)
    if not others:
        return torch.full((2, view.camera.height, view.camera.width), torch.nan).unbind(0)
    side = min(longest, _FIRST)
    pair = _Sweep.of(view.resized(side), [other.resized(side) for other in others])
    planes = pair.planes(sight.near, sight.far)
    step = planes[0] - planes[1]  # they are in inverse depth, the nearest first
    shape = pair.view.camera.height, pair.view.camera.width
    inverse, like = pair.best(planes[:, None, None].expand(-1, *shape), step)
    while side < longest:
        side, step = min(2 * side, longest), 0.5 * step
        pair = _Sweep.of(view.resized(side), [other.resized(side) for other in others])
        shape = pair.view.camera.height, pair.view.camera.width
        inverse = functional.interpolate(_median(inverse)[None, None], shape, mode="bilinear")[0, 0]
        offsets = -torch.arange(-_STEPS, _STEPS + 1) * step
        inverse, like = pair.best((inverse + offsets[:, None, None]).clamp(min=1e-4), step)
    return 1.0 / _median(inverse), _mean(like)


def _median(values: Tensor) -> Tensor:
    """(H, W) the middle of each three by three pixels."""
    around = functional.unfold(functional.pad(values[None, None], (1, 1, 1, 1), mode="replicate"), 3)
    return around[0].median(0).values.view(values.shape)


@dataclass(frozen=True, eq=False)
class _Sweep:
    """A view and those that it is compared with. grey: (H, W), shown: (H, W) of each other. rays: (H, W, 3) of the view
    in the world, of depth one."""

    view: ViewTensors
    others: Sequence[ViewTensors]
    grey: Tensor
    shown: Sequence[Tensor]
    rays: Tensor

    @classmethod
    def of(cls, view: ViewTensors, others: Sequence[ViewTensors]) -> _Sweep:
        directions = view.rays()[1].view(view.camera.height, view.camera.width, 3)
        grey, *shown = (each.colour.mean(2) for each in (view, *others))
        return cls(view, others, grey, shown, directions / (directions @ view.rotation[2])[..., None])

    def planes(self, near: float, far: float) -> Tensor:
        """(D,) inverse depths, the nearest first, about a pixel apart in the other views' pictures."""
        middle = self.rays[self.grey.shape[0] // 2, self.grey.shape[1] // 2]
        ends = self.view.position + middle * torch.tensor([[near], [far]])
        moved = []
        for other in self.others:
            own = (ends - other.position) @ other.rotation.T
            place = own[:, :2] / own[:, 2:].clamp(min=1e-3) * other.camera.fx
            moved.append(float((place[0] - place[1]).norm()))
        count = math.ceil(min(max(np.median(moved), _PLANES[0]), _PLANES[1]))
        return torch.linspace(1.0 / near, 1.0 / far, count)

    def best(self, inverse: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """(H, W) of inverse depths (D, H, W), `step` apart and falling, the one that fits; and how well."""
        alike = torch.stack([self._alike(layer) for layer in inverse])
        cost = self._aggregated(1.0 - alike)
        where = cost.argmin(0)
        inner = where.clamp(1, len(cost) - 2)
        before, best, after = (cost.gather(0, (inner + k)[None])[0] for k in (-1, 0, 1))
        peak = (0.5 * (before - after) / (before - 2.0 * best + after).clamp(min=1e-6)).clamp(-0.5, 0.5)
        found = inverse.gather(0, where[None])[0] - torch.where(inner == where, peak, 0.0) * step
        return found, alike.gather(0, where[None])[0]

    def _alike(self, inverse: Tensor) -> Tensor:
        """(H, W) how alike the view's windows look to those of the others at an inverse depth (H, W), 0 to 1."""
        points = self.view.position + self.rays / inverse[..., None]
        mean, deviation = _statistics(self.grey)
        told = []
        for other, shown in zip(self.others, self.shown):
            own = (points - other.position) @ other.rotation.T
            depth, camera = own[..., 2].clamp(min=1e-6), other.camera
            column = (own[..., 0] / depth * camera.fx + camera.cx) / camera.width * 2.0 - 1.0
            row = (own[..., 1] / depth * camera.fy + camera.cy) / camera.height * 2.0 - 1.0
            inside = (column.abs() < 1.0) & (row.abs() < 1.0) & (own[..., 2] > 1e-6)
            grid = torch.stack([column, row], 2)[None]
            seen = functional.grid_sample(shown[None, None], grid, align_corners=False)[0, 0]
            its_mean, its_deviation = _statistics(seen)
            product = _mean(self.grey * seen) - mean * its_mean
            told.append(torch.where(inside, product / (deviation * its_deviation), 0.0))
        half = (len(told) + 1) // 2
        return torch.stack(told).topk(half, 0).values.mean(0).clamp(min=0.0)

    def _aggregated(self, cost: Tensor) -> Tensor:
        """(D, H, W) the costs with those of the best ways to each pixel from four sides."""
        total = torch.zeros_like(cost)
        for there, back in (((1, 2, 0), (2, 0, 1)), ((2, 1, 0), (2, 1, 0))):  # down the rows, along them
            turned = cost.permute(*there).contiguous()
            total += (_swept(turned) + _swept(turned.flip(0)).flip(0)).permute(*back)
        return total


def _swept(cost: Tensor) -> Tensor:
    """(N, M, D) the cheapest ways along the first axis, of costs (N, M, D)."""
    one, any_other = _SMOOTH
    found = torch.empty_like(cost)
    found[0] = cost[0]
    for number in range(1, len(cost)):
        before = found[number - 1]
        least = before.amin(1, keepdim=True)
        way = torch.minimum(before, least + any_other)
        way[:, 1:] = torch.minimum(way[:, 1:], before[:, :-1] + one)
        way[:, :-1] = torch.minimum(way[:, :-1], before[:, 1:] + one)
        found[number] = cost[number] + way - least
    return found


def _mean(values: Tensor) -> Tensor:
    """(H, W) means over windows."""
    return functional.avg_pool2d(values[None, None], _WINDOW, 1, _WINDOW // 2, count_include_pad=False)[0, 0]


def _statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    mean = _mean(values)
    return mean, ((_mean(values * values) - mean * mean).clamp(min=0.0) + _NOISE**2).sqrt()


def _believed(number: int, views: Sequence[ViewTensors], depths: Mapping[int, Tensor], others: Sequence[int]) -> Tensor:
    """(H W,) how far a view's pixels see along their rays, NaN where others do not see the same."""
    view, depth = views[number], depths[number].view(-1)
    origins, directions = view.rays()
    away = depth / (directions @ view.rotation[2])
    points, agreed = origins + directions * away[:, None], torch.zeros(len(depth))
    for k in others:
        pixel, inside, _ = views[k].seen(points)
        own = ((points - views[k].position) @ views[k].rotation.T)[:, 2]
        agreed += inside & ((depths[k].view(-1)[pixel] / own - 1.0).abs() < _NEAR)
    return torch.where(agreed >= min(_AGREED, max(len(others), 1)), away, torch.nan)
