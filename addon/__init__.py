# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's side of the product. Knows bpy and the standard library; talks to the worker, never imports it.

The modules without bpy (session/) can be imported anywhere: what needs it is imported when Blender registers it.
"""


def register() -> None:
    from .session import catalogue
    from .ui import environment_operators, operators, panels, preferences, previews, properties, timer

    preferences.register(draw=panels.draw_preferences, changed=lambda: timer.session().look())
    previews.register()
    properties.register(catalogue.shipped(), changed=timer.wake)
    operators.register()
    environment_operators.register()
    panels.register()
    timer.register()


def unregister() -> None:
    from .ui import environment_operators, operators, panels, preferences, previews, properties, timer

    for each in (timer, panels, environment_operators, operators, properties, previews, preferences):
        each.unregister()
