# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel of the object that is selected: how it was made, and what can be made of it. Draws; changes nothing."""

from __future__ import annotations

import bpy
from bpy.types import Context, Panel, UILayout

from ..session import provenance
from . import choice_panel, drawing, objects, properties, timer, wording
from .preferences import IMAGE_TO_3D_AP_preferences
from .scene import provenance as kept
from .scene import view


class _OfObject:
    """Where the panels of the selected object are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Image to 3D"

    @classmethod
    def poll(cls, context: Context) -> bool:
        thing = context.active_object
        return thing is not None and thing.type == "MESH" and thing.select_get()


class IMAGE_TO_3D_PT_result(_OfObject, Panel):
    bl_label = "Result"
    bl_order = 10

    @classmethod
    def poll(cls, context: Context) -> bool:
        return super().poll(context) and bool(kept.kept(context.active_object))

    def draw(self, context: Context) -> None:
        layout, made = self.layout, objects.made(context.active_object)
        if view.can_show_textures(context.space_data):
            layout.operator("image_to_3d.show_textures", icon="TEXTURE")
        if made is None:
            drawing.note(layout, context, "How it was made is not known.")
            return
        for name, value in provenance.readable(made).items():
            row = layout.split(factor=0.32)
            row.scale_y = 0.8
            row.label(text=name)
            row.label(text=str(value))
        column = layout.column(align=True)
        column.operator("image_to_3d.regenerate", icon="FILE_REFRESH")
        row, own = column.row(align=True), properties.settings(context)
        row.operator("image_to_3d.vary", icon="MOD_ARRAY").count = own.variations
        number = row.row(align=True)
        number.ui_units_x = 3.0
        number.prop(own, "variations", text="")
        column.operator("image_to_3d.load_settings", icon="COPYDOWN")


class IMAGE_TO_3D_PT_work_on(_OfObject, Panel):
    bl_label = "Work On It"
    bl_order = 11
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        column = self.layout.column(align=True)
        own = properties.settings(context)
        row = column.row(align=True)
        row.operator("image_to_3d.refine_selected", icon="SHADING_TEXTURE")
        row.prop(own, "refine_by", text="")
        choice_panel.draw_refining(column, context)
        row = column.row(align=True)
        row.operator("image_to_3d.improve", icon="MOD_SMOOTH")
        row.prop(own, "rounds", text="")
        if text := wording.estimate(timer.session().improving.answer, own.rounds):
            drawing.note(column, context, wording.sentence(text).removesuffix("."))
        column.operator("image_to_3d.retopologise", icon="MESH_GRID")
        column.operator("image_to_3d.make_printable", icon="MESH_CUBE")
        column.operator("image_to_3d.levels_of_detail", icon="MOD_DECIM")
        self.layout.operator("image_to_3d.mark_asset", icon="ASSET_MANAGER")
        count = len(context.active_object.data.polygons)
        drawing.note(self.layout, context, f"{count:,} faces")


def draw_preferences(own: IMAGE_TO_3D_AP_preferences, layout: UILayout) -> None:
    """What the preferences say of results."""
    layout.prop(own, "show_textures")
    layout.prop(own, "mark_assets")
    layout.prop(own, "author")


CLASSES = (IMAGE_TO_3D_PT_result, IMAGE_TO_3D_PT_work_on)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
