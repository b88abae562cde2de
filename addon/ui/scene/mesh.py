# SPDX-License-Identifier: GPL-3.0-or-later
"""One of the worker's files to objects in the scene, whole and smooth. Must not know the worker.

The file faces +Z with +Y up, as glTF wants it; Blender's things face -Y with +Z up.
"""

from __future__ import annotations

import math

import bpy
from mathutils import Matrix

from ...session import glb
from . import material
from .errors import CannotAdd
from .selection import select_only

UPRIGHT = Matrix.Rotation(math.radians(90), 4, "X")
"""From +Y up to +Z up."""


CREASE = math.radians(30)
"""Of a mesh that has edges, those whose faces differ more than this are not to look round. Sides of printable solids
meet at 60 degrees and more; the robot and the room look the same with 45. Set by eye on these, a street and a table."""


def add_meshes(context: bpy.types.Context, file: glb.Reading, name: str) -> list[bpy.types.Object]:
    """Brings the meshes of a GLB into the scene as objects at the world's origin, selected, the first of them active
    and called so, the others, and without a name this one too, as in the file.

    Needs object mode. Raises CannotAdd.
    """
    shapes = check(file)
    names = [name or shapes[0].name, *(shape.name for shape in shapes[1:])]
    things = [_object(context, shape, called) for shape, called in zip(shapes, names)]
    select_only(context, *reversed(things))
    return things


def check(file: glb.Reading) -> tuple[glb.Shape, ...]:
    """What the file holds. Raises CannotAdd."""
    try:
        return file.shapes()
    except glb.Unreadable as error:
        raise CannotAdd(str(error)) from None


def _object(context: bpy.types.Context, shape: glb.Shape, name: str) -> bpy.types.Object:
    mesh = _mesh(shape, name)
    mesh.materials.append(_material(shape.surface, name))
    thing = bpy.data.objects.new(name, mesh)
    context.collection.objects.link(thing)
    return thing


def _mesh(shape: glb.Shape, name: str) -> bpy.types.Mesh:
    corners = len(shape.corners)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(shape.points) // 3)
    mesh.attributes["position"].data.foreach_set("vector", shape.points)
    mesh.loops.add(corners)
    mesh.attributes[".corner_vert"].data.foreach_set("value", shape.corners)
    mesh.polygons.add(len(shape.starts))
    mesh.polygons.foreach_set("loop_start", shape.starts)
    if shape.uv is not None:
        mesh.uv_layers.new(name="UVMap", do_init=False).uv.foreach_set("vector", shape.uv)
    if shape.unseen is not None:
        mesh.attributes.new(glb.UNSEEN, "FLOAT", "POINT").data.foreach_set("value", shape.unseen)
    mesh.shade_smooth()
    mesh.update(calc_edges=True)
    if shape.creased:
        mesh.set_sharp_from_angle(angle=CREASE)
    mesh.transform(UPRIGHT)
    return mesh


def _material(surface: glb.Surface, name: str) -> bpy.types.Material:
    image = surface.texture and material.packed(name, surface.texture.ending, surface.texture.data)
    made = material.textured(name, image, surface.roughness, surface.masked)
    made.use_backface_culling = not surface.double_sided
    if surface.colour:
        made.diffuse_color = (*surface.colour, 1.0)
    return made
