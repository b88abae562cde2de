# SPDX-License-Identifier: GPL-3.0-or-later
"""How who looks elsewhere hears of jobs: the status bar says how far they are and how they ended. Changes nothing;
knows no worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import bpy
from bpy.types import Context, Header

from ..session.session import Session
from ..session.states import Problem
from . import wording

LASTS = 15.0
"""Seconds for which it is said how something ended: it is found by who looks up from something else."""

LONGEST = 60  # characters in the status bar, which others share


@dataclass(frozen=True)
class _Told:
    level: str
    message: str
    until: float


_session: Callable[[], Session]
_last: tuple[Problem | None, object] = (None, None)
_shown_in_status = ""
_told: _Told | None = None


def tell(level: str, message: str) -> None:
    """Says something in the status bar for a while, as "INFO" or "WARNING".

    We draw it ourselves: what an operator reports gets there only if it has a window, and a timer has none. An operator
    in an overridden context is no way, as Blender crashes where another thread happens to have Python at its end.
    """
    global _told
    _told = _Told(level, f"Image to 3D: {message}", time.monotonic() + LASTS)
    _redraw_status_bars()


def follow(session: Session) -> None:
    """Tells what has ended otherwise than with a mesh, and how far the rest is."""
    global _last, _shown_in_status, _told
    problem, cancelled = session.problem or session.environments.problem, session.results.cancelled
    if problem is not _last[0] and problem:
        tell("WARNING", wording.sentence(problem.message))
    if cancelled is not _last[1] and cancelled:
        tell("INFO", wording.cancelled(cancelled))
    _last = problem, cancelled
    if _told and time.monotonic() > _told.until:
        _told = None
        _redraw_status_bars()
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
    if _told:
        row = self.layout.row()
        row.alert = _told.level == "WARNING"
        row.label(text=_told.message, icon="ERROR" if row.alert else "CHECKMARK")
    if text := _status(_session()):
        self.layout.label(text=text, icon="MESH_MONKEY")


def register(session: Callable[[], Session]) -> None:
    global _session
    _session = session
    bpy.types.STATUSBAR_HT_header.append(_draw_status)


def unregister() -> None:
    bpy.types.STATUSBAR_HT_header.remove(_draw_status)
