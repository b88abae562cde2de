# SPDX-License-Identifier: GPL-3.0-or-later
"""The one running worker, its jobs and its state. Must not know widgets, meshes or bpy; environments are looked after
elsewhere (environments.py).

Everything happens in two ways: a user action calls a method, which returns at once, and a timer calls `tick`, which
drains what the worker said and watches the clock. Nothing waits. The panel reads the attributes. Each wait has a limit,
and after each failure the state is one from which the user can go on, with the reason in `problem`.

Which network a job takes is selected by the worker alone. It is asked in the background, as soon as the user has
chosen; a job that is begun before the answer has come asks first and then goes on with it. What is begun while
something goes on waits in a queue; so does what needs an environment that is still to be made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...worker.wire import offers, protocol
from ...worker.wire.making import BatchParams, HistoryEntry, RemoveParams, SequenceParams
from ...worker.wire.offers import EstimateParams, EstimateResult, SelectParams, SelectResult
from ...worker.wire.protocol import ErrorCode, Preview, Progress, WireError
from . import catalogue, jobs, launch, states
from .client import Answered, Event, Exited, Failed
from .environments import Environments, Over
from .glb import Reading
from .history import Kept
from .jobs import Finished, Job, Recipe, Results
from .launch import Interpreter, Settings
from .line import Line
from .link import Link
from .process import CannotStart
from .question import Question
from .states import MOVING, Problem, Shown, State
from .tasks import Order


class Session:
    """See the module. `settings` is asked for the settings of the moment whenever something begins."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], float] = time.monotonic) -> None:
        self.state = State.ABSENT
        self.environments = Environments(settings, clock)
        self.selection: Question[SelectParams, SelectResult] = Question("select", clock)
        self.estimate: Question[EstimateParams, EstimateResult] = Question("estimate", clock)
        self.history = Kept()
        self.problem: Problem | None = None
        self.results = Results()
        self.methods = catalogue.shipped()
        self.up_to_date = False
        """Whether a worker has told since the start which weights are here; `methods` are older else."""
        self.line, self.link = Line(), Link(clock)
        self._settings, self._clock = settings, clock
        self._progress = Shown(0.0, "")
        self._ordered: Order | None = None
        self._since = self._heard_at = self._began_at = clock()

    # ---- what the panel reads

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
    def can_begin(self) -> bool:
        """A job can begin."""
        return not self.moving and self.interpreter.python is not None

    @property
    def can_add(self) -> bool:
        """A job can begin, or wait for its turn."""
        return (self.moving or self.can_begin) and not self.line.full

    @property
    def job(self) -> Job | None:
        """What the worker does, or is started for."""
        return self.line.job

    @property
    def queue(self) -> list[Job]:
        """What waits, what is next first."""
        return self.line.queue

    @property
    def can_force(self) -> bool:
        """Something that was asked to end takes long to do so."""
        return self.state is State.STOPPING and self._clock() > self._since + states.FORCE_AFTER

    @property
    def can_end_early(self) -> bool:
        """What the running job has so far can be made the result; it has not been asked yet."""
        some = self._progress.preview or self._progress.rounds
        return self.state is State.BUSY and bool(some) and not self._progress.enough

    @property
    def elapsed(self) -> float:
        """Seconds since the running job, or set-up, began."""
        return self._clock() - self._began_at

    def selected(self, question: SelectParams) -> SelectResult | None:
        """The method and network that are taken, None while the worker has still to say so. Raises KeyError where the
        question names a network that is not offered."""
        if question.network:
            return SelectResult(catalogue.find(self.methods, question.network)[0].name, question.network)
        return self.selection.answer if question == self.selection.question else None

    # ---- what the user does

    def recall(self) -> None:
        """Reads what a worker said last; once, at the beginning."""
        self.methods = catalogue.last(self._settings().catalogue)
        self.environments.names = catalogue.environments(self.methods)
        self.history.recall(self._history_file)

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

    def generate(self, recipe: Recipe) -> bool:
        """Turns pictures of one thing into a GLB in a folder of ours; `results` gets it. Returns whether it is begun,
        or waits for its turn."""
        job = self._making(recipe)
        return job is not None and self._begin(job)

    def set_up(self, order: Order, along: str = "", recipe: Recipe | None = None) -> None:
        """Makes an environment ready, then fetches the network `along`, if it can be had, and then makes the recipe."""
        if self.moving:
            return
        self.results.note = ""
        fetching = jobs.download(*catalogue.find(self.methods, along), along=True) if along else None
        making = self._making(recipe) if recipe else None
        if recipe is None or making:
            self.queue.extend(filter(None, (fetching, making)))
            self.give_order(order)

    def download(self, network: str) -> None:
        """Fetches the weights of one network."""
        self._begin(jobs.download(*catalogue.find(self.methods, network)))

    def fetch(self, entry: HistoryEntry) -> None:
        """Brings a result that is kept again; `results` gets it."""
        if job := self._made(lambda: jobs.fetching(entry, self._any_environment, self._settings().temporary)):
            self._begin(job)

    def refine(
        self, picture: str, instead: jobs.Instead, send: Callable[[str], None], by: jobs.By = jobs.OUTLINE
    ) -> bool:
        """Gives a mesh, which `send` writes to a path, what a picture shows; `results` gets it. Returns whether it is
        begun, or waits for its turn. What `send` raises is raised."""
        return self._begin_with_mesh(partial(jobs.refinement, picture, instead, by), send)

    def improve(
        self, pictures: tuple[str, ...], preset: str, instead: jobs.Instead, send: Callable[[str], None]
    ) -> bool:
        """As `refine`, in rounds, each of which leaves a mesh that stands in for the result."""
        return self._begin_with_mesh(partial(jobs.improvement, pictures, preset, instead), send)

    def sequence(self, params: SequenceParams, title: str) -> None:
        """Gives each frame its depth; `results.sequences` gets it."""
        method = next(each for each in self.methods if each.makes == "DepthMap")
        self._begin(jobs.sequence(method, params, title))

    def batch(self, params: BatchParams, title: str) -> None:
        """Makes a thing of each of many pictures; `results.batch` gets it."""
        self._begin(jobs.batch(params, title, self._any_environment))

    def remove(self, params: RemoveParams) -> None:
        """Removes results that are kept."""
        self._begin(jobs.removal(params, self._any_environment))

    def makes(self, recipe: Recipe) -> bool:
        """Whether exactly that is being made already, or waits for its turn."""
        return self.line.makes(recipe)

    def unqueue(self, number: int) -> None:
        """Takes a job out of the queue."""
        self.line.take_out(lambda job: job.number == number)

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

    def enough(self) -> None:
        """Asks a job that shows what it has so far to finish with that."""
        if self.can_end_early and self.link.client and self.line.running:
            self.link.client.enough(self.line.running[0])
            self._progress = replace(self._progress, enough=True)

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

    def dismiss(self) -> None:
        """The user has read the error."""
        self.problem = self.results.cancelled = None
        self.results.note = ""
        self.environments.dismiss()

    def not_imported(self, finished: Finished, reason: str) -> None:
        """`reason` may be a whole traceback: its last line is the message, all of it goes to the log."""
        *above, last = reason.strip().splitlines() or [""]
        log = "\n".join([*above, last]) if above else ""
        self.problem = Problem(f"the mesh could not be brought into the scene: {last.strip()}", log=log)
        self.results.discard(finished)

    def close(self) -> None:
        """Ends everything; waits for a moment only. For when the add-on is switched off or Blender ends."""
        self.environments.close()
        if self.link.client:
            self.link.client.close()
        self.link.lose()
        for question in self._questions:
            question.ask(None)
        self._ordered = None
        self.line.clear()
        for finished in [*self.results.waiting]:
            self.results.discard(finished)
        self.state = State.ABSENT

    # ---- what the timer does

    def tick(self) -> bool:
        """Drains what came, watches the clock. Returns whether there is something new to show."""
        before = self._picture()
        for over in self.environments.tick(quiet=not self.moving):
            self._hear_environments(over)
        if self.link.client:
            for event in self.link.client.events():
                self._take(event)
        self._watch_clock()
        self._take_next()
        self._ask_quietly()
        return self._picture() != before

    def _picture(self) -> tuple[Any, ...]:
        them = self.environments
        of_environments = them.interpreter, them.checking, them.last_check, them.problem, them.done, them.report
        of_questions = [(question.answer, question.problem) for question in self._questions]
        of_jobs = self.state, self.shown, self.problem, self.methods, len(self.results.waiting), len(self.queue)
        return *of_jobs, self.history.told, *of_questions, *of_environments

    # ---- beginning

    def _making(self, recipe: Recipe) -> Job | None:
        """The next job towards a recipe; None, with the reason in `problem`, without one."""
        network = recipe.question.network
        answer = None if network else self.selected(recipe.question)
        if network or answer:
            return self._generation(recipe, network or answer.network)
        return jobs.selection(recipe, self.environments.needed)

    def _generation(self, recipe: Recipe, taken: str) -> Job | None:
        """The job that makes the recipe with that network; None, with the reason in `problem`, without one."""
        try:
            method, network = catalogue.find(self.methods, taken)
            return self._made(lambda: jobs.generation(recipe, method, network, self._settings().temporary))
        except KeyError:
            self._fail(f"the network {taken} is not offered any more: choose another")
            return None

    def _made(self, make: Callable[[], Job]) -> Job | None:
        """A job with a folder; None, with the reason in `problem`, where none can be made."""
        try:
            return make()
        except OSError as error:
            self._fail(f"no temporary folder could be made: {error.strerror or error}")
            return None

    def _begin_with_mesh(self, make: Callable[[str, Path], Job], send: Callable[[str], None]) -> bool:
        job = self._made(lambda: make(self._any_environment, self._settings().temporary))
        if job is None:
            return False
        try:
            send(job.params.mesh)
        except Exception:
            job.discard()
            raise
        return self._begin(job)

    def _begin(self, job: Job) -> bool:
        """Begins it, now or when it is its turn; whether there was room for it."""
        if not self.can_add:
            job.discard()
            return False
        if not self.moving:
            self.dismiss()
        self.queue.append(job)
        self._take_next()
        return True

    def _take_next(self) -> None:
        """Begins what has waited longest of what has its environment."""
        if self.moving or not self.queue:
            return
        settings = self._settings()
        if job := self.line.take_next(lambda job: launch.find(settings, job.environment).python is not None):
            self._progress = Shown(0.0, job.stage)
            self._began_at = self._heard_at = self._clock()
            self._bring_up(job)

    def _ask_quietly(self) -> None:
        """Asks the worker what is to be known about what is chosen; it is started for that, but for no more."""
        for question in self._questions:
            if question.due and self.can_begin and self._reach(self.environments.needed):
                question.request = self.link.client.request(question.method, question.question)
        told = self.history.request is not None or not self.history.stale
        if self.link.client and self.link.introduced and not self.moving and not told:
            self.history.request = self.link.client.request("history", offers.Empty())

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

    # ---- hearing

    def _take(self, event: Event) -> None:
        """The boundary to the worker: whatever its answer holds, the panel lives on."""
        try:
            self._hear(event)
        except Exception as error:  # noqa: BLE001 - of another version, or damaged: nobody knows what it holds
            self._fail(f"what the worker said cannot be used ({type(error).__name__}: {error}): install both anew")
            self.force_stop()

    def _hear(self, event: Event) -> None:
        self._heard_at = self._clock()
        match event:
            case Progress(token, fraction, stage, message, remaining) if self.line.is_running(token):
                self._progress = self._progress.at(fraction, stage, message, remaining)
            case Preview(token, file) if self.line.is_running(token) and file.endswith(".glb"):
                job = self.line.job
                self.results.coarse = jobs.Coarse(Reading(file), job.folder, job.instead)
                if job.method == "improve":
                    self._progress = replace(self._progress, rounds=self._progress.rounds + 1)
            case Preview(token, file) if self.line.is_running(token):
                self._progress = replace(self._progress, preview=file)
            case Answered(_, "initialize", result) if wrong := _unlike_us(result):
                self._not_introduced(f"{wrong}: install the add-on and its environment again")
            case Answered(_, "initialize", result):
                self._describe(result.methods)
                self.link.introduced = True
                self._be_ready()
                if self.line.pending and self.state is State.READY:
                    self._submit()
            case Answered(_, "catalogue", result):
                if not catalogue.flaw(result.methods):
                    self._describe(result.methods)
            case Answered(id, "history" | "history/remove", result):
                self.history.take(result, self._history_file)
                self._hear_result(id, result)
            case Answered(id, _, result):
                self._hear_result(id, result)
            case Failed(id, method, error):
                self._hear_failure(id, method, error)
            case Exited():
                self._lose_worker()
                self._after_exit()

    def _hear_result(self, id: int, result: Any) -> None:
        for question in self._questions:
            question.end(id, result)
        if not self.line.is_running(id):
            return
        job = self.line.take_running()
        wanted = self.state is State.BUSY  # else it was cancelled, but it was done before it heard
        self._be_ready()
        if not wanted:
            job.discard()
        elif job.method == "select":
            if generation := self._generation(job.recipe, result.network):
                self._bring_up(generation)
        elif job.method in ("generate", "history/fetch", "refine", "improve"):
            beside = job.recipe.beside if job.recipe else ""
            self.results.waiting.append(Finished(result, job.folder, Reading(result.glb), beside, job.instead))
            self.history.stale = True
            self.estimate.forget()
        elif job.method == "sequence":
            self.results.sequences.append(result)
        elif job.method == "batch":
            self.results.batch, self.history.stale = result, True
        elif job.method == "networks/download" and self.link.client:
            self.results.note = result.note
            self.link.client.request("catalogue", offers.Empty())

    def _hear_failure(self, id: int, method: str, error: WireError) -> None:
        unwanted = self.state in (State.CANCELLING, State.STOPPING)
        for question in self._questions:
            question.end(id, None, "" if unwanted else error.message)
        if method.startswith("history"):  # it is asked again after the next job
            self.history.stale, self.history.request = method != "history", None
        if method == "initialize" and not unwanted:
            self._not_introduced(error.message, error)
        elif self.line.is_running(id):
            if not unwanted:
                self._fail(error.message, error)
            self.line.drop_running()
            self._be_ready()

    def _not_introduced(self, message: str, error: WireError | None = None) -> None:
        """The worker that was started is of no use; nobody is told who does not wait for it."""
        if self.line.pending:
            self._fail(message, error)
            if error is None or error.code is ErrorCode.WORKER_EXITED:
                self.environments.suspect(self.line.pending.environment)
        self._leave_open(message)
        self._drop_pending()
        self.force_stop()

    def _hear_environments(self, over: Over) -> None:
        if over.suspect_works and self.problem:
            self.problem = replace(self.problem, message=f"{self.problem.message}; its Python was tried and works")
        elif over.suspect_works is False:
            self.problem = None  # the box about a broken environment says more
        self.look()

    def _after_exit(self) -> None:
        self.line.drop_running()
        if self._ordered:
            self._carry_out()
        elif self.line.pending:
            self._bring_up(self.line.pending)
        else:
            self.look()

    # ---- the clock

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
        for question in self._questions:
            question.ask(None)
        self.environments.leave_behind()
        self._drop_pending()
        self._after_exit()

    # ---- small things

    @property
    def _questions(self) -> tuple[Question, ...]:
        return self.selection, self.estimate

    @property
    def _history_file(self) -> Path:
        return self._settings().catalogue.with_name("history.json")

    @property
    def _any_environment(self) -> str:
        """One that is there, for what any worker can do: best the one that runs."""
        return self.environments.needed if self.interpreter.python else launch.CORE

    def _leave_open(self, problem: str) -> None:
        """The questions cannot be answered."""
        for question in self._questions:
            question.problem = problem

    def _go(self, state: State) -> None:
        self.state, self._since = state, self._clock()

    def _be_ready(self) -> None:
        if self.state is not State.STOPPING:  # else the worker's end is on its way
            self._go(State.READY)

    def _describe(self, methods: catalogue.Methods) -> None:
        self.up_to_date = True
        if methods == self.methods:
            return
        self.methods = methods
        for question in self._questions:
            question.forget()
        self.environments.names = catalogue.environments(methods)
        with suppress(OSError):  # the panel then starts from what was shipped: a flag less, nothing lost
            catalogue.write(methods, self._settings().catalogue)

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

    def _lose_worker(self) -> None:
        self.link.lose()
        self.history.request = None


def _unlike_us(worker: offers.InitializeResult) -> str:
    """Why nothing can be done with that worker, "" if it can."""
    if worker.version != protocol.VERSION:
        return f"the worker speaks version {worker.version} and not {protocol.VERSION}"
    flaw = catalogue.flaw(worker.methods)
    return f"the worker's offer cannot be used ({flaw})" if flaw else ""
