# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture on which pictures from several sides agree best: each of their pixels is a mean of texels, which are
looked for by least squares.

What a picture says counts by its own confidence, by how it sees the surface, and by how far it agrees with the others:
deviations of whole pictures are measured and their pixels reweighted (iteratively reweighted least squares, Holland and
Welsch 1977); so is the smoothness between texels, which gives way at edges (total variation: Rudin et al. 1992). Must
not know files, networks or who made the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from ...core.view import View
from ..mesh import Mesh
from .bake import Report
from .photo import Sight
from .seen import Seen
from .spread import conjugate_gradients

_ROUNDS = 3  # of reweighting
_PHOTO, _LEAST = 0.004, 0.02  # sRGB of 1: photos, and others, deviate by as much though nothing is wrong with them
_EDGE = 0.06  # sRGB of 1 between two texels: a larger step is an edge
_HELD = 1e-6  # of a clear pixel's weight: to the texture as it was


@dataclass(frozen=True, eq=False)
class _Rows:
    """One picture's. mixing: (N, T) the texels' shares in each of its pixels; wanted: (N, 3); weight: (N,)."""

    mixing: sparse.csr_array
    wanted: np.ndarray
    weight: np.ndarray
    photo: bool


def agreed(
    mesh: Mesh, views: Sequence[View], report: Report = lambda share, message: None, on_top: bool = False
) -> Mesh:
    """The mesh with another texture of the same size. views: with pictures, in the mesh's axes; of a view without
    confidence, which is a photo, nothing is doubted. Where none shows anything, the texture stays. on_top: what is
    finer than the views' pixels stays as well: only what they show otherwise is looked for, and added."""
    size = mesh.texture.shape[:2]
    rows = []
    for number, view in enumerate(views):
        report(0.5 * number / max(len(views), 1), "comparing the views")
        rows.append(_rows(mesh, view))
    used = np.flatnonzero(sum(abs(each.mixing).T @ each.weight for each in rows) > 0) if rows else np.zeros(0, int)
    if not len(used):
        return mesh
    rows = [replace(each, mixing=each.mixing[:, used]) for each in rows]
    before = mesh.texture[..., :3].reshape(-1, 3)[used] / np.float32(255.0)
    under = before if on_top else np.zeros_like(before)
    rows = [replace(each, wanted=each.wanted - each.mixing @ under) for each in rows]
    before, steps = before - under, _steps(used, size)
    found = before
    for number in range(_ROUNDS):
        report(0.5 + 0.5 * number / _ROUNDS, "agreeing on the colours")
        found = _least(rows, steps, found, before)
    texture = mesh.texture[..., :3].reshape(-1, 3).copy()
    texture[used] = np.rint(255.0 * np.clip(under + found, 0.0, 1.0))
    return replace(mesh, texture=texture.reshape(*size, 3))


def _rows(mesh: Mesh, view: View) -> _Rows:
    seen, sight = Seen.of(mesh, view), Sight(replace(view, confidence=None), mesh.vertices, mesh.faces)
    weight = sight.trust(seen.points, seen.normals)[0] ** 2
    if view.confidence is not None:
        weight = weight * view.confidence.ravel()[seen.under.pixel]
    chosen = np.flatnonzero(weight > 1e-3)
    height, width = mesh.texture.shape[:2]
    at = np.clip(seen.texels[chosen] - 0.5, 0.0, np.array([width, height]) - 1.001)
    corner = at.astype(np.int64)
    share = (at - corner).astype(np.float32)
    left, top = corner.T
    columns = np.stack([top * width + left, top * width + left + 1, (top + 1) * width + left], axis=1)
    columns = np.column_stack([columns, columns[:, 2] + 1])
    x, y = share.T
    values = np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], axis=1)
    number = np.repeat(np.arange(len(chosen)), 4)
    mixing = sparse.csr_array((values.ravel(), (number, columns.ravel())), shape=(len(chosen), height * width))
    wanted = view.rgb.reshape(-1, 3)[seen.under.pixel[chosen]] / np.float32(255.0)
    return _Rows(mixing, wanted, weight[chosen].astype(np.float32), view.confidence is None)


def _steps(used: np.ndarray, size: tuple[int, int]) -> sparse.csr_array:
    """(P, T) differences of neighbours among the used texels."""
    number = np.full(size[0] * size[1], -1)
    number[used] = np.arange(len(used))
    number = number.reshape(size)
    pairs = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
    both = np.concatenate([np.stack([a[(a >= 0) & (b >= 0)], b[(a >= 0) & (b >= 0)]], axis=1) for a, b in pairs])
    rows = np.repeat(np.arange(len(both)), 2)
    values = np.tile(np.float32([-1.0, 1.0]), len(both))
    return sparse.csr_array((values, (rows, both.ravel())), shape=(len(both), len(used)))


def _least(rows: Sequence[_Rows], steps: sparse.csr_array, found: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The texels (T, 3) that fit best, where each pixel and each step is weighted as the last ones left it."""
    left = [np.abs(each.mixing @ found - each.wanted).mean(axis=1) for each in rows]
    noise = [max(1.25 * float(np.median(rest)), _LEAST) if len(rest) else _LEAST for rest in left]
    system = sparse.eye_array(len(found), dtype=np.float32) * np.float32(_HELD)
    right = _HELD * before.astype(np.float64)
    for each, rest, deviation in zip(rows, left, noise):
        doubt = 1.0 / (1.0 + (rest / (3.0 * deviation)) ** 2)
        weight = each.weight * ((_LEAST / _PHOTO) ** 2 if each.photo else (_LEAST / deviation) ** 2 * doubt)
        weighted = each.mixing.T.tocsr() * weight
        system = system + weighted @ each.mixing
        right += weighted @ each.wanted
    grown = np.abs(steps @ found).mean(axis=1)
    smooth = (_LEAST / _EDGE) ** 2 / np.maximum(grown / _EDGE, 0.3)
    system = system + (steps.T.tocsr() * smooth.astype(np.float32)) @ steps
    return conjugate_gradients(system.tocsr(), right, found.astype(np.float64)).astype(np.float32)
