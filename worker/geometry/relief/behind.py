# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies behind silhouettes: the farther surface goes on behind the nearer one, so that no hole opens beside it.

Of a lattice that is torn at its silhouettes, a second one that is only there where something near hides something far,
and its photo. Depth, as the planes that touch it, and colours are carried on smoothly from what is seen (push-pull,
Gortler et al. 1996). Must not know meshes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from ..fill import blurred
from .lattice import Lattice

AROUND = 25.0
"""Degrees that one may walk around the middle of what is seen until a hole opens."""

OVERLAP = 3  # cells in which the second surface lies behind what is seen of the first, lest a crack opens
_MORE = 1.15  # of the reach that would just do: silhouettes are not where the depth map has them to a cell
_CLOSE = 0.1  # of a thing's distance; nearer to it no walk is thought to end
_EVEN = 1e-3  # of its distance; no wall is as even as a backdrop
_STEP = 4  # cells of the lattice in one beyond the picture's border; at 2 a cyclist took 1.6 CPU seconds and not 1.2
_GUESSES = 3  # of how far what comes to be seen is, each from where the one before says it lies
_APRON = 0.25  # of the picture's sides: so far beyond its border something is guessed, at most
_AHEAD = 0.3  # cosine of the angle to where the near side begins, beyond which a vertex is beside and not behind it
_THICK = 0.6  # of the near side's distance: what is nearer than that is another thing
_SLOPES = 1.15  # and so far it may lean away: at 1.5 a leaning cyclist loses .4 dB, at 1.05 more holes open
_CLEAR = 1.3  # times as far: a step between two things, and not between parts of one
_BEYOND = 1.6  # times as far as the edge that it goes on from: what is farther is something else
_FEW = 4  # vertices; no edge is shorter
_ROUNDS = 20  # of relaxation: planes go on as planes, at some .04 CPU seconds
_FINE = 3.0  # vertices; what is finer in the photo is repeated behind, mirrored, as what is coarser is carried on
_BELOW = 1.012  # so much farther it lies there


Margins = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Hidden:
    """lattice: of what is hidden, of half as many vertices along each side, NaN where nothing is. known, hidden: (R, C)
    bool, the first lattice's vertices whose colours it takes and those that it is behind. margins: rows before and
    after, columns before and after by which all three reach beyond the picture."""

    lattice: Lattice
    known: np.ndarray
    hidden: np.ndarray
    margins: Margins = ((0, 0), (0, 0))


def behind(lattice: Lattice, focal: float, cut: float, beyond: bool = True) -> tuple[Hidden, ...]:
    """What the lattice's surfaces hide of each other: at most three surfaces.

    Where a face stands before a wall and its nose before its cheek, the wall goes on behind the face, and the cheek,
    which is before the wall, behind the nose; and the wall beyond the picture's border, where a walk to the left or
    right uncovers that. focal: in cells. cut: relative jump of depth that is a silhouette; a second surface is farther
    by that. beyond: whether anything goes on beyond the border.
    """
    there = np.isfinite(lattice.inverse)
    depth = np.where(there, 1.0 / np.where(there, lattice.inverse, 1.0), np.inf)
    steps = _Steps.of(lattice, depth, _MORE * focal * float(np.sin(np.radians(AROUND))))
    edge, clear = np.isfinite(steps.hiding), depth > steps.hiding * _CLEAR
    nothing = np.zeros_like(edge)
    far = _layer(lattice, depth, steps, edge & clear, cut, nothing)
    part = _layer(lattice, depth, steps, edge & ~clear, cut, far.hidden if far else nothing)
    apron = None
    if far and beyond:
        apron = _apron(lattice, depth, steps, edge & clear, far, _Walk(focal, _middle(depth[there])))
    return tuple(each for each in (far, part, apron) if each)


def _layer(
    lattice: Lattice, depth: np.ndarray, steps: _Steps, edge: np.ndarray, cut: float, backed: np.ndarray
) -> Hidden | None:
    """What goes on from those far edges (R, C) behind what is before them; None where nothing does.
    backed: (R, C) bool, where something else lies behind it, so that it may end."""
    if edge.sum() < _FEW:
        return None
    away, nearest = ndimage.distance_transform_edt(~edge, return_indices=True)
    flat = nearest[0] * depth.shape[1] + nearest[1]
    beyond, hiding, reach = (np.take(each, flat) for each in (depth, steps.hiding, steps.reach))
    as_near = (depth <= hiding * _SLOPES) & (depth >= hiding * _THICK) & (depth * (1.0 + cut) < beyond)
    hidden = as_near & (away <= OVERLAP + reach)
    towards = np.take(steps.towards.reshape(2, -1), flat[hidden], axis=1)
    along = ((np.stack(np.nonzero(hidden)) - nearest[:, hidden]) * towards).sum(axis=0)
    hidden[hidden] = along > _AHEAD * away[hidden]
    known = ~hidden & (depth * (1.0 + cut) >= beyond) & (depth <= beyond * _BEYOND) & np.isfinite(depth)
    if not hidden.any() or not known.any():
        return None
    coarse = _carried_on(*_halved(_planes(lattice, known), known), _ROUNDS)
    coarse = np.stack([_doubled(each, known.shape) for each in coarse])
    values = _evaluated(coarse, np.indices(known.shape), lattice.inverse[known])
    rim = known & ndimage.binary_dilation(hidden, np.ones((3, 3), bool), OVERLAP)
    deeper = np.minimum(values, lattice.inverse / (1.0 + cut))
    second = np.where(hidden, deeper, np.where(rim, lattice.inverse / _BELOW, np.nan)).astype(np.float32)
    return Hidden(_untorn(_coarser(second, lattice.inverse / _BELOW, backed, cut)), known, hidden)


def _apron(
    lattice: Lattice, depth: np.ndarray, steps: _Steps, edge: np.ndarray, far: Hidden, walk: _Walk
) -> Hidden | None:
    """What comes to be seen beyond the picture's border past those far edges (R, C): the surface there, or what lies
    behind it, goes on; None where nothing does. Of every _STEP th vertex: it is a guess. Up to two of its cells lie
    behind the picture, lest a crack opens."""
    index = tuple(_every(side, _STEP) for side in depth.shape)
    small = far.lattice.inverse
    half = (np.rint(np.linspace(0, few - 1, len(each))).astype(int) for few, each in zip(small.shape, index))
    pick, second = np.ix_(*index), small[np.ix_(*half)]
    surface = np.where(np.isnan(second), depth[pick], 1.0 / second)
    nearest, margins = walk.beyond(steps, edge, surface)
    beyond = nearest > 0.0
    if not beyond.any():
        return None
    visible = np.isfinite(depth) & ~far.hidden
    ring = ndimage.binary_dilation(beyond, np.ones((3, 3), bool)) & ~beyond
    inside = np.pad(np.ones(surface.shape, bool), margins)
    ring &= inside
    known = np.pad(far.known[pick], margins) | (ring & np.pad(visible[pick], margins))
    if not known.any():
        return None
    planes = np.pad(_planes(lattice, visible)[:, *pick], ((0, 0), *margins))
    place = [(np.arange(n) - m[0]) * (i[-1] / (len(i) - 1)) for n, i, m in zip(known.shape, index, margins)]
    place = np.stack(np.meshgrid(*place, indexing="ij"))
    values = _evaluated(_carried_on(planes, known, _ROUNDS), place, lattice.inverse[visible])
    limit = np.where(np.isfinite(depth), lattice.inverse, np.inf)
    limit = np.pad(ndimage.minimum_filter(limit, 2 * _STEP + 3)[pick], margins)
    limit = np.where(beyond, nearest, limit)
    values = np.where(beyond | ring, np.minimum(values, limit) / _BELOW, np.inf)
    ends = inside & ndimage.binary_dilation(ring, np.ones((3, 3), bool)) & ~ring
    values = np.where(ends, np.minimum(ndimage.minimum_filter(values, 3), limit / _BELOW), values)  # its end is no rise
    values = np.where(np.isinf(values), np.nan, values).astype(np.float32)
    return Hidden(_untorn(values), known, np.pad(far.hidden[pick], margins), margins)


def _every(side: int, step: int) -> np.ndarray:
    """The numbers of every so many of `side` vertices, the first and the last among them."""
    return np.rint(np.linspace(0, side - 1, max(2, (side + step - 1) // step))).astype(int)


def _planes(lattice: Lattice, known: np.ndarray) -> np.ndarray:
    """(3, R, C) of the planes that touch the known surface: inverse depth at the first vertex, its change from row to
    row and from column to column."""
    inverse, place = np.where(known, lattice.inverse, 0.0), np.indices(known.shape)
    slope = np.stack([_slope(inverse, known, lattice.cut_y), _slope(inverse.T, known.T, lattice.cut_x.T).T])
    return np.concatenate([[inverse - (slope * place).sum(axis=0)], slope])


def _evaluated(planes: np.ndarray, place: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(R, C) inverse depth of planes (3, R, C) at places (2, R, C), none beyond those that are known (n,)."""
    return np.clip(planes[0] + (planes[1:] * place).sum(axis=0), known.min(), known.max())


def _slope(values: np.ndarray, known: np.ndarray, torn: np.ndarray) -> np.ndarray:
    """(R, C) the change of values from row to row among what is known and not torn (R-1, C)."""
    whole = known[1:] & known[:-1] & ~torn
    step = np.diff(values, axis=0) * whole
    count = np.pad(whole, ((1, 0), (0, 0))) + np.pad(whole, ((0, 1), (0, 0))).astype(np.float32)
    return (np.pad(step, ((1, 0), (0, 0))) + np.pad(step, ((0, 1), (0, 0)))) / np.maximum(count, 1.0)


def _coarser(second: np.ndarray, limit: np.ndarray, backed: np.ndarray, cut: float) -> np.ndarray:
    """The farthest of the values (R, C) around every second vertex: a guess needs no finer outline, and no thin thing
    is missed. Nowhere in the cells between them is it nearer than the limit (R, C); where it would have to step back by
    `cut` for that, and is backed (R, C), it ends, as what it belongs to has its outline there."""
    around, limit = (np.where(np.isnan(values), np.inf, values) for values in (second, limit))
    around = ndimage.minimum_filter(around, 3, mode="nearest")
    lowered = np.minimum(around, ndimage.minimum_filter(limit, 5, mode="nearest"))
    lowered = np.where(np.isinf(around) | (backed & (lowered * (1.0 + cut) < around)), np.nan, lowered)
    return lowered[np.ix_(*(_every(side, 2) for side in second.shape))].astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Steps:
    """hiding (R, C): how far what hides something beside a vertex is, inf where nothing does. towards (2, R, C): the
    unit direction, in rows and columns, in which that lies. reach (R, C): how many cells of what is hidden there come
    to be seen on a walk."""

    hiding: np.ndarray
    towards: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, lattice: Lattice, depth: np.ndarray, shift: float) -> _Steps:
        """shift: cells by which a walk moves what lies at the middle distance."""
        hiding, towards = np.full(depth.shape, np.inf, np.float32), np.zeros((2, *depth.shape), np.float32)
        for axis, torn in ((0, lattice.cut_y), (1, lattice.cut_x)):
            ahead = tuple(slice(0, -1) if each == axis else slice(None) for each in (0, 1))
            after = tuple(slice(1, None) if each == axis else slice(None) for each in (0, 1))
            for far, near, sign in ((ahead, after, 1.0), (after, ahead, -1.0)):
                step = torn & (depth[far] > depth[near]) & np.isfinite(depth[far])
                hiding[far] = np.where(step, np.minimum(hiding[far], depth[near]), hiding[far])
                towards[axis][far] += sign * step
        middle = float(np.median(depth[np.isfinite(depth)]))
        reach = np.maximum(shift * middle * (1.0 / hiding - 1.0 / depth), 0.0)
        return cls(hiding, towards / np.maximum(np.linalg.norm(towards, axis=0), 1e-9), reach)


def _middle(depth: np.ndarray) -> float:
    """The median of depths (n,) but of what is farthest, if that is as far everywhere: a backdrop, such as the sky."""
    before = depth[depth < depth.max(initial=0.0) * (1.0 - _EVEN)]
    return float(np.median(before if len(before) else depth)) if len(depth) else 1.0


@dataclass(frozen=True)
class _Walk:
    """From the photo's place AROUND degrees to either side, around what lies `middle` before it. focal: in cells."""

    focal: float
    middle: float

    def beyond(self, steps: _Steps, edge: np.ndarray, surface: np.ndarray) -> tuple[np.ndarray, Margins]:
        """Where something comes to be seen beyond the picture's border past those far edges (R, C): the inverse depth
        of what it is seen past, else 0, with margins. surface: (r, c) of fewer vertices, as what is found, how far what
        goes on there is."""
        half = (np.array(edge.shape)[:, None] - 1) / 2.0
        scale = (np.array(surface.shape)[:, None] - 1) / (2.0 * half)
        edge = edge & (steps.towards[1] != 0)
        side, near = np.sign(steps.towards[1][edge]), steps.hiding[edge]
        start, far = np.stack(np.nonzero(edge)) - half, 2.0 * near
        for _ in range(_GUESSES):
            end = self._seen_past(start, side, near, far)
            place = np.rint((np.clip(end, -half, half) + half) * scale).astype(int)
            there = surface[tuple(place)]
            far = np.where(there < np.inf, np.maximum(there, near), near)
        end = np.clip(end, -half * (1.0 + 2.0 * _APRON), half * (1.0 + 2.0 * _APRON))
        out = (np.abs(end) > half).any(axis=0) & (there > near) & (there < np.inf)
        if not out.any():
            return np.zeros(surface.shape), ((0, 0), (0, 0))
        start, end = (each[:, out] * scale for each in (start, end))
        many = int(np.abs(end - start).max()) + 2
        middle = (np.array(surface.shape)[:, None, None] - 1) / 2.0
        path = np.rint(start[..., None] + (end - start)[..., None] * np.linspace(0.0, 1.0, many) + middle).astype(int)
        low, high = path.min(axis=(1, 2)), path.max(axis=(1, 2))
        margins = tuple(
            (max(0, 1 - a) if a < 0 else 0, max(0, b + 2 - side) if b > side - 1 else 0)
            for a, b, side in zip(low, high, surface.shape)
        )
        found = np.pad(np.zeros(surface.shape), margins)
        np.maximum.at(found, tuple(path + np.array(margins)[:, :1, None]), 1.0 / near[out, None])
        found = ndimage.maximum_filter(found, 3)
        return np.where(np.pad(np.ones(surface.shape, bool), margins), 0.0, found), margins

    def _seen_past(self, start: np.ndarray, side: np.ndarray, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """(2, n) where in the photo that lies which is seen, at the walk's end, past edges at `start` (2, n), both in
        cells from its middle: the line from there past the edge, as far as what is seen. side: 1 where what is near
        lies to the right, -1 to the left. near, far: how far it and what is seen are."""
        angle = np.radians(AROUND)
        aside, ahead = _MORE * self.middle * np.sin(angle), self.middle * (1.0 - np.cos(angle))
        longer = (far - ahead) / np.maximum(near - ahead, _CLOSE * near)
        moved = side * self.focal * aside * (longer - 1.0) / far
        return start * near * longer / far + np.stack([np.zeros_like(moved), moved])


def _untorn(values: np.ndarray) -> Lattice:
    """The lattice of a surface that only ends where there is none."""
    none = np.isnan(values)
    return Lattice(values, none[:, 1:] != none[:, :-1], none[1:] != none[:-1])


def carried_on(values: np.ndarray, known: np.ndarray, rounds: int = 0) -> np.ndarray:
    """Values (H, W, C) float, where `known` (H, W) bool as they are, elsewhere carried on smoothly from there.

    rounds: of relaxation at each level towards what is harmonic: a plane that is known all around a hole goes on as a
    plane (cascadic multigrid, Bornemann and Deuflhard 1996).
    """
    planes = np.moveaxis(values, 2, 0).astype(np.result_type(values, np.float32), order="C")
    return np.moveaxis(_carried_on(planes, known, rounds), 0, 2)


def _carried_on(values: np.ndarray, known: np.ndarray, rounds: int) -> np.ndarray:
    """As `carried_on`, of planes (C, H, W): rows of three are slow."""
    if min(known.shape) <= 1 or known.all():
        return values if known.all() else np.repeat(values[:, known].mean(axis=1), known.size).reshape(-1, *known.shape)
    coarse = _carried_on(*_halved(values, known), rounds)
    zoomed = np.stack([_doubled(each, known.shape) for each in coarse])
    return _relaxed(np.where(known, values, zoomed), ~known, rounds)


def _relaxed(values: np.ndarray, free: np.ndarray, rounds: int) -> np.ndarray:
    """Values (C, H, W) where those that are free (H, W) were so often put onto the mean of those beside them."""
    whole = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
    inner = whole[:, 1:-1, 1:-1]
    for _ in range(rounds):
        mean = whole[:, :-2, 1:-1] + whole[:, 2:, 1:-1]
        mean += whole[:, 1:-1, :-2]
        mean += whole[:, 1:-1, 2:]
        mean *= 0.25
        np.copyto(inner, mean, where=free)
        whole[:, 0], whole[:, -1] = whole[:, 1], whole[:, -2]
        whole[..., 0], whole[..., -1] = whole[..., 1], whole[..., -2]
    return inner


def _halved(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of what is known in each two by two values (C, H, W), and whether something is."""
    weight = known.astype(values.dtype)
    pad = [(0, side % 2) for side in known.shape]
    total, count = np.pad(values * weight, [(0, 0), *pad]), np.pad(weight, pad)
    total, count = (
        each[..., ::2, ::2] + each[..., ::2, 1::2] + (each[..., 1::2, ::2] + each[..., 1::2, 1::2])
        for each in (total, count)
    )
    return total / np.maximum(count, 1.0), count > 0


def _doubled(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    whole = Image.fromarray(values.astype(np.float32)).resize(
        (2 * values.shape[1], 2 * values.shape[0]), Image.Resampling.BILINEAR
    )
    return np.asarray(whole)[: shape[0], : shape[1]]


def coloured(photo: np.ndarray, found: Hidden) -> np.ndarray:
    """The photo (h, w, 3) uint8 of a pixel per vertex, with the colours of what lies behind carried on where hidden."""
    shape = tuple(side - sum(margin) for side, margin in zip(found.hidden.shape, found.margins))
    small = Image.fromarray(np.ascontiguousarray(photo[..., :3])).resize(shape[::-1], Image.Resampling.BOX)
    rgb = np.pad(np.asarray(small, np.float32), (*found.margins, (0, 0)))
    inside = found.known & ~ndimage.binary_dilation(found.hidden, iterations=2)  # at the edge colours are mixed
    inside = inside if inside.any() else found.known
    colours, free = carried_on(rgb, inside), np.flatnonzero(~inside)
    colours = np.stack([np.take(colours[..., each], free) for each in range(3)], axis=1)
    colours += _mirrored_detail(rgb, inside, free)
    rgb.reshape(-1, 3)[free] = np.clip(np.rint(colours), 0, 255)
    return rgb.astype(np.uint8)


def _mirrored_detail(rgb: np.ndarray, known: np.ndarray, free: np.ndarray) -> np.ndarray:
    """(n, 3) of free pixels (n,), the numbers of those that are not known: what is finer than a blur, mirrored about
    the edge of what is known; 0 where that shows nothing."""
    detail = (rgb - blurred(rgb, known, _FINE)) * known[..., None]
    edge = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    (rows, columns), (row, column) = known.shape, 2 * np.take(edge.reshape(2, -1), free, axis=1)
    row, column = row - free // columns, column - free % columns
    there = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    return np.take(detail.reshape(-1, 3), np.where(there, row * columns + column, 0), axis=0) * there[:, None]
