# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of an object to be worked on, so that what they were made of is kept."""

from __future__ import annotations

from collections.abc import Callable

import bmesh
import bpy
from bmesh.types import BMesh


def copied(thing: bpy.types.Object, name: str) -> bpy.types.Object:
    """A copy with a mesh of its own, where the object is, with its custom properties; no asset."""
    new = thing.copy()
    new.data = thing.data.copy()
    new.name = new.data.name = name
    new.hide_render = False
    if new.asset_data is not None:
        new.asset_clear()
    for collection in thing.users_collection:
        collection.objects.link(new)
    return new


def put_away(thing: bpy.types.Object) -> None:
    """Hides it from views and renders; the eye in the outliner brings it back."""
    thing.hide_set(True)
    thing.hide_render = True


def discard(thing: bpy.types.Object) -> None:
    """Removes a copy with its mesh."""
    bpy.data.meshes.remove(thing.data)  # and with it the object


def with_modifier(context: bpy.types.Context, thing: bpy.types.Object, kind: str, **settings: object) -> bpy.types.Mesh:
    """The mesh that a modifier makes of the object's; the object stays as it is."""
    modifier = thing.modifiers.new("", kind)
    for name, value in settings.items():
        setattr(modifier, name, value)
    try:
        graph = context.evaluated_depsgraph_get()
        return bpy.data.meshes.new_from_object(
            thing.evaluated_get(graph), preserve_all_data_layers=True, depsgraph=graph
        )
    finally:
        thing.modifiers.remove(modifier)


def replace_mesh(thing: bpy.types.Object, mesh: bpy.types.Mesh) -> None:
    """Gives the object another mesh, under the name of the old one, which goes."""
    old, name = thing.data, thing.data.name
    thing.data = mesh
    bpy.data.meshes.remove(old)
    mesh.name = name


def edited(mesh: bpy.types.Mesh, change: Callable[[BMesh], object]) -> None:
    """Changes a mesh by what is done to its BMesh."""
    data = bmesh.new()
    try:
        data.from_mesh(mesh)
        change(data)
        data.to_mesh(mesh)
        mesh.update()
    finally:
        data.free()


def read_of(mesh: bpy.types.Mesh, read: Callable[[BMesh], object]) -> object:
    """What is read off a mesh's BMesh."""
    data = bmesh.new()
    try:
        data.from_mesh(mesh)
        return read(data)
    finally:
        data.free()


def volume(mesh: bpy.types.Mesh) -> float:
    """In cubes of the mesh's own unit; only of a closed mesh it means something."""
    return read_of(mesh, lambda data: data.calc_volume())


def open_edges(mesh: bpy.types.Mesh) -> int:
    """Edges that do not have exactly two faces: none of a closed, manifold mesh."""
    return read_of(mesh, lambda data: sum(not edge.is_manifold for edge in data.edges))
