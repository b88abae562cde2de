# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a video's frames as one object: a grid in the camera's frustum that each frame's depth displaces. Must not
know the worker.

The grid lies one unit before the camera, which stands in the object's origin; geometry nodes read the depth of the
frame at hand from the sequence of OpenEXR files and move each point along its line of sight. What has no depth is left
out.
"""

from __future__ import annotations

import math
from array import array

import bpy
from mathutils import Matrix

from ....worker.core.sequence_info import SequenceResult
from . import material
from .errors import CannotAdd
from .selection import select_only

UPRIGHT = Matrix.Rotation(math.radians(90), 4, "X")
"""A camera that looks along its -Z then looks along +Y, upright."""

MOST = 640
"""Points along the grid's longer side: finer maps are read between their pixels."""


def add_sequence(context: bpy.types.Context, found: SequenceResult) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Adds the displaced grid, selected and active, at the world's origin, with a camera in the same place that sees
    each frame as the video shows it, from the scene's first frame on. Needs object mode. Raises CannotAdd."""
    start = context.scene.frame_start
    try:
        depth = _sequence(f"{found.folder}/depth_0001.exr", f"{found.name} depth")
        colour = _sequence(f"{found.folder}/colour_0001.jpg", f"{found.name} colour")
    except RuntimeError as error:
        raise CannotAdd(f"the frames in {found.folder} cannot be read: {error}") from None
    depth.colorspace_settings.name = "Non-Color"
    thing = bpy.data.objects.new(found.name, _grid(found))
    thing.data.materials.append(_material(found, colour, start))
    context.collection.objects.link(thing)
    thing.matrix_world = UPRIGHT
    thing.modifiers.new("Depth", "NODES").node_group = _displacing(depth, found.frames, start)
    camera = _camera(found)
    context.collection.objects.link(camera)
    camera.matrix_world = thing.matrix_world
    if context.scene.camera is None:
        context.scene.camera = camera
    select_only(context, thing)
    return thing, camera


def _sequence(path: str, name: str) -> bpy.types.Image:
    image = bpy.data.images.load(path)
    image.name, image.source = name, "SEQUENCE"
    return image


def _grid(found: SequenceResult) -> bpy.types.Mesh:
    """Points on the lines of sight through the maps' pixels, one unit away: x right, y up, the camera looks along
    -z."""
    scale = min(1.0, MOST / max(found.map_width, found.map_height))
    columns, rows = (max(2, round(side * scale)) for side in (found.map_width, found.map_height))
    longer = max(found.width, found.height)
    half = math.tan(math.radians(found.fov_degrees) / 2.0)
    right, up = half * found.width / longer, half * found.height / longer
    u, v = ([(k + 0.5) / count for k in range(count)] for count in (columns, rows))
    points = array("f", (value for b in v for a in u for value in ((2 * a - 1) * right, (2 * b - 1) * up, -1.0)))
    corners = array("i")
    for row in range(rows - 1):
        for at in range(row * columns, row * columns + columns - 1):
            corners.extend((at, at + 1, at + columns + 1, at + columns))
    mesh = bpy.data.meshes.new(found.name)
    mesh.vertices.add(columns * rows)
    mesh.attributes["position"].data.foreach_set("vector", points)
    mesh.loops.add(len(corners))
    mesh.attributes[".corner_vert"].data.foreach_set("value", corners)
    mesh.polygons.add(len(corners) // 4)
    mesh.polygons.foreach_set("loop_start", array("i", range(0, len(corners), 4)))
    places = array("f", (value for at in corners for value in (u[at % columns], v[at // columns])))
    mesh.uv_layers.new(name="UVMap", do_init=False).uv.foreach_set("vector", places)
    mesh.update(calc_edges=True)
    return mesh


def _material(found: SequenceResult, colour: bpy.types.Image, start: int) -> bpy.types.Material:
    made = material.textured(found.name, colour)
    for node in (each for each in made.node_tree.nodes if each.type == "TEX_IMAGE"):
        node.extension = "EXTEND"
        user = node.image_user
        user.frame_duration, user.frame_start, user.use_auto_refresh = found.frames, start, True
    return made


def _displacing(depth: bpy.types.Image, frames: int, start: int) -> bpy.types.NodeTree:
    """Nodes that move each point of the grid to its depth in the scene's frame."""
    tree = bpy.data.node_groups.new(depth.name, "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    new, link = tree.nodes.new, tree.links.new
    given, made = new("NodeGroupInput"), new("NodeGroupOutput")
    time, number = new("GeometryNodeInputSceneTime"), _number(tree, frames, start)
    link(time.outputs["Frame"], number[0])
    at, image = new("GeometryNodeInputNamedAttribute"), new("GeometryNodeImageTexture")
    at.data_type, at.inputs["Name"].default_value = "FLOAT_VECTOR", "UVMap"
    image.inputs["Image"].default_value, image.extension = depth, "EXTEND"
    link(at.outputs["Attribute"], image.inputs["Vector"])
    link(number[1], image.inputs["Frame"])
    here, product, move = new("GeometryNodeInputPosition"), new("ShaderNodeVectorMath"), new("GeometryNodeSetPosition")
    product.operation = "MULTIPLY"
    link(here.outputs["Position"], product.inputs[0])
    link(image.outputs["Color"], product.inputs[1])
    link(given.outputs[0], move.inputs["Geometry"])
    link(product.outputs[0], move.inputs["Position"])
    without = _without_depth(tree, image.outputs["Color"])
    link(move.outputs["Geometry"], without.inputs["Geometry"])
    link(without.outputs[0], made.inputs[0])
    return tree


def _number(tree: bpy.types.NodeTree, frames: int, start: int) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
    """Where the scene's frame goes in, and the number of the file that belongs to it comes out."""
    shift, limit = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeClamp")
    shift.operation, shift.inputs[1].default_value = "SUBTRACT", start - 1
    limit.inputs["Min"].default_value, limit.inputs["Max"].default_value = 1, frames
    tree.links.new(shift.outputs[0], limit.inputs["Value"])
    return shift.inputs[0], limit.outputs[0]


def _without_depth(tree: bpy.types.NodeTree, depth: bpy.types.NodeSocket) -> bpy.types.Node:
    """A node that deletes the points whose depth is 0."""
    delete, compare = tree.nodes.new("GeometryNodeDeleteGeometry"), tree.nodes.new("ShaderNodeMath")
    delete.domain, compare.operation, compare.inputs[1].default_value = "POINT", "LESS_THAN", 1e-5
    tree.links.new(depth, compare.inputs[0])
    tree.links.new(compare.outputs[0], delete.inputs["Selection"])
    return delete


def _camera(found: SequenceResult) -> bpy.types.Object:
    data = bpy.data.cameras.new(f"{found.name} Camera")
    data.sensor_fit = "HORIZONTAL" if found.width >= found.height else "VERTICAL"
    data.lens_unit, data.angle = "FOV", math.radians(found.fov_degrees)
    return bpy.data.objects.new(data.name, data)
