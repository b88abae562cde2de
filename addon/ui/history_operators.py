# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do with the results that are kept, one operator each."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty
from bpy.types import Context, Event, Operator

from ...worker.wire.making import HistoryEntry, RemoveParams
from . import choices, properties, timer
from .operators import Returned, grey, no_room, session_operator

MORE = 8
"""Results that are shown more at a time."""


class _Entry:
    """What the operators have in common that concern one result."""

    bl_options = {"INTERNAL"}

    key: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, no_room(timer.session()))

    def execute(self, context: Context) -> Returned:
        entry = timer.session().history.find(self.key)
        if entry is None:
            self.report({"WARNING"}, "This result is not kept any more")
            return {"CANCELLED"}
        self.act(context, entry)
        timer.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_place_again(_Entry, Operator):
    """Add this result to the scene again, as it was: nothing is computed"""

    bl_idname = "image_to_3d.place_again"
    bl_label = "Place Again"

    def act(self, context: Context, entry: HistoryEntry) -> None:
        timer.session().fetch(entry)


class IMAGE_TO_3D_OT_make_again(_Entry, Operator):
    """Make this result anew, with the same pictures, network and options, without the cache"""

    bl_idname = "image_to_3d.make_again"
    bl_label = "Make Again"

    def act(self, context: Context, entry: HistoryEntry) -> None:
        timer.session().generate(choices.as_made(entry.provenance, cached=False))


class IMAGE_TO_3D_OT_load_settings(_Entry, Operator):
    """Set the panel as it was for this result: pictures, model, preset, options"""

    bl_idname = "image_to_3d.load_kept_settings"
    bl_label = "Load Settings"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return True

    def act(self, context: Context, entry: HistoryEntry) -> None:
        try:
            properties.load(properties.settings(context), timer.session().methods, entry.provenance)
        except LookupError as error:
            self.report({"WARNING"}, str(error))


class IMAGE_TO_3D_OT_forget(_Entry, Operator):
    """Remove this result from the history and from the disk; objects in scenes stay"""

    bl_idname = "image_to_3d.forget"
    bl_label = "Delete"

    def act(self, context: Context, entry: HistoryEntry) -> None:
        timer.session().remove(RemoveParams((entry.key,)))


class IMAGE_TO_3D_OT_clear_history(Operator):
    """Remove all results, and what was kept to make further ones faster, from the disk; objects in scenes stay"""

    bl_idname = "image_to_3d.clear_history"
    bl_label = "Clear"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, no_room(timer.session()))

    def invoke(self, context: Context, event: Event) -> Returned:
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Clear the History?",
            message="All results and what makes further ones faster are removed from the disk.",
            confirm_text="Clear",
            icon="QUESTION",
        )

    def execute(self, context: Context) -> Returned:
        timer.session().remove(RemoveParams(everything=True))
        timer.wake()
        return {"FINISHED"}


def _show_more(session: object) -> None:
    properties.settings(bpy.context).shown += MORE


CLASSES = (
    IMAGE_TO_3D_OT_place_again,
    IMAGE_TO_3D_OT_make_again,
    IMAGE_TO_3D_OT_load_settings,
    IMAGE_TO_3D_OT_forget,
    IMAGE_TO_3D_OT_clear_history,
    session_operator("show_more", "Show More", "Show older results too", _show_more),
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
