# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees. Draws the state; never changes it, starts, waits, or touches a file.

Made for the sidebar's usual width of some 220 pixels: texts wrap, labels stay short.
"""

from __future__ import annotations

import bpy
from bpy.types import Context, Panel, UILayout

from ..session.catalogue import categories, of_category
from ..session.session import Session
from . import (
    batch_operators,
    choice_panel,
    choices,
    drawing,
    environment_panels,
    history_panel,
    job_panel,
    preferences,
    presets,
    properties,
    result_panels,
    sequence_operators,
    timer,
    wording,
)
from .preferences import PYTHON_VARIABLE, IMAGE_TO_3D_AP_preferences


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
        choice_panel.draw_pictures(layout, context)
        choice = timer.chosen(context)
        choice_panel.draw_choice(layout, context, choice)
        if properties.settings(context).picture and choice.mismatch:
            choice_panel.draw_mismatch(layout, context, choice, session)
        elif choice.is_automatic and not session.problem and session.selection.problem:
            drawing.text(layout, context, wording.sentence(session.selection.problem), "INFO")
        elif choice.network and choice.network.bytes and not choice.network.here:
            choice_panel.draw_missing(layout, context, choice)
        choice_panel.draw_fits(layout, context, choice, session)


class IMAGE_TO_3D_PT_generate(_Part, Panel):
    bl_label = "What is begun"

    def draw(self, context: Context) -> None:
        session, layout = timer.session(), self.layout
        choice_panel.draw_seed(layout, context, timer.chosen(context).method)
        row = layout.row()
        row.scale_y = 1.6
        text = "Add to Queue" if session.moving else "Generate"
        row.operator("image_to_3d.generate", text=text, icon="MESH_MONKEY")


class IMAGE_TO_3D_PT_moving(_Part, Panel):
    bl_label = "What is going on"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return timer.session().moving

    def draw(self, context: Context) -> None:
        job_panel.draw_card(self.layout, context, timer.session())


class IMAGE_TO_3D_PT_queue(_Part, Panel):
    bl_label = "What waits"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return bool(timer.session().queue)

    def draw(self, context: Context) -> None:
        job_panel.draw_queue(self.layout, context, timer.session())


class IMAGE_TO_3D_PT_outcome(_Part, Panel):
    bl_label = "How the last job went"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return job_panel.has_outcome(timer.session())

    def draw(self, context: Context) -> None:
        job_panel.draw_outcome(self.layout, context, timer.session())


class IMAGE_TO_3D_PT_options(_Sidebar, Panel):
    bl_label = "Options"
    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header_preset(self, context: Context) -> None:
        presets.IMAGE_TO_3D_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: Context) -> None:
        choice_panel.draw_options(self.layout, context, timer.chosen(context).method)


class IMAGE_TO_3D_PT_frames(_Sidebar, Panel):
    bl_label = "Frames"
    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return properties.is_several(properties.settings(context))

    def draw(self, context: Context) -> None:
        sequence_operators.draw(self.layout, context)


class IMAGE_TO_3D_PT_batch(_Sidebar, Panel):
    bl_label = "Batch"
    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        batch_operators.draw(self.layout, context)


class IMAGE_TO_3D_PT_history(_Sidebar, Panel):
    bl_label = "History"
    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        history_panel.draw(self.layout, context, timer.session())


class IMAGE_TO_3D_PT_scene(_Sidebar, Panel):
    bl_label = "Scene"
    bl_parent_id = "IMAGE_TO_3D_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        own, column = properties.settings(context), self.layout.column()
        several = properties.is_several(own)
        column.prop(own, "camera", text="Cameras of the Photos" if several else "Matching Camera")
        more = column.column()
        more.active = own.camera
        more.prop(own, "backdrop", text="Photos Behind Them" if several else "Photo Behind It")
        more.prop(own, "rendered", text="Render Through the First" if several else "Render Through It")
        if what := choices.saves(timer.chosen(context).method):
            column = self.layout.column(align=True)
            column.label(text=f"Save {what} In")
            column.prop(own, "maps", text="", placeholder="Not saved")
        column = self.layout.column(align=True)
        column.label(text="Save Views From All Sides In")
        column.prop(own, "views", text="", placeholder="Not saved")


def draw_preferences(own: IMAGE_TO_3D_AP_preferences, layout: UILayout, context: Context) -> None:
    """The add-on's entry in the preferences."""
    session = timer.session()
    layout.use_property_split, layout.use_property_decorate = True, False
    column = layout.column()
    column.prop(own, "folder", placeholder=str(preferences.root()))
    column.prop(own, "wheelhouse")
    column.prop(own, "device")
    column.prop(own, "host", placeholder="This machine")
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


CLASSES = (
    IMAGE_TO_3D_PT_main,
    IMAGE_TO_3D_PT_generate,
    IMAGE_TO_3D_PT_moving,
    IMAGE_TO_3D_PT_queue,
    IMAGE_TO_3D_PT_outcome,
    IMAGE_TO_3D_PT_options,
    IMAGE_TO_3D_PT_frames,
    IMAGE_TO_3D_PT_scene,
    IMAGE_TO_3D_PT_batch,
    IMAGE_TO_3D_PT_history,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
