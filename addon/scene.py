# SPDX-License-Identifier: GPL-3.0-or-later
"""A GLB file to one object in the scene: the only file here that changes the scene. Must not know the worker.

The file has one mesh, +Y up and facing +Z as glTF wants it, which Blender's importer turns to +Z up and facing -Y.
"""

from __future__ import annotations

import math

import bpy
from mathutils import Matrix, Quaternion, Vector

from ..worker.wire.protocol import CameraInfo

IMPORT_SETTINGS = {
    "import_pack_images": True,  # the file's folder is removed afterwards
    "merge_vertices": False,  # would undo what was cut at silhouettes
    "import_shading": "NORMALS",
    "import_scene_as_collection": False,
    "import_select_created_objects": True,
    "import_unused_materials": False,
    "export_import_convert_lighting_mode": "SPEC",
}
"""What we want of the importer, as far as the running Blender's importer has it."""

BACKDROP_ALPHA = 0.5
CLIP_FAR = 4.0
"""The camera sees this many times as far as the farthest corner of the object."""


class CannotPlace(Exception):
    """The file could not become an object; the message is for the user."""


def place(context: bpy.types.Context, path: str, name: str) -> bpy.types.Object:
    """Brings the mesh of the GLB at `path` into the scene as one object, selected and active. Needs object mode."""
    before = set(bpy.data.objects)
    _import(path)
    new = [thing for thing in bpy.data.objects if thing not in before]
    meshes = [thing for thing in new if thing.type == "MESH"]
    if len(meshes) != 1:
        _remove(new)
        raise CannotPlace(f"the file has {len(meshes)} meshes instead of one")
    [mesh] = meshes
    _stand_alone(mesh, [thing for thing in new if thing is not mesh])
    _put_into_collection(context, mesh)
    _name(mesh, name)
    _select_only(context, mesh)
    return mesh


def add_camera(
    context: bpy.types.Context, info: CameraInfo, mesh: bpy.types.Object, backdrop: bool
) -> bpy.types.Object:
    """Adds a camera that sees `mesh` exactly as the photo shows it and makes it the scene's, with the photo's size."""
    data = bpy.data.cameras.new(f"{mesh.name} Camera")
    data.sensor_fit = "AUTO"  # the field of view is the longer side's
    data.lens_unit = "FOV"
    data.angle = math.radians(info.fov_degrees)
    camera = bpy.data.objects.new(data.name, data)
    data.shift_x, data.shift_y = info.shift
    upright = Matrix.Rotation(math.radians(90), 4, "X")  # from +Y up to +Z up
    camera.matrix_world = upright @ Matrix.Translation(info.position) @ Quaternion(info.rotation).to_matrix().to_4x4()
    farthest = max((camera.location - mesh.matrix_world @ Vector(corner)).length for corner in mesh.bound_box)
    data.clip_end = max(data.clip_end, CLIP_FAR * farthest)
    mesh.users_collection[0].objects.link(camera)
    context.scene.camera = camera
    context.scene.render.resolution_x, context.scene.render.resolution_y = info.width, info.height
    if backdrop and (photo := _loaded(info.photo) if info.photo else _texture(mesh)):
        _show_behind(data, photo)
    return camera


def _import(path: str) -> None:
    known = bpy.ops.import_scene.gltf.get_rna_type().properties
    settings = {key: value for key, value in IMPORT_SETTINGS.items() if key in known}
    try:
        bpy.ops.import_scene.gltf(filepath=path, **settings)
    except RuntimeError as error:  # what the importer reports as an error arrives as this
        raise CannotPlace(str(error).removeprefix("Error: ").strip()) from None


def _stand_alone(mesh: bpy.types.Object, others: list[bpy.types.Object]) -> None:
    """Frees the mesh from parents, which go, and puts what they did to it into its data."""
    world = mesh.matrix_world.copy()
    mesh.parent = None
    mesh.data.transform(world)
    mesh.matrix_world = Matrix.Identity(4)
    mesh.rotation_mode = "XYZ"  # the importer leaves quaternions, which nobody likes to type
    _remove(others)
    bpy.context.view_layer.update()  # else its list of objects still has places for what was removed


def _put_into_collection(context: bpy.types.Context, mesh: bpy.types.Object) -> None:
    """Where every new object goes: importers differ."""
    for collection in mesh.users_collection:
        collection.objects.unlink(mesh)
    context.collection.objects.link(mesh)


def _remove(things: list[bpy.types.Object]) -> None:
    for thing in things:
        bpy.data.objects.remove(thing)


def _name(mesh: bpy.types.Object, name: str) -> None:
    mesh.name = mesh.data.name = name
    for material in mesh.data.materials:
        material.name = name
    if photo := _texture(mesh):
        photo.name = name


def _select_only(context: bpy.types.Context, mesh: bpy.types.Object) -> None:
    for thing in context.view_layer.objects:
        thing.select_set(thing is mesh)
    context.view_layer.objects.active = mesh


def _texture(mesh: bpy.types.Object) -> bpy.types.Image | None:
    """The photo as the mesh carries it: upright, whatever the file's own orientation says."""
    for material in mesh.data.materials:
        for node in material.node_tree.nodes:
            if node.type == "TEX_IMAGE" and node.image:
                return node.image
    return None


def _loaded(path: str) -> bpy.types.Image | None:
    """The picture file as an image, or None where it is gone or of a kind that Blender cannot read."""
    try:
        return bpy.data.images.load(path, check_existing=True)
    except RuntimeError:
        return None


def _show_behind(data: bpy.types.Camera, photo: bpy.types.Image) -> None:
    data.show_background_images = True
    background = data.background_images.new()
    background.image = photo
    background.alpha = BACKDROP_ALPHA
    background.display_depth = "BACK"
    background.frame_method = "FIT"
