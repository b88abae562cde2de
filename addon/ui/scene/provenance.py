# SPDX-License-Identifier: GPL-3.0-or-later
"""How an object was made, kept with it as custom properties: they are saved, appended and duplicated with it."""

from __future__ import annotations

from collections.abc import Mapping

import bpy

PROPERTY = "image_to_3d"
"""All of it, as text that the session reads."""


def keep(thing: bpy.types.Object, text: str, readable: Mapping[str, str | int]) -> None:
    """Writes it down; `readable` is what people see of it in the object's custom properties."""
    thing[PROPERTY] = text
    for name, value in readable.items():
        thing[name] = value


def kept(thing: bpy.types.Object | None) -> str:
    """What was written down, "" where nothing was."""
    return str(thing.get(PROPERTY, "")) if thing is not None else ""


def pass_on(one: bpy.types.Object, other: bpy.types.Object) -> None:
    """What was made from an object was made as it was."""
    for name in one.keys():  # noqa: SIM118 - iterating over an object gives no keys
        if name not in other:
            other[name] = one[name]
