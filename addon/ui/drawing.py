# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things that several panels draw with. Draws what it is given; knows no state of ours."""

from __future__ import annotations

import blf
import bpy
from bpy.types import Context, UILayout

from . import wording

FONT_SIZE = 11.0  # points of Blender's interface text at scale 1
MARGIN = 72  # pixels at scale 1 of a sidebar that text in a box cannot use
ICON = 20
TEXT_LINES = 8
LOG_LINES = 12


def text(layout: UILayout, context: Context, text: str, icon: str = "NONE", width: float | None = None) -> None:
    """A text that wraps at the region's width (or `width` in pixels), and ends where it would push everything else
    away."""
    scale = context.preferences.system.ui_scale
    blf.size(0, FONT_SIZE * scale)
    column = layout.column(align=True)
    column.scale_y = 0.8
    margin = (MARGIN if width is None else 0) + (0 if icon == "NONE" else ICON)
    room = (width or context.region.width) - margin * scale
    lines = wording.wrap(text, room, lambda line: blf.dimensions(0, line)[0])
    if len(lines) > TEXT_LINES:
        lines = [*lines[:TEXT_LINES], "\u2026"]
    for number, line in enumerate(lines):
        column.label(text=line, icon=icon if number == 0 else "NONE" if icon == "NONE" else "BLANK1")


def failure(layout: UILayout, context: Context, title: str, message: str) -> None:
    """A title in red, with a button that takes it away, and what it was."""
    header = layout.row()
    red = header.row()
    red.alert = True
    red.label(text=title, icon="ERROR")
    header.operator("image_to_3d.dismiss", text="", icon="X", emboss=False)
    text(layout, context, wording.sentence(message))


def offline(layout: UILayout, context: Context, reason: str) -> None:
    """Why there is no network, with the way to Blender's own switch for it where that can be used."""
    text(layout, context, wording.sentence(reason), "URL")
    if not bpy.app.online_access_override:
        button = layout.operator("screen.userpref_show", text="Allow Online Access\u2026", icon="PREFERENCES")
        button.section = "SYSTEM"


def note(layout: UILayout, context: Context, aside: str) -> None:
    """A text that is there for who looks for it."""
    column = layout.column()
    column.active = False
    text(column, context, aside)


def log(layout: UILayout, lines: str) -> None:
    """The end of a log, small and unwrapped."""
    column = layout.column(align=True)
    column.scale_y = 0.7
    for line in lines.splitlines()[-LOG_LINES:]:
        column.label(text=line)
