# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of the one worker: it is started for a job, given it, watched and ended. Must not know what it says, or what
a user may ask for.

Nothing waits, and each wait of the clock has a limit: after each failure the state is one from which the user can go
on, with the reason in `problem`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ...worker.wire.offers import EstimateParams, EstimateResult, SelectParams, SelectResult
from ...worker.wire.protocol import ErrorCode, WireError
from . import jobs, launch, states
from .environments import Environments
from .history import Kept
from .jobs import Job, Results
from .launch import Interpreter, Settings
from .line import Line
from .link import Link
from .process import CannotStart
from .question import Question
from .states import MOVING, Problem, Shown, State
from .tasks import Order


class Life:
    """See the module. `settings` is asked for the settings of the moment whenever something begins."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], float] = time.monotonic) -> None:
        self.state = State.ABSENT
        self.environments = Environments(settings, clock)
        self.selection: Question[SelectParams, SelectResult] = Question("select", clock)
        self.estimate: Question[EstimateParams, EstimateResult] = Question("estimate", clock)
        self.improving: Question[EstimateParams, EstimateResult] = Question("estimate", clock)
        self.history = Kept()
        self.problem: Problem | None = None
        self.results = Results()
        self.line, self.link = Line(), Link(clock)
        self._settings, self._clock = settings, clock
        self._progress = Shown(0.0, "")
        self._ordered: Order | None = None
        self._since = self._heard_at = self._began_at = clock()

    @property
    def moving(self) -> bool:
        """Something is going on that the user may want to watch or cancel."""
        return self.state in MOVING

    @property
    def interpreter(self) -> Interpreter:
        """The Python for the chosen method."""
        return self.environments.interpreter

    @property
    def shown(self) -> Shown:
        """How far what goes on is."""
        return self.environments.shown if self.environments.order else self._progress

    @property
    def job(self) -> Job | None:
        """What the worker does, or is started for."""
        return self.line.job

    @property
    def can_force(self) -> bool:
        """Something that was asked to end takes long to do so."""
        return self.state is State.STOPPING and self._clock() > self._since + states.FORCE_AFTER

    @property
    def elapsed(self) -> float:
        """Seconds since the running job, or set-up, began."""
        return self._clock() - self._began_at

    def look(self) -> None:
        """Looks again whether there is an environment: the settings or the disk have changed."""
        self.environments.look()
        started_quietly = self.link.client and not self.link.introduced and not self.moving
        if self.environments.order is None and (self.link.client is None or started_quietly):
            self._go(State.IDLE if self.interpreter.python else State.ABSENT)

    def need(self, name: str) -> None:
        """The chosen method needs the environment of that name."""
        if name != self.environments.needed:
            self.environments.needed = name
            self.look()

    def give_order(self, order: Order) -> None:
        """Makes, repairs, moves or removes an environment. A worker is ended first: it has files of it open."""
        if self.moving:
            return
        self.problem, self.results.cancelled, self._ordered = None, None, order
        self._began_at = self._heard_at = self._clock()
        if self.link.client:
            self.link.client.end()
            self._go(State.STOPPING)
        else:
            self._carry_out()

    def cancel(self) -> None:
        """Asks whatever runs to give up; a worker that does not hear it within CANCEL_GRACE is ended by force. What
        waits in the queue goes on, but for what waits for an environment that is given up."""
        self.results.cancelled = self.job.label if self.job else jobs.Label("setting up")
        if self.state is State.SETTING_UP:
            given_up = self.environments.order.name
            self.line.take_out(lambda job: job.environment == given_up)
            self.environments.stop()
            self._go(State.STOPPING)
        elif self.state is State.BUSY and self.link.client and self.line.running:
            self.link.client.cancel(self.line.running[0])
            self._go(State.CANCELLING)
        elif self.state in (State.STARTING, State.STOPPING):
            self._drop_pending()
            self.force_stop()

    def force_stop(self) -> None:
        """Ends the worker, and all it started, at once. The next job starts a new one."""
        self.environments.kill()
        if self.link.client:
            self.link.client.kill()
        if self.link.client or self.environments.order:
            self._go(State.STOPPING)

    def rest(self) -> None:
        """Ends a worker that has nothing to do, to free its memory."""
        if self.state is State.READY and self.link.client:
            self.link.client.end()
            self._go(State.STOPPING)

    def close(self) -> None:
        """Ends everything; waits for a moment only. For when the add-on is switched off or Blender ends."""
        self.environments.close()
        if self.link.client:
            self.link.client.close()
        self.link.lose()
        for question in self.questions:
            question.ask(None)
        self._ordered = None
        self.line.clear()
        for finished in [*self.results.waiting]:
            self.results.discard(finished)
        self.state = State.ABSENT

    # ---- beginning

    def _bring_up(self, job: Job) -> None:
        """Takes the next step towards a worker that has the job."""
        self.line.pending = job
        self._go(State.STARTING)
        if self._reach(job.environment):
            self._submit()

    def _reach(self, name: str) -> bool:
        """Takes the next step towards a worker in the environment `name` that knows the settings of the moment; whether
        it is there. One that was started for something else is ended first: there is one at a time."""
        settings = self._settings()
        found = launch.find(settings, name)
        if found.python is None:
            self._give_up(found.reason)
        elif self.link.client is None:
            self._start(settings, name, found.python)
        elif not self.link.fits(settings, found.python):
            self.link.client.end()
            self._go(State.STOPPING)
        else:
            return self.link.introduced
        return False

    def _start(self, settings: Settings, name: str, python: Path) -> None:
        try:
            self.link.start(settings, name, python)
        except CannotStart as error:
            self.environments.suspect(name)
            self._give_up(str(error))

    def _submit(self) -> None:
        """Hands the pending job to the worker, which is asked but once to select."""
        job = self.line.take_pending()
        if job.method == "select":
            self.selection.ask(job.params)
            id = self.selection.request or self.link.client.request(job.method, job.params)
            self.selection.request = id
        else:
            id = self.link.client.request(job.method, job.params)
        self.line.running = id, job
        self._go(State.BUSY)

    def _carry_out(self) -> None:
        order, self._ordered = self._ordered, None
        if self.environments.begin(order):
            self._go(State.SETTING_UP)
        else:
            self.look()

    # ---- ending

    def _not_introduced(self, message: str, error: WireError | None = None) -> None:
        """The worker that was started is of no use; nobody is told who does not wait for it."""
        if self.line.pending:
            self._fail(message, error)
            if error is None or error.code is ErrorCode.WORKER_EXITED:
                self.environments.suspect(self.line.pending.environment)
        self._leave_open(message)
        self._drop_pending()
        self.force_stop()

    def _after_exit(self) -> None:
        self.line.drop_running()
        if self._ordered:
            self._carry_out()
        elif self.line.pending:
            self._bring_up(self.line.pending)
        else:
            self.look()

    def _lose_worker(self) -> None:
        self.link.lose()
        self.history.request = None

    def _watch_clock(self) -> None:
        now = self._clock()
        waited = now - self._since
        if self.link.late and self.state is not State.STOPPING:
            self._not_introduced(f"the worker did not answer within {states.START_LIMIT:.0f} seconds of its start")
            return
        match self.state:
            case State.ABSENT if waited > states.LOOK_AGAIN:
                self.look()
            case State.BUSY if now - self._heard_at > states.QUIET_LIMIT:
                self._fail(f"nothing was heard for {states.QUIET_LIMIT / 60:.0f} minutes, so the job was ended")
                self.force_stop()
            case State.CANCELLING if waited > states.CANCEL_GRACE:
                self.force_stop()
            case State.STOPPING if waited > states.STOP_LIMIT:
                self._leave_behind()
            case State.READY if waited > states.REST_AFTER:
                self.rest()

    def _leave_behind(self) -> None:
        """A process that even the system cannot end (it hangs in a driver) must not keep the panel."""
        self._fail("the worker could not be ended: it may still use memory until Blender is closed")
        self._lose_worker()
        for question in self.questions:
            question.ask(None)
        self.environments.leave_behind()
        self._drop_pending()
        self._after_exit()

    # ---- small things

    @property
    def _any_environment(self) -> str:
        """One that is there, for what any worker can do: best the one that runs."""
        return self.environments.needed if self.interpreter.python else launch.CORE

    @property
    def questions(self) -> tuple[Question, ...]:
        """What the worker is asked in the background."""
        return self.selection, self.estimate, self.improving

    def _leave_open(self, problem: str) -> None:
        """The questions cannot be answered."""
        for question in self.questions:
            question.problem = problem

    def _go(self, state: State) -> None:
        self.state, self._since = state, self._clock()

    def _be_ready(self) -> None:
        if self.state is not State.STOPPING:  # else the worker's end is on its way
            self._go(State.READY)

    def _fail(self, message: str, error: WireError | None = None) -> None:
        self.problem = jobs.problem(message, error, self.link.log)

    def _give_up(self, reason: str) -> None:
        """No worker can be started."""
        self._leave_open(reason)
        if self.line.pending is None:
            return
        self._fail(reason)
        self._drop_pending()
        self._go(State.READY if self.link.introduced else State.IDLE)
        self.look()

    def _drop_pending(self) -> None:
        self._ordered = None
        self.line.drop_pending()
