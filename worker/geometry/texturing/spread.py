# SPDX-License-Identifier: GPL-3.0-or-later
"""Spreads what is known at some vertices smoothly over a whole surface. Must not know what the values mean.

Screened Poisson equation on the graph of the edges: the values that are nearest, in the sense of least squares, to
what is known, to each neighbour's, and weakly to a value that holds far away from all.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

_TOLERANCE, _MOST = 1e-4, 500  # of the right hand side's length; steps


def welded(vertices: np.ndarray) -> np.ndarray:
    """(V,) int64: the same number for vertices (V, 3) at the same place, from 0 on without gaps."""
    rows = np.ascontiguousarray(vertices, np.float32) + np.float32(0.0)  # so that -0 is 0
    return np.unique(rows.view(np.dtype((np.void, 12))).ravel(), return_inverse=True)[1].astype(np.int64)


def laplacian(faces: np.ndarray, count: int) -> sparse.csr_matrix:
    """(count, count) graph Laplacian of the edges of faces (F, 3), every edge once with weight 1."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    ends = ends[ends[:, 0] != ends[:, 1]]
    both = np.concatenate([ends, ends[:, ::-1]])
    graph = sparse.csr_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count))
    graph.data[:] = 1.0
    return (sparse.diags(np.asarray(graph.sum(axis=1)).ravel()) - graph).tocsr()


def spread(values: np.ndarray, known: np.ndarray, edges: sparse.csr_matrix, far: np.ndarray, pull: float) -> np.ndarray:
    """(V, C) float64: values (V, C) where `known` (V,), a weight of at least 0, is large, and smooth elsewhere.

    edges: the Laplacian. far: (C,) what holds far from everything known, or where nothing known is connected. pull:
    its weight, more than 0; with 1 / n^2 it takes over about n edges away from what is known.
    """
    system = edges + sparse.diags(known + pull)
    right = values * known[:, None] + far * pull
    start = np.where(known[:, None] > 0, values, far)
    return conjugate_gradients(system.tocsr(), right, start)


def conjugate_gradients(system: sparse.csr_matrix, right: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(V, C) of which `system` (V, V), symmetric and positive, makes `right` (V, C), looked for from x (V, C) on:
    conjugate gradients (Hestenes and Stiefel 1952) on all columns at once, scaled by the diagonal.

    Written out because scipy's goes column by column and through threaded products of short vectors, which wait for
    each other where other work keeps the processor busy.
    """
    scale = 1.0 / system.diagonal()[:, None]
    rest = right - system @ x
    enough = _TOLERANCE**2 * np.maximum(_dot(right, right), 1e-30)
    step = np.zeros_like(rest)
    before = np.ones(right.shape[1])
    for _ in range(_MOST):
        if (_dot(rest, rest) <= enough).all():
            break
        scaled = rest * scale
        size = _dot(rest, scaled)
        step = scaled + step * (size / np.maximum(before, 1e-300))
        pushed = system @ step
        length = size / np.maximum(_dot(step, pushed), 1e-300)
        x = x + step * length
        rest = rest - pushed * length
        before = size
    return x


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("vc,vc->c", a, b)
