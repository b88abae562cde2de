# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth of each frame of a video or a folder: the panel's part about it, and its operators."""

from __future__ import annotations

import os

import bpy
from bpy.props import StringProperty
from bpy.types import Context, Operator, UILayout

from ...worker.wire.making import SequenceParams
from ..session import sequences
from . import arrival, choices, drawing, properties, scene, timer
from .operators import Returned, grey, no_room


def draw(layout: UILayout, context: Context) -> None:
    """Which frames, where to, and the button."""
    own = properties.settings(context)
    column = layout.column(align=True)
    column.prop(own, "frames_first")
    column.prop(own, "frames_last")
    column.prop(own, "frames_step")
    layout.row(align=True).prop(choices.depth_of(own, timer.session().methods)[1], "preset", expand=True)
    layout.prop(own, "frames_folder", placeholder="Beside them")
    layout.operator("image_to_3d.sequence", icon="SEQUENCE")
    drawing.note(layout, context, "A displaced grid, and OpenEXR files of depth, normals and mask.")


def _why_not(context: Context) -> str:
    own, session = properties.settings(context), timer.session()
    if not properties.is_several(own):
        return "choose a video, a folder of frames, or several frames first"
    return session.interpreter.reason if session.interpreter.python is None else no_room(session)


class IMAGE_TO_3D_OT_sequence(Operator):
    """Give each frame its depth, in one scale and field of view, and add it as a displaced grid"""

    bl_idname = "image_to_3d.sequence"
    bl_label = "Depth of Each Frame"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, _why_not(context))

    def execute(self, context: Context) -> Returned:
        own, session = properties.settings(context), timer.session()
        paths = properties.pictures(own)
        beside = os.path.splitext(paths[0].rstrip("/\\"))[0] + " depth"
        folder = bpy.path.abspath(own.frames_folder) if own.frames_folder else beside
        network, preset, options = choices.for_depth(own, session.methods)
        frames = {"first": own.frames_first, "last": own.frames_last, "step": own.frames_step}
        session.sequence(SequenceParams(paths, folder, preset, network, options, **frames), os.path.basename(beside))
        timer.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_add_sequence(Operator):
    """Bring the depth of frames into the scene"""

    bl_idname = "image_to_3d.add_sequence"
    bl_label = "Depth of Frames"
    bl_options = {"INTERNAL", "UNDO"}

    found: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        return context.mode == "OBJECT"

    def execute(self, context: Context) -> Returned:
        with context.temp_override(window=context.window_manager.windows[0]):  # a timer has none
            try:
                arrival.bring_in_sequence(context, sequences.parsed(self.found))
            except scene.CannotAdd as error:
                self.report({"ERROR"}, str(error))
                return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (IMAGE_TO_3D_OT_sequence, IMAGE_TO_3D_OT_add_sequence)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
