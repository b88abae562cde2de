# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures: the panel's part about them, and its operators."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy.types import Context, Operator, UILayout

from ...worker.wire.making import BatchParams, BatchResult
from . import choices, drawing, properties, timer, wording
from .operators import Returned, grey, no_room

FAILURES = 3
"""Things that failed which the panel names; the contact sheet shows all."""


def draw(layout: UILayout, context: Context) -> None:
    """Which pictures, where results come, and the button; then how the last one went."""
    own = properties.settings(context)
    column = layout.column(align=True)
    column.prop(own, "batch_source", text="", placeholder="Folder of pictures")
    column.prop(own, "batch_folder", text="", placeholder="Results beside it")
    layout.prop(own, "batch_sets")
    layout.prop(own, "batch_library")
    layout.operator("image_to_3d.batch", icon="RENDERLAYERS")
    drawing.note(layout, context, "With the model, the preset and the options above. What is done already is kept.")
    if result := timer.session().results.batch:
        _draw_result(layout.box().column(), context, result)


def _draw_result(box: UILayout, context: Context, result: BatchResult) -> None:
    drawing.text(box, context, wording.made_of_many(result), "ERROR" if result.failed else "CHECKMARK")
    for failure in result.failures[:FAILURES]:
        drawing.note(box, context, f"{failure.name}: {failure.message}.")
    for note in result.notes:
        drawing.note(box, context, wording.sentence(note))
    box.operator("image_to_3d.open_result", text="Contact Sheet", icon="IMGDISPLAY").path = result.sheet
    if result.library and not _is_known(context, result.library):
        box.operator("image_to_3d.add_library", icon="ASSET_MANAGER").path = result.library


def _is_known(context: Context, folder: str) -> bool:
    """Whether the asset browser knows the library."""
    return any(Path(each.path) == Path(folder) for each in context.preferences.filepaths.asset_libraries)


def _why_not(context: Context) -> str:
    own, session = properties.settings(context), timer.session()
    if not own.batch_source:
        return "choose a folder of pictures, or a list, first"
    return session.interpreter.reason if session.interpreter.python is None else no_room(session)


class IMAGE_TO_3D_OT_batch(Operator):
    """Make a thing of each picture in the folder, with files, a contact sheet and an asset library"""

    bl_idname = "image_to_3d.batch"
    bl_label = "Make All"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, _why_not(context))

    def execute(self, context: Context) -> Returned:
        own, session = properties.settings(context), timer.session()
        source = Path(bpy.path.abspath(own.batch_source))
        folder = Path(bpy.path.abspath(own.batch_folder)) if own.batch_folder else source.with_name(source.stem + " 3D")
        category, network, preset, options = choices.for_batch(own, session.methods)
        program = (bpy.app.binary_path or sys.executable) if own.batch_library else ""  # none: bpy is a module
        making = {"sets": own.batch_sets, "cached": not own.fresh, "blender": program}
        params = BatchParams(str(source), str(folder), preset, category, network, options, **making)
        session.batch(params, source.name)
        timer.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_open_result(Operator):
    """Show this in the program that the system has for it"""

    bl_idname = "image_to_3d.open_result"
    bl_label = "Open"
    bl_options = {"INTERNAL"}

    path: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        return bpy.ops.wm.url_open(url=Path(self.path).as_uri())


class IMAGE_TO_3D_OT_add_library(Operator):
    """Show the results in the asset browser, from now on"""

    bl_idname = "image_to_3d.add_library"
    bl_label = "Add to Asset Libraries"
    bl_options = {"INTERNAL"}

    path: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        bpy.ops.preferences.asset_library_add(directory=self.path)
        context.preferences.filepaths.asset_libraries[-1].name = Path(self.path).parent.name
        return {"FINISHED"}


CLASSES = (IMAGE_TO_3D_OT_batch, IMAGE_TO_3D_OT_open_result, IMAGE_TO_3D_OT_add_library)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
