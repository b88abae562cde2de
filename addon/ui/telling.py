# SPDX-License-Identifier: GPL-3.0-or-later
"""How who looks elsewhere hears of jobs: a report at their end, which Blender shows in the status bar and keeps in its
info log, and how far they are, in the status bar too. Changes nothing; knows no worker.
"""

from __future__ import annotations

from collections.abc import Callable

import bpy
from bpy.types import Context, Event, Header, Operator

from ..session.session import Session
from ..session.states import Problem
from . import wording

TICK = 0.1  # seconds until Blender asks the operator that reports
LONGEST = 60  # characters in the status bar, which others share

_session: Callable[[], Session]
_last: tuple[Problem | None, object] = (None, None)
_shown_in_status = ""


class IMAGE_TO_3D_OT_tell(Operator):
    """Report how a job ended"""

    bl_idname = "image_to_3d.tell"
    bl_label = "Image to 3D"
    bl_options = {"INTERNAL"}

    level: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})
    message: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def invoke(self, context: Context, event: Event) -> set[str]:
        """Only what a modal operator reports reaches the status bar when a timer has started it."""
        self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Context, event: Event) -> set[str]:
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        return self.execute(context)

    def execute(self, context: Context) -> set[str]:
        self.report({self.level}, f"Image to 3D: {self.message}")
        return {"FINISHED"}


def tell(level: str, message: str) -> None:
    """Reports something, as "INFO" or "WARNING"."""
    windows = bpy.context.window_manager.windows
    if windows and not bpy.app.background:
        with bpy.context.temp_override(window=windows[0]):
            bpy.ops.image_to_3d.tell("INVOKE_DEFAULT", level=level, message=message)


def follow(session: Session) -> None:
    """Tells what has ended otherwise than with a mesh, and how far the rest is."""
    global _last, _shown_in_status
    problem, cancelled = session.problem or session.environments.problem, session.results.cancelled
    if problem is not _last[0] and problem:
        tell("WARNING", wording.sentence(problem.message))
    if cancelled is not _last[1] and cancelled:
        tell("INFO", wording.cancelled(cancelled))
    _last = problem, cancelled
    if (text := _status(session)) != _shown_in_status:
        _shown_in_status = text
        _redraw_status_bars()


def _status(session: Session) -> str:
    if not session.moving:
        return ""
    title = session.job.label.title if session.job else ""
    return ": ".join(part for part in (title, wording.stage(session.shown)) if part)[:LONGEST]


def _redraw_status_bars() -> None:
    """They are no areas that could be tagged. Setting their text does it; a tool that runs may have set one."""
    for window in bpy.context.window_manager.windows:
        if not len(window.modal_operators):
            window.workspace.status_text_set(None)


def _draw_status(self: Header, context: Context) -> None:
    if text := _status(_session()):
        self.layout.label(text=text, icon="MESH_MONKEY")


def register(session: Callable[[], Session]) -> None:
    global _session
    _session = session
    bpy.utils.register_class(IMAGE_TO_3D_OT_tell)
    bpy.types.STATUSBAR_HT_header.append(_draw_status)


def unregister() -> None:
    bpy.types.STATUSBAR_HT_header.remove(_draw_status)
    bpy.utils.unregister_class(IMAGE_TO_3D_OT_tell)
