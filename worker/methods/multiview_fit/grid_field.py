# SPDX-License-Identifier: GPL-3.0-or-later
"""A radiance field of one scene as plain numbers at the corners of grid cells, and its renderer: no network.

Axes and units are the world's of whoever asks. Only occupied cells exist: `Grid` numbers them and their corners, and a
table (V, C) holds C numbers for each corner, interpolated linearly between the eight of a cell. There are two readings
of a table with one number per corner, both give the optical depth that a ray gathers from sample to sample:

- a density (DVGO, arXiv:2111.11215): softplus of the interpolated number, times the step. Finds any shape from nothing,
  but has no surface of its own.
- a signed distance u in cells, negative inside (NeuS, arXiv:2106.10689): with the logistic function Phi of sharpness k,
  the opacity between two samples is 1 - Phi(k u1) / Phi(k u0) where u falls. Its logarithm is a difference of
  softplus(-k u), so that steps may be as long as a cell and nothing is lost between them.

With the optical depths d of a ray's samples, sample i is seen with weight exp(-sum of earlier d) (1 - exp(-d_i)).
Colour depends on the direction by real spherical harmonics up to degree one, twelve numbers per corner. What lies
outside of the box, where there is anything, is `Surroundings`: a coarse grid in contracted space (mip-NeRF 360,
arXiv:2111.12077).

Rays are marched in segments of a few samples. Which segments of a ray touch occupied cells is found once (`cast`), so
that a step of the optimisation touches little else than the samples that matter. Everything works on any device of
torch. Must not know pictures, files or how the numbers are found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

COLOURS = 12
"""Numbers per corner of a table of colours: for each of R, G, B the constant, y, z and x harmonic."""
SEGMENT = 4  # samples per segment of a ray
_MIDDLE = 0.5  # the colour where all twelve numbers are zero
_GONE = 0.25  # optical depth where a ray meets something
_VISIBLE = 1e-3  # samples that are seen less than this do not colour a ray
_CORNERS = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))


class _Interpolated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.size = len(table)
        if table.device.type == "cpu":  # in one pass, several times faster than to gather first
            return functional.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)
        return (table[rows] * weights[..., None]).sum(1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        rows, weights = ctx.saved_tensors
        flat = rows.reshape(-1).long()
        if grad.device.type != "cpu":
            parts = (weights[..., None] * grad[:, None]).reshape(len(flat), -1)
            return grad.new_zeros(ctx.size, grad.shape[1]).index_add_(0, flat, parts), None, None
        total = grad.new_zeros(grad.shape[1], ctx.size)  # channel by channel: to add rows takes many times longer
        for channel, part in zip(total, grad.t().contiguous()):
            channel.scatter_add_(0, flat, (weights * part[:, None]).reshape(-1))
        return total.t().contiguous(), None, None


def interpolated(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """(N, C) weighted sums of eight rows (N, 8) of a table (V, C). Differentiable by the table only."""
    return _Interpolated.apply(table, rows, weights)


class _Visibility(torch.autograd.Function):
    @staticmethod
    def forward(ctx, depth: Tensor, ray: Tensor, rank: Tensor, rays: int) -> Tensor:
        padded = depth.new_zeros(rays, int(rank.max()) + 1 if len(rank) else 1)
        padded[ray, rank] = depth
        reached = torch.exp(padded - padded.cumsum(1))[ray, rank]
        weights = reached * -torch.expm1(-depth)
        ctx.save_for_backward(reached - weights, weights, ray, rank)
        ctx.shape = padded.shape
        return weights

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None]:
        passed, weights, ray, rank = ctx.saved_tensors
        padded = grad.new_zeros(ctx.shape)
        padded[ray, rank] = grad * weights
        behind = padded.sum(1, keepdim=True) - padded.cumsum(1)
        return grad * passed - behind[ray, rank], None, None, None


@dataclass(frozen=True, eq=False)
class Grid:
    """Occupied cells of a box of cubes, with a layer of empty ones around it.

    low: (3,) the box's corner, layer included. spacing: a cell's side. cell: (X, Y, Z) int32, each occupied cell's
    number, -1 elsewhere. rows: (K, 8) int32, for each of them its corners' rows of a table. places: (V, 3) int32, for
    each row where the corner lies, in cells from `low`.
    """

    low: Tensor
    spacing: float
    cell: Tensor
    rows: Tensor
    places: Tensor

    @classmethod
    def of(cls, occupied: Tensor, low: Tensor, spacing: float) -> Grid:
        """occupied: (X, Y, Z) bool. low: (3,) corner of the first cell."""
        occupied = functional.pad(occupied, (1, 1, 1, 1, 1, 1))
        where = occupied.nonzero()
        cell = torch.full(occupied.shape, -1, dtype=torch.int32, device=occupied.device)
        cell[occupied] = torch.arange(len(where), dtype=torch.int32, device=occupied.device)
        _, y, z = (n + 1 for n in occupied.shape)
        corners = torch.tensor(_CORNERS, device=occupied.device)
        own, others = (((place[:, 0] * y + place[:, 1]) * z + place[:, 2]).int() for place in (where, corners))
        flat = own[:, None] + others  # (K, 8)
        used = torch.zeros((occupied.shape[0] + 1) * y * z, dtype=torch.bool, device=occupied.device)
        used[flat.reshape(-1)] = True
        number, found = torch.cumsum(used, 0, dtype=torch.int32) - 1, used.nonzero()[:, 0].int()
        places = torch.stack([found // (y * z), found // z % y, found % z], 1)
        return cls(low - spacing, spacing, cell, number[flat], places)

    @property
    def points(self) -> Tensor:
        """(V, 3) where the corners lie in the world."""
        return self.low + self.places * self.spacing

    def occupying(self, place: Tensor) -> Tensor:
        """(N,) int64 number of the cell in which each place (N, 3), in cells from `low`, lies; -1 where there is none.

        Beyond the box is as in the empty layer around it.
        """
        return self.cell.view(-1).index_select(0, _flat(place, self.cell.shape)).long()

    def corners(self, cell: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 8) rows and weights for places (N, 3) in cells (N,)."""
        far = (place - place.floor()).t().contiguous()
        near = 1.0 - far
        weights = place.new_empty(len(place), 8)
        for column, (i, j, k) in enumerate(_CORNERS):  # with broadcasting instead it takes four times as long
            weights[:, column] = (far if i else near)[0] * (far if j else near)[1] * (far if k else near)[2]
        return self.rows.index_select(0, cell), weights

    def at(self, table: Tensor, points: Tensor, elsewhere: float) -> Tensor:
        """(N, C) what a table says at points (N, 3) of the world, `elsewhere` where no cell is."""
        place = (points - self.low) / self.spacing
        cell = self.occupying(place)
        inside = (cell >= 0).nonzero()[:, 0]
        found = torch.full((len(points), table.shape[1]), elsewhere, device=points.device)
        found[inside] = interpolated(table, *self.corners(cell[inside], place[inside]))
        return found


def _flat(place: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(N,) int32 flat index of the cell of a box of that shape in which each place (N, 3) lies, clamped to the box.

    In 32 bits: turning floats into 64 bits takes ten times as long on a CPU.
    """
    x, y, z = (axis.clamp_(0, n - 1) for axis, n in zip(place.to(torch.int32).unbind(1), shape))
    return x.mul(shape[1]).add_(y).mul_(shape[2]).add_(z)


@dataclass(frozen=True, eq=False)
class Rays:
    """Rays, made ready for one grid and step.

    start: (R, 3) where they enter its box, and move: (R, 3) how far one step goes, both in cells. near: (R,) distance
    to the box. segments: (R, S) bool, which stretches of SEGMENT steps may touch occupied cells. direction: (R, 3).
    """

    start: Tensor
    move: Tensor
    near: Tensor
    segments: Tensor
    direction: Tensor

    def __len__(self) -> int:
        return len(self.near)

    def __getitem__(self, index: Tensor) -> Rays:
        return Rays(*(values.index_select(0, index) for values in vars(self).values()))


def crossing(low: Tensor, high: Tensor, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """(R,) distances at which rays enter and leave a box, not before their origins; leave < enter where they miss."""
    safe = torch.where(direction.abs() < 1e-9, 1e-9, direction)
    first, last = (low - origin) / safe, (high - origin) / safe
    near, far = torch.minimum(first, last).amax(1), torch.maximum(first, last).amin(1)
    return near.clamp(min=1e-3), far


def cast(grid: Grid, origin: Tensor, direction: Tensor, step: float, chunk: int = 1 << 13) -> Rays:
    """Rays from origins (R, 3) along unit directions (R, 3), to be sampled every `step` of the world's unit."""
    shape = torch.tensor(grid.cell.shape, device=origin.device)
    near, far = crossing(grid.low, grid.low + shape * grid.spacing, origin, direction)
    longest = float((far - near).clamp(min=0.0).max()) if len(origin) else 0.0
    count = max(1, -int(-longest // (step * SEGMENT)))
    start = (origin + direction * near[:, None] - grid.low) / grid.spacing
    move = direction * (step / grid.spacing)
    reach = math.ceil(step * SEGMENT / grid.spacing / 2.0)  # from a segment's middle to its ends, in cells
    around = dilated(grid.cell >= 0, reach).view(-1)
    middle = (torch.arange(count, device=origin.device) + 0.5) * SEGMENT
    segments = torch.zeros(len(origin), count, dtype=torch.bool, device=origin.device)
    for some in torch.arange(len(origin), device=origin.device)[far > near].split(chunk):
        place = start[some, None] + move[some, None] * middle[:, None]
        segments[some] = around.index_select(0, _flat(place.view(-1, 3), grid.cell.shape)).view(len(some), count)
    return Rays(start, move, near, segments, direction)


def dilated(mask: Tensor, reach: int) -> Tensor:
    """A mask (X, Y, Z) with all cells that are at most so many away along each axis; one axis after the other, as a
    cube's maximum is many times slower."""
    values = mask[None, None].float()
    for axis in range(3):
        size, padding = [1, 1, 1], [0, 0, 0]
        size[axis], padding[axis] = 2 * reach + 1, reach
        values = functional.max_pool3d(values, size, 1, padding)
    return values[0, 0] > 0


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples in occupied cells, ordered by ray and distance; N in all.

    ray: (N,) which ray. rank: (N,) the how manieth of the ray. step: (N,) after how many steps. distance: (N,) from the
    ray's origin. rows, weights: (N, 8) for `interpolated`. rays: how many rays there are, also those without samples.
    """

    ray: Tensor
    rank: Tensor
    step: Tensor
    distance: Tensor
    rows: Tensor
    weights: Tensor
    rays: int


def sampled(grid: Grid, rays: Rays, step: float, shift: Tensor | None = None) -> Samples:
    """shift: (R,) where in its step each ray is sampled, 0 to 1; None: in the middle."""
    ray, segment = rays.segments.nonzero(as_tuple=True)
    number = (segment[:, None] * SEGMENT + torch.arange(SEGMENT, device=ray.device)).reshape(-1)
    ray = ray.repeat_interleave(SEGMENT)
    along = number + (0.5 if shift is None else shift.index_select(0, ray))
    place = torch.addcmul(rays.start.index_select(0, ray), rays.move.index_select(0, ray), along[:, None])
    cell = grid.occupying(place)
    kept = (cell >= 0).nonzero()[:, 0]
    ray, along, number, cell, place = (values.index_select(0, kept) for values in (ray, along, number, cell, place))
    counts = torch.bincount(ray, minlength=len(rays))
    rank = torch.arange(len(ray), device=ray.device) - (counts.cumsum(0) - counts).index_select(0, ray)
    distance = rays.near.index_select(0, ray) + along * step
    return Samples(ray, rank, number, distance, *grid.corners(cell, place), len(rays))


def density_depth(raw: Tensor, length: float) -> Tensor:
    """(N,) optical depth of samples whose interpolated numbers are raw (N,), each standing for `length`."""
    return functional.softplus(raw) * length


def surface_depth(distance: Tensor, sharpness: float, samples: Samples) -> Tensor:
    """(N,) optical depth between each sample and the ray's next one, of signed distances (N,) at the samples."""
    gathered = functional.softplus(-sharpness * distance)
    next_one = (samples.ray[1:] == samples.ray[:-1]) & (samples.step[1:] == samples.step[:-1] + 1)
    return functional.pad(functional.relu(gathered.diff()) * next_one, (0, 1))


@dataclass(frozen=True, eq=False)
class Rendered:
    """colour: (R, 3) what the field adds to each ray, not clipped. opacity: (R,) how much of what is behind it hides.
    weights: (N,) how much of each sample is seen."""

    colour: Tensor
    opacity: Tensor
    weights: Tensor


def rendered(depth: Tensor, colours: Tensor, samples: Samples, direction: Tensor) -> Rendered:
    """What rays see. depth: (N,) the samples' optical depths. colours: table (V, 12). direction: (R, 3)."""
    weights = _Visibility.apply(depth, samples.ray, samples.rank, samples.rays)
    seen = (weights.detach() > _VISIBLE).nonzero()[:, 0]
    ray = samples.ray.index_select(0, seen)
    numbers = interpolated(colours, samples.rows.index_select(0, seen), samples.weights.index_select(0, seen))
    tint = coloured(numbers, direction.index_select(0, ray)) * weights.index_select(0, seen)[:, None]
    total = tint.new_zeros(samples.rays, 3).index_add_(0, ray, tint)
    return Rendered(total, weights.new_zeros(samples.rays).index_add_(0, samples.ray, weights), weights)


def coloured(numbers: Tensor, direction: Tensor) -> Tensor:
    """(N, 3) sRGB, not clipped, of a table's numbers (N, 12) seen along unit directions (N, 3)."""
    x, y, z = direction.unbind(1)
    harmonics = torch.stack([torch.ones_like(x), y, z, x], 1)
    return _MIDDLE + (numbers.view(-1, 3, 4) * harmonics[:, None]).sum(2)


def first_distance(depth: Tensor, samples: Samples) -> Tensor:
    """(R,) the distance at which a good fifth of each ray's light is gone, infinite where it passes.

    Where colours tell how deep things are, light goes at once, and it matters little how much of it is asked for. Where
    they do not, as on a plain wall, any haze behind the outlines explains the pictures, and its middle would be a dent.
    """
    padded = depth.new_zeros(samples.rays, int(samples.rank.max()) + 2 if len(samples.rank) else 1)
    distance = torch.full_like(padded, torch.inf)
    padded[samples.ray, samples.rank], distance[samples.ray, samples.rank] = depth, samples.distance
    gone = padded.cumsum(1) > _GONE
    return torch.where(gone.any(1), distance.gather(1, gone.float().argmax(1, keepdim=True))[:, 0], torch.inf)
