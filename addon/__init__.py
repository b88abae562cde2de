# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's side of the product. Knows bpy and the standard library; talks to the worker, never imports it.

The modules without bpy (client, session and what they need) can be imported anywhere: what needs it is imported on use.
"""


def register() -> None:
    from .session import catalogue as offered
    from .ui import environment_operators, operators, panels, preferences, previews, properties
    from .ui import timer as host

    preferences.register()
    previews.register()
    properties.register(offered.shipped())
    operators.register()
    environment_operators.register()
    panels.register()
    host.register()


def unregister() -> None:
    from .ui import environment_operators, operators, panels, preferences, previews, properties
    from .ui import timer as host

    host.unregister()
    panels.unregister()
    environment_operators.unregister()
    operators.unregister()
    properties.unregister()
    previews.unregister()
    preferences.unregister()
