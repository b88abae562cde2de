# SPDX-License-Identifier: GPL-3.0-or-later
"""Tidies a surface before it is simplified and textured: floaters, cavities, slivers, noise.

Every function takes and returns vertices (V, 3) floating point and faces (F, 3) int32, counter-clockwise seen from
outside, and keeps a closed surface closed. Must not know where the surface came from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from ..mesh import face_vectors, used_only

Surface = tuple[np.ndarray, np.ndarray]

SHORTEST = 1e-4
"""Of the longest side: a finished closed mesh has no shorter edges. Blender's QuadriFlow refuses a mesh for one edge
below 0.1 mm, which is half of this at the usual 2 m. In solids of the examples (room, street, table) with 300,000 faces
1 to 71 of 450,000 edges are shorter; ten times as much leaves 92,400 of a solid's 100,000 faces, and its volume as it
was to five digits."""

_ROUNDS = 16  # of drawing short edges together: each leaves some that meet others, or new ones

_WEIGHT, _PASS = 0.5, 0.1  # Taubin's lambda, and the frequency below which his filter passes everything


def without_small_parts(
    vertices: np.ndarray, faces: np.ndarray, share: float, most: int | None = None, doubtful: float = 1.0
) -> Surface:
    """Without the connected parts whose area is less than `share` of the largest part's, in 0 to 1, and, beyond the
    `most` largest, without those that have less than `doubtful` of it."""
    part, count = connected(faces, len(vertices))
    area = np.bincount(part, np.linalg.norm(face_vectors(vertices, faces), axis=1), minlength=count)
    least = np.full(count, share)
    if most is not None:
        least[np.argsort(-area, kind="stable")[most:]] = max(share, doubtful)
    keep = area >= least * area.max(initial=0.0)
    return used_only(vertices, faces[keep[part]])[:2]


def without_cavities(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    """A closed surface without the walls of hollows that cannot be seen from outside: parts that face inwards."""
    part, count = connected(faces, len(vertices))
    corners = vertices[faces].astype(np.float64) - vertices.mean(axis=0, dtype=np.float64)
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    keep = np.bincount(part, volume, minlength=count) >= 0.0
    return used_only(vertices, faces[keep[part]])[:2]


def without_slivers(vertices: np.ndarray, faces: np.ndarray, length: float) -> Surface:
    """With edges shorter than `length` drawn together; where many meet, all of them in one point."""
    edges = _edges(faces)
    return contracted(vertices, faces, edges[_lengths(vertices, edges) < length])


def without_short_edges(
    vertices: np.ndarray,
    faces: np.ndarray,
    place: Callable[[np.ndarray], np.ndarray] = lambda vertices: vertices,
    weight: Callable[[np.ndarray], np.ndarray | None] = lambda vertices: None,
) -> Surface:
    """With edges shorter than SHORTEST of the longest side drawn together, no two that meet at once but in every fourth
    round: some are left for ever else, whose ends are parted again lest sheets be joined.

    place: where vertices (V, 3) are in space, if they are told otherwise. weight: how much each (V,) counts where its
    edge goes.
    """
    for number in range(_ROUNDS):
        places, edges = place(vertices), _edges(faces)
        lengths = _lengths(places, edges)
        short = lengths < SHORTEST * float(np.ptp(places, axis=0).max(initial=0.0))
        if not short.any():
            break
        edges = edges[short] if number % 4 == 3 else _without_meetings(edges[short], len(vertices))
        vertices, faces = contracted(vertices, faces, edges, weight(vertices))
    return vertices, faces


def _lengths(vertices: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)


def _without_meetings(edges: np.ndarray, vertices: int) -> np.ndarray:
    """Some of the edges (E, 2), of which no two meet, of each once: those that come first at both ends in an order by
    chance. In order of length only one of a chain, in which each is a little longer than the last, would be found."""
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    rank = np.random.default_rng(0).permutation(len(edges))
    best = np.full(vertices, len(edges))
    np.minimum.at(best, edges.ravel(), np.repeat(rank, 2))
    return edges[(best[edges] == rank[:, None]).all(axis=1)]


def contracted(vertices: np.ndarray, faces: np.ndarray, edges: np.ndarray, weight: np.ndarray | None = None) -> Surface:
    """With the ends of each of the edges (E, 2) in one point, their mean by `weight` (V,), and without the faces that
    have no area or lie back to back then.

    Where the result would not be a manifold any more, the surface is taken apart in touching sheets (`manifold`).
    """
    weight = np.ones(len(vertices)) if weight is None else weight
    graph = coo_array((np.ones(len(edges), np.int8), edges.T), shape=(len(vertices),) * 2)
    count, group = connected_components(graph, directed=False)
    total = np.bincount(group, weight, minlength=count)[:, None]
    sums = np.stack([np.bincount(group, weight * vertices[:, axis], minlength=count) for axis in range(3)], axis=1)
    middle = (sums / total).astype(vertices.dtype)
    return used_only(*manifold(middle, cancelled(group[faces].astype(np.int32))))[:2]


def cancelled(faces: np.ndarray) -> np.ndarray:
    """Faces (F, 3) without those that name a vertex twice, and without pairs that lie back to back.

    What remains walks each edge as much more often in one direction than in the other as before.
    """
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    turned = np.take_along_axis(faces, (faces.argmin(axis=1)[:, None] + np.arange(3)) % 3, axis=1)
    mirrored = turned[:, 1] > turned[:, 2]
    turned[mirrored] = turned[mirrored][:, [0, 2, 1]]
    size = int(turned.max(initial=0)) + 1
    key = (turned[:, 0].astype(np.int64) * size + turned[:, 1]) * size + turned[:, 2]  # rows themselves sort slowly
    _, index, kind = np.unique(key, return_index=True, return_inverse=True)
    net = np.bincount(kind, np.where(mirrored, -1, 1), minlength=len(index)).astype(int)
    kept, backwards = np.repeat(turned[index], np.abs(net), axis=0), np.repeat(net < 0, np.abs(net))
    kept[backwards] = kept[backwards][:, [0, 2, 1]]
    return kept


def manifold(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    """The surface taken apart wherever more than two faces meet at an edge, or sheets only touch in a vertex.

    Faces are paired across edges that they walk in opposite directions. A vertex becomes as many as it has fans of
    paired faces, each a little drawn towards its own fan, so that welding does not undo it; where nothing has to be
    taken apart all keep their numbers. A surface that is closed in the sense that each edge is walked as often in one
    direction as in the other comes out as a closed manifold.
    """
    if not len(faces):
        return vertices, faces
    partner = _only_partners(faces, len(vertices))
    is_simple = partner is not None
    partner = partner if is_simple else _partners(faces, len(vertices))
    paired = np.flatnonzero(partner >= 0)
    following = np.arange(faces.size) // 3 * 3 + (np.arange(faces.size) + 1) % 3
    links = paired, following[partner[paired]]  # a corner, and the one at the same vertex across the edge behind it
    graph = coo_array((np.ones(len(paired), np.int8), links), shape=(faces.size,) * 2)
    count, fan = connected_components(graph, directed=False)
    if count == np.count_nonzero(np.bincount(faces.ravel())):
        return (vertices, faces) if is_simple else _without_double_edges(vertices, faces, partner)
    origin = np.empty(count, np.int64)
    origin[fan] = faces.ravel()
    moved = vertices[origin].astype(np.float64)
    split = np.bincount(origin, minlength=len(vertices))[origin] > 1
    ends = vertices[faces[:, [1, 2, 0]].ravel()]
    middle = np.stack([np.bincount(fan, ends[:, axis], minlength=count) for axis in range(3)], axis=1)
    moved[split] += 0.02 * (middle / np.bincount(fan, minlength=count)[:, None] - moved)[split]
    vertices, faces = moved.astype(vertices.dtype), fan.reshape(-1, 3).astype(np.int32)
    return (vertices, faces) if is_simple else _without_double_edges(vertices, faces, partner)


def _only_partners(faces: np.ndarray, vertices: int) -> np.ndarray | None:
    """As `_partners`, where each edge is walked once in each direction, as is usual; else None."""
    start, end = faces.ravel().astype(np.int64), faces[:, [1, 2, 0]].ravel().astype(np.int64)
    key = np.minimum(start, end) * vertices + np.maximum(start, end)
    order = np.argsort(key)
    ordered, one, other = key[order], order[::2], order[1::2]
    if len(order) % 2 or (ordered[::2] != ordered[1::2]).any() or (ordered[1:-1:2] == ordered[2::2]).any():
        return None
    if (start[one] == start[other]).any():
        return None
    partner = np.empty_like(order)
    partner[one], partner[other] = other, one
    return partner


def _partners(faces: np.ndarray, vertices: int) -> np.ndarray:
    """(3 F,) for edge k % 3 of face k // 3 the edge that is walked the other way, -1 where there is none left."""
    start, end = faces.ravel().astype(np.int64), faces[:, [1, 2, 0]].ravel().astype(np.int64)
    there, back = _nth_key(start, end, vertices), _nth_key(end, start, vertices)
    order = np.argsort(back)
    partner = order[np.minimum(np.searchsorted(back[order], there), faces.size - 1)]
    return np.where(back[partner] == there, partner, -1)


def _without_double_edges(vertices: np.ndarray, faces: np.ndarray, partner: np.ndarray) -> Surface:
    """With a vertex in the middle of all but one of several edges between the same two vertices."""
    edge = np.where(partner < 0, np.arange(faces.size), np.minimum(partner, np.arange(faces.size)))
    ends = np.stack([faces.ravel(), faces[:, [1, 2, 0]].ravel()], axis=1).astype(np.int64)
    key = ends.min(axis=1) * len(vertices) + ends.max(axis=1)
    _, kind = np.unique(key, return_inverse=True)
    first = np.full(faces.size, faces.size)
    np.minimum.at(first, kind, edge)
    halved = edge != first[kind]
    if not halved.any():
        return vertices, faces
    affected = halved.reshape(-1, 3).any(axis=1)
    rows = np.flatnonzero(affected)
    centre = np.full(len(faces), -1)
    centre[rows] = len(vertices) + np.arange(len(rows))
    names, which = np.unique(edge[halved], return_inverse=True)
    middle = np.full(faces.size, -1)
    middle[halved] = len(vertices) + len(rows) + which
    plain, cut = np.flatnonzero(np.repeat(affected, 3) & ~halved), np.flatnonzero(halved)
    fresh = [
        np.column_stack([ends[plain], centre[plain // 3]]),
        np.column_stack([ends[cut, 0], middle[cut], centre[cut // 3]]),
        np.column_stack([middle[cut], ends[cut, 1], centre[cut // 3]]),
    ]
    added = [vertices[faces[rows]].mean(axis=1), vertices[ends[names]].mean(axis=1)]
    whole = np.concatenate([faces[~affected], *fresh]).astype(np.int32)
    return np.concatenate([vertices, *added]).astype(vertices.dtype), whole


def smoothed(vertices: np.ndarray, faces: np.ndarray, rounds: int) -> Surface:
    """Without noise, and hardly any smaller: Taubin's filter (A signal processing approach to fair surface design,
    1995) of `rounds` pairs of steps, each vertex towards the mean of its neighbours and then away from it."""
    edges = _edges(faces)
    both = np.concatenate([edges, edges[:, ::-1]])
    links = csr_array((np.ones(len(both)), both.T), shape=(len(vertices),) * 2)
    links.data[:] = 1.0  # an edge of two faces counts once
    degree = np.maximum(links.sum(axis=1), 1.0)[:, None]
    moved = vertices.astype(np.float64)
    for weight in (_WEIGHT, 1.0 / (_PASS - 1.0 / _WEIGHT)) * rounds:
        moved += weight * (links @ moved / degree - moved)
    return moved.astype(vertices.dtype), faces


def connected(faces: np.ndarray, vertices: int) -> tuple[np.ndarray, int]:
    """(F,) the number of the connected part that each face belongs to, and how many parts there are."""
    edges = _edges(faces)
    graph = coo_array((np.ones(len(edges), np.int8), edges.T), shape=(vertices, vertices))
    label = connected_components(graph, directed=False)[1]
    used, part = np.unique(label[faces[:, 0]], return_inverse=True)
    return part, len(used)


def _edges(faces: np.ndarray) -> np.ndarray:
    """(3 F, 2) the edges of all faces, as each walks them."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def _nth_key(start: np.ndarray, end: np.ndarray, vertices: int) -> np.ndarray:
    """(E,) a number for each directed edge that tells equal ones apart: the first, the second, and so on."""
    key = start * vertices + end
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(key) else np.zeros(0, np.int64)
    nth = np.arange(len(key)) - np.repeat(begins, np.diff(np.append(begins, len(key))))
    found = np.empty_like(key)
    found[order] = ordered * (int(nth.max(initial=0)) + 1) + nth
    return found
