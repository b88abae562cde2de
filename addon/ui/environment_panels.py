# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees of environments: the box in the panel when one is missing or something went wrong with it, and the
section in the preferences. Draws the state; never changes it, starts, waits, or touches a file.
"""

from __future__ import annotations

import bpy
from bpy.types import Context, UILayout

from ..session.check import Entry
from ..session.environments import Environments, Report
from ..session.launch import Standing
from ..session.session import Session
from ..session.states import State
from . import advice, drawing, preferences, properties, wording

ICONS = {Standing.READY: "CHECKMARK", Standing.ABSENT: "RADIOBUT_OFF", None: "QUESTION"}
"""Of an environment in any other state: "ERROR"."""


def wants_box(session: Session) -> bool:
    """Whether there is something to say about the environment of the chosen model."""
    return session.interpreter.python is None or session.environments.problem is not None


def draw_box(layout: UILayout, context: Context, session: Session) -> None:
    """What is missing and why, what it takes, and the button that helps."""
    environments, box = session.environments, layout.box().column()
    if environments.problem:
        draw_problem(box, context, session)
    if session.interpreter.python:
        return
    if session.interpreter.standing is None:
        drawing.text(box, context, wording.sentence(session.interpreter.reason), "ERROR")
        box.operator("image_to_3d.preferences", text="Preferences", icon="PREFERENCES")
        return
    if not environments.problem:
        icon = "INFO" if session.interpreter.standing is Standing.ABSENT else "ERROR"
        drawing.text(box, context, wording.standing(session.interpreter.standing, session.interpreter.reason), icon)
    _draw_button(box, environments)
    if reason := preferences.why_not_fetched():
        drawing.offline(box, context, reason)
    _draw_need(box, context, environments)
    draw_along(box, context, session, environments.needed)


def draw_along(layout: UILayout, context: Context, session: Session, name: str, width: float | None = None) -> None:
    """The networks that are fetched with the set-up of that environment, and the tick by which one does without."""
    network = advice.comes_along(session.methods, name)
    if network is None or preferences.offline():
        return
    layout.prop(properties.settings(context), "along")
    drawing.text(layout, context, wording.sentence(wording.along(network)), "BLANK1", *([width] if width else []))


def _draw_button(layout: UILayout, environments: Environments) -> None:
    row = layout.row()
    row.scale_y = 1.4
    failed = environments.failed and environments.failed.name == environments.needed
    verb = "Try Again" if failed else wording.verb(environments.interpreter.standing)
    row.operator_context = "EXEC_DEFAULT"  # at once: what the dialog would say is said here
    row.operator("image_to_3d.set_up", text=verb, icon="IMPORT").environment = environments.needed
    row.operator_context = "INVOKE_DEFAULT"  # it belongs to the whole panel, whatever part of it is asked


def _draw_need(layout: UILayout, context: Context, environments: Environments) -> None:
    check, entry = environments.last_check, environments.entry(environments.needed)
    if entry is None:
        if environments.checking:
            drawing.note(layout, context, "Finding out what it takes\u2026")
        elif environments.check_error:
            drawing.note(layout, context, wording.sentence(f"what it takes is not known: {environments.check_error}"))
        return
    if need := wording.need(entry):
        drawing.text(layout, context, need)
    above = environments.problem.message if environments.problem else ""
    for text in (*(each.text for each in check.findings if not each.ok and each.text != above), check.warning):
        if text:
            drawing.text(layout, context, wording.sentence(text), "ERROR")
    if check.build:
        drawing.note(layout, context, wording.runs_on(check))
    if entry.licence:
        drawing.note(layout, context, wording.sentence(entry.licence))


def draw_problem(box: UILayout, context: Context, session: Session) -> None:
    """How the last order failed."""
    environments, failed = session.environments, session.environments.failed
    doing = failed.doing if failed else "this"
    drawing.failure(box, context, f"{doing.capitalize()} did not work", environments.problem.message)
    entry = environments.entry(failed.name) if failed else None
    log = environments.problem.log or (entry.log_tail if entry else "")
    draw_log_and_report(box, properties.settings(context), environments, log)


def draw_log_and_report(box: UILayout, own: bpy.types.PropertyGroup, environments: Environments, log: str) -> None:
    """The end of the log, folded, and the button for a bug report."""
    draw_report_button(box.row(), environments)
    if log:
        row = box.row()
        row.alignment = "LEFT"
        row.prop(own, "show_log", icon="DISCLOSURE_TRI_DOWN" if own.show_log else "DISCLOSURE_TRI_RIGHT", emboss=False)
    if log and own.show_log:
        drawing.log(box, log)


def draw_report_button(row: UILayout, environments: Environments) -> None:
    """Says as well whether the report is in the clipboard: it may have to wait for a check."""
    text = {Report.WANTED: "Gathering\u2026", Report.COPIED: "Report Copied"}.get(environments.report, "Copy Report")
    icon = "CHECKMARK" if environments.report is Report.COPIED else "COPYDOWN"
    row.operator("image_to_3d.copy_report", text=text, icon=icon)


# ---- the section in the preferences


def draw_section(layout: UILayout, context: Context, session: Session) -> None:
    """Every environment with its state and what can be done about it, and what the last check found."""
    environments = session.environments
    own, box = preferences.preferences(), layout.box().column()
    header = box.row()
    header.label(text="Environments", icon="PACKAGE")
    draw_report_button(header, environments)
    if own.python:
        box.label(text="A Python of your own is used instead of these", icon="INFO")
    for name in environments.names:
        _draw_row(box, context, environments, name)
    box.separator(factor=0.5)
    if environments.order:
        _draw_order(box, session)
    elif environments.checking:
        row = box.row()
        row.label(text="Checking\u2026", icon="TIME")
        row.operator("image_to_3d.stop_check", icon="X")
    _draw_check(box, context, environments)
    row = box.row()
    row.operator("image_to_3d.check", text="Check All", icon="VIEWZOOM").environment = ""
    row.operator("image_to_3d.move", text="Move\u2026", icon="FOLDER_REDIRECT")


def _draw_row(box: UILayout, context: Context, environments: Environments, name: str) -> None:
    standing, entry = environments.standing(name), environments.entry(name)
    row = box.split(factor=0.36)
    row.label(text=_title(name, standing, entry), icon=ICONS.get(standing, "ERROR"))
    row = row.split(factor=0.34)
    row.label(text=_size(standing, entry))
    buttons = row.row(align=True)
    buttons.operator("image_to_3d.check", text="Check").environment = name
    buttons.operator("image_to_3d.set_up", text=wording.verb(standing)).environment = name
    removal = buttons.row(align=True)
    removal.enabled = standing is not Standing.ABSENT
    removal.operator("image_to_3d.remove_environment", text="Remove").environment = name
    if standing not in (Standing.READY, Standing.ABSENT, None):
        needed = name == environments.needed
        reason = environments.interpreter.reason if needed else entry.reason if entry else ""
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
    stop.enabled = session.state is State.SETTING_UP
    stop.operator("image_to_3d.cancel", icon="X")


def _draw_check(box: UILayout, context: Context, environments: Environments) -> None:
    check, width = environments.last_check, context.region.width * 0.8
    lines = [(environments.problem.message, "ERROR")] if environments.problem else []
    if environments.check_error:
        lines.append((f"the check did not work: {environments.check_error}", "ERROR"))
    if check:
        lines += [(wording.build(check), "MEMORY")] if check.build else []
        lines += [(check.warning, "ERROR")] if check.warning else []
        lines += [(each.text, "CHECKMARK" if each.ok else "ERROR") for each in check.findings]
        lines += [(wording.sizes(check), "DISK_DRIVE")] if wording.sizes(check) else []
    for text, icon in lines:
        drawing.text(box, context, wording.sentence(text), icon, width)
