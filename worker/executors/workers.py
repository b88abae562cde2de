# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the things of a batch in several warm worker processes over the wire; one that ends is replaced."""

from __future__ import annotations

import dataclasses
import os
import queue
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..core.free_memory import available
from ..core.job import Job
from ..pipeline.batch import Asked, Execute, Outcome, Told
from ..wire import making, offers, protocol
from ..wire.calling import Called, worker_command, worker_variables
from .spread import spread

BESIDE = 400_000_000
"""Bytes that a worker takes beside its networks; 0.2 GB were measured at Fast, and large photos take more."""


def fitting(jobs: int, networks: int) -> int:
    """So many of `jobs` workers as memory has room for, at least one. networks: bytes that those of each take."""
    free = available()
    return jobs if free is None else max(1, min(jobs, free // (BESIDE + networks)))


def workers(count: int, settings: offers.InitializeParams, job: Job) -> Execute:
    """settings: of each worker. job: the batch's, with which all are cancelled."""

    def execute(tasks: Iterable[tuple[int, Asked]], told: Told) -> Iterator[Outcome]:
        crew = [Worker(settings, count) for _ in range(count)]
        free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for each in crew:
            free.put(each)

        def make(asked: Asked) -> Mapping[str, Any]:
            worker = free.get()
            try:
                return worker.make(asked, job)
            finally:
                free.put(worker)

        pool = ThreadPoolExecutor(count)
        try:
            yield from spread(
                tasks, lambda asked: pool.submit(make, asked), count, told, lambda: sum(each.part for each in crew)
            )
        finally:
            pool.shutdown(cancel_futures=True)
            for each in crew:
                each.close()

    return execute


class Worker:
    """A warm worker, started when it is first needed. part: how much is done of what it makes now."""

    def __init__(self, settings: offers.InitializeParams, count: int = 1) -> None:
        """count: workers that share the processor."""
        self._settings, self._called, self.part = settings, None, 0.0
        threads = str(max(1, (os.cpu_count() or 1) // count))
        self._variables = {"OMP_NUM_THREADS": threads} | worker_variables()

    def make(self, asked: Asked, job: Job) -> Mapping[str, Any]:
        """The fields of `GenerateResult`. Raises Cancelled, WireError, OSError."""
        try:
            params = making.GenerateParams(**dataclasses.asdict(asked))
            return dataclasses.asdict(self._ready().ask("generate", params, job, self._hear))
        finally:
            self.part = 0.0

    def close(self) -> None:
        """Ends it."""
        if self._called:
            self._called.close()
        self._called = None

    def _hear(self, progress: protocol.Progress) -> None:
        self.part = progress.progress

    def _ready(self) -> Called:
        if self._called and not self._called.alive:
            self.close()
        if self._called is None:
            self._called = Called(worker_command(), self._variables)
            self._called.ask("initialize", self._settings)
        return self._called
