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

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...worker.wire import offers
from ...worker.wire.making import BatchParams, HistoryEntry, RemoveParams, SequenceParams
from ...worker.wire.offers import SelectParams, SelectResult
from . import catalogue, jobs, launch
from .hearing import Hearing
from .jobs import Finished, Job, Recipe
from .states import Problem, Shown, State
from .tasks import Order


class Session(Hearing):
    """See the module."""

    # ---- what the panel reads

    @property
    def can_begin(self) -> bool:
        """A job can begin."""
        return not self.moving and self.interpreter.python is not None

    @property
    def can_add(self) -> bool:
        """A job can begin, or wait for its turn."""
        return (self.moving or self.can_begin) and not self.line.full

    @property
    def queue(self) -> list[Job]:
        """What waits, what is next first."""
        return self.line.queue

    @property
    def can_end_early(self) -> bool:
        """What the running job has so far can be made the result; it has not been asked yet."""
        some = self._progress.preview or self._progress.rounds
        return self.state is State.BUSY and bool(some) and not self._progress.enough

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

    def enough(self) -> None:
        """Asks a job that shows what it has so far to finish with that."""
        if self.can_end_early and self.link.client and self.line.running:
            self.link.client.enough(self.line.running[0])
            self._progress = replace(self._progress, enough=True)

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
        of_questions = [(question.answer, question.problem) for question in self.questions]
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
        for question in self.questions:
            if question.due and self.can_begin and self._reach(self.environments.needed):
                question.request = self.link.client.request(question.method, question.question)
        told = self.history.request is not None or not self.history.stale
        if self.link.client and self.link.introduced and not self.moving and not told:
            self.history.request = self.link.client.request("history", offers.Empty())
