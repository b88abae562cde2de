# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do about environments, one operator each. They give orders to the session, which carries them
out.
"""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy.types import Context, Event, Operator

from ..session import tasks as errands
from ..session.environments import Care, Report
from ..session.launch import Standing
from ..session.tasks import Check, Order
from . import drawing, preferences, wording
from . import timer as host

DIALOG_WIDTH = 420  # pixels at scale 1

Returned = set[str]


def why_not_fetched() -> str:
    """Why no packages can be got, "" if they can."""
    if preferences.preferences().wheelhouse or bpy.app.online_access:
        return ""
    return wording.offline(bpy.app.online_access_override)


def standing_of(care: Care, name: str) -> Standing | None:
    """The state of an environment as far as it is known without looking."""
    if name == care.needed and care.found.standing:
        return care.found.standing
    entry = care.checked.entry(name) if care.checked else None
    return entry.standing if entry else None


class _Caring:
    """What the operators have in common that change environments: one at a time."""

    bl_options = {"INTERNAL"}

    environment: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        return host.session().can_order

    def give(self, order: Order) -> Returned:
        host.session().give_order(order)
        host.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_set_up(_Caring, Operator):
    """Install what the chosen model needs, in a folder of its own, apart from Blender's Python"""

    bl_idname = "image_to_3d.set_up"
    bl_label = "Set Up"

    @classmethod
    def poll(cls, context: Context) -> bool:
        if reason := why_not_fetched():
            cls.poll_message_set(wording.sentence(reason).removesuffix("."))
        return not reason and host.session().can_order

    def invoke(self, context: Context, event: Event) -> Returned:
        verb = wording.verb(standing_of(host.session().care, self._name()))
        return context.window_manager.invoke_props_dialog(self, width=DIALOG_WIDTH, title=verb, confirm_text=verb)

    def draw(self, context: Context) -> None:
        care, name = host.session().care, self._name()
        entry = care.checked.entry(name) if care.checked else None
        column, width = self.layout.column(), DIALOG_WIDTH * context.preferences.system.ui_scale - 40
        standing = standing_of(care, name)
        drawing.text(column, context, wording.standing(standing, care.found.reason), "INFO", width)
        if entry and (need := wording.need(entry)):
            drawing.text(column, context, need, "IMPORT", width)
        column.label(text=str(preferences.root()), icon="FILE_FOLDER")
        drawing.text(column, context, "The folder can be changed in the add-on's preferences.", "BLANK1", width)

    def execute(self, context: Context) -> Returned:
        name = self._name()
        return self.give(errands.making(name, standing_of(host.session().care, name)))

    def _name(self) -> str:
        return self.environment or host.session().care.needed


class IMAGE_TO_3D_OT_remove_environment(_Caring, Operator):
    """Remove this environment from the disk; it can be set up again"""

    bl_idname = "image_to_3d.remove_environment"
    bl_label = "Remove Environment"

    def invoke(self, context: Context, event: Event) -> Returned:
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Remove This Environment?",
            message="Its packages go; weights and results stay. It can be set up again.",
            confirm_text="Remove",
            icon="QUESTION",
        )

    def execute(self, context: Context) -> Returned:
        return self.give(Order("remove", self.environment))


class IMAGE_TO_3D_OT_move(_Caring, Operator):
    """Move environments, weights and results to another folder, and use that from then on"""

    bl_idname = "image_to_3d.move"
    bl_label = "Move Everything Here"

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: Context, event: Event) -> Returned:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Context) -> Returned:
        return self.give(Order("move", folder=Path(self.directory)))


class IMAGE_TO_3D_OT_check(Operator):
    """Try this environment out: every file, every import, a calculation on the device"""

    bl_idname = "image_to_3d.check"
    bl_label = "Check"
    bl_options = {"INTERNAL"}

    environment: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        return host.session().can_order and not host.session().care.checking

    def execute(self, context: Context) -> Returned:
        care = host.session().care
        care.want(Check((self.environment,) if self.environment else care.known, deep=True))
        host.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_stop_check(Operator):
    """End the check that is going on"""

    bl_idname = "image_to_3d.stop_check"
    bl_label = "Stop"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return host.session().care.checking

    def execute(self, context: Context) -> Returned:
        host.session().care.stop_check()
        host.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_copy_report(Operator):
    """Copy what happened, with versions, hardware and the end of the log, for a bug report; without names or tokens"""

    bl_idname = "image_to_3d.copy_report"
    bl_label = "Copy Report"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return host.session().care.report is not Report.WANTED

    def execute(self, context: Context) -> Returned:
        host.session().care.ask_for_report()
        host.wake()
        return {"FINISHED"}


CLASSES = (
    IMAGE_TO_3D_OT_set_up,
    IMAGE_TO_3D_OT_remove_environment,
    IMAGE_TO_3D_OT_move,
    IMAGE_TO_3D_OT_check,
    IMAGE_TO_3D_OT_stop_check,
    IMAGE_TO_3D_OT_copy_report,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
