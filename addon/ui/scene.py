# SPDX-License-Identifier: GPL-3.0-or-later
"""A GLB file to one object in the scene: the only file here that changes the scene. Must not know the worker.

The file has one mesh, +Y up and facing +Z as glTF wants it, which Blender's importer turns to +Z up and facing -Y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import bpy
from mathutils import Matrix, Quaternion, Vector

from ...worker.core.camera_info import CameraInfo

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
CLIP_NEAR, CLIP_FAR = 0.001, 4.0
"""A camera sees from and to these many times as far as the farthest corner of the object."""

DRAWN = 0.05
"""How large a camera is drawn, beside its distance from the farthest corner of the object: many stand around it."""


class CannotAdd(Exception):
    """The file could not become an object; the message is for the user."""


def add_mesh(context: bpy.types.Context, path: str, name: str) -> bpy.types.Object:
    """Brings the mesh of the GLB at `path` into the scene as one object, selected and active. Needs object mode."""
    before = set(bpy.data.objects)
    _import(path)
    new = [thing for thing in bpy.data.objects if thing not in before]
    meshes = [thing for thing in new if thing.type == "MESH"]
    if len(meshes) != 1:
        bpy.data.batch_remove(new)
        raise CannotAdd(f"the file has {len(meshes)} meshes instead of one")
    [mesh] = meshes
    _stand_alone(mesh, [thing for thing in new if thing is not mesh])
    _put_into_collection(context, mesh)
    _name(mesh, name)
    _select_only(context, mesh)
    return mesh


def add_cameras(
    context: bpy.types.Context, infos: Sequence[CameraInfo], mesh: bpy.types.Object, backdrop: bool
) -> list[bpy.types.Object]:
    """Adds cameras that see `mesh` exactly as the photos show it; several have a collection of their own.

    The first becomes the scene's, whose renders get its photo's size.
    """
    collection = mesh.users_collection[0]
    if len(infos) > 1:
        own = bpy.data.collections.new(f"{mesh.name} Cameras")
        collection.children.link(own)
        collection = own
    render = context.scene.render
    render.resolution_x, render.resolution_y = infos[0].width, infos[0].height
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    cameras = [_camera(info, mesh) for info in infos]
    for info, camera in zip(infos, cameras):
        collection.objects.link(camera)
        if backdrop and (photo := _photo(info, mesh, len(infos) > 1)):
            _show_behind(camera.data, photo, _method(info, infos[0]))
    context.scene.camera = cameras[0]
    return cameras


def _camera(info: CameraInfo, mesh: bpy.types.Object) -> bpy.types.Object:
    data = bpy.data.cameras.new(info.name or f"{mesh.name} Camera")
    # not AUTO: that would follow the render's longer side, which another photo may have given
    data.sensor_fit = "HORIZONTAL" if info.width >= info.height else "VERTICAL"
    data.lens_unit = "FOV"
    data.angle = math.radians(info.fov_degrees)
    data.shift_x, data.shift_y = info.shift
    camera = bpy.data.objects.new(data.name, data)
    upright = Matrix.Rotation(math.radians(90), 4, "X")  # from +Y up to +Z up
    camera.matrix_world = upright @ Matrix.Translation(info.position) @ Quaternion(info.rotation).to_matrix().to_4x4()
    farthest = max((camera.location - mesh.matrix_world @ Vector(corner)).length for corner in mesh.bound_box)
    data.clip_start = min(data.clip_start, CLIP_NEAR * farthest)
    data.clip_end = max(data.clip_end, CLIP_FAR * farthest)
    data.display_size = DRAWN * farthest
    return camera


def _import(path: str) -> None:
    known = bpy.ops.import_scene.gltf.get_rna_type().properties
    settings = {key: value for key, value in IMPORT_SETTINGS.items() if key in known}
    try:
        bpy.ops.import_scene.gltf(filepath=path, **settings)
    except RuntimeError as error:  # what the importer reports as an error arrives as this
        raise CannotAdd(_message(str(error))) from None


def _message(report: str) -> str:
    """What an operator reports, without the place in Blender's own files that follows a traceback."""
    lines = report.removeprefix("Error: ").strip().splitlines()
    return "\n".join(line for line in lines if not line.startswith("Location: "))


def _stand_alone(mesh: bpy.types.Object, others: list[bpy.types.Object]) -> None:
    """Frees the mesh from parents, which go, and puts what they did to it into its data."""
    world = mesh.matrix_world.copy()
    mesh.parent = None
    mesh.data.transform(world)
    mesh.matrix_world = Matrix.Identity(4)
    mesh.rotation_mode = "XYZ"  # the importer leaves quaternions, which nobody likes to type
    bpy.data.batch_remove(others)
    bpy.context.view_layer.update()  # else its list of objects still has places for what was removed


def _put_into_collection(context: bpy.types.Context, mesh: bpy.types.Object) -> None:
    """Where every new object goes: importers differ."""
    for collection in mesh.users_collection:
        collection.objects.unlink(mesh)
    context.collection.objects.link(mesh)


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


def _photo(info: CameraInfo, mesh: bpy.types.Object, several: bool) -> bpy.types.Image | None:
    """What the camera sees: a file, or the mesh's texture; a texture of several photos is none of them."""
    if info.photo:
        return _packed(info.photo, info.name or mesh.name)
    return None if several else _texture(mesh)


def _packed(path: str, name: str) -> bpy.types.Image | None:
    """The picture file as an image that needs the file no longer, or None where that cannot be read."""
    try:
        image = bpy.data.images.load(path)
        image.pack()
    except RuntimeError:
        return None
    image.name = name
    return image


def _method(info: CameraInfo, render: CameraInfo) -> str:
    """How a photo fills the view, whose shape is that of the photo that gives renders their size: up to the edges
    between which the field of view is measured."""
    wider = info.width * render.height >= render.width * info.height
    return "FIT" if wider == (info.width >= info.height) else "CROP"


def _show_behind(data: bpy.types.Camera, photo: bpy.types.Image, method: str) -> None:
    data.show_background_images = True
    background = data.background_images.new()
    background.image = photo
    background.alpha = BACKDROP_ALPHA
    background.display_depth = "BACK"
    background.frame_method = method
