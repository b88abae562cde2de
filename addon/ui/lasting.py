# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that outlast the window manager on which they live: opening another file brings another one, and so does
Blender's next start. Must not know where they are kept, or what they mean."""

from __future__ import annotations

from contextlib import suppress

import bpy
from bpy.types import PropertyGroup

from . import properties

PASSING = ("picture", "others", "batch_source", "batch_folder", "show_log", "clay", "shown")
"""Settings that are not for the next start of Blender."""

_remembered: dict[str, object] = {}


@bpy.app.handlers.persistent
def _remember(*_: object) -> None:
    _remembered.clear()
    _remembered.update(_values(properties.settings(bpy.context)))


@bpy.app.handlers.persistent
def _restore(*_: object) -> None:
    with properties.quietly():
        _set_values(properties.settings(bpy.context), _remembered)


def _values(group: PropertyGroup) -> dict[str, object]:
    names = {each.identifier for each in group.bl_rna.properties} - {"rna_type", "name"}
    now = {name: getattr(group, name) for name in names if not name.startswith(properties.COMPUTED)}
    return {name: _values(value) if isinstance(value, PropertyGroup) else value for name, value in now.items()}


def _set_values(group: PropertyGroup, values: dict[str, object]) -> None:
    """Sets what there still is, to what it still can be: another version may have other settings."""
    for name, stored in values.items():
        if isinstance(stored, dict) and isinstance(getattr(group, name, None), PropertyGroup):
            _set_values(getattr(group, name), stored)
        elif name in group.bl_rna.properties:
            with suppress(TypeError, AttributeError):
                setattr(group, name, stored)


def lasting(own: PropertyGroup) -> dict[str, object]:
    """What is to be the same at Blender's next start."""
    return {name: value for name, value in _values(own).items() if name not in PASSING}


def take(own: PropertyGroup, values: dict[str, object]) -> None:
    """Sets what `lasting` gave."""
    with properties.quietly():
        _set_values(own, {name: value for name, value in values.items() if name not in PASSING})


def register() -> None:
    bpy.app.handlers.load_pre.append(_remember)
    bpy.app.handlers.load_post.append(_restore)


def unregister() -> None:
    bpy.app.handlers.load_pre.remove(_remember)
    bpy.app.handlers.load_post.remove(_restore)
