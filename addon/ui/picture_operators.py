# SPDX-License-Identifier: GPL-3.0-or-later
"""Where pictures can come from beside the file browser: the clipboard, an image that is open in Blender, the last
render. Reads Blender's images and changes none."""

from __future__ import annotations

import os
import tempfile
from array import array
from pathlib import Path
from urllib.parse import unquote, urlsplit

import bpy
from bpy.props import IntProperty, StringProperty
from bpy.types import Context, Image, Menu, Operator

from ...worker.core.file_types import PICTURES, TAKEN, VIDEOS, is_camera_list
from ..session import clipboard
from . import properties

Returned = set[str]

MENU_LIMIT = 30
"""Images in Blender's data that the menu lists."""

RENDER = "Render Result"
ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "WEBP": ".webp"}
"""Of the files that Blender writes and we read."""


def paths_in(text: str) -> list[str]:
    """The files and folders that a text names, one a line, as file managers copy them; none unless all of them are."""
    lines = [line.strip().strip('"') for line in text.splitlines() if line.strip()]
    paths = [unquote(urlsplit(line).path) if line.startswith("file://") else line for line in lines]
    fit = [path for path in paths if os.path.isabs(path) and (os.path.isdir(path) or _is_taken(path))]
    return paths if fit == paths else []


def _is_taken(path: str) -> bool:
    return path.lower().endswith(TAKEN + VIDEOS) or is_camera_list(path)


class IMAGE_TO_3D_OT_paste_picture(Operator):
    """Take what is in the clipboard: a picture, or a path of one, of a folder or of a video; several, one a line"""

    bl_idname = "image_to_3d.paste_picture"
    bl_label = "From the Clipboard"
    bl_options = {"INTERNAL"}

    def execute(self, context: Context) -> Returned:
        paths = [path for path in paths_in(context.window_manager.clipboard) if os.path.exists(path)]
        try:
            paths = paths or _pasted(context)
        except (RuntimeError, OSError) as error:
            self.report({"WARNING"}, f"The clipboard's picture cannot be taken: {error}")
            return {"CANCELLED"}
        if not paths:
            hint = clipboard.missing() or "copy one first"
            self.report({"WARNING"}, f"The clipboard has neither a picture nor the path of one: {hint}")
            return {"CANCELLED"}
        properties.choose(properties.settings(context), paths)
        return {"FINISHED"}


def _pasted(context: Context) -> list[str]:
    """A file with the picture in the clipboard, none if there is no picture. Raises OSError and RuntimeError.

    Blender pastes one, where the system lets it, as an image among its own; that goes again.
    """
    if not bpy.ops.image.clipboard_paste.poll():
        words = "".join(context.window_manager.clipboard.split())
        is_text = words and words.isprintable()  # some programs give a picture's bytes to who asks for text
        found = None if is_text else clipboard.picture(Path(_new_folder()))
        return [str(found)] if found else []
    before = {each.name for each in context.blend_data.images}
    bpy.ops.image.clipboard_paste()
    made = [each for each in context.blend_data.images if each.name not in before]
    try:
        for image in made:
            image.file_format = "PNG"
        return [_file_of(image, context) for image in made]
    finally:
        for image in made:
            context.blend_data.images.remove(image)


class IMAGE_TO_3D_OT_take_image(Operator):
    """Take this image as it is in Blender now"""

    bl_idname = "image_to_3d.take_image"
    bl_label = "Take Image"
    bl_options = {"INTERNAL"}

    image: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        try:
            path = _file_of(context.blend_data.images.get(self.image), context)
        except (RuntimeError, OSError) as error:  # what Blender reports as an error arrives as the first
            said = str(error).removeprefix("Error: ").strip().splitlines()
            self.report({"WARNING"}, f"{self.image} cannot be taken: {said[0] if said else 'nothing is there'}")
            return {"CANCELLED"}
        properties.choose(properties.settings(context), [path])
        return {"FINISHED"}


def _file_of(image: Image | None, context: Context) -> str:
    """A file with what the image shows: its own where that is the same, else one that is written for it. Raises OSError
    and RuntimeError."""
    if image is None:
        raise OSError("there is none yet")
    own = bpy.path.abspath(image.filepath) if image.source == "FILE" and not image.packed_file else ""
    if own.lower().endswith(PICTURES) and os.path.isfile(own) and not image.is_dirty:
        return own
    folder = _new_folder()
    rendered = image.type == "RENDER_RESULT"
    written_as = context.scene.render.image_settings.file_format if rendered else image.file_format
    if written_as not in ENDINGS:
        raise OSError(f"it would be written as {written_as.replace('_', ' ')}: choose PNG for it")
    path = os.path.join(folder, bpy.path.clean_name(os.path.splitext(image.name)[0]) + ENDINGS[written_as])
    if rendered:
        image.save_render(path, scene=context.scene)
    elif "save_copy" in image.bl_rna.functions["save"].parameters:
        image.save(filepath=path, save_copy=True)
    else:
        _save_copy(image, path, context)
    if not os.path.isfile(path):
        raise OSError("nothing was written")
    return path


def _new_folder() -> str:
    """One that goes when Blender ends."""
    return tempfile.mkdtemp(prefix="image-to-3d-picture-", dir=bpy.app.tempdir)


def _save_copy(image: Image, path: str, context: Context) -> None:
    """For Blender 4.2, where saving makes the image one of that file. What was painted is not in a mere copy."""
    pixels = array("f", bytes(4 * len(image.pixels)))
    image.pixels.foreach_get(pixels)
    copy = image.copy()
    copy.pixels.foreach_set(pixels)
    copy.update()
    try:
        copy.save(filepath=path)
    finally:
        context.blend_data.images.remove(copy)


class IMAGE_TO_3D_OT_take_out(Operator):
    """Take this photo out of those that were chosen; the file stays"""

    bl_idname = "image_to_3d.take_out"
    bl_label = "Take Out"
    bl_options = {"INTERNAL"}

    place: IntProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        properties.take_out(properties.settings(context), self.place)
        return {"FINISHED"}


class IMAGE_TO_3D_MT_pictures(Menu):
    """Where else a picture can come from."""

    bl_idname = "IMAGE_TO_3D_MT_pictures"
    bl_label = "Take a Picture"

    def draw(self, context: Context) -> None:
        layout = self.layout
        layout.operator("image_to_3d.paste_picture", icon="PASTEDOWN")
        layout.operator("image_to_3d.take_image", text="From the Last Render", icon="RENDER_STILL").image = RENDER
        images = [each for each in context.blend_data.images if each.source != "VIEWER"]  # painted ones are no "IMAGE"
        if images:
            layout.separator()
        for image in images[:MENU_LIMIT]:
            layout.operator("image_to_3d.take_image", text=image.name, icon="IMAGE_DATA").image = image.name


CLASSES = (
    IMAGE_TO_3D_OT_paste_picture,
    IMAGE_TO_3D_OT_take_image,
    IMAGE_TO_3D_OT_take_out,
    IMAGE_TO_3D_MT_pictures,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
