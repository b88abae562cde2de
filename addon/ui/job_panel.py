# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs: the one that runs, as a card, those that wait, and how the last one ended. Draws the state; never changes
it, starts, waits, or touches a file.
"""

from __future__ import annotations

from bpy.types import Context, UILayout

from ...worker.wire.protocol import ErrorCode
from ..session.jobs import Job, Label
from ..session.session import Session
from ..session.states import Problem, State
from . import advice, drawing, environment_panels, previews, properties, timer, wording

THUMBNAIL_SCALE = 6.0
CARD_SCALE = 2.6
CARD_SPLIT = 0.28

STAGES = {State.STARTING: "Starting", State.CANCELLING: "Cancelling", State.STOPPING: "Stopping"}


def draw_card(layout: UILayout, context: Context, session: Session) -> None:
    """What runs, how far it is, and how it is stopped."""
    shown, box, order = session.shown, layout.box().column(), session.environments.order
    if session.job or order:
        _draw_label(box, session.job.label if session.job else Label(order.doing.capitalize(), wording.amount(shown)))
    box.progress(factor=shown.fraction, text=STAGES.get(session.state) or wording.stage(shown))
    parts = wording.clock(session.elapsed), wording.remaining(shown.remaining), shown.message
    drawing.note(box, context, " \u00b7 ".join(part for part in parts if part))
    icon = previews.making.icon()
    if icon or shown.rounds:
        label = "Finishing" if shown.enough else "Stop and Keep" if shown.rounds else "Stop and Mesh Now"
        box.operator("image_to_3d.enough", text=label, icon="CHECKMARK")
    row = box.row(align=True)
    row.scale_y = 1.4
    if session.can_force:
        row.alert = True
        row.operator("image_to_3d.force_stop", icon="CANCEL")
    else:  # never grey: Blender would leave it so for the next job, below a mouse that does not move
        row.operator("image_to_3d.cancel", icon="X")
    if icon:  # below the buttons, so that these stay in sight
        box.template_icon(icon_value=icon, scale=THUMBNAIL_SCALE)
    if timer.opened_another_file():
        drawing.text(layout, context, "Another file was opened: the mesh comes into this one.", "INFO")


def draw_queue(layout: UILayout, context: Context, session: Session) -> None:
    """What waits, what is next first."""
    column = layout.box().column(align=True)
    column.label(text=f"{len(session.queue)} waiting" if session.moving else "Waits to be set up", icon="SORTTIME")
    for job in session.queue:
        _draw_waiting(column, job)


def draw_outcome(layout: UILayout, context: Context, session: Session) -> None:
    """How it went."""
    if session.results.waiting and (reason := timer.why_not_added(context)):
        drawing.text(layout, context, wording.sentence(reason), "TIME")
    if session.results.note:
        drawing.text(layout, context, wording.sentence(session.results.note), "INFO")
    if session.problem:
        _draw_problem(layout, context, session.problem)
    elif session.results.cancelled:
        row = layout.row()
        row.label(text=wording.cancelled(session.results.cancelled), icon="CANCEL")
        row.operator("image_to_3d.dismiss", text="", icon="X", emboss=False)
    elif session.environments.done:
        drawing.text(layout, context, wording.done(session.environments.done), "CHECKMARK")
    elif session.results.last:
        drawing.text(layout, context, wording.made(session.results.last), "CHECKMARK")
        for warning in session.results.last.warnings:
            drawing.text(layout, context, wording.sentence(warning), "INFO")
        if better := advice.a_download_away(session.methods, session.results.last.network):
            text = f"Get {better.label}, {wording.size(better.bytes)}"
            layout.operator("image_to_3d.download", text=text, icon="IMPORT").network = better.name


def has_outcome(session: Session) -> bool:
    """Whether there is something to draw."""
    results = session.results
    return bool(
        session.problem
        or results.note
        or results.cancelled
        or session.environments.done
        or results.last
        or results.waiting
    )


def _draw_label(layout: UILayout, label: Label) -> None:
    icon = previews.gallery.icon(label.picture)
    row = layout.split(factor=CARD_SPLIT) if icon else layout
    if icon:
        row.template_icon(icon_value=icon, scale=CARD_SCALE)
    column = row.column(align=True)
    column.scale_y = 0.8
    column.label(text=label.title)
    details = column.column(align=True)
    details.active = False
    for detail in filter(None, label.detail.split(", ")):  # together they are too long
        details.label(text=detail)


def _draw_waiting(column: UILayout, job: Job) -> None:
    row = column.row(align=True)
    icon = previews.gallery.icon(job.label.picture)
    row.label(text=job.label.title, **({"icon_value": icon} if icon else {"icon": "BLANK1"}))
    row.operator("image_to_3d.unqueue", text="", icon="X", emboss=False).number = job.number
    detail = column.row()
    detail.active, detail.scale_y = False, 0.7
    detail.label(text=job.label.detail)


def _draw_problem(layout: UILayout, context: Context, problem: Problem) -> None:
    box, environments = layout.box().column(), timer.session().environments
    drawing.failure(box, context, "That did not work", problem.message)
    if problem.missing:
        box.operator("image_to_3d.download", icon="IMPORT").network = problem.missing.network
    method = timer.chosen(context).method
    for option in method.options:
        if option.name == problem.option:
            own = properties.of_method(properties.settings(context), method)
            box.prop(own, properties.property_name(option))
    if environments.checking and problem.code is ErrorCode.WORKER_EXITED:
        drawing.text(box, context, "Trying its Python\u2026", "TIME")
    environment_panels.draw_log_and_report(box, properties.settings(context), environments, problem.log)
