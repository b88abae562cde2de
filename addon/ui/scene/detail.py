# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of detail: the same thing with fewer and fewer faces, which share its texture."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from .copies import copied, put_away, replace_mesh, with_modifier
from .selection import select_only


def levels(context: bpy.types.Context, thing: bpy.types.Object, shares: Sequence[float]) -> list[bpy.types.Object]:
    """The object and lighter copies with these shares of its faces, in a collection of their own, hidden but for the
    first. They are called as engines know levels of detail: NAME_LOD0, NAME_LOD1, ..."""
    name = thing.name
    collection = bpy.data.collections.new(f"{name} Levels of Detail")
    thing.users_collection[0].children.link(collection)
    made = [thing]
    for number, share in enumerate(shares, 1):
        light = copied(thing, f"{name}_LOD{number}")
        mesh = with_modifier(context, light, "DECIMATE", ratio=share, use_collapse_triangulate=True)
        replace_mesh(light, mesh)
        made.append(light)
    thing.name = f"{name}_LOD0"
    for level in made:
        for old in level.users_collection:
            old.objects.unlink(level)
        collection.objects.link(level)
    for level in made[1:]:
        put_away(level)
    select_only(context, thing)
    return made
