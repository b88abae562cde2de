# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that see a mesh as the photos show it. Must not know the worker."""

from __future__ import annotations

import math
from collections.abc import Sequence

import bpy
from mathutils import Matrix, Quaternion, Vector

from ....worker.core.camera_info import CameraInfo
from .material import texture
from .mesh import UPRIGHT

BACKDROP_ALPHA = 0.5
CLIP_NEAR, CLIP_FAR = 0.001, 4.0
"""A camera sees from and to these many times as far as the farthest corner of the object."""

DRAWN = 0.05
"""How large a camera is drawn, beside its distance from the farthest corner of the object: many stand around it."""


def add_cameras(
    context: bpy.types.Context,
    infos: Sequence[CameraInfo],
    mesh: bpy.types.Object,
    backdrop: bool,
    rendered: bool = False,
) -> list[bpy.types.Object]:
    """Adds cameras that see `mesh` exactly as the photos show it; several have a collection of their own.

    The first becomes the scene's if it has none. `rendered`: in any case, and renders get its photo's size.
    """
    collection = mesh.users_collection[0]
    if len(infos) > 1:
        own = bpy.data.collections.new(f"{mesh.name} Cameras")
        collection.children.link(own)
        collection = own
    render = context.scene.render
    if rendered:
        render.resolution_x, render.resolution_y = infos[0].width, infos[0].height
        render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    cameras = [_camera(info, mesh) for info in infos]
    for info, camera in zip(infos, cameras):
        collection.objects.link(camera)
        if backdrop and (photo := _photo(info, mesh, len(infos) > 1)):
            _show_behind(camera.data, photo, _method(info, render))
    if rendered or context.scene.camera is None:
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
    place = Matrix.Translation(info.position) @ Quaternion(info.rotation).to_matrix().to_4x4()
    camera.matrix_world = mesh.matrix_world @ UPRIGHT @ place
    farthest = max((camera.location - mesh.matrix_world @ Vector(corner)).length for corner in mesh.bound_box)
    data.clip_start = min(data.clip_start, CLIP_NEAR * farthest)
    data.clip_end = max(data.clip_end, CLIP_FAR * farthest)
    data.display_size = DRAWN * farthest
    return camera


def _photo(info: CameraInfo, mesh: bpy.types.Object, several: bool) -> bpy.types.Image | None:
    """What the camera sees: a file, or the mesh's texture; a texture of several photos is none of them."""
    if info.photo:
        return _packed(info.photo, info.name or mesh.name)
    return None if several else texture(mesh)


def _packed(path: str, name: str) -> bpy.types.Image | None:
    """The picture file as an image that needs the file no longer, or None where that cannot be read."""
    try:
        image = bpy.data.images.load(path)
        image.pack()
    except RuntimeError:
        return None
    image.name = name
    return image


def _method(info: CameraInfo, render: bpy.types.RenderSettings) -> str:
    """How a photo fills the view, which has the shape of renders: up to the edges between which the field of view is
    measured."""
    width, height = render.resolution_x * render.pixel_aspect_x, render.resolution_y * render.pixel_aspect_y
    wider = info.width * height >= width * info.height
    return "FIT" if wider == (info.width >= info.height) else "CROP"


def _show_behind(data: bpy.types.Camera, photo: bpy.types.Image, method: str) -> None:
    data.show_background_images = True
    background = data.background_images.new()
    background.image = photo
    background.alpha = BACKDROP_ALPHA
    background.display_depth = "BACK"
    background.frame_method = method
