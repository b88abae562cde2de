# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's side of the product. Knows bpy and the standard library; talks to the worker, never imports it.

The modules without bpy (client, session and what they need) can be imported anywhere: what needs it is imported on use.
"""


def register() -> None:
    from . import environment_operators, host, offered, operators, panels, preferences, previews, properties

    preferences.register()
    previews.register()
    properties.register(offered.shipped())
    operators.register()
    environment_operators.register()
    panels.register()
    host.register()


def unregister() -> None:
    from . import environment_operators, host, operators, panels, preferences, previews, properties

    host.unregister()
    panels.unregister()
    environment_operators.unregister()
    operators.unregister()
    properties.unregister()
    previews.unregister()
    preferences.unregister()
