# SPDX-License-Identifier: GPL-3.0-or-later
"""An object in the place of another, which is kept, hidden. Must not know why."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
from mathutils import Matrix

from .copies import put_away

BEFORE = "before"
"""The old object's name has this word behind it."""


def replaced(context: bpy.types.Context, new: bpy.types.Object, name: str, turned: Sequence[Sequence[float]]) -> bool:
    """Gives an object the name and the place of another, which is hidden; whether that is there. turned: how the other
    was turned and scaled when the new one's mesh was made of it, in the world's axes."""
    old = context.scene.objects.get(name)
    if old is None or old == new:
        return False
    mesh = old.data.name
    old.name, old.data.name = f"{name} {BEFORE}", f"{mesh} {BEFORE}"
    standing_at(new, name, mesh, turned, old.matrix_world)
    put_away(old)
    return True


def standing_at(new: bpy.types.Object, name: str, mesh: str, turned: Sequence[Sequence[float]], place: Matrix) -> None:
    """Gives an object, and its mesh, these names and that place. turned: as for `replaced`."""
    new.data.transform(Matrix(turned).inverted())
    new.matrix_world = place
    new.name, new.data.name = name, mesh
