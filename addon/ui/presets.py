# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own presets, in Blender's way: a menu in the header of the options, files in the user's scripts. One holds
the model, its network and preset, and all options of the method."""

from __future__ import annotations

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel
from bpy.types import Menu, Operator, Panel

from . import properties, timer

FOLDER = "image_to_3d"


class IMAGE_TO_3D_MT_presets(Menu):
    """The presets that the user has saved."""

    bl_idname = "IMAGE_TO_3D_MT_presets"
    bl_label = "Own Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    draw = Menu.draw_preset


class IMAGE_TO_3D_OT_add_preset(AddPresetBase, Operator):
    """Save these settings as a preset of your own, or remove one"""

    bl_idname = "image_to_3d.add_preset"
    bl_label = "Add Preset"
    preset_menu = "IMAGE_TO_3D_MT_presets"
    preset_subdir = FOLDER
    preset_defines = ["own = bpy.context.window_manager.image_to_3d"]

    @property
    def preset_values(self) -> list[str]:
        """What is saved, in the order in which it is set again: a preset of ours sets options too."""
        own, method = properties.settings(bpy.context), timer.chosen(bpy.context).method
        group = properties.attribute("category", own.category)
        values = ["own.category", f"own.{group}.network", f"own.{group}.preset"]
        return values + [f"own.{properties.option_path(method, option)}" for option in method.options]


class IMAGE_TO_3D_PT_presets(PresetPanel, Panel):
    """What the button in the header of the options opens."""

    bl_label = "Own Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = "image_to_3d.add_preset"


CLASSES = (IMAGE_TO_3D_MT_presets, IMAGE_TO_3D_OT_add_preset, IMAGE_TO_3D_PT_presets)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
