# SPDX-License-Identifier: GPL-3.0-or-later
"""The results that are kept, as thumbnails with what can be done with each. Draws the state; never changes it, starts,
waits, or touches a file.
"""

from __future__ import annotations

from bpy.types import Context, UILayout

from ...worker.wire.making import HistoryEntry
from ..session.session import Session
from . import drawing, previews, properties, wording

SCALE = 3.4
SPLIT = 0.36

ACTIONS = (
    ("image_to_3d.place_again", "Place Again", "ADD"),
    ("image_to_3d.load_kept_settings", "", "OPTIONS"),
    ("image_to_3d.make_again", "", "FILE_REFRESH"),
    ("image_to_3d.forget", "", "TRASH"),
)


def draw(layout: UILayout, context: Context, session: Session) -> None:
    """The panel."""
    own, told = properties.settings(context), session.history.told
    if not told.entries:
        drawing.note(layout, context, "Results are listed here once there are some.")
    for entry in told.entries[: own.shown]:
        _draw_entry(layout.box(), own.clay, entry)
    if (more := len(told.entries) - own.shown) > 0:
        layout.operator("image_to_3d.show_more", text=f"{more} More")
    if told.limit:
        row = layout.row(align=True)
        row.prop(own, "clay", toggle=True, icon="SHADING_SOLID")
        row.operator("image_to_3d.clear_history", text="Clear\u2026", icon="TRASH")
        drawing.note(layout, context, f"Cache: {wording.size(told.bytes)} of {wording.size(told.limit)}")


def _draw_entry(box: UILayout, clay: bool, entry: HistoryEntry) -> None:
    split = box.split(factor=SPLIT)
    if icon := previews.gallery.icon(entry.clay if clay else entry.thumbnail):
        split.template_icon(icon_value=icon, scale=SCALE)
    else:
        split.label(icon="MESH_MONKEY")
    column = split.column(align=True)
    column.scale_y = 0.8
    column.label(text=entry.name)
    small = column.column(align=True)
    small.active = False
    for line in wording.kept(entry):
        small.label(text=line)
    row = box.row(align=True)
    for operator, text, icon in ACTIONS:
        row.operator(operator, text=text, icon=icon).key = entry.key
