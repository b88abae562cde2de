# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker says, and what follows from it. Must not know how a worker comes to be there."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...worker.wire import offers, protocol
from ...worker.wire.protocol import Preview, Progress, WireError
from . import catalogue, jobs
from .client import Answered, Event, Exited, Failed
from .environments import Over
from .glb import Reading
from .jobs import Finished, Job, Recipe
from .launch import Settings
from .life import Life
from .states import State


class Hearing(Life):
    """See the module; `settings` as for Life."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(settings, clock)
        self.methods = catalogue.shipped()
        self.up_to_date = False
        """Whether a worker has told since the start which weights are here; `methods` are older else."""

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
        for question in self.questions:
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
            self.improving.forget()
        elif job.method == "sequence":
            self.results.sequences.append(result)
        elif job.method == "batch":
            self.results.batch, self.history.stale = result, True
        elif job.method == "networks/download" and self.link.client:
            self.results.note = result.note
            self.link.client.request("catalogue", offers.Empty())

    def _hear_failure(self, id: int, method: str, error: WireError) -> None:
        unwanted = self.state in (State.CANCELLING, State.STOPPING)
        for question in self.questions:
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

    def _hear_environments(self, over: Over) -> None:
        if over.suspect_works and self.problem:
            self.problem = replace(self.problem, message=f"{self.problem.message}; its Python was tried and works")
        elif over.suspect_works is False:
            self.problem = None  # the box about a broken environment says more
        self.look()

    def _describe(self, methods: catalogue.Methods) -> None:
        self.up_to_date = True
        if methods == self.methods:
            return
        self.methods = methods
        for question in self.questions:
            question.forget()
        self.environments.names = catalogue.environments(methods)
        with suppress(OSError):  # the panel then starts from what was shipped: a flag less, nothing lost
            catalogue.write(methods, self._settings().catalogue)

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

    @property
    def _history_file(self) -> Path:
        return self._settings().catalogue.with_name("history.json")


def _unlike_us(worker: offers.InitializeResult) -> str:
    """Why nothing can be done with that worker, "" if it can."""
    if worker.version != protocol.VERSION:
        return f"the worker speaks version {worker.version} and not {protocol.VERSION}"
    flaw = catalogue.flaw(worker.methods)
    return f"the worker's offer cannot be used ({flaw})" if flaw else ""
