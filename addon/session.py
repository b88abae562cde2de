# SPDX-License-Identifier: GPL-3.0-or-later
"""The one running worker and its state. Must not know widgets, meshes or bpy.

Everything happens in two ways: a user action calls a method, which returns at once, and a timer calls `tick`, which
drains what the worker said and watches the clock. Nothing waits. The panel reads the attributes. Each wait has a limit,
and after each failure the state is one from which the user can go on, with the reason in `problem`.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..worker.wire import protocol
from ..worker.wire.protocol import ErrorCode, GenerateParams, GenerateResult, Progress, Value, WireError
from . import environment, offered
from .client import Answered, Client, Event, Exited, Failed
from .environment import Found, Place, SetUp, SetUpEnded, SetUpProgress
from .process import CannotStart
from .states import (
    CANCEL_GRACE,
    FORCE_AFTER,
    LOOK_AGAIN,
    MOVING,
    QUIET_LIMIT,
    REST_AFTER,
    START_LIMIT,
    STOP_LIMIT,
    Finished,
    Problem,
    Shown,
    State,
)


@dataclass(frozen=True)
class _Job:
    method: str
    params: Any
    stage: str
    folder: Path | None = None


class Session:
    """See the module. `place` is asked for the settings of the moment whenever something begins."""

    def __init__(self, place: Callable[[], Place], clock: Callable[[], float] = time.monotonic) -> None:
        self.state = State.ABSENT
        self.found = Found(None, "not looked for yet")
        self.problem: Problem | None = None
        self.shown = Shown(0.0, "")
        self.finished: list[Finished] = []
        self.last: GenerateResult | None = None
        self.offered = offered.shipped()
        self.longest_tick = 0.0
        self._place, self._clock = place, clock
        self._client: Client | None = None
        self._introduced: tuple[Any, ...] = ()
        self._set_up: SetUp | None = None
        self._pending: _Job | None = None
        self._running: tuple[int, _Job] | None = None
        self._since = self._heard_at = self._began_at = clock()

    # ---- what the panel reads

    @property
    def moving(self) -> bool:
        """Something is going on that the user may want to watch or cancel."""
        return self.state in MOVING

    @property
    def can_begin(self) -> bool:
        return self.state in (State.IDLE, State.READY)

    @property
    def can_force(self) -> bool:
        """Something that was asked to end takes long to do so."""
        return self.state is State.STOPPING and self._clock() > self._since + FORCE_AFTER

    @property
    def elapsed(self) -> float:
        """Seconds since the running job, or set-up, began."""
        return self._clock() - self._began_at

    @property
    def job(self) -> str:
        """The method of the job that runs or is about to, "" without one."""
        job = self._pending or (self._running and self._running[1])
        return job.method if job else ""

    # ---- what the user does

    def recall(self) -> None:
        """Reads what a worker said last; once, at the beginning."""
        self.offered = offered.last_known(self._place().kept)

    def look(self) -> None:
        """Looks again whether there is an environment: the settings have changed."""
        self._look_for_environment()

    def generate(self, picture: str, backend: str, model: str | None, preset: str, options: dict[str, Value]) -> None:
        """Turns a picture into a GLB in a folder of ours; `finished` gets it."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="image-to-3d-", dir=self._place().temporary))
        except OSError as error:
            self._fail(f"no temporary folder could be made: {error.strerror or error}")
            return
        params = GenerateParams((picture,), str(folder / "result.glb"), backend, preset, model, options)
        self._begin(_Job("generate", params, "starting", folder))

    def download(self, backend: str, model: str) -> None:
        """Fetches the weights of one model."""
        self._begin(_Job("models/download", protocol.DownloadParams(backend, model), "connecting"))

    def set_up(self) -> None:
        """Makes the environment."""
        if self.state not in (State.ABSENT, State.IDLE):
            return
        self.problem, self.shown = None, Shown(0.0, "starting")
        try:
            self._set_up = SetUp(self._place(), self._clock)
        except CannotStart as error:
            self._fail(str(error))
            return
        self._begin_clock()
        self._go(State.SETTING_UP)

    def cancel(self) -> None:
        """Asks whatever runs to give up; a worker that does not hear it within CANCEL_GRACE is ended by force."""
        if self.state is State.SETTING_UP and self._set_up:
            self._set_up.stop()
            self._go(State.STOPPING)
        elif self.state is State.BUSY and self._client and self._running:
            self._client.cancel(self._running[0])
            self._go(State.CANCELLING)
        elif self.state in (State.STARTING, State.STOPPING):
            self._drop_pending()
            self.force_stop()

    def force_stop(self) -> None:
        """Ends the worker, and all it started, at once. The next job starts a new one."""
        for process in (self._client, self._set_up):
            if process:
                process.kill()
                self._go(State.STOPPING)

    def rest(self) -> None:
        """Ends a worker that has nothing to do, to free its memory."""
        if self.state is State.READY and self._client:
            self._client.stop()
            self._go(State.STOPPING)

    def dismiss(self) -> None:
        """The user has read the error."""
        self.problem = None

    def take(self) -> Finished | None:
        """The next of `finished`, for `imported` or `not_imported`."""
        return self.finished.pop(0) if self.finished else None

    def imported(self, finished: Finished) -> None:
        self.last = finished.result
        shutil.rmtree(finished.folder, ignore_errors=True)

    def not_imported(self, finished: Finished, reason: str) -> None:
        """`reason` may be a whole traceback: its last line is the message, all of it goes to the log."""
        *above, last = reason.strip().splitlines() or [""]
        log = "\n".join([*above, last]) if above else ""
        self.problem = Problem(f"the mesh could not be brought into the scene: {last.strip()}", log=log)
        shutil.rmtree(finished.folder, ignore_errors=True)

    def close(self) -> None:
        """Ends everything; waits for a moment only. For when the add-on is switched off or Blender ends."""
        for process in (self._client, self._set_up):
            if process:
                process.close()
        self._client = self._set_up = None
        self._drop_pending()
        self._end_running()
        while finished := self.take():
            shutil.rmtree(finished.folder, ignore_errors=True)
        self.state = State.ABSENT

    # ---- what the timer does

    def tick(self) -> bool:
        """Drains what came, watches the clock. Returns whether there is something new to show."""
        before = self._picture()
        if self._set_up:
            for event in self._set_up.poll():
                self._hear_set_up(event)
        if self._client:
            for event in self._client.poll():
                self._hear(event)
        self._watch_clock()
        return self._picture() != before

    def _picture(self) -> tuple[Any, ...]:
        return self.state, self.shown, self.problem, self.offered, len(self.finished)

    # ---- beginning

    def _begin(self, job: _Job) -> None:
        if not self.can_begin:
            self._remove(job)
            return
        self.problem, self.shown, self._pending = None, Shown(0.0, job.stage), job
        self._begin_clock()
        self._bring_up()

    def _bring_up(self) -> None:
        """Takes the next step towards a worker that knows the settings of the moment and has the pending job."""
        place = self._place()
        self.found = environment.find(place)
        if self.found.python is None:
            self._give_up(self.found.reason)
        elif self._client is None:
            self._start(place)
        elif self._introduced != self._introduction(place):
            self._client.stop()
            self._go(State.STOPPING)
        else:
            self._submit()

    def _start(self, place: Place) -> None:
        command, log = environment.worker_command(self.found.python), place.logs / "worker.log"
        try:
            self._client = Client(command, environment.PACKAGE, log, environment.worker_variables(place), self._clock)
        except CannotStart as error:
            self._give_up(str(error))
            return
        self._introduced = self._introduction(place)
        self._client.request("initialize", self._introduced[-1])
        self._go(State.STARTING)

    def _introduction(self, place: Place) -> tuple[Any, ...]:
        """What a worker is told at its start; another one is needed when this changes."""
        params = protocol.InitializeParams(protocol.VERSION, place.online, place.device)
        return self.found.python, place.root, params

    def _submit(self) -> None:
        job, self._pending = self._pending, None
        if job is None:
            self._go(State.READY)
            return
        self._running = self._client.request(job.method, job.params), job
        self._go(State.BUSY)

    # ---- hearing

    def _hear(self, event: Event) -> None:
        self._heard_at = self._clock()
        match event:
            case Progress(token, fraction, stage, message):
                if self._running and token == self._running[0]:
                    self.shown = Shown(fraction, stage, message)
            case Answered(_, "initialize", result):
                self._describe(result.backends)
                self._submit()
            case Answered(_, "models/list", result):
                self._describe(result.backends)
            case Answered(id, _, result):
                self._hear_result(id, result)
            case Failed(id, method, error):
                self._hear_failure(id, method, error)
            case Exited():
                self._client = None
                self._after_exit()

    def _hear_result(self, id: int, result: Any) -> None:
        if not self._running or id != self._running[0]:
            return
        job, self._running = self._running[1], None
        if self.state is not State.BUSY:  # cancelled, but it was done before it heard
            self._remove(job)
        elif job.method == "generate":
            self.finished.append(Finished(result, job.folder))
        elif self._client:
            self._client.request("models/list", protocol.Empty())
        self._be_ready()

    def _hear_failure(self, id: int, method: str, error: WireError) -> None:
        unwanted = self.state in (State.CANCELLING, State.STOPPING)
        ours = self._running is not None and id == self._running[0]
        job = self._running[1] if ours else None
        if not unwanted and (ours or method == "initialize"):
            self._fail(error.message, error, job)
        if ours:
            self._end_running()
            self._be_ready()
        elif method == "initialize":
            self._drop_pending()
            self.force_stop()

    def _hear_set_up(self, event: SetUpProgress | SetUpEnded) -> None:
        self._heard_at = self._clock()
        match event:
            case SetUpProgress(stage, fraction, message):
                self.shown = Shown(fraction, stage, message)
            case SetUpEnded(error, log):
                self._set_up = None
                if error and self.state is State.SETTING_UP:
                    self.problem = Problem(error, log=log)
                self._look_for_environment()

    def _after_exit(self) -> None:
        self._end_running()
        if self._pending:
            self._bring_up()
        else:
            self._look_for_environment()

    # ---- the clock

    def _watch_clock(self) -> None:
        now = self._clock()
        waited = now - self._since
        match self.state:
            case State.ABSENT if waited > LOOK_AGAIN:
                self._look_for_environment()
            case State.STARTING if waited > START_LIMIT:
                self._fail(f"the worker did not answer within {START_LIMIT:.0f} seconds of its start")
                self._drop_pending()
                self.force_stop()
            case State.BUSY | State.SETTING_UP if now - self._heard_at > QUIET_LIMIT:
                self._fail(f"nothing was heard for {QUIET_LIMIT / 60:.0f} minutes, so the job was ended")
                self.force_stop()
            case State.CANCELLING if waited > CANCEL_GRACE:
                self.force_stop()
            case State.STOPPING if waited > STOP_LIMIT:
                self._leave_behind()
            case State.READY if waited > REST_AFTER:
                self.rest()

    def _leave_behind(self) -> None:
        """A process that even the system cannot end (it hangs in a driver) must not keep the panel."""
        self._fail("the worker could not be ended: it may still use memory until Blender is closed")
        self._client = self._set_up = None
        self._drop_pending()
        self._after_exit()

    # ---- small things

    def _go(self, state: State) -> None:
        self.state, self._since = state, self._clock()

    def _be_ready(self) -> None:
        if self.state is not State.STOPPING:  # else the worker's end is on its way
            self._go(State.READY)

    def _begin_clock(self) -> None:
        self._began_at = self._heard_at = self._clock()

    def _look_for_environment(self) -> None:
        self.found = environment.find(self._place())
        if self._client is None and self._set_up is None:
            self._go(State.IDLE if self.found.python else State.ABSENT)

    def _describe(self, backends: offered.Offered) -> None:
        if backends == self.offered:
            return
        self.offered = backends
        with suppress(OSError):  # the panel then starts from what was shipped: a flag less, nothing lost
            offered.keep(backends, self._place().kept)

    def _fail(self, message: str, error: WireError | None = None, job: _Job | None = None) -> None:
        log = (error.data.get("log") if error else "") or (self._client.log_tail() if self._client else "")
        missing = None
        if error and error.code is ErrorCode.MODEL_MISSING and job and isinstance(error.data.get("model"), str):
            missing = protocol.DownloadParams(job.params.backend, error.data["model"])
        self.problem = Problem(message, error.code if error else None, log, missing)

    def _give_up(self, reason: str) -> None:
        self._fail(reason)
        self._drop_pending()
        self._look_for_environment()

    def _drop_pending(self) -> None:
        job, self._pending = self._pending, None
        self._remove(job)

    def _end_running(self) -> None:
        if self._running:
            self._remove(self._running[1])
            self._running = None

    @staticmethod
    def _remove(job: _Job | None) -> None:
        if job and job.folder:
            shutil.rmtree(job.folder, ignore_errors=True)
