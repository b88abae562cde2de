# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts a surface into charts that can be laid flat: connected pieces whose faces all look much the same way.

Each face takes one of a few directions: the one that it faces most, and that its neighbours took (a Potts model,
relaxed over random halves of the faces). A chart is a connected piece of one direction, seen along its own mean normal.
Pieces of few faces join a neighbour that still sees them. Must not know textures.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from ..mesh import face_vectors

_FACING = 0.35  # least cosine between a face and its chart's direction: texels are stretched by at most 1 / 0.35
_AGREEMENT = 0.35  # how much a neighbour's choice counts against a cosine
_ROUNDS = 24  # of relaxation; each moves a chart's border by a face
_SMOOTHING = 6  # rounds over which normals are averaged before faces choose
_FEW = 24  # pieces of fewer faces are joined to a neighbour where one sees them


def directions() -> np.ndarray:
    """(14, 3) float64 unit vectors: a cube's faces and corners."""
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3), axis=-1).reshape(-1, 3) / np.sqrt(3.0)
    return np.concatenate([np.eye(3), -np.eye(3), corners])


def neighbours(faces: np.ndarray) -> np.ndarray:
    """(E, 2) int64 pairs of faces that share an edge; an edge of many faces joins them one after another."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    key = edges.min(axis=1) * (int(faces.max()) + 1) + edges.max(axis=1)
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    owner = order % len(faces)
    pairs = np.column_stack([owner[same], owner[same + 1]])
    return pairs[pairs[:, 0] != pairs[:, 1]]


def charted(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chart (F,) int64 of each face, and each chart's unit direction (C, 3) float64."""
    vectors = face_vectors(vertices, faces)
    area = np.linalg.norm(vectors, axis=1)
    normals = vectors / np.maximum(area, 1e-30)[:, None]
    pairs = neighbours(faces)
    adjacency = _symmetric(pairs, len(faces))
    choice = _chosen(normals, _smoothed(vectors, adjacency), adjacency)
    for _ in range(3):
        choice = _without_crumbs(choice, normals, pairs, adjacency)
    chart = pieces(choice, pairs)
    return chart, _facing(chart, directions()[choice], vectors, normals)


def pieces(label: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(F,) int64: which connected piece of equal labels each face belongs to."""
    kept = pairs[label[pairs[:, 0]] == label[pairs[:, 1]]]
    return csgraph.connected_components(_symmetric(kept, len(label)), directed=False)[1].astype(np.int64)


def _symmetric(pairs: np.ndarray, count: int) -> sparse.csr_matrix:
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return sparse.csr_matrix((np.ones(len(both), np.float32), (both[:, 0], both[:, 1])), shape=(count, count))


def _smoothed(vectors: np.ndarray, adjacency: sparse.csr_matrix) -> np.ndarray:
    """Unit normals (F, 3) averaged over the faces around, by area."""
    total = vectors
    for _ in range(_SMOOTHING):
        total = total + adjacency @ total
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)


def _chosen(normals: np.ndarray, smooth: np.ndarray, adjacency: sparse.csr_matrix) -> np.ndarray:
    """The direction (F,) int64 that each face takes."""
    axes = directions()
    score = (smooth @ axes.T).astype(np.float32)
    facing = normals @ axes.T
    most = facing.argmax(axis=1)
    score[facing < _FACING] -= 10.0
    score[np.arange(len(score)), most] = np.maximum(score[np.arange(len(score)), most], -1.0)
    choice = score.argmax(axis=1)
    rng = np.random.default_rng(0)
    for _ in range(_ROUNDS):
        votes = adjacency @ np.eye(len(axes), dtype=np.float32)[choice]
        better = (score + _AGREEMENT * votes).argmax(axis=1)
        turn = rng.random(len(choice)) < 0.5  # all at once would swing to and fro
        choice = np.where(turn, better, choice)
    return choice


def _without_crumbs(
    choice: np.ndarray, normals: np.ndarray, pairs: np.ndarray, adjacency: sparse.csr_matrix
) -> np.ndarray:
    """Choices where small pieces took the direction that most of their neighbours have, as far as it sees them."""
    axes = directions()
    piece = pieces(choice, pairs)
    size = np.bincount(piece)
    small = size[piece] < _FEW
    if not small.any():
        return choice
    votes = adjacency @ np.eye(len(axes), dtype=np.float32)[choice]
    votes[np.arange(len(choice)), choice] = 0.0
    total = np.stack([np.bincount(piece, votes[:, k], len(size)) for k in range(len(axes))], axis=1)
    worst = np.full((len(size), len(axes)), 2.0)
    np.minimum.at(worst, piece[small], normals[small] @ axes.T)
    total[worst < _FACING] = 0.0
    best = total.argmax(axis=1)
    joins = (size < _FEW) & (total.max(axis=1) > 0)
    joins &= _larger_side(piece, size, pairs, best, choice)
    return np.where(joins[piece], best[piece], choice)


def _larger_side(
    piece: np.ndarray, size: np.ndarray, pairs: np.ndarray, best: np.ndarray, choice: np.ndarray
) -> np.ndarray:
    """(P,) bool: pieces beside a larger one of the direction they would take, so that two do not just swap."""
    larger = np.zeros(len(size), bool)
    for a, b in (pairs.T, pairs[:, ::-1].T):
        fits = (best[piece[a]] == choice[b]) & (size[piece[b]] >= size[piece[a]])
        larger[piece[a[fits]]] = True
    return larger


def _facing(chart: np.ndarray, taken: np.ndarray, vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Each chart's direction: its mean normal, or the one that its faces took where that would hide one of them."""
    count = int(chart.max()) + 1
    mean = np.stack([np.bincount(chart, vectors[:, k], count) for k in range(3)], axis=1)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-30)
    worst = np.full(count, 2.0)
    np.minimum.at(worst, chart, (normals * mean[chart]).sum(axis=1))
    hidden = worst < _FACING
    plain = np.zeros((count, 3))
    plain[chart] = taken
    mean[hidden] = plain[hidden]
    return mean
