# SPDX-License-Identifier: GPL-3.0-or-later
"""A search for the most likely rotations of cameras where pairs of pictures contradict each other.

Must not know pictures or points. Rotation averaging would take the mean of pairs that say different sides; here a
spanning tree of pairs says how all cameras are turned. Strong pairs make good trees, and the best of them are improved
by exchanging one pair after the other while the rotations get more likely.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from ...core.job import Job, Span
from .view_graph import TOLERANCE, ViewGraph

_TREES = 60  # spanning trees are tried
_CLIMBS = 6  # of the best of them are improved
_STEPS = 3000  # sets of rotations are looked at on the way, with up to 32 pictures; of more, fewer: it takes time
_EXCHANGES = 40  # strongest pairs are tried instead of another


def searched(graph: ViewGraph, job: Job | Span) -> np.ndarray:
    """The likeliest rotations (size, 3, 3) of the cameras of a connected graph, the same each time."""
    rng = np.random.default_rng(0)
    trees = []
    for number in range(_TREES):
        job.check()
        noise = rng.gumbel(size=len(graph.counts)) * rng.choice((0.3, 0.6, 1.0)) if number else 0.0
        tree = _tree(graph, np.log(graph.counts) + noise)
        trees.append((graph.cost(_spread(graph, tree)), number, tree))
    best = min(trees)[0], _spread(graph, min(trees)[2])
    for number, (_, _, tree) in enumerate(sorted(trees)[:_CLIMBS]):
        climb = job.span(number / _CLIMBS, (number + 1) / _CLIMBS)
        best = min(best, _climbed(graph, tree, rng, climb), key=lambda found: found[0])
    return best[1]


def largest_component(graph: ViewGraph) -> np.ndarray:
    """(K,) int: the pictures of the graph's largest connected part, ascending."""
    labels = connected_components(_links(graph, range(len(graph.first))), directed=False)[1]
    return np.flatnonzero(labels == np.bincount(labels).argmax())


def _tree(graph: ViewGraph, weights: np.ndarray) -> list[int]:
    """The numbers of the pairs of the tree of largest weights."""
    cost = weights.max() + 1.0 - weights
    found = minimum_spanning_tree(csr_array((cost, (graph.first, graph.second)), shape=(graph.size,) * 2)).tocoo()
    number = {ends: k for k, ends in enumerate(zip(graph.first.tolist(), graph.second.tolist()))}
    return sorted(number[ends] for ends in zip(found.row.tolist(), found.col.tolist()))


def _spread(graph: ViewGraph, tree: Sequence[int]) -> np.ndarray:
    """The rotations (size, 3, 3) that the pairs of a tree say."""
    ends = graph.first[tree], graph.second[tree]
    order, before = breadth_first_order(_links(graph, tree), 0, directed=False)
    turn_of = {}
    for first, second, turn in zip(*ends, graph.turns[tree]):
        turn_of[first, second], turn_of[second, first] = turn, turn.T
    rotations = np.tile(np.eye(3), (graph.size, 1, 1))
    for number in order[1:]:
        rotations[number] = turn_of[before[number], number] @ rotations[before[number]]
    return rotations


def _links(graph: ViewGraph, chosen: Sequence[int]) -> csr_array:
    return csr_array((np.ones(len(chosen)), (graph.first[chosen], graph.second[chosen])), shape=(graph.size,) * 2)


def _climbed(
    graph: ViewGraph, tree: Sequence[int], rng: np.random.Generator, job: Job | Span
) -> tuple[float, np.ndarray]:
    """The cost and rotations after exchanges of a tree's pairs that make the rotations likelier."""
    tree, rotations = list(tree), _spread(graph, tree)
    steps = _STEPS * min(1.0, (32 / graph.size) ** 2)
    cost, left, better = graph.cost(rotations), steps, True
    while better and left > 0:
        better = False
        for index in rng.permutation(len(tree)):
            job.report(1.0 - max(left, 0.0) / steps, "checking", "looking for cameras that agree")
            side = _side(graph, tree, index)
            others = _crossing(graph, side, rotations)
            left -= len(others)
            for other in others:
                turned = _moved(graph, rotations, side, other)
                found = graph.cost(turned)
                if found < cost:
                    cost, tree[index], rotations, better = found, other, turned, True
    return cost, rotations


def _side(graph: ViewGraph, tree: Sequence[int], index: int) -> np.ndarray:
    """(size,) bool: the pictures on one side of a tree's pair."""
    rest = [pair for number, pair in enumerate(tree) if number != index]
    labels = connected_components(_links(graph, rest), directed=False)[1]
    return labels == labels[graph.second[tree[index]]]


def _crossing(graph: ViewGraph, side: np.ndarray, rotations: np.ndarray) -> list[int]:
    """The strongest pairs across both sides that the rotations contradict."""
    crossing = np.flatnonzero(side[graph.first] != side[graph.second])
    crossing = crossing[graph.misses(rotations)[crossing] > TOLERANCE]
    return crossing[np.argsort(-graph.counts[crossing], kind="stable")][:_EXCHANGES].tolist()


def _moved(graph: ViewGraph, rotations: np.ndarray, side: np.ndarray, pair: int) -> np.ndarray:
    """The rotations after all on the side were turned together so that a pair is right."""
    first, second, turn = graph.first[pair], graph.second[pair], graph.turns[pair]
    if side[first]:
        first, second, turn = second, first, turn.T
    moved = rotations.copy()
    moved[side] = rotations[side] @ (rotations[second].T @ turn @ rotations[first])
    return moved
