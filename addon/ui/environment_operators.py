# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do about environments, one operator each. They give orders to the session, which carries them
out.
"""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy.types import Context, Event, Operator

from ..session import tasks
from ..session.environments import Report
from ..session.tasks import Check, Order
from . import advice, drawing, environment_panels, preferences, properties, timer, wording
from .operators import Returned, grey, session_operator

DIALOG_WIDTH = 420  # pixels at scale 1


class _Ordering:
    """What the operators have in common that concern one environment, or all: one at a time."""

    bl_options = {"INTERNAL"}

    environment: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not timer.session().moving

    def give(self, order: Order) -> Returned:
        timer.session().give_order(order)
        timer.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_set_up(_Ordering, Operator):
    """Install what the chosen model needs, in a folder of its own, apart from Blender's Python"""

    bl_idname = "image_to_3d.set_up"
    bl_label = "Set Up"

    then_generate: BoolProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, preferences.why_not_fetched()) and not timer.session().moving

    def invoke(self, context: Context, event: Event) -> Returned:
        verb = wording.verb(timer.session().environments.standing(self._name()))
        return context.window_manager.invoke_props_dialog(self, width=DIALOG_WIDTH, title=verb, confirm_text=verb)

    def draw(self, context: Context) -> None:
        environments, name = timer.session().environments, self._name()
        entry = environments.entry(name)
        column, width = self.layout.column(), DIALOG_WIDTH * context.preferences.system.ui_scale - 40
        standing = wording.standing(environments.standing(name), environments.interpreter.reason)
        drawing.text(column, context, standing, "INFO", width)
        if entry and (need := wording.need(entry)):
            drawing.text(column, context, need, "IMPORT", width)
        environment_panels.draw_along(column, context, timer.session(), name, width)
        if self.then_generate:
            drawing.text(column, context, "Then the mesh is made.", "MESH_MONKEY", width)
        column.label(text=str(preferences.root()), icon="FILE_FOLDER")
        drawing.text(column, context, "The folder can be changed in the add-on's preferences.", "BLANK1", width)

    def execute(self, context: Context) -> Returned:
        name = self._name()
        order = tasks.making(name, timer.session().environments.standing(name))
        network = advice.comes_along(timer.session().methods, name)
        wanted = network and properties.settings(context).along and not preferences.offline()
        recipe = timer.chosen(context).recipe if self.then_generate else None
        timer.session().set_up(order, network.name if wanted else "", recipe)
        timer.wake()
        return {"FINISHED"}

    def _name(self) -> str:
        return self.environment or timer.session().environments.needed


class IMAGE_TO_3D_OT_remove_environment(_Ordering, Operator):
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


class IMAGE_TO_3D_OT_move(_Ordering, Operator):
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


class IMAGE_TO_3D_OT_check(_Ordering, Operator):
    """Try this environment out: every file, every import, a calculation on the device"""

    bl_idname = "image_to_3d.check"
    bl_label = "Check"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not timer.session().moving and not timer.session().environments.checking

    def execute(self, context: Context) -> Returned:
        environments = timer.session().environments
        environments.want(Check((self.environment,) if self.environment else environments.names, deep=True))
        timer.wake()
        return {"FINISHED"}


CLASSES = (
    IMAGE_TO_3D_OT_set_up,
    IMAGE_TO_3D_OT_remove_environment,
    IMAGE_TO_3D_OT_move,
    IMAGE_TO_3D_OT_check,
    session_operator(
        "stop_check",
        "Stop",
        "End the check that is going on",
        lambda session: session.environments.stop_check(),
        lambda session: "" if session.environments.checking else "nothing is being checked",
    ),
    session_operator(
        "copy_report",
        "Copy Report",
        "Copy what happened, with versions, hardware and the end of the log, for a bug report; without names or tokens",
        lambda session: session.environments.ask_for_report(),
        lambda session: "it is being gathered" if session.environments.report is Report.WANTED else "",
    ),
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
