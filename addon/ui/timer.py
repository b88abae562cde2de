# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's end of the session: there is one, and a timer drains it. Keeps no reference to Blender's data.

A mesh that is done is brought in by an operator, so that it is one undo step, and only at a moment when that disturbs
nobody: not while a modal tool or a render runs, and not in edit or sculpt mode.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import bpy

from ...worker.core.refining import IMPROVE
from ...worker.wire.offers import EstimateParams
from ..session import catalogue, remembered, sequences
from ..session.environments import Report
from ..session.launch import Standing
from ..session.session import Session
from ..session.states import Problem
from . import (
    arrival,
    choices,
    lasting,
    menus,
    preferences,
    previews,
    properties,
    property_classes,
    report,
    telling,
    wording,
)
from .scene import exported

TICK_MOVING = 0.1
"""Seconds between two looks at the worker while something goes on: often enough for a bar that moves smoothly."""

TICK_RESTING = 1.0
"""Seconds between two looks otherwise: to notice a worker that died, and to end one that rests for long."""

MODAL_PATIENCE = 10.0
"""Seconds to wait for a modal tool to end; some add-ons run one for ever."""

REMEMBER_AFTER = 2.0
"""Seconds that settings have to stay the same until they are written to disk for the next start."""

_WITH_PANELS = {("VIEW_3D", "UI"), ("PREFERENCES", "WINDOW")}

log = logging.getLogger(__name__)

_session: Session | None = None
_drawn_second = -1
_waiting_since: float | None = None
_said: tuple[object, ...] = ()  # of which the menus say what they say
_lasting: tuple[dict[str, object], float] = ({}, 0.0)  # settings to be remembered, and since when
_written: dict[str, object] = {}
_moved_house = False
_prepared = False
_was_changed = False
_standing_in: Path | None = None  # the folder of the job whose first guess is in the scene


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


def opened_another_file() -> bool:
    """Whether what is being made was begun in another file than the one that is open now."""
    return _moved_house and bool(_session.moving or _session.queue or _session.results.waiting)


def why_not_added(context: bpy.types.Context) -> str:
    """Why a finished mesh has to wait, "" if it does not."""
    mode = context.mode
    if mode != "OBJECT":
        return f"the mesh is ready and comes as soon as you leave {mode.replace('_', ' ').lower()} mode"
    if bpy.app.is_job_running("RENDER"):
        return "the mesh is ready and comes after the render"
    return ""


def _tick() -> float:
    """The boundary to Blender, which forgets a timer that raises: then the panel would stand still for ever."""
    try:
        return _look()
    except Exception:  # noqa: BLE001 - whatever it is, the next look may go better
        log.exception("a look at the worker failed")
        return TICK_RESTING


def _look() -> float:
    global _was_changed
    if not _prepared:
        _prepare()
        return TICK_MOVING
    changed = _session.tick()
    property_classes.rebuild(_session.methods)
    _follow_the_choice()
    _follow_what_was_moved()
    _follow_with_words_and_pictures()
    reading = any(not each.file.over for each in _session.results.waiting)
    if not reading:
        telling.follow(_session)
    _remember()
    exported.follow()
    if _session.shown.preview != previews.making.path:
        previews.making.show(_session.shown.preview)
    if _session.environments.report is Report.DUE:
        _session.environments.report = Report.COPIED
        bpy.context.window_manager.clipboard = report.text(_session, bpy.app.version_string)
    if changed or _was_changed or _second_has_passed():
        _redraw()  # once more after a change: panels that have become higher find their places only then
    _was_changed = changed
    _follow_the_coarse()
    if _session.results.waiting and not reading:
        _add_when_possible()
    if _session.results.sequences:
        _add_sequence_when_possible()
    about_to_ask = any(each.open for each in _session.questions) and _session.can_begin
    asking = about_to_ask or _session.history.request is not None
    busy = _session.moving or _session.results.waiting or _session.environments.checking or asking
    return TICK_MOVING if busy else TICK_RESTING


def _follow_the_choice() -> None:
    """What was chosen decides on the environment that is needed and on what the worker is asked."""
    choice = chosen(bpy.context)
    _session.need(choice.method.environment)
    question = choice.recipe.question
    answerable = question.pictures and choice.is_automatic and not choice.mismatch
    _session.selection.ask(question if answerable else None)
    known = choice.network and question.pictures and not choice.mismatch
    _session.estimate.ask(EstimateParams(choice.network.name, question.pictures) if known else None)
    thing = getattr(bpy.context, "active_object", None)
    improvable = question.pictures and thing is not None and thing.type == "MESH"
    _session.improving.ask(EstimateParams(IMPROVE, question.pictures) if improvable else None)


def _follow_with_words_and_pictures() -> None:
    """Menus and tooltips say what is known by now, and there are thumbnails of what is shown."""
    global _said
    choice, environments = chosen(bpy.context), _session.environments
    names = catalogue.environments(_session.methods)
    ready = {name: environments.standing(name) in (Standing.READY, None) for name in names}
    now = _session.methods, choice.method.name, _session.estimate.answer, tuple(ready.items())
    if now != _said:
        _said = now
        _say(choice, ready)
    own = properties.settings(bpy.context)
    jobs = [job.label.picture for job in (_session.job, *_session.queue) if job]
    entries = _session.history.told.entries[: own.shown]
    kept = [entry.clay if own.clay else entry.thumbnail for entry in entries]
    paths = choice.recipe.question.pictures
    kind, path = properties.kind(own), paths[0] if paths else ""
    previews.folder.look(path if kind == "folder" else "")
    previews.video.look(path if kind == "video" else "")
    if previews.gallery.hold([*(previews.folder.pictures or paths)[: previews.SHEET], *jobs, *kept]):
        _redraw()


def _say(choice: choices.Choice, ready: dict[str, bool]) -> None:
    for category in catalogue.categories(_session.methods):
        entries = [(properties.AUTOMATIC, "Automatic", "The best network whose weights are here", "NONE")]
        for method in catalogue.of_category(_session.methods, category):
            for each in method.networks:
                usable = each.here and ready[method.environment]
                about = wording.about_network(each, ready[method.environment])
                entries.append((each.name, wording.network(each), about, "CHECKMARK" if usable else "IMPORT"))
        menus.say_of_networks(category, entries)
    answer = _session.estimate.answer
    known = {each.preset: each for each in answer.presets} if answer else {}
    about = {name: wording.about_preset(choice.method, name, known.get(name)) for name in choice.method.presets}
    menus.say_of_presets(choice.method.category, about)


def _remember() -> None:
    """Writes settings down that have been the same for a while."""
    global _lasting, _written
    now, clock = lasting.lasting(properties.settings(bpy.context)), time.monotonic()
    if now != _lasting[0]:
        _lasting = now, clock
    elif now != _written and clock > _lasting[1] + REMEMBER_AFTER:
        remembered.write(_choices_file(), now)
        _written = now


def _choices_file() -> Path:
    return preferences.settings().catalogue.with_name("choices.json")


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
    """Not within temp_override, and not while a thread of ours is busy: Blender (seen in 4.2 and 4.5) lets others have
    Python while an operator runs; at its end it looks into an overridden context's dictionary all the same, which
    crashes Blender where another thread happens to have Python."""
    global _standing_in
    if not _may_add():
        return
    try:
        bpy.ops.image_to_3d.add_mesh("EXEC_DEFAULT", True)  # True: an undo step of its own
    except RuntimeError as error:  # what an operator reports as an error arrives as this
        _session.not_imported(_session.results.waiting[0], str(error).removeprefix("Error: "))
    else:
        _standing_in = None
        _session.results.imported(_session.results.waiting[0])
        telling.tell("INFO", wording.made(_session.results.last))
    _redraw()


def _follow_the_coarse() -> None:
    """Brings a first guess in without an undo step, as the mesh that replaces it is one. Where none will come, the
    guess is there to stay, and is one."""
    global _standing_in
    coarse, job = _session.results.coarse, _session.job
    wanted = {each.folder for each in (*filter(None, (job,)), *_session.results.waiting)}
    if coarse and coarse.file.over and _may_add():
        _session.results.coarse = None
        if coarse.folder in wanted and arrival.bring_in_coarse(bpy.context, coarse):
            _standing_in = coarse.folder
    if _standing_in and _standing_in not in wanted:
        _standing_in = None
        bpy.ops.ed.undo_push(message="Image to 3D")


def _add_sequence_when_possible() -> None:
    """As above."""
    if not _may_add():
        return
    found = _session.results.sequences.pop(0)
    try:
        bpy.ops.image_to_3d.add_sequence("EXEC_DEFAULT", True, found=sequences.text(found))
    except RuntimeError as error:
        _session.problem = Problem(str(error).removeprefix("Error: ").strip())
    else:
        telling.tell("INFO", wording.made_of_frames(found))
        _session.results.note = f"depth of {found.frames} frames, {found.label}; the files are in {found.folder}"
    _redraw()


def _may_add() -> bool:
    windows = bpy.context.window_manager.windows
    if not windows:
        return False
    with bpy.context.temp_override(window=windows[0]):
        return not why_not_added(bpy.context) and not _a_tool_is_running(windows)


def _a_tool_is_running(windows: bpy.types.bpy_prop_collection) -> bool:
    global _waiting_since
    if not any(len(window.modal_operators) for window in windows):
        _waiting_since = None
        return False
    if _waiting_since is None:
        _waiting_since = time.monotonic()
    return time.monotonic() < _waiting_since + MODAL_PATIENCE


def register() -> None:
    global _session, _said, _moved_house, _prepared, _standing_in
    _session, _said, _moved_house, _prepared = Session(preferences.settings), (), False, False
    _standing_in = None
    bpy.app.handlers.load_post.append(_note_other_file)
    telling.register(session)
    bpy.app.timers.register(_tick, first_interval=0.0, persistent=True)


def _prepare() -> None:
    """At the first tick: reading the preferences has to wait until Blender has finished enabling the add-on."""
    global _prepared
    _prepared = True  # also if it fails: it would fail again
    _session.recall()
    _session.look()
    property_classes.rebuild(_session.methods)
    lasting.take(properties.settings(bpy.context), remembered.read(_choices_file()))


def unregister() -> None:
    global _session
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    bpy.app.handlers.load_post.remove(_note_other_file)
    telling.unregister()
    _session.close()
    _session = None


@bpy.app.handlers.persistent
def _note_other_file(*_: object) -> None:
    global _moved_house
    _moved_house = bool(_session.moving or _session.queue or _session.results.waiting)
