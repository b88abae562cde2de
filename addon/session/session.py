# SPDX-License-Identifier: GPL-3.0-or-later
"""The one running worker, its jobs and its state. Must not know widgets, meshes or bpy; the environments are cared for
elsewhere (care.py).

Everything happens in two ways: a user action calls a method, which returns at once, and a timer calls `tick`, which
drains what the worker said and watches the clock. Nothing waits. The panel reads the attributes. Each wait has a limit,
and after each failure the state is one from which the user can go on, with the reason in `problem`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...worker.wire import protocol
from ...worker.wire.protocol import ErrorCode, Preview, Progress, Value, WireError
from . import catalogue as offered
from . import jobs
from . import launch as environment
from .client import Answered, Client, Event, Exited, Failed
from .environments import Care, CheckEnded, Judged, OrderEnded
from .jobs import Finished, Job, Results
from .launch import Found, Place
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
    Problem,
    Shown,
    State,
)
from .tasks import Order


class Session:
    """See the module. `place` is asked for the settings of the moment whenever something begins."""

    def __init__(self, place: Callable[[], Place], clock: Callable[[], float] = time.monotonic) -> None:
        self.state = State.ABSENT
        self.care = Care(place, clock)
        self.problem: Problem | None = None
        self.results = Results()
        self.offered = offered.shipped()
        self.asked = False
        """Whether a worker has told since the start what is here; `offered` is older else."""
        self.longest_tick = 0.0
        self._place, self._clock = place, clock
        self._client: Client | None = None
        self._introduced: tuple[Any, ...] = ()
        self._shown = Shown(0.0, "")
        self._ordered: Order | None = None
        self._pending: Job | None = None
        self._running: tuple[int, Job] | None = None
        self._since = self._heard_at = self._began_at = clock()

    # ---- what the panel reads

    @property
    def moving(self) -> bool:
        """Something is going on that the user may want to watch or cancel."""
        return self.state in MOVING

    @property
    def found(self) -> Found:
        """The Python for the chosen model."""
        return self.care.found

    @property
    def shown(self) -> Shown:
        """How far what goes on is."""
        return self.care.shown if self.care.order else self._shown

    @property
    def can_begin(self) -> bool:
        """A job can begin."""
        return self.can_order and self.found.python is not None

    @property
    def can_order(self) -> bool:
        """An environment can be made, repaired, moved or removed."""
        return not self.moving

    @property
    def can_force(self) -> bool:
        """Something that was asked to end takes long to do so."""
        return self.state is State.STOPPING and self._clock() > self._since + FORCE_AFTER

    @property
    def can_end_early(self) -> bool:
        """What the running job has so far can be made the result; it has not been asked yet."""
        return self.state is State.BUSY and bool(self._shown.preview) and not self._shown.enough

    @property
    def elapsed(self) -> float:
        """Seconds since the running job, or set-up, began."""
        return self._clock() - self._began_at

    # ---- what the user does

    def recall(self) -> None:
        """Reads what a worker said last; once, at the beginning."""
        self.offered = offered.last_known(self._place().kept)
        self.care.known = offered.environments(self.offered)

    def look(self) -> None:
        """Looks again whether there is an environment: the settings or the disk have changed."""
        self.care.look()
        if self._client is None and self.care.order is None:
            self._go(State.IDLE if self.found.python else State.ABSENT)

    def need(self, name: str) -> None:
        """The chosen model needs the environment of that name."""
        if name != self.care.needed:
            self.care.need(name)
            self.look()

    def generate(
        self, pictures: tuple[str, ...], backend: str, model: str | None, preset: str, options: dict[str, Value]
    ) -> None:
        """Turns pictures of one thing into a GLB in a folder of ours; `results` gets it."""
        described = offered.backend_named(self.offered, backend)
        try:
            job = jobs.generation(described, pictures, model, preset, options, self._place().temporary)
        except OSError as error:
            self._fail(f"no temporary folder could be made: {error.strerror or error}")
        else:
            self._begin(job)

    def download(self, backend: str, model: str) -> None:
        """Fetches the weights of one model."""
        self._begin(jobs.download(offered.backend_named(self.offered, backend), model))

    def give_order(self, order: Order) -> None:
        """Makes, repairs, moves or removes an environment. A worker is ended first: it has files of it open."""
        if not self.can_order:
            return
        self.problem, self._ordered = None, order
        self._begin_clock()
        if self._client:
            self._client.stop()
            self._go(State.STOPPING)
        else:
            self._carry_out()

    def cancel(self) -> None:
        """Asks whatever runs to give up; a worker that does not hear it within CANCEL_GRACE is ended by force."""
        if self.state is State.CARING:
            self.care.stop()
            self._go(State.STOPPING)
        elif self.state is State.BUSY and self._client and self._running:
            self._client.cancel(self._running[0])
            self._go(State.CANCELLING)
        elif self.state in (State.STARTING, State.STOPPING):
            self._drop_pending()
            self.force_stop()

    def enough(self) -> None:
        """Asks a job that shows what it has so far to finish with that."""
        if self.can_end_early and self._client and self._running:
            self._client.enough(self._running[0])
            self._shown = replace(self._shown, enough=True)

    def force_stop(self) -> None:
        """Ends the worker, and all it started, at once. The next job starts a new one."""
        self.care.kill()
        if self._client:
            self._client.kill()
        if self._client or self.care.order:
            self._go(State.STOPPING)

    def rest(self) -> None:
        """Ends a worker that has nothing to do, to free its memory."""
        if self.state is State.READY and self._client:
            self._client.stop()
            self._go(State.STOPPING)

    def dismiss(self) -> None:
        """The user has read the error."""
        self.problem = None
        self.care.dismiss()

    def not_imported(self, finished: Finished, reason: str) -> None:
        """`reason` may be a whole traceback: its last line is the message, all of it goes to the log."""
        *above, last = reason.strip().splitlines() or [""]
        log = "\n".join([*above, last]) if above else ""
        self.problem = Problem(f"the mesh could not be brought into the scene: {last.strip()}", log=log)
        self.results.discard(finished)

    def close(self) -> None:
        """Ends everything; waits for a moment only. For when the add-on is switched off or Blender ends."""
        self.care.close()
        if self._client:
            self._client.close()
        self._client = None
        self._drop_pending()
        self._end_running()
        self.results.clear()
        self.state = State.ABSENT

    # ---- what the timer does

    def tick(self) -> bool:
        """Drains what came, watches the clock. Returns whether there is something new to show."""
        before = self._picture()
        for over in self.care.tick(quiet=not self.moving):
            self._hear_care(over)
        if self._client:
            for event in self._client.poll():
                self._hear(event)
        self._watch_clock()
        return self._picture() != before

    def _picture(self) -> tuple[Any, ...]:
        care = self.care
        of_care = care.found, care.checking, care.checked, care.problem, care.done, care.report
        return self.state, self.shown, self.problem, self.offered, len(self.results.waiting), of_care

    # ---- beginning

    def _begin(self, job: Job) -> None:
        if not self.can_begin:
            job.discard()
            return
        self.dismiss()
        self._shown, self._pending = Shown(0.0, job.stage), job
        self._begin_clock()
        self._bring_up(job)

    def _bring_up(self, job: Job) -> None:
        """Takes the next step towards a worker that knows the settings of the moment and has the pending job."""
        place = self._place()
        found = environment.find(place, job.environment)
        wanted = found.python, place.root, protocol.InitializeParams(protocol.VERSION, place.online, place.device)
        if found.python is None:
            self._give_up(found.reason)
        elif self._client is None:
            self._start(place, job.environment, wanted)
        elif self._introduced != wanted:
            self._client.stop()
            self._go(State.STOPPING)
        else:
            self._submit()

    def _start(self, place: Place, name: str, introduction: tuple[Path, Path, protocol.InitializeParams]) -> None:
        """Starts a worker in the environment `name`. Another one is needed when the introduction changes."""
        command, variables = environment.worker_command(introduction[0]), environment.worker_variables(place, name)
        try:
            self._client = Client(command, environment.PACKAGE, place.logs / "worker.log", variables, self._clock)
        except CannotStart as error:
            self.care.suspect(name)
            self._give_up(str(error))
            return
        self._introduced = introduction
        self._client.request("initialize", introduction[-1])
        self._go(State.STARTING)

    def _carry_out(self) -> None:
        order, self._ordered = self._ordered, None
        if self.care.begin(order):
            self._go(State.CARING)
        else:
            self.look()

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
                    self._shown = replace(self._shown, fraction=fraction, stage=stage, message=message)
            case Preview(token, file):
                if self._running and token == self._running[0]:
                    self._shown = replace(self._shown, preview=file)
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
            job.discard()
        elif job.method == "generate":
            self.results.add(Finished(result, job.folder))
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
            if error.code is ErrorCode.WORKER_EXITED and not unwanted and self._pending:
                self.care.suspect(self._pending.environment)
            self._drop_pending()
            self.force_stop()

    def _hear_care(self, over: OrderEnded | CheckEnded | Judged) -> None:
        match over:
            case Judged(works=True) if self.problem:
                self.problem = replace(self.problem, message=f"{self.problem.message}; its Python was tried and works")
            case Judged():
                self.problem = None  # the box about a broken environment says more
        self.look()

    def _after_exit(self) -> None:
        self._end_running()
        if self._ordered:
            self._carry_out()
        elif self._pending:
            self._bring_up(self._pending)
        else:
            self.look()

    # ---- the clock

    def _watch_clock(self) -> None:
        now = self._clock()
        waited = now - self._since
        match self.state:
            case State.ABSENT if waited > LOOK_AGAIN:
                self.look()
            case State.STARTING if waited > START_LIMIT:
                self._fail(f"the worker did not answer within {START_LIMIT:.0f} seconds of its start")
                if self._pending:
                    self.care.suspect(self._pending.environment)
                self._drop_pending()
                self.force_stop()
            case State.BUSY if now - self._heard_at > QUIET_LIMIT:
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
        self._client = None
        self.care.leave_behind()
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

    def _describe(self, backends: offered.Offered) -> None:
        self.asked = True
        if backends == self.offered:
            return
        self.offered = backends
        self.care.known = offered.environments(backends)
        with suppress(OSError):  # the panel then starts from what was shipped: a flag less, nothing lost
            offered.keep(backends, self._place().kept)

    def _fail(self, message: str, error: WireError | None = None, job: Job | None = None) -> None:
        log = self._client.log_tail() if self._client else ""
        self.problem = jobs.problem(message, error, job, log)

    def _give_up(self, reason: str) -> None:
        self._fail(reason)
        self._drop_pending()
        self.look()

    def _drop_pending(self) -> None:
        job, self._pending, self._ordered = self._pending, None, None
        if job:
            job.discard()

    def _end_running(self) -> None:
        if self._running:
            self._running[1].discard()
            self._running = None
