# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a new object comes to stand: where Blender's own Add would put it, beside what is there already."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import bpy
from mathutils import Matrix, Vector

GAP = 0.15
"""Between two things, in shares of the new one's longest side."""

TOUCH = 0.01
"""In shares of the new one's longest side: things that reach less far into it stand beside it, or it stands on them."""

SURROUNDINGS = 5.0
"""What is this many times as long and as wide as the new thing is no obstacle but where it stands: a room, a ground."""


@dataclass(frozen=True)
class Box:
    """The smallest and the largest corner, in the world's axes."""

    low: Vector
    high: Vector

    @property
    def size(self) -> Vector:
        return self.high - self.low

    def moved(self, by: Vector) -> Box:
        return Box(self.low + by, self.high + by)

    def overlaps(self, other: Box, least: float) -> bool:
        """Whether they reach into each other by more than `least` along each axis."""
        return all(min(self.high[i], other.high[i]) - max(self.low[i], other.low[i]) > least for i in range(3))


def box(thing: bpy.types.Object) -> Box:
    """Around an object where it stands."""
    corners = [thing.matrix_world @ Vector(corner) for corner in thing.bound_box]
    low, high = (Vector(map(which, zip(*corners))) for which in (min, max))
    return Box(low, high)


def stand(thing: bpy.types.Object, at: Vector, others: Iterable[bpy.types.Object]) -> None:
    """Puts the object, as it is turned, at that place, or as far to the right of it (+X) as others stand in its way."""
    turned = thing.matrix_world.to_3x3().to_4x4()
    thing.matrix_world = Matrix.Translation(at) @ turned
    own = box(thing)
    longest = max(own.size)
    obstacles = [each for each in map(box, others) if not _is_around(each, own)]
    shift = free(own, obstacles, GAP * longest, TOUCH * longest)
    thing.matrix_world = Matrix.Translation(at + Vector((shift, 0.0, 0.0))) @ turned


def in_the_way(context: bpy.types.Context, own: Collection[bpy.types.Object]) -> list[bpy.types.Object]:
    """What is to be seen of things with a surface, but for the own objects."""
    kinds = {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "VOLUME"}
    return [each for each in context.visible_objects if each.type in kinds and each not in own]


def free(own: Box, obstacles: list[Box], gap: float, least: float) -> float:
    """How far the box has to go to the right until nothing overlaps it by more than `least`."""
    shift = 0.0
    for _ in range(len(obstacles)):
        here = own.moved(Vector((shift, 0.0, 0.0)))
        taken = [each for each in obstacles if here.overlaps(each, least)]
        if not taken:
            break
        shift = max(each.high.x for each in taken) + gap - own.low.x
    return shift


def _is_around(other: Box, own: Box) -> bool:
    return all(other.size[i] > SURROUNDINGS * own.size[i] for i in (0, 1))
