# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that look alike from several sides: a box with the same print on its front and its back.

Must not know files, colours, nor what becomes of the cameras. Such pictures fit each other so well that one side is
placed onto another, and nothing in the points' error tells. What tells is that many matches then contradict the
cameras; then a likelier arrangement is looked for, and the cameras are placed again by the pairs that fit it alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..wire.jobs import Job, Span
from .features import Features
from .mapping import CameraGroup, Guess, Solution, solve
from .pairs import Pair
from .untangle import arranged, whole
from .viewgraph import TOLERANCE, ViewGraph, view_graph

DOUBT = 0.15
"""Share of matches that may contradict the cameras before that is looked into."""

MOST = 150
"""Of more pictures, what contradicts their cameras is not looked into: it takes as long as placing them."""

_FIT = 4.0  # pixels, of a picture of 1000: a match that misses its epipolar line by less fits
_HELD = 0.7  # of a pair's matches fit if the pair does
_LEAST_SHARE = 0.8  # of the pictures that had a place must have one again
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

    compared: all pairs of pictures that were looked at, of which `pairs` match.
    """
    if len(found.numbers) > MOST or doubt(found, features, pairs) < DOUBT:
        return found, []
    graph = view_graph(features, _focals(groups, found), pairs, compared, job.span(0.0, 0.3))
    part = whole(graph)
    likely = arranged(graph.among(part), job.span(0.3, 0.6))
    kept = _agreeing(pairs, graph, part, likely)
    other = solve(groups, features, kept, Guess(found.focal, False), threads, job.span(0.6, 1.0)) if kept else None
    if other is not None and other.shows_depth and len(other.numbers) >= _LEAST_SHARE * len(found.numbers):
        found = min(found, other, key=lambda solution: _cost(graph, solution))
    aim = graph.among(part).cost(likely)
    if _cost(graph, found) <= aim + _MARGIN:
        return found, []
    share = 100.0 * graph.among(found.numbers).contradicted(found.rotations)
    return found, [NOTE.format(share=share)]


def doubt(found: Solution, features: Sequence[Features], pairs: Sequence[Pair]) -> float:
    """The share, 0 to 1, of the matches between placed pictures that belong to pairs which contradict the cameras."""
    place = {number: k for k, number in enumerate(found.numbers)}
    counts, held = [1e-9], [True]
    for pair in pairs:
        if pair.first in place and pair.second in place:
            counts.append(pair.count)
            held.append(_fits(found, place[pair.first], place[pair.second], features, pair))
    return float(np.array(counts)[~np.array(held)].sum() / sum(counts))


def _fits(found: Solution, i: int, j: int, features: Sequence[Features], pair: Pair) -> bool:
    """Whether most of a pair's points lie on the epipolar lines that the cameras i and j say, in front of both."""
    matches = np.asarray(pair.geometry.inlier_matches)
    rays = [
        _rays(found, k, features[number].places[matches[:, side]])
        for side, (k, number) in enumerate(((i, pair.first), (j, pair.second)))
    ]
    turn = found.rotations[j] @ found.rotations[i].T
    shift = found.rotations[j] @ (found.positions[i] - found.positions[j])
    lines = rays[0] @ (np.cross(np.eye(3), shift) @ turn).T  # in the second camera's rays
    miss = np.abs((lines * rays[1]).sum(1)) / np.maximum(np.hypot(lines[:, 0], lines[:, 1]), 1e-12)
    return float((miss * found.focal < _FIT / 1000.0).mean()) >= _HELD


def _rays(found: Solution, k: int, places: np.ndarray) -> np.ndarray:
    """(M, 3) rays (x, y, 1) of points in pixels (M, 2), but for the lens's distortion, which is small there."""
    camera = found.lenses[k].camera
    x, y = (places[:, 0] - camera.cx) / camera.fx, (places[:, 1] - camera.cy) / camera.fy
    return np.stack([x, y, np.ones_like(x)], 1)


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


def _cost(graph: ViewGraph, solution: Solution) -> float:
    return graph.among(solution.numbers).cost(solution.rotations)
