# SPDX-License-Identifier: GPL-3.0-or-later
"""Paints an unwrapped mesh: photos where they see the surface, a field's colours elsewhere, and smooth colour where
neither says anything.

Points, normals and cameras are all in the mesh's own axes: bake first, turn the mesh afterwards. Colours are averaged
and blended as sRGB values, as they are in photos and in what fields learn from photos. Must not know networks, files
or how the charts were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...core.view import View
from ..fill import roughly_filled
from ..mesh import Mesh
from .photo import Sight
from .rasterise import Covered, atlas
from .spread import laplacian, spread, welded

Colour = Callable[[np.ndarray], np.ndarray]
"""points (N, 3) float32 -> (N, 3) float32 sRGB in [0, 1]; may be NaN where nothing is known."""

Report = Callable[[float, str], None]
"""Told the share done in [0, 1] and what is being done; raises to cancel."""

_POINTS_AT_ONCE = 1 << 15
_TEXELS_AT_ONCE = 1 << 20  # some two hundred bytes each, while they are laid out
_NEAR_AT_ONCE = 1 << 14  # what is made of so many of them stays in the processor's cache
_SHARPNESS = 4.0  # of several photos the best should win: their trust is weighed by this power
_MATCH_REACH = 0.1  # of the thing's size, over which a field's colours turn from the photo's to their own
_FAINT = 1e-3  # trust below which a photo does not count
_MIXED = 0.05  # trust at outlines in photos, where no field knows better


@dataclass(frozen=True, eq=False)
class _Surface:
    """What lies under each texel, in bands of rows, so that no more than a band is worked on at once: of each, the
    texels and faces. All arrays of N texels have the bands one behind another."""

    mesh: Mesh
    bands: tuple[Covered, ...]

    @classmethod
    def of(cls, mesh: Mesh, size: int) -> _Surface:
        mesh = mesh if mesh.normals is not None else mesh.with_normals()
        rows = max(1, _TEXELS_AT_ONCE // size)
        cuts = [(first, min(first + rows, size)) for first in range(0, size, rows)]
        return cls(mesh, tuple(_compact(atlas(mesh.uv, mesh.faces, size, rows=cut)) for cut in cuts))

    def __len__(self) -> int:
        return sum(map(len, self.bands))

    def parts(self, most: int = _NEAR_AT_ONCE) -> Iterator[tuple[slice, Covered]]:
        """Each band, in parts of at most so many texels, and where those lie among all."""
        start = 0
        for band in self.bands:
            for first in range(0, len(band), most):
                part = band.part(slice(first, first + most))
                yield slice(start, start + len(part)), part
                start += len(part)

    def points(self, under: Covered) -> np.ndarray:
        """(N, 3) float32."""
        return under.between(self._places)

    def oriented(self, under: Covered) -> tuple[np.ndarray, np.ndarray]:
        """Points and unit normals, both (N, 3) float32."""
        both = under.between(self._oriented)
        across = both[:, 3:]
        across /= np.maximum(np.sqrt(np.einsum("nc,nc->n", across, across)), 1e-12)[:, None]
        return both[:, :3], across

    @cached_property
    def _places(self) -> np.ndarray:
        """(F, 3, 3) of the faces' corners."""
        return self.mesh.vertices[self.mesh.faces]

    @cached_property
    def _oriented(self) -> np.ndarray:
        """(F, 3, 6): the same with their normals."""
        return np.concatenate([self._places, self.mesh.normals[self.mesh.faces]], axis=2)


def _compact(under: Covered) -> Covered:
    """The same in less memory: it is kept for the whole texture."""
    return Covered(under.pixel.astype(np.int32), under.face.astype(np.int32), under.weights)


def baked(
    mesh: Mesh,
    size: int,
    colour: Colour | None,
    photos: Sequence[View],
    report: Report = lambda share, message: None,
    guesses: Sequence[View] = (),
) -> Mesh:
    """The mesh with a texture (size, size, 3) uint8 sRGB without gaps.

    mesh: with uv, as `unwrap.unwrapped` gives. colour: of the field, in the mesh's axes, or None. photos: with cameras
    in the mesh's axes, none, one or many; where a photo sees the surface well, its pixels are the texture, and the
    field's colours are matched to them nearby. guesses: photos whose colours are taken for the field's where they see
    the surface, the first's where it sees it well. Whatever `report` raises ends the work. ValueError
    without uv.
    """
    if mesh.uv is None:
        raise ValueError("a mesh must be unwrapped before it is baked")
    report(0.0, "laying out the texture")
    surface = _Surface.of(mesh, size)
    place = welded(mesh.vertices)
    report(0.1, "projecting the photo")
    if colour is None and not guesses:
        seen, trust = _photographed(surface, photos, _MIXED, report)
        field, trust = None, np.minimum(trust / _MIXED, 1.0)  # what any photo saw beats what only spreads
    else:
        seen, trust = _photographed(surface, photos, 0.0, report)
        field = _guessed(surface, guesses, report)
        if colour is not None:
            _ask(colour, surface, ~_known(field) & (trust < 1.0), field, report)
    report(0.85, "joining the colours")
    texture = _filled(size, _joined(mesh, place, surface, seen, trust, field), report)
    report(1.0, "texture done")
    return replace(mesh, texture=texture)


def _filled(size: int, painted: Iterable[tuple[Covered, np.ndarray]], report: Report) -> np.ndarray:
    """(size, size, 3) uint8 of texels and their colours (N, 3), without gaps."""
    texture = np.zeros((size, size), np.uint32)  # red, green, blue, and 255 where they are known
    for under, colours in painted:
        values = np.full((len(colours), 4), 255, np.uint8)
        values[:, :3] = np.rint(np.clip(colours, 0.0, 1.0) * np.float32(255.0))
        texture.reshape(-1)[under.pixel] = values.view(np.uint32)[:, 0]
    report(0.95, "padding the texture")
    filled = np.ascontiguousarray(roughly_filled(texture))
    return np.ascontiguousarray(filled.view(np.uint8).reshape(size, size, 4)[..., :3])


def _photographed(
    surface: _Surface, photos: Sequence[View], mixed: float, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Blended colours (N, 3) of the photos at the texels, and how far they are to be believed (N,) in [0, 1]."""
    count = len(surface)
    total, weight, most = np.zeros((count, 3), np.float32), np.zeros(count, np.float32), np.zeros(count, np.float32)
    for number, photo in enumerate(photos):
        report(0.1 + 0.2 * number / len(photos), "projecting the photo")
        sight = Sight(photo, surface.mesh.vertices, surface.mesh.faces)
        trust, where = np.zeros(count, np.float32), np.zeros((count, 2), np.float32)
        facing = sight.facing(surface.mesh.normals)
        for part, under in surface.parts():
            chosen = np.flatnonzero(np.take(facing, under.face))
            trust[part][chosen], where[part][chosen] = sight.trust(*surface.oriented(under.taken(chosen)), mixed)
        painter = sight.painter(where[trust > _FAINT])
        for part, _ in surface.parts():
            chosen = np.flatnonzero(trust[part] > _FAINT)
            share = trust[part][chosen] ** _SHARPNESS
            total[part][chosen] += painter(np.take(where[part], chosen, axis=0)) * share[:, None]
            weight[part][chosen] += share
        np.maximum(most, np.where(trust > _FAINT, trust, 0.0), out=most)
    total /= np.maximum(weight, 1e-30)[:, None]
    return total, most


def _guessed(surface: _Surface, guesses: Sequence[View], report: Report) -> np.ndarray:
    """Colours (N, 3) of the first of the guesses that sees the surface well, NaN where none does."""
    if not guesses:
        return np.full((len(surface), 3), np.nan, np.float32)
    colours, before = np.zeros((len(surface), 3), np.float32), np.zeros(len(surface), np.float32)
    for guess in guesses:
        seen, trust = _photographed(surface, [guess], 0.0, report)
        share = (1.0 - before) * trust
        seen *= share[:, None]
        colours += seen
        before += share
    colours /= np.maximum(before, 1e-30)[:, None]
    colours[before <= _FAINT] = np.nan
    return colours


def _ask(colour: Colour, surface: _Surface, wanted: np.ndarray, colours: np.ndarray, report: Report) -> None:
    """Puts the field's colours at `wanted` (N,) texels among these (N, 3), NaN where it gives no number."""
    for part, under in surface.parts(_POINTS_AT_ONCE):
        report(0.3 + 0.55 * part.start / len(surface), "asking the field for colours")
        index = np.flatnonzero(wanted[part])
        if len(index):
            answer = colour(surface.points(under.taken(index)))
            colours[part][index] = np.where(_known(answer)[:, None], answer, np.nan)


def _joined(
    mesh: Mesh,
    place: np.ndarray,
    surface: _Surface,
    seen: np.ndarray,
    trust: np.ndarray,
    field: np.ndarray | None,
) -> Iterator[tuple[Covered, np.ndarray]]:
    """Of each band, its texels and their colours (N, 3) from the photos' and the field's."""
    graph = _Graph(mesh, place, surface)
    if field is None:
        around = graph.spread(lambda part: (seen[part], trust[part]), _mean(seen, trust), 1e-8)
        for part, under in surface.parts():
            yield under, _mixed(trust[part], seen[part], under.between(around))
        return
    known = _known(field)
    change = None
    if (trust > _FAINT).any():

        def changes(part: slice) -> tuple[np.ndarray, np.ndarray]:
            return np.where(known[part, None], seen[part] - field[part], 0.0), trust[part] * known[part]

        change = graph.spread(changes, np.zeros(3), graph.edges_in(_MATCH_REACH) ** -2)
    for part, under in surface.parts():  # the field's colours where it has some, as the photos would have them
        found = np.where(known[part, None], field[part], 0.0)
        field[part] = found if change is None else found + under.between(change)
    around = None
    if (~known & (trust < 1.0)).any():

        def both(part: slice) -> tuple[np.ndarray, np.ndarray]:
            sure = np.where(known[part], np.float32(1.0), trust[part])
            return np.where(known[part, None], field[part], seen[part]), sure

        around = graph.spread(both, _mean(*both(slice(None))), 1e-8)
    for part, under in surface.parts():
        rest, missing = field[part], np.flatnonzero(~known[part] & (trust[part] < 1.0))
        if around is not None:
            rest[missing] = under.taken(missing).between(around)
        yield under, _mixed(trust[part], seen[part], rest)


def _known(colours: np.ndarray) -> np.ndarray:
    """(N,) bool, whether all of each of the colours (N, 3) is a number: their sum is none else."""
    return np.isfinite(colours[:, 0] + colours[:, 1] + colours[:, 2])


def _mixed(trust: np.ndarray, seen: np.ndarray, rest: np.ndarray) -> np.ndarray:
    return trust[:, None] * seen + (1.0 - trust[:, None]) * rest


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(3,) weighted mean of colours; grey where nothing has weight."""
    total = float(weights.sum())
    return (values * weights[:, None]).sum(axis=0) / total if total > 0 else np.full(3, 0.5)


class _Graph:
    """The surface's vertices, across seams, on which colours of texels spread."""

    def __init__(self, mesh: Mesh, place: np.ndarray, surface: _Surface) -> None:
        self.faces = place[mesh.faces]
        self.count = int(place.max()) + 1
        self.surface = surface
        self.edges = laplacian(self.faces, self.count)
        self._corners = mesh.vertices[mesh.faces]

    def edges_in(self, share: float) -> float:
        """How many edges are as long as this share of the surface's size, at least 1."""
        size = float(np.linalg.norm(np.ptp(self._corners, axis=(0, 1))))
        mean = float(np.linalg.norm(self._corners[:, 0] - self._corners[:, 1], axis=1).mean())
        return max(share * size / max(mean, 1e-30), 1.0)

    def spread(
        self, told: Callable[[slice], tuple[np.ndarray, np.ndarray]], far: np.ndarray, pull: float
    ) -> np.ndarray:
        """(F, 3, 3) float32 at the faces' corners: what is `told` of each band, values (N, 3) and their trust (N,),
        smoothed to the vertices and spread to the others."""
        weight, sums = np.zeros(self.count), np.zeros((self.count, 3))
        for part, under in self.surface.parts():
            values, trust = told(part)
            used = np.flatnonzero(trust > 0)
            corner = self.faces[under.face[used]].ravel()
            share = (under.weights[used] * trust[used, None]).ravel().astype(np.float64)
            weight += np.bincount(corner, share, self.count)
            for k in range(3):
                sums[:, k] += np.bincount(corner, share * np.repeat(values[used, k], 3), self.count)
        known = sums / np.maximum(weight, 1e-12)[:, None]
        return spread(known, np.minimum(weight, 4.0), self.edges, far, pull).astype(np.float32)[self.faces]
