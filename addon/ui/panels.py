# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees. Draws the state; never changes it, starts, waits, or touches a file.

Made for the sidebar's usual width of some 220 pixels: texts wrap, labels stay short.
"""

from __future__ import annotations

import os

import bpy
from bpy.types import Context, Panel, UILayout

from ...worker.wire.protocol import BackendInfo, ErrorCode, ModelInfo
from ..session import catalogue as offered
from ..session.session import Session
from ..session.states import Problem, State
from . import drawing, environment_panels, previews, properties, wording
from . import timer as host
from .preferences import PYTHON_VARIABLE, IMAGE_TO_3D_AP_preferences, root

THUMBNAIL_SCALE = 6.0

STAGES = {
    State.STARTING: "Starting the worker",
    State.CANCELLING: "Cancelling",
    State.STOPPING: "Stopping",
}


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
        session, layout = host.session(), self.layout
        if environment_panels.wants_box(session) and not session.moving:
            environment_panels.draw_box(layout, context, session)
        _draw_picture(layout, context)
        choice = properties.chosen(context, session.offered)
        _draw_choice(layout, context, choice)
        own = properties.settings(context)
        if own.picture and (reason := properties.mismatch(own, choice, session.offered)):
            drawing.text(layout, context, wording.sentence(reason), "INFO")
        elif not choice.model.here:
            _draw_missing(layout, context, choice.backend, choice.model)


class IMAGE_TO_3D_PT_moving(_Part, Panel):
    bl_label = "What is going on"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return host.session().moving

    def draw(self, context: Context) -> None:
        _draw_moving(self.layout, context, host.session())


class IMAGE_TO_3D_PT_resting(_Part, Panel):
    bl_label = "What can be done, and how the last job went"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not host.session().moving

    def draw(self, context: Context) -> None:
        session, layout = host.session(), self.layout
        _draw_generate(layout)
        if session.results.waiting and (reason := host.why_not_placed(context)):
            drawing.text(layout, context, wording.sentence(reason), "TIME")
        if session.problem:
            _draw_problem(layout, context, session.problem)
        elif session.care.done:
            drawing.text(layout, context, wording.done(session.care.done), "CHECKMARK")
        elif session.results.last:
            _draw_result(layout, context, session)


class IMAGE_TO_3D_PT_options(_Sidebar, Panel):
    bl_label = "Options"
    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        session, layout = host.session(), self.layout
        choice, group = properties.chosen(context, session.offered), properties.group_of(context)
        changed = {option.name for option in properties.changed(group, choice.backend)}
        layout.use_property_split, layout.use_property_decorate = True, False
        column = layout.column()
        for option in choice.backend.options:
            if not offered.concerns(option, choice.model):
                continue
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
    session = host.session()
    layout.use_property_split, layout.use_property_decorate = True, False
    column = layout.column()
    column.prop(own, "folder", placeholder=str(root()))
    column.prop(own, "wheelhouse")
    column.prop(own, "device")
    column.prop(own, "python")
    if os.environ.get(PYTHON_VARIABLE):
        column.label(text=f"The variable {PYTHON_VARIABLE} goes before this", icon="INFO")
    environment_panels.draw_section(layout, context, session)
    _draw_networks(layout.box().column(), session)


def _draw_networks(column: UILayout, session: Session) -> None:
    for backend in session.offered:
        column.label(text=f"Networks of {backend.label}", icon="NODETREE")
        for model in backend.models:
            row = column.split(factor=0.5)
            row.label(text=model.label, icon="CHECKMARK" if model.here else "BLANK1")
            row = row.split(factor=0.45)
            row.label(text=wording.licence(model))
            _download_or_state(row, backend, model)
    row = column.row()
    online = "Online access is on" if bpy.app.online_access else wording.offline(bpy.app.online_access_override)
    row.label(text=wording.sentence(online), icon="URL")
    row.operator("image_to_3d.free_memory")


def _download_or_state(row: UILayout, backend: BackendInfo, model: ModelInfo) -> None:
    if model.here or not model.bytes:
        row.label(text="installed" if model.here else "not installed")
        return
    button = row.operator("image_to_3d.download", text=wording.size(model.bytes), icon="IMPORT")
    button.backend, button.model = backend.name, model.name


# ---- parts of the main panel


def _draw_picture(layout: UILayout, context: Context) -> None:
    own = properties.settings(context)
    if not own.picture:
        column = layout.column()
        column.scale_y = 1.4
        column.operator("image_to_3d.choose_picture", text="Choose a Picture", icon="FILE_IMAGE")
        return
    box = layout.box().column()
    if icon := previews.icon():
        box.template_icon(icon_value=icon, scale=THUMBNAIL_SCALE)
    row = box.row(align=True)
    more = len(own.others.splitlines())
    icon = {"folder": "FILE_FOLDER", "video": "FILE_MOVIE"}.get(properties.kind(own), "NONE")
    row.label(text=bpy.path.basename(own.picture.rstrip("/\\")) + (f" and {more} more" if more else ""), icon=icon)
    row.operator("image_to_3d.choose_picture", text="", icon="FILE_FOLDER")
    row.operator("image_to_3d.clear_picture", text="", icon="X")


def _draw_choice(layout: UILayout, context: Context, choice: properties.Choice) -> None:
    own, group = properties.settings(context), properties.group_of(context)
    column = layout.column(align=True)
    row = column.split(factor=0.32, align=True)
    row.label(text="Model")
    row.prop(own, "backend", text="")
    column.prop(group, "network", text="")  # names of networks are long: no room for a label
    note = column.row()
    note.active = False
    licence = wording.licence(choice.model)
    note.label(text=f"{choice.model.label}, {licence}" if choice.asked_model is None else f"Licence: {licence}")
    layout.row(align=True).prop(group, "preset", expand=True)


def _draw_missing(layout: UILayout, context: Context, backend: BackendInfo, model: ModelInfo) -> None:
    box = layout.box().column()
    when = "are not here yet" if host.session().asked else "were not here when last looked for"
    drawing.text(box, context, f"The weights of {model.label} {when}.", "INFO")
    if not model.bytes:
        return
    text = f"Download {wording.size(model.bytes)}"
    button = box.operator("image_to_3d.download", text=text, icon="IMPORT")
    button.backend, button.model = backend.name, model.name
    if not bpy.app.online_access:
        drawing.text(box, context, wording.sentence(wording.offline(bpy.app.online_access_override)), "URL")


def _draw_generate(layout: UILayout) -> None:
    row = layout.row()
    row.scale_y = 1.6
    row.operator("image_to_3d.generate", icon="MESH_MONKEY")


def _draw_moving(layout: UILayout, context: Context, session: Session) -> None:
    shown = session.shown
    column = layout.column(align=True)
    column.progress(factor=shown.fraction, text=STAGES.get(session.state) or wording.stage(shown))
    if icon := previews.making():
        column.template_icon(icon_value=icon, scale=THUMBNAIL_SCALE)
        said = "Finishing" if shown.enough else "Stop and Mesh Now"
        column.operator("image_to_3d.enough", text=said, icon="CHECKMARK")
    row = column.row(align=True)
    row.scale_y = 1.6
    if session.can_force:
        row.alert = True
        row.operator("image_to_3d.force_stop", icon="CANCEL")
    else:
        row.enabled = session.state in (State.STARTING, State.BUSY, State.CARING)
        row.operator("image_to_3d.cancel", icon="X")
    drawing.note(layout, context, f"{wording.clock(session.elapsed)}  {shown.message}")


def _draw_problem(layout: UILayout, context: Context, problem: Problem) -> None:
    box = layout.box().column()
    header = box.row()
    title = header.row()
    title.alert = True
    title.label(text="That did not work", icon="ERROR")
    header.operator("image_to_3d.dismiss", text="", icon="X", emboss=False)
    drawing.text(box, context, wording.sentence(problem.message))
    if problem.missing:
        button = box.operator("image_to_3d.download", icon="IMPORT")
        button.backend, button.model = problem.missing.backend, problem.missing.model
    if host.session().care.checking and problem.code is ErrorCode.WORKER_EXITED:
        drawing.text(box, context, "Trying its Python\u2026", "TIME")
    environment_panels.draw_log_and_report(box, properties.settings(context), host.session().care, problem.log)


def _draw_result(layout: UILayout, context: Context, session: Session) -> None:
    result = session.results.last
    time = "from the cache" if result.from_cache else f"in {wording.duration(sum(result.seconds.values()))}"
    drawing.text(layout, context, f"{result.name}: {result.faces:,} faces {time}, {result.model}", "CHECKMARK")
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
