# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's side of the product. Knows bpy and the standard library; talks to the worker, never imports it.

The modules without bpy (session/) can be imported anywhere: what needs it is imported when Blender registers it.
"""

from __future__ import annotations

from types import ModuleType


def register() -> None:
    from .session import catalogue
    from .ui import lasting, panels, preferences, previews, properties, property_classes, result_panels, timer
    from .ui.scene import asset

    preferences.register(draw=panels.draw_preferences, changed=lambda: timer.session().look())
    previews.register()
    properties.listen(timer.wake)
    property_classes.register(catalogue.shipped())
    lasting.register()
    for each in _operators():
        each.register()
    panels.register()
    result_panels.register()
    asset.register()
    timer.register()


def unregister() -> None:
    from .ui import lasting, panels, preferences, previews, property_classes, result_panels, timer
    from .ui.scene import asset

    drawn = timer, asset, result_panels, panels
    for each in (*drawn, *reversed(_operators()), lasting, property_classes, previews, preferences):
        each.unregister()


def _operators() -> tuple[ModuleType, ...]:
    from .ui import batch_operators as batches
    from .ui import environment_operators, history_operators, objects, operators, picture_operators, presets
    from .ui import sequence_operators as sequences

    return operators, environment_operators, objects, picture_operators, history_operators, presets, sequences, batches
