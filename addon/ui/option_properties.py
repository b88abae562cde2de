# SPDX-License-Identifier: GPL-3.0-or-later
"""One option of the worker's as a property that Blender draws and stores: angles in radians, whole numbers with limits.
Must not know which method has it, or what is chosen.
"""

from __future__ import annotations

import math

from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty
from bpy.types import PropertyGroup

from ...worker.core.options import Option, Value


def stored(option: Option, value: Value) -> Value:
    """The worker's value as Blender keeps it."""
    return math.radians(value) if option.unit == "degrees" and option.kind == "float" else value


def told(option: Option, kept: Value) -> Value:
    """Blender's value as the worker takes it: of single precision no more digits than there are."""
    if option.kind != "float":
        return kept
    return float(f"{math.degrees(kept) if option.unit == 'degrees' else kept:.6g}")


def made(option: Option, **more: object) -> object:
    """The property, with the option's limits and help; `more` goes to Blender."""
    more |= {"name": option.label, "description": option.help.rstrip(".")}  # Blender adds the full stop
    match option.kind:
        case "bool":
            return BoolProperty(**more)
        case "choice":
            items = [(each, each.replace("_", " ").capitalize(), "") for each in option.choices]
            return EnumProperty(items=items, **more)
        case "int":
            low, high = _limits(option, -(2**31), 2**31 - 1)
            subtype = "PIXEL" if option.unit == "pixels" else "NONE"
            return IntProperty(min=int(low), max=int(high), subtype=subtype, **more)
    low, high = (stored(option, limit) for limit in _limits(option, -3.4e38, 3.4e38))
    subtype = {"degrees": "ANGLE", "metres": "DISTANCE"}.get(option.unit, "NONE")
    return FloatProperty(min=low, max=high, subtype=subtype, step=10, precision=2, **more)


def _limits(option: Option, low: float, high: float) -> tuple[float, float]:
    return low if option.minimum is None else option.minimum, high if option.maximum is None else option.maximum


def zero(option: Option, name: str) -> object:
    """A tick that is set where the option, which its group has under that name, is 0."""
    usual = stored(option, option.usual)

    def set_zero(group: PropertyGroup, zero: bool) -> None:
        if zero != (getattr(group, name) == 0):
            setattr(group, name, type(usual)(0) if zero else usual)

    return BoolProperty(
        name=option.zero.capitalize(),
        description=option.help.rstrip("."),
        get=lambda group: getattr(group, name) == 0,
        set=set_zero,
    )
