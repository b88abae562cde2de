# SPDX-License-Identifier: GPL-3.0-or-later
"""Marching cubes' cases (Lorensen and Cline 1987), worked out from the cube instead of read off a printed table.

On each of a cube's faces the surface runs along segments between the edges that it crosses; the segments join into
loops, and the loops are filled. Where a face's corners alternate, the saddle of the bilinear interpolation says which
pair is joined (Nielson and Hamann 1991). Both cubes at a face see the same four values, so they agree and no crack can
appear; no diagonal of a filled loop lies in a face, so no edge ever gets a third triangle: the result is a closed
manifold for any values whatsoever.

Must not know fields, grids or meshes. Corner c of the unit cube is at (c & 1, c >> 1 & 1, c >> 2).
"""

from __future__ import annotations

from functools import cache

import numpy as np

CORNERS = np.array([(c & 1, c >> 1 & 1, c >> 2) for c in range(8)])
EDGES = [(c, c | 1 << axis) for axis in range(3) for c in range(8) if not c >> axis & 1]  # edge // 4 is its axis
CENTRE = 12
"""Stands for a vertex inside the cube, the mean of a loop that cannot be filled well without; at most one in a cube."""
_EDGE_OF = {pair: number for number, ends in enumerate(EDGES) for pair in (ends, ends[::-1])}
# corners of each face, counter-clockwise seen from outside
FACES = ((0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6))
_FACES_AT = [frozenset(f for f, face in enumerate(FACES) if {a, b} <= set(face)) for a, b in EDGES]

AMBIGUOUS = np.array(
    [[[inside >> c & 1 for c in face] in ([0, 1, 0, 1], [1, 0, 1, 0]) for face in FACES] for inside in range(256)]
)
"""(256, 6) bool: at which faces the corners alternate, for each pattern of inside corners (bit c is corner c)."""


@cache
def triangles(inside: int, joined: int) -> tuple[tuple[int, int, int], ...]:
    """Triangles as triples of edge numbers (or CENTRE, first), counter-clockwise seen from outside the solid.

    inside: bit c says whether corner c is inside. joined: bit f says whether the inside corners of face f are joined
    across it, where they alternate; elsewhere it means nothing.
    """
    following: dict[int, int] = {}
    for number, face in enumerate(FACES):
        following.update(_segments([inside >> c & 1 for c in face], face, bool(joined >> number & 1)))
    filled: list[tuple[int, int, int]] = []
    while following:
        loop = [next(iter(following))]
        while (after := following.pop(loop[-1])) != loop[0]:
            loop.append(after)
        filled += _filled(tuple(loop))
    return tuple(filled)


def _segments(signs: list[int], face: tuple[int, ...], joined: bool) -> dict[int, int]:
    """The surface's directed segments on a face, from where a walk around it enters the solid to where it leaves."""
    sides = [_EDGE_OF[face[k], face[(k + 1) % 4]] for k in range(4)]
    leaving = [k for k in range(4) if signs[k] and not signs[(k + 1) % 4]]
    entering = [k for k in range(4) if not signs[k] and signs[(k + 1) % 4]]
    found = {}
    for k in leaving:
        # around a lone inside corner the surface comes from where it was entered, else from the next entrance
        step = -1 if len(leaving) == 2 and not joined else 1
        e = k
        while e not in entering:
            e = (e + step) % 4
        found[sides[e]] = sides[k]
    return found


def _filled(loop: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Triangles that fill a loop, around a vertex of their own where there is no other way."""
    found = _without_flat_diagonals(loop)
    return [(CENTRE, a, b) for a, b in zip(loop, loop[1:] + loop[:1], strict=True)] if found is None else found


def _without_flat_diagonals(loop: tuple[int, ...]) -> list[tuple[int, int, int]] | None:
    """Ears cut off one by one, no cut along a face; None where that cannot be done."""
    if len(loop) == 3:
        return [loop]
    for k in range(len(loop)):
        before, here, after = loop[k - 1], loop[k], loop[(k + 1) % len(loop)]
        if not _FACES_AT[before] & _FACES_AT[after]:
            rest = _without_flat_diagonals(loop[:k] + loop[k + 1 :])
            if rest is not None:
                return [(before, here, after), *rest]
    return None
