# SPDX-License-Identifier: GPL-3.0-or-later
"""Paints an unwrapped mesh: photos where they see the surface, a field's colours elsewhere, and smooth colour where
neither says anything.

Points, normals and cameras are all in the mesh's own axes: bake first, turn the mesh afterwards. Colours are averaged
and blended as sRGB values, as they are in photos and in what fields learn from photos. Must not know networks, files
or how the charts were made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...core.view import View
from ..fill import nearest_filled
from ..mesh import Mesh, vertex_normals
from .photo import Sight
from .rasterise import Covered, atlas
from .spread import laplacian, spread, welded

Colour = Callable[[np.ndarray], np.ndarray]
"""points (N, 3) float32 -> (N, 3) float32 sRGB in [0, 1]; may be NaN where nothing is known."""

Report = Callable[[float, str], None]
"""Told the share done in [0, 1] and what is being done; raises to cancel."""

_POINTS_AT_ONCE = 1 << 17
_SHARPNESS = 4.0  # of several photos the best should win: their trust is weighed by this power
_MATCH_REACH = 0.1  # of the thing's size, over which a field's colours turn from the photo's to their own
_FAINT = 1e-3  # trust below which a photo does not count
_MIXED = 0.05  # trust at outlines in photos, where no field knows better


@dataclass(frozen=True, eq=False)
class _Surface:
    """What lies under each texel: texels and faces, points (N, 3) float32, unit normals (N, 3) float32."""

    under: Covered
    points: np.ndarray
    normals: np.ndarray


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
    field's colours are matched to them nearby. guesses: photos whose colours are taken for the field's where there is
    none, the first's where it sees the surface well. Whatever `report` raises ends the work. ValueError
    without uv.
    """
    if mesh.uv is None:
        raise ValueError("a mesh must be unwrapped before it is baked")
    report(0.0, "laying out the texture")
    surface = _surface(mesh, size)
    place = welded(mesh.vertices)
    report(0.1, "projecting the photo")
    if colour is None and not guesses:
        seen, trust = _photographed(mesh, surface, photos, _MIXED, report)
        field, trust = None, np.minimum(trust / _MIXED, 1.0)  # what any photo saw beats what only spreads
    else:
        seen, trust = _photographed(mesh, surface, photos, 0.0, report)
        if colour is None:
            field = _guessed(mesh, surface, guesses, report)
        else:
            field = _asked(colour, surface.points, trust < 1.0, report)
    report(0.85, "joining the colours")
    painted = _joined(mesh, place, surface, seen, trust, field)
    texture = np.zeros((size * size, 3), np.float32)
    known = np.zeros(size * size, bool)
    texture[surface.under.pixel], known[surface.under.pixel] = painted, True
    report(0.95, "padding the texture")
    whole = nearest_filled(texture.reshape(size, size, 3), known.reshape(size, size))
    report(1.0, "texture done")
    return replace(mesh, texture=np.rint(np.clip(whole, 0.0, 1.0) * 255.0).astype(np.uint8))


def _surface(mesh: Mesh, size: int) -> _Surface:
    under = atlas(mesh.uv, mesh.faces, size)
    normals = mesh.normals if mesh.normals is not None else vertex_normals(mesh.vertices, mesh.faces)
    across = under.interpolated(normals, mesh.faces)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    return _Surface(under, under.interpolated(mesh.vertices, mesh.faces), across)


def _photographed(
    mesh: Mesh, surface: _Surface, photos: Sequence[View], mixed: float, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Blended colours (N, 3) of the photos at the texels, and how far they are to be believed (N,) in [0, 1]."""
    count = len(surface.points)
    total, weight, most = np.zeros((count, 3), np.float32), np.zeros(count, np.float32), np.zeros(count, np.float32)
    for number, photo in enumerate(photos):
        report(0.1 + 0.2 * number / len(photos), "projecting the photo")
        sight = Sight(photo, mesh.vertices, mesh.faces)
        trust, where = sight.trust(surface.points, surface.normals, mixed)
        chosen = np.flatnonzero(trust > _FAINT)
        share = trust[chosen] ** _SHARPNESS
        total[chosen] += sight.colours(where[chosen]) * share[:, None]
        weight[chosen] += share
        most[chosen] = np.maximum(most[chosen], trust[chosen])
    return total / np.maximum(weight, 1e-30)[:, None], most


def _guessed(mesh: Mesh, surface: _Surface, guesses: Sequence[View], report: Report) -> np.ndarray:
    """Colours (N, 3) of the first of the guesses that sees the surface well, NaN where none does."""
    colours, before = np.zeros((len(surface.points), 3), np.float32), np.zeros(len(surface.points), np.float32)
    for guess in guesses:
        seen, trust = _photographed(mesh, surface, [guess], 0.0, report)
        share = (1.0 - before) * trust
        colours += share[:, None] * seen
        before += share
    return np.where(before[:, None] > _FAINT, colours / np.maximum(before, 1e-30)[:, None], np.nan)


def _asked(colour: Colour, points: np.ndarray, wanted: np.ndarray, report: Report) -> np.ndarray:
    """The field's colours (N, 3) at points (N, 3), NaN where it gives no number or is not `wanted` (N,)."""
    found = np.full((len(points), 3), np.nan, np.float32)
    index = np.flatnonzero(wanted)
    for start in range(0, len(index), _POINTS_AT_ONCE):
        report(0.3 + 0.55 * start / len(index), "asking the field for colours")
        part = index[start : start + _POINTS_AT_ONCE]
        found[part] = colour(points[part])
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return found


def _joined(
    mesh: Mesh,
    place: np.ndarray,
    surface: _Surface,
    seen: np.ndarray,
    trust: np.ndarray,
    field: np.ndarray | None,
) -> np.ndarray:
    """Colours (N, 3) of the texels from the photos' and the field's."""
    graph = _Graph(mesh, place, surface.under)
    if field is None:
        rest = graph.spread(seen, trust, _mean(seen, trust), 1e-8)
    else:
        known = np.isfinite(field).all(axis=1)
        rest = np.where(known[:, None], field, 0.0)
        if (trust > _FAINT).any():
            change = np.where(known[:, None], seen - rest, 0.0)
            rest = rest + graph.spread(change, trust * known, np.zeros(3), graph.edges_in(_MATCH_REACH) ** -2)
        missing = ~known & (trust < 1.0)
        if missing.any():
            both = np.where(known[:, None], rest, seen)
            sure = np.where(known, 1.0, trust)
            rest[missing] = graph.spread(both, sure, _mean(both, sure), 1e-8)[missing]
    return trust[:, None] * seen + (1.0 - trust[:, None]) * rest


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(3,) weighted mean of colours; grey where nothing has weight."""
    total = float(weights.sum())
    return (values * weights[:, None]).sum(axis=0) / total if total > 0 else np.full(3, 0.5)


class _Graph:
    """The surface's vertices, across seams, on which colours of texels spread."""

    def __init__(self, mesh: Mesh, place: np.ndarray, under: Covered) -> None:
        self.faces = place[mesh.faces]
        self.count = int(place.max()) + 1
        self.under = under
        self.edges = laplacian(self.faces, self.count)
        self._corners = mesh.vertices[mesh.faces]

    def edges_in(self, share: float) -> float:
        """How many edges are as long as this share of the surface's size, at least 1."""
        size = float(np.linalg.norm(np.ptp(self._corners, axis=(0, 1))))
        mean = float(np.linalg.norm(self._corners[:, 0] - self._corners[:, 1], axis=1).mean())
        return max(share * size / max(mean, 1e-30), 1.0)

    def spread(self, values: np.ndarray, trust: np.ndarray, far: np.ndarray, pull: float) -> np.ndarray:
        """(N, 3) float32 at the texels: values (N, 3) smoothed to the vertices by `trust` (N,), and spread to the
        others."""
        used = np.flatnonzero(trust > 0)
        corner = self.faces[self.under.face[used]].ravel()
        share = (self.under.weights[used] * trust[used, None]).ravel().astype(np.float64)
        weight = np.bincount(corner, share, self.count)
        sums = [np.bincount(corner, share * np.repeat(values[used, k], 3), self.count) for k in range(3)]
        known = np.stack(sums, axis=1) / np.maximum(weight, 1e-12)[:, None]
        found = spread(known, np.minimum(weight, 4.0), self.edges, far, pull)
        return self.under.interpolated(found.astype(np.float32), self.faces)
