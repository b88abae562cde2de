# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that look alike from several sides: a box with the same print on its front and its back.

Must not know files, colours, nor what becomes of the cameras. Such pictures fit each other so well that one side is
placed onto another, and nothing in the points' error tells. What tells is that many matches then contradict the
cameras; then a likelier arrangement is looked for, and the cameras are placed again by the pairs that fit it alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.job import Job, Span
from .features import Features
from .mapping import CameraGroup, Guess, Solution, solve
from .pairs import Pair
from .untangle import arranged, whole
from .viewgraph import TOLERANCE, ViewGraph, view_graph

DOUBT = 0.1
"""Share of matches that may contradict the cameras, or be of pictures without one, before that is looked into."""

MOST = 150
"""Of more pictures, what contradicts their cameras is not looked into: it takes as long as placing them."""

_ASTRAY = 20.0  # degrees from what is likely: a camera that is turned by more was placed wrongly
_MARGIN = 0.03  # cameras whose cost is so near to the likeliest that was found are as likely

NOTE = (
    "the thing looks alike from several sides, and {share:.0f} % of what the pictures have in common contradicts the "
    "cameras that were found: if the result is folded, photograph the thing on a newspaper, or with its sides marked"
)


def untangled(
    found: Solution,
    groups: Sequence[CameraGroup],
    features: Sequence[Features],
    pairs: Sequence[Pair],
    compared: Sequence[tuple[int, int]],
    threads: int,
    job: Job | Span,
) -> tuple[Solution, list[str]]:
    """The solution that was found, or a likelier one, and a note if neither is likely.

    compared: all pairs of pictures that were looked at, of which `pairs` match. What was found is kept where nothing
    is likelier, and of more than MOST pictures.
    """
    if len(features) > MOST:
        return found, []
    graph = view_graph(features, _focals(groups, found), pairs, compared, job.span(0.0, 0.3))
    if _contradicted(graph, found) < DOUBT:
        return found, []
    part = whole(graph)
    likely = arranged(graph.among(part), job.span(0.3, 0.6))
    kept = _agreeing(pairs, graph, part, likely)
    for start in (0.6, 0.8):
        span = job.span(start, start + 0.2)
        other = solve(groups, features, kept, Guess(found.focal, False), threads, span) if kept else None
        if other is None or not other.shows_depth:
            break
        astray = _astray(other, part, likely)
        if not astray:
            found = min(found, other, key=lambda solution: _cost(graph, solution))
            break
        kept = [pair for pair in kept if pair.first not in astray and pair.second not in astray]
    if _cost(graph, found) <= graph.among(part).cost(likely) + _MARGIN:
        return found, []
    share = 100.0 * graph.among(found.numbers).contradicted(found.rotations)
    return found, [NOTE.format(share=share)]


def _focals(groups: Sequence[CameraGroup], found: Solution) -> list[tuple[float, int, int]]:
    """Focal length, width and height in pixels of each picture's camera, of those without a place a guess."""
    known = {number: lens.camera.fx for number, lens in zip(found.numbers, found.lenses)}
    sizes = {number: (group.width, group.height) for group in groups for number in group.members}
    return [(known.get(number, found.focal * max(sizes[number])), *sizes[number]) for number in range(len(sizes))]


def _agreeing(pairs: Sequence[Pair], graph: ViewGraph, part: np.ndarray, rotations: np.ndarray) -> list[Pair]:
    """The pairs that the rotations of the part of the graph do not contradict."""
    misses = graph.among(part).misses(rotations)
    inside = np.isin(graph.first, part) & np.isin(graph.second, part)
    ends = zip(graph.first[inside][misses <= TOLERANCE], graph.second[inside][misses <= TOLERANCE])
    agreeing = {(int(first), int(second)) for first, second in ends}
    return [pair for pair in pairs if (pair.first, pair.second) in agreeing]


def _astray(found: Solution, part: np.ndarray, likely: np.ndarray) -> set[int]:
    """The numbers of the cameras that are turned otherwise than is likely, while most others agree on it.

    likely: rotations of the pictures whose numbers are `part`, which are those of `found` in another world.
    """
    place = {int(number): k for k, number in enumerate(part)}
    common = [(k, place[number]) for k, number in enumerate(found.numbers) if number in place]
    turned = [found.rotations[k].T @ likely[other] for k, other in common]  # all the same where all agree
    trace = np.einsum("iab,jab->ij", turned, turned)
    near = np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))) <= _ASTRAY
    agreeing = near[near.sum(1).argmax()]
    return {found.numbers[k] for (k, _), agrees in zip(common, agreeing) if not agrees}


def _cost(graph: ViewGraph, found: Solution) -> float:
    return _contradicted(graph, found) + graph.among(found.numbers).unlike(found.rotations)


def _contradicted(graph: ViewGraph, found: Solution) -> float:
    """The share of all matches that contradict the cameras, or are of pictures without one."""
    among = graph.among(found.numbers)
    agreeing = (1.0 - among.contradicted(found.rotations)) * among.counts.sum()
    return float(1.0 - agreeing / max(graph.counts.sum(), 1.0))
