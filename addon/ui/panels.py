# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees. Draws the state; never changes it, starts, waits, or touches a file.

Made for the sidebar's usual width of some 220 pixels: texts wrap, labels stay short.
"""

from __future__ import annotations

import bpy
from bpy.types import Context, Panel, UILayout

from ...worker.wire.protocol import ErrorCode, NetworkInfo
from ..session.catalogue import categories, of_category
from ..session.session import Session
from ..session.states import Problem, State
from . import drawing, environment_panels, preferences, previews, properties, result_panels, timer, wording
from .choices import Choice
from .preferences import PYTHON_VARIABLE, IMAGE_TO_3D_AP_preferences

THUMBNAIL_SCALE = 6.0

STAGES = {State.STARTING: "Starting the worker", State.CANCELLING: "Cancelling", State.STOPPING: "Stopping"}


class _Sidebar:
    """Where all our panels are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Image to 3D"


class _Part(_Sidebar):
    """A part of the main panel that is a panel of its own, without a header.

    Because Blender keeps the widget that the mouse is over while a panel changes below it, and takes any label of the
    same panel for its successor: the progress bar would live on as a blue label. Panels keep their widgets apart.
    """

    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"HIDE_HEADER"}


class IMAGE_TO_3D_PT_main(_Sidebar, Panel):
    bl_label = "Image to 3D"

    def draw_header_preset(self, context: Context) -> None:
        self.layout.operator("image_to_3d.preferences", text="", icon="PREFERENCES", emboss=False)

    def draw(self, context: Context) -> None:
        session, layout = timer.session(), self.layout
        if environment_panels.wants_box(session) and not session.moving:
            environment_panels.draw_box(layout, context, session)
        _draw_picture(layout, context)
        choice = timer.chosen(context)
        _draw_choice(layout, context, choice)
        reason = choice.mismatch if properties.settings(context).picture else ""
        if reason := reason or choice.is_automatic and not session.problem and session.selection.problem:
            drawing.text(layout, context, wording.sentence(reason), "INFO")
        elif choice.network and choice.network.bytes and not choice.network.here:
            _draw_missing(layout, context, choice.network)


class IMAGE_TO_3D_PT_moving(_Part, Panel):
    bl_label = "What is going on"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return timer.session().moving

    def draw(self, context: Context) -> None:
        _draw_moving(self.layout, context, timer.session())


class IMAGE_TO_3D_PT_resting(_Part, Panel):
    bl_label = "What can be done, and how the last job went"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not timer.session().moving

    def draw(self, context: Context) -> None:
        session, layout = timer.session(), self.layout
        row = layout.row()
        row.scale_y = 1.6
        row.operator("image_to_3d.generate", icon="MESH_MONKEY")
        if session.results.waiting and (reason := timer.why_not_added(context)):
            drawing.text(layout, context, wording.sentence(reason), "TIME")
        if session.problem:
            _draw_problem(layout, context, session.problem)
        elif session.environments.done:
            drawing.text(layout, context, wording.done(session.environments.done), "CHECKMARK")
        elif session.results.last:
            _draw_result(layout, context, session)


class IMAGE_TO_3D_PT_options(_Sidebar, Panel):
    bl_label = "Options"
    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        layout = self.layout
        own, method = properties.settings(context), timer.chosen(context).method
        group, changed = properties.of_method(own, method), properties.changed(own, method)
        layout.use_property_split, layout.use_property_decorate = True, False
        column = layout.column()
        for option in method.options:
            row = column.row(align=True)
            row.prop(group, properties.property_name(option))
            if option.name in changed:
                row.operator("image_to_3d.reset_option", text="", icon="LOOP_BACK").option = option.name


class IMAGE_TO_3D_PT_scene(_Sidebar, Panel):
    bl_label = "Scene"
    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        own, column = properties.settings(context), self.layout.column()
        several = properties.is_several(own)
        column.prop(own, "camera", text="Cameras of the Photos" if several else "Matching Camera")
        row = column.row()
        row.active = own.camera
        row.prop(own, "backdrop", text="Photos Behind Them" if several else "Photo Behind It")


def draw_preferences(own: IMAGE_TO_3D_AP_preferences, layout: UILayout, context: Context) -> None:
    """The add-on's entry in the preferences."""
    session = timer.session()
    layout.use_property_split, layout.use_property_decorate = True, False
    column = layout.column()
    column.prop(own, "folder", placeholder=str(preferences.root()))
    column.prop(own, "wheelhouse")
    column.prop(own, "device")
    column.prop(own, "python")
    result_panels.draw_preferences(own, column)
    if preferences.has_variable():
        column.label(text=f"The variable {PYTHON_VARIABLE} goes before this", icon="INFO")
    environment_panels.draw_section(layout, context, session)
    _draw_networks(layout.box().column(), session)


def _draw_networks(column: UILayout, session: Session) -> None:
    for category in categories(session.methods):
        column.label(text=f"Networks of {category}", icon="NODETREE")
        for network in (each for method in of_category(session.methods, category) for each in method.networks):
            row = column.split(factor=0.5)
            row.label(text=network.label, icon="CHECKMARK" if network.here else "BLANK1")
            row = row.split(factor=0.45)
            row.label(text=wording.licence(network))
            if network.here or not network.bytes:
                row.label(text="installed" if network.here else "not installed")
                continue
            size = wording.size(network.bytes)
            row.operator("image_to_3d.download", text=size, icon="IMPORT").network = network.name
    row = column.row()
    row.label(text=wording.sentence(preferences.offline() or "online access is on"), icon="URL")
    row.operator("image_to_3d.free_memory")


# ---- parts of the main panel


def _draw_picture(layout: UILayout, context: Context) -> None:
    own = properties.settings(context)
    if not own.picture:
        column = layout.column()
        column.scale_y = 1.4
        column.operator("image_to_3d.choose_picture", text="Choose a Picture", icon="FILE_IMAGE")
        return
    box = layout.box().column()
    if icon := previews.chosen.icon():
        box.template_icon(icon_value=icon, scale=THUMBNAIL_SCALE)
    row = box.row(align=True)
    more = len(own.others.splitlines())
    icon = {"folder": "FILE_FOLDER", "video": "FILE_MOVIE"}.get(properties.kind(own), "NONE")
    row.label(text=bpy.path.basename(own.picture.rstrip("/\\")) + (f" and {more} more" if more else ""), icon=icon)
    row.operator("image_to_3d.choose_picture", text="", icon="FILE_FOLDER")
    row.operator("image_to_3d.clear_picture", text="", icon="X")


def _draw_choice(layout: UILayout, context: Context, choice: Choice) -> None:
    own = properties.settings(context)
    group, network = properties.of_the_category(own), choice.network
    column = layout.column(align=True)
    row = column.split(factor=0.32, align=True)
    row.label(text="Model")
    row.prop(own, "category", text="")
    column.prop(group, "network", text="")  # names of networks are long: no room for a label
    note = column.row()
    note.active = False
    if network is None:
        note.label(text=f"Automatic: {choice.method.label}")
    else:
        name = f"{network.label}, " if choice.is_automatic else "Licence: "
        note.label(text=name + wording.licence(network))
    layout.row(align=True).prop(group, "preset", expand=True)


def _draw_missing(layout: UILayout, context: Context, network: NetworkInfo) -> None:
    box = layout.box().column()
    when = "are not here yet" if timer.session().up_to_date else "were not here when last looked for"
    drawing.text(box, context, f"The weights of {network.label} {when}.", "INFO")
    text = f"Download {wording.size(network.bytes)}"
    box.operator("image_to_3d.download", text=text, icon="IMPORT").network = network.name
    if offline := preferences.offline():
        drawing.text(box, context, wording.sentence(offline), "URL")


def _draw_moving(layout: UILayout, context: Context, session: Session) -> None:
    shown = session.shown
    column = layout.column(align=True)
    column.progress(factor=shown.fraction, text=STAGES.get(session.state) or wording.stage(shown))
    if icon := previews.making.icon():
        column.template_icon(icon_value=icon, scale=THUMBNAIL_SCALE)
        label = "Finishing" if shown.enough else "Stop and Mesh Now"
        column.operator("image_to_3d.enough", text=label, icon="CHECKMARK")
    row = column.row(align=True)
    row.scale_y = 1.6
    if session.can_force:
        row.alert = True
        row.operator("image_to_3d.force_stop", icon="CANCEL")
    else:
        row.enabled = session.state in (State.STARTING, State.BUSY, State.SETTING_UP)
        row.operator("image_to_3d.cancel", icon="X")
    parts = wording.clock(session.elapsed), wording.remaining(shown.remaining), shown.message
    drawing.note(layout, context, "  ".join(part for part in parts if part))


def _draw_problem(layout: UILayout, context: Context, problem: Problem) -> None:
    box = layout.box().column()
    drawing.failure(box, context, "That did not work", problem.message)
    if problem.missing:
        box.operator("image_to_3d.download", icon="IMPORT").network = problem.missing.network
    if timer.session().environments.checking and problem.code is ErrorCode.WORKER_EXITED:
        drawing.text(box, context, "Trying its Python\u2026", "TIME")
    environment_panels.draw_log_and_report(box, properties.settings(context), timer.session().environments, problem.log)


def _draw_result(layout: UILayout, context: Context, session: Session) -> None:
    result = session.results.last
    time = "from the cache" if result.from_cache else f"in {wording.duration(sum(result.seconds.values()))}"
    drawing.text(layout, context, f"{result.name}: {result.faces:,} faces {time}, {result.network}", "CHECKMARK")
    for warning in result.warnings:
        drawing.text(layout, context, wording.sentence(warning), "INFO")


CLASSES = (
    IMAGE_TO_3D_PT_main,
    IMAGE_TO_3D_PT_moving,
    IMAGE_TO_3D_PT_resting,
    IMAGE_TO_3D_PT_options,
    IMAGE_TO_3D_PT_scene,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
