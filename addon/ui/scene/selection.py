# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects are selected, seen and where they lie."""

from __future__ import annotations

import bpy


def select_only(context: bpy.types.Context, *things: bpy.types.Object) -> None:
    """Selects these and no others; the last is the active one."""
    for thing in context.view_layer.objects:
        if thing and thing.select_get():  # Blender 5.3 lists None for one that was just removed
            thing.select_set(False)
    for thing in things:  # a new one is not in the list above yet
        thing.select_set(True)
    context.view_layer.objects.active = things[-1]
