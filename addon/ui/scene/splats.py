# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats in the scene, by the importer that Blender 5.3 and later have. Must not know the worker."""

from __future__ import annotations

from pathlib import Path

import bpy

from .errors import CannotAdd
from .selection import select_only

OLDER = "Blender 5.3 and later show splats: open it there, or make it again here, where it becomes a mesh"


def can_show() -> bool:
    """Whether this Blender reads SPZ files."""
    return bpy.app.version >= (5, 3) and getattr(bpy.app.build_options, "io_spz", False)


def add_splats(context: bpy.types.Context, path: str, name: str) -> list[bpy.types.Object]:
    """Brings an SPZ file into the scene as one object at the world's origin, called so, selected and active.

    Needs object mode. Raises CannotAdd, and then nothing has changed.
    """
    if not can_show():
        raise CannotAdd(OLDER)
    if not Path(path).is_file():
        raise CannotAdd("the file is gone: make it again")
    before = set(bpy.data.objects)
    try:
        bpy.ops.wm.spz_import(filepath=path)
    except RuntimeError as error:
        raise CannotAdd(str(error).strip().splitlines()[-1]) from None
    found = [thing for thing in bpy.data.objects if thing not in before]
    if len(found) != 1 or not len(found[0].data.points):
        for thing in found:
            bpy.data.pointclouds.remove(thing.data)
        raise CannotAdd("Blender found no splats in the file: make it again")
    thing = found[0]
    thing.name = thing.data.name = name or thing.name
    select_only(context, thing)
    return [thing]
