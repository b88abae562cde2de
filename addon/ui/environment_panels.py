# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees of environments: the box in the panel when one is missing or something went wrong with it, and the
section in the preferences. Draws the state; never changes it, starts, waits, or touches a file.
"""

from __future__ import annotations

import bpy
from bpy.types import Context, UILayout

from ..session.check import Entry
from ..session.environments import Care, Report
from ..session.launch import Standing
from ..session.session import Session
from ..session.states import State
from . import drawing, preferences, properties, wording
from .environment_operators import standing_of, why_not_fetched

ICONS = {
    Standing.READY: "CHECKMARK",
    Standing.ABSENT: "RADIOBUT_OFF",
    Standing.INCOMPLETE: "ERROR",
    Standing.OUTDATED: "ERROR",
    Standing.BROKEN: "ERROR",
    None: "QUESTION",
}


def wants_box(session: Session) -> bool:
    """Whether there is something to say about the environment of the chosen model."""
    return session.found.python is None or session.care.problem is not None


def draw_box(layout: UILayout, context: Context, session: Session) -> None:
    """What is missing and why, what it takes, and the button that helps."""
    care, box = session.care, layout.box().column()
    if care.problem:
        draw_problem(box, context, session)
    if session.found.python:
        return
    if session.found.standing is None:
        drawing.text(box, context, wording.sentence(session.found.reason), "ERROR")
        box.operator("image_to_3d.preferences", text="Preferences", icon="PREFERENCES")
        return
    if not care.problem:
        icon = "INFO" if session.found.standing is Standing.ABSENT else "ERROR"
        drawing.text(box, context, wording.standing(session.found.standing, session.found.reason), icon)
    _draw_button(box, care)
    if reason := why_not_fetched():
        drawing.text(box, context, wording.sentence(reason), "URL")
    _draw_need(box, context, care)


def _draw_button(layout: UILayout, care: Care) -> None:
    row = layout.row()
    row.scale_y = 1.4
    verb = "Try Again" if care.failed and care.failed.name == care.needed else wording.verb(care.found.standing)
    with drawing.at_once(row):  # what the dialog would say is said here
        row.operator("image_to_3d.set_up", text=verb, icon="IMPORT").environment = care.needed


def _draw_need(layout: UILayout, context: Context, care: Care) -> None:
    checked = care.checked
    entry = checked.entry(care.needed) if checked else None
    if entry is None:
        if care.checking:
            drawing.note(layout, context, "Finding out what it takes\u2026")
        elif care.check_error:
            drawing.note(layout, context, wording.sentence(f"what it takes is not known: {care.check_error}"))
        return
    if need := wording.need(entry):
        drawing.text(layout, context, need)
    for finding in checked.findings:
        if not finding.ok and not (care.problem and care.problem.message == finding.text):
            drawing.text(layout, context, wording.sentence(finding.text), "ERROR")
    if checked.warning:
        drawing.text(layout, context, wording.sentence(checked.warning), "ERROR")
    if checked.build:
        drawing.note(layout, context, wording.build(checked))
    if entry.licence:
        drawing.note(layout, context, wording.sentence(entry.licence))


def draw_problem(box: UILayout, context: Context, session: Session) -> None:
    """How the last order failed."""
    care, own = session.care, properties.settings(context)
    header = box.row()
    title = header.row()
    title.alert = True
    doing = care.failed.doing if care.failed else "this"
    title.label(text=f"{doing.capitalize()} did not work", icon="ERROR")
    header.operator("image_to_3d.dismiss", text="", icon="X", emboss=False)
    drawing.text(box, context, wording.sentence(care.problem.message))
    entry = care.checked.entry(care.failed.name) if care.checked and care.failed else None
    draw_log_and_report(box, own, care, care.problem.log or (entry.log_tail if entry else ""))


def draw_log_and_report(box: UILayout, own: bpy.types.PropertyGroup, care: Care, log: str) -> None:
    """The end of the log, folded, and the button for a bug report."""
    row = box.row(align=True)
    if log:
        icon = "DISCLOSURE_TRI_DOWN" if own.show_log else "DISCLOSURE_TRI_RIGHT"
        row.prop(own, "show_log", icon=icon, emboss=False)
    draw_report_button(row, care)
    if log and own.show_log:
        drawing.log(box, log)


def draw_report_button(row: UILayout, care: Care) -> None:
    """Says as well whether the report is in the clipboard: it may have to wait for a check."""
    text = {Report.WANTED: "Gathering\u2026", Report.COPIED: "Report Copied"}.get(care.report, "Copy Report")
    icon = "CHECKMARK" if care.report is Report.COPIED else "COPYDOWN"
    row.operator("image_to_3d.copy_report", text=text, icon=icon)


# ---- the section in the preferences


def draw_section(layout: UILayout, context: Context, session: Session) -> None:
    """Every environment with its state and what can be done about it, and what the last check found."""
    care = session.care
    own, box = preferences.preferences(), layout.box().column()
    header = box.row()
    header.label(text="Environments", icon="PACKAGE")
    draw_report_button(header, care)
    if own.python:
        box.label(text="A Python of your own is used instead of these", icon="INFO")
    for name in care.known:
        _draw_row(box, context, care, name)
    box.separator(factor=0.5)
    if care.order:
        _draw_order(box, session)
    elif care.checking:
        row = box.row()
        row.label(text="Checking\u2026", icon="TIME")
        row.operator("image_to_3d.stop_check", icon="X")
    _draw_check(box, context, care)
    row = box.row()
    row.operator("image_to_3d.check", text="Check All", icon="VIEWZOOM").environment = ""
    row.operator("image_to_3d.move", text="Move\u2026", icon="FOLDER_REDIRECT")


def _draw_row(box: UILayout, context: Context, care: Care, name: str) -> None:
    standing, entry = standing_of(care, name), care.checked.entry(name) if care.checked else None
    row = box.split(factor=0.36)
    row.label(text=_title(name, standing, entry), icon=ICONS[standing])
    row = row.split(factor=0.34)
    row.label(text=_size(standing, entry))
    buttons = row.row(align=True)
    buttons.operator("image_to_3d.check", text="Check").environment = name
    buttons.operator("image_to_3d.set_up", text=wording.verb(standing)).environment = name
    removal = buttons.row(align=True)
    removal.enabled = standing is not Standing.ABSENT
    removal.operator("image_to_3d.remove_environment", text="Remove").environment = name
    if standing not in (Standing.READY, Standing.ABSENT, None):
        reason = care.found.reason if name == care.needed else entry.reason if entry else ""
        drawing.text(box, context, wording.sentence(reason), "BLANK1", context.region.width * 0.8)


def _title(name: str, standing: Standing | None, entry: Entry | None) -> str:
    label = entry.label if entry else name
    return f"{label}: {standing.value}" if standing else label


def _size(standing: Standing | None, entry: Entry | None) -> str:
    if entry is None or standing is Standing.ABSENT:
        return ""
    if entry.bytes is not None:
        return wording.size(entry.bytes)
    return f"about {wording.size(entry.disk)}" if entry.disk else ""


def _draw_order(box: UILayout, session: Session) -> None:
    shown = session.shown
    row = box.row()
    row.progress(factor=shown.fraction, text=f"{wording.stage(shown)}  {wording.amount(shown)}".rstrip())
    stop = row.row()
    stop.enabled = session.state is State.CARING
    stop.operator("image_to_3d.cancel", icon="X")


def _draw_check(box: UILayout, context: Context, care: Care) -> None:
    width = context.region.width * 0.8
    if care.problem:
        drawing.text(box, context, wording.sentence(care.problem.message), "ERROR", width)
    if care.check_error:
        drawing.text(box, context, wording.sentence(f"the check did not work: {care.check_error}"), "ERROR", width)
    if care.checked is None:
        return
    if care.checked.build:
        drawing.text(box, context, wording.build(care.checked), "MEMORY", width)
    if care.checked.warning:
        drawing.text(box, context, wording.sentence(care.checked.warning), "ERROR", width)
    for finding in care.checked.findings:
        icon = "CHECKMARK" if finding.ok else "ERROR"
        drawing.text(box, context, wording.sentence(finding.text), icon, width)
    sizes = [f"{what} {wording.size(size)}" for what, size in care.checked.sizes if size]
    free = [f"{wording.size(care.checked.free)} free"] if care.checked.free is not None else []
    if sizes or free:
        drawing.text(box, context, wording.sentence(", ".join([*sizes, *free])), "DISK_DRIVE", width)
