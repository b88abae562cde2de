# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that look alike from several sides: a box with the same print on its front and its back.

Must not know files, colours, nor what becomes of the cameras. Such pictures fit each other so well that one side is
laid onto another, and nothing in the points' error tells. What tells is that many matches then contradict the
cameras; then likelier rotations are searched for, and the cameras are mapped again by the pairs that fit them alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...core.job import Job, Span
from ..registration import Registration
from .mapping import CameraPrior, Observations, mapped
from .rotation_search import largest_component, searched
from .two_view import TwoView
from .view_graph import TOLERANCE, ViewGraph, view_graph

DOUBT = 0.1
"""Share of matches that may contradict the cameras, or be of pictures without one, before that is looked into."""

MOST_PICTURES = 150
"""Of more pictures, what contradicts their cameras is not looked into: it takes as long as mapping them."""

STRAY = 0.95
"""Share of a picture's matches that contradict its camera from where on that is a stray. Strays of a mustard bottle and
a sugar box had .96 to 1, of their right cameras the worst had .93; a right picture that is left out by it comes back
where silhouettes are known."""

_ASTRAY = 20.0  # degrees from the likely rotation: more than TOLERANCE, less than a side of a thing
_MARGIN = 0.03  # cameras whose cost is so near to the likeliest that was found are as likely

NOTE = (
    "the thing looks alike from several sides, and {share:.0f} % of what the pictures have in common contradicts the "
    "cameras that were found: if the result is folded, photograph the thing on a newspaper, or with its sides marked"
)


def symmetry_checked(found: Registration, seen: Observations, job: Job | Span) -> tuple[Registration, list[str]]:
    """The cameras that were found, or likelier ones, without strays, and a note if neither are likely.

    What was found is kept where nothing is likelier, and of more than MOST_PICTURES.
    """
    if len(seen.features) > MOST_PICTURES:
        return found, []
    graph = view_graph(seen, _intrinsics(seen, found), job.span(0.0, 0.3))
    found, doubts = _checked(found, seen, graph, job.span(0.3, 1.0))
    return without_strays(found, graph), doubts


def without_strays(found: Registration, graph: ViewGraph) -> Registration:
    """The cameras but those which all that their pictures have in common with others contradicts."""
    against = graph.among(found.pictures).contradictions(found.rotations)
    return found.without_strays([number for number, share in zip(found.pictures, against) if share >= STRAY])


def _checked(
    found: Registration, seen: Observations, graph: ViewGraph, job: Job | Span
) -> tuple[Registration, list[str]]:
    """As `symmetry_checked`, with strays."""
    if contradicted(graph, found) < DOUBT:
        return found, []
    part = largest_component(graph)
    likely = searched(graph.among(part), job.span(0.0, 0.4))
    found = _likelier(found, seen, graph, part, likely, job.span(0.4, 1.0))
    if cost(graph, found) <= graph.among(part).cost(likely) + _MARGIN:
        return found, []
    share = graph.among(found.pictures).contradicted(found.rotations)
    if share < DOUBT:  # what contradicts the cameras is of pictures that were left out, which is told by itself
        return found, []
    return found, [NOTE.format(share=100.0 * share)]


def _likelier(
    found: Registration, seen: Observations, graph: ViewGraph, part: np.ndarray, likely: np.ndarray, job: Job | Span
) -> Registration:
    """The cameras by the pairs that fit the likely rotations of a part of the graph, if these cost less."""
    kept = _agreeing(seen.matched, graph, part, likely)
    for start in (0.0, 0.5):
        prior, span = CameraPrior(found.focal, False), job.span(start, start + 0.5)
        other = mapped(dataclasses.replace(seen, matched=kept), prior, span) if kept else None
        if other is None or not other.shows_depth:
            break
        astray = _astray(other, part, likely)
        if not astray:
            return min(found, other, key=lambda cameras: cost(graph, cameras))
        kept = [pair for pair in kept if pair.first not in astray and pair.second not in astray]
    return found


def _intrinsics(seen: Observations, found: Registration) -> list[tuple[float, int, int]]:
    """Focal length, width and height in pixels of each picture's camera, the usual focal length where none is known."""
    focals = {number: lens.camera.fx for number, lens in zip(found.pictures, found.lenses)}
    sizes = {number: (group.width, group.height) for group in seen.groups for number in group.members}
    return [(focals.get(number, found.focal * max(sizes[number])), *sizes[number]) for number in range(len(sizes))]


def _agreeing(pairs: Sequence[TwoView], graph: ViewGraph, part: np.ndarray, rotations: np.ndarray) -> list[TwoView]:
    """The pairs that the rotations of the part of the graph do not contradict."""
    misses = graph.among(part).misses(rotations)
    inside = np.isin(graph.first, part) & np.isin(graph.second, part)
    ends = zip(graph.first[inside][misses <= TOLERANCE], graph.second[inside][misses <= TOLERANCE])
    agreeing = {(int(first), int(second)) for first, second in ends}
    return [pair for pair in pairs if (pair.first, pair.second) in agreeing]


def _astray(found: Registration, part: np.ndarray, likely: np.ndarray) -> set[int]:
    """The numbers of the pictures whose cameras are turned otherwise than is likely, while most others agree on it.

    likely: rotations of the pictures whose numbers are `part`, which are those of `found` in another world.
    """
    index = {int(number): k for k, number in enumerate(part)}
    common = [(k, index[number]) for k, number in enumerate(found.pictures) if number in index]
    turned = [found.rotations[k].T @ likely[other] for k, other in common]  # all the same where all agree
    trace = np.einsum("iab,jab->ij", turned, turned)
    near = np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))) <= _ASTRAY
    agreeing = near[near.sum(1).argmax()]
    return {found.pictures[k] for (k, _), agrees in zip(common, agreeing) if not agrees}


def cost(graph: ViewGraph, found: Registration) -> float:
    """How unlikely cameras are, 0 to 2: to be compared only."""
    return contradicted(graph, found) + graph.among(found.pictures).unlike(found.rotations)


def contradicted(graph: ViewGraph, found: Registration) -> float:
    """The share of all matches that contradict the cameras, or are of pictures without one."""
    among = graph.among(found.pictures)
    agreeing = (1.0 - among.contradicted(found.rotations)) * among.counts.sum()
    return float(1.0 - agreeing / max(graph.counts.sum(), 1.0))
