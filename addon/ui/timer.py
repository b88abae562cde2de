# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's end of the session: there is one, and a timer drains it. Keeps no reference to Blender's data.

A mesh that is done is brought in by an operator, so that it is one undo step, and only at a moment when that disturbs
nobody: not while a modal tool or a render runs, and not in edit or sculpt mode.
"""

from __future__ import annotations

import time

import bpy

from ..session.environments import Report
from ..session.session import Session
from . import choices, preferences, previews, properties, report, wishes

TICK_MOVING = 0.1
"""Seconds between two looks at the worker while something goes on: often enough for a bar that moves smoothly."""

TICK_RESTING = 1.0
"""Seconds between two looks otherwise: to notice a worker that died, and to end one that rests for long."""

MODAL_PATIENCE = 10.0
"""Seconds to wait for a modal tool to end; some add-ons run one for ever."""

_WITH_PANELS = {("VIEW_3D", "UI"), ("PREFERENCES", "WINDOW")}

_session: Session | None = None
_drawn_second = -1
_waiting_since: float | None = None


def session() -> Session:
    """The session; it exists while the add-on is enabled."""
    return _session


def chosen(context: bpy.types.Context) -> choices.Choice:
    """What the settings ask for, as far as it is known what that is."""
    return choices.chosen(context, _session.methods, _session.selected)


def wake() -> None:
    """Looks at the worker at once instead of at the next tick: something has just begun, or was chosen."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    bpy.app.timers.register(_tick, persistent=True)


def why_not_added(context: bpy.types.Context) -> str:
    """Why a finished mesh has to wait, "" if it does not."""
    mode = context.mode
    if mode != "OBJECT":
        return f"the mesh is ready and comes as soon as you leave {mode.replace('_', ' ').lower()} mode"
    if bpy.app.is_job_running("RENDER"):
        return "the mesh is ready and comes after the render"
    return ""


def _tick() -> float:
    began = time.perf_counter()
    changed = _session.tick()
    wishes.go_on(_session)
    properties.rebuild(_session.methods)
    _follow_the_choice()
    _follow_what_was_moved()
    if _session.shown.preview != previews.making.path:
        previews.making.show(_session.shown.preview)
    if _session.environments.report is Report.DUE:
        _session.environments.report = Report.COPIED
        bpy.context.window_manager.clipboard = report.text(_session, bpy.app.version_string)
    if changed or _second_has_passed():
        _redraw()
    _session.longest_tick = max(_session.longest_tick, time.perf_counter() - began)
    if _session.results.waiting:
        _add_when_possible()
    about_to_ask = _session.selection.open and _session.can_begin
    busy = _session.moving or _session.results.waiting or _session.environments.checking or about_to_ask
    return TICK_MOVING if busy else TICK_RESTING


def _follow_the_choice() -> None:
    """What was chosen decides on the environment that is needed and on what the worker is asked."""
    choice = chosen(bpy.context)
    _session.need(choice.method.environment)
    question = choice.recipe.question
    answerable = question.pictures and choice.is_automatic and not choice.mismatch
    _session.selection.ask(question if answerable else None)


def _follow_what_was_moved() -> None:
    """Everything lies in another folder now: the preferences have to name it, also after Blender's next start."""
    if folder := _session.environments.take_moved():
        preferences.preferences().folder = str(folder)
        if bpy.context.preferences.use_preferences_save:  # else Blender asks the user, as for any other change
            bpy.ops.wm.save_userpref()


def _second_has_passed() -> bool:
    global _drawn_second
    second = int(_session.elapsed) if _session.moving else -1
    passed, _drawn_second = second != _drawn_second, second
    return passed


def _redraw() -> None:
    """Draws our panels anew, and no viewport: that may be a heavy scene's."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if (area.type, region.type) in _WITH_PANELS:
                    region.tag_redraw()


def _add_when_possible() -> None:
    windows = bpy.context.window_manager.windows
    if not windows:
        return
    with bpy.context.temp_override(window=windows[0]):
        if why_not_added(bpy.context) or _a_tool_is_running(windows):
            return
        try:
            bpy.ops.image_to_3d.add_mesh("EXEC_DEFAULT", True)  # True: an undo step of its own
        except RuntimeError as error:  # what an operator reports as an error arrives as this
            _session.not_imported(_session.results.waiting[0], str(error).removeprefix("Error: "))
        else:
            _session.results.imported(_session.results.waiting[0])
    _redraw()


def _a_tool_is_running(windows: bpy.types.bpy_prop_collection) -> bool:
    global _waiting_since
    if not any(len(window.modal_operators) for window in windows):
        _waiting_since = None
        return False
    if _waiting_since is None:
        _waiting_since = time.monotonic()
    return time.monotonic() < _waiting_since + MODAL_PATIENCE


def register() -> None:
    global _session
    _session = Session(preferences.settings)
    bpy.app.timers.register(_look_and_tick, first_interval=0.0, persistent=True)


def _look_and_tick() -> None:
    """The first tick: reading the preferences has to wait until Blender has finished enabling the add-on."""
    began = time.perf_counter()
    _session.recall()
    _session.look()
    _session.longest_tick = time.perf_counter() - began
    wake()


def unregister() -> None:
    global _session
    for function in (_tick, _look_and_tick):
        if bpy.app.timers.is_registered(function):
            bpy.app.timers.unregister(function)
    _session.close()
    wishes.clear()
    _session = None
