# SPDX-License-Identifier: GPL-3.0-or-later
"""Image to 3D: turns pictures into textured 3D meshes. This is Blender's entry point."""


def register() -> None:
    from . import addon

    addon.register()


def unregister() -> None:
    from . import addon

    addon.unregister()
