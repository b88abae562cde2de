# SPDX-License-Identifier: GPL-3.0-or-later
"""A first guess at a mesh that stands in the scene until the mesh is made. Must not know the worker."""

from __future__ import annotations

import bpy
from mathutils import Matrix

_OF = "image_to_3d_coarse"
"""The custom property that says which job it is the first guess of."""


def mark(thing: bpy.types.Object, job: str) -> None:
    """Says that the object stands in for what that job makes."""
    thing[_OF] = job


def taken_away(context: bpy.types.Context, job: str) -> Matrix | None:
    """Removes what stands in for that job, with all that is its own; returns where it stood, None where nothing did:
    the user may have removed it, or opened another file."""
    thing = next((each for each in context.scene.objects if each.get(_OF) == job), None)
    if thing is None:
        return None
    stood, mesh = thing.matrix_world.copy(), thing.data
    materials = [each for each in mesh.materials if each and each.users == 1]
    images = [node.image for each in materials for node in each.node_tree.nodes if node.type == "TEX_IMAGE"]
    bpy.data.meshes.remove(mesh)  # and with it the object
    for each in materials:
        bpy.data.materials.remove(each)
    for each in images:
        if each.users == 0:
            bpy.data.images.remove(each)
    return stood
