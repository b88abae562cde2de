# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the things of a batch on a cluster of Ray's: a warm worker on each card, or on each core where there are none.

Ray starts a worker anew that ended with its node, on another one, and gives it again what it had begun; what fails all
the same the batch tries once more. Two things are on their way to each worker, so that none waits and the object store
holds no more than these.
"""

from __future__ import annotations

import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ..core.errors import Unable
from ..core.texts import shortened
from ..core.whole_file import WholeFile
from ..pipeline.batch import Asked, Execute, Outcome, Told
from ..wire import offers
from .hand import Hand, Made, packed
from .spread import spread

RESTARTS, RETRIES = 5, 2
"""Of a worker whose node or process ended, and of what it had begun."""

ON_THEIR_WAY = 2
"""Things for each worker: the one that it makes, and the next."""

ANSWERS_WITHIN = 10.0
"""Seconds in which somebody must listen where a cluster is said to be."""

_CARD = 0.5  # of a card for each worker: one that comes from a lost node still finds room
_SAYS = "Ray is not in this environment: make one with `python3 -m envs create farm`, and use `run --name farm`"


def cluster(address: str, settings: offers.InitializeParams) -> Execute:
    """address: `auto`, or `ray://HOST:10001`. Connects, for as long as there are things to make. Raises Unable."""
    _connected(address)

    def execute(tasks: Iterable[tuple[int, Asked]], told: Told) -> Iterator[Outcome]:
        ray = _connected(address)
        crew = _crew(ray, settings)
        busy: Counter[int] = Counter(dict.fromkeys(range(len(crew)), 0))

        def submit(asked: Asked) -> Future[Mapping[str, Any]]:
            try:
                sent = packed(asked)
            except (Unable, OSError) as error:
                return _failed(error)
            number = min(busy, key=busy.__getitem__)
            busy[number] += 1
            done = crew[number].make.options(name=Path(asked.output).stem).remote(asked, sent).future()
            return _then(done, lambda made: _written(asked, made), lambda: busy.subtract([number]))

        with redirect_stdout(sys.stderr):  # Ray tells of lost nodes there, until the connection is closed
            try:
                yield from spread(tasks, submit, ON_THEIR_WAY * len(crew), told)
            finally:
                for each in crew:
                    ray.kill(each)
                ray.shutdown()

    return execute


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError:  # of all environments only `farm` has it
        raise Unable(_SAYS) from None
    if not ray.is_initialized():
        try:
            _knock(address)
            ray.init(address, namespace="image-to-3d", log_to_driver=False, logging_level="ERROR")
        except (OSError, ValueError, RuntimeError) as error:
            raise Unable(f"there is no cluster at {shortened(address)}: {str(error).splitlines()[0]}") from None
    return ray


def _knock(address: str) -> None:
    """Raises OSError where nobody listens at an address with a port; Ray would try for minutes."""
    if found := re.fullmatch(r"(?:ray://)?(.+):(\d{1,5})", address):
        socket.create_connection((found[1], int(found[2])), ANSWERS_WITHIN).close()


def _crew(ray: Any, settings: offers.InitializeParams) -> list[Any]:
    """Workers on all nodes that there are now."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    hand = ray.remote(max_restarts=RESTARTS, max_task_retries=RETRIES, num_cpus=0)(Hand)
    crew = []
    for node in (each for each in ray.nodes() if each["Alive"]):
        cards, cores = (int(node["Resources"].get(name, 0)) for name in ("GPU", "CPU"))
        for number in range(cards or cores):
            name = f"image-to-3d {node['NodeManagerHostname']} {number} {node['NodeID'][:6]}"
            place = {"scheduling_strategy": On(node["NodeID"], soft=True), "num_gpus": _CARD if cards else 0}
            crew.append(hand.options(name=f"{name} {len(crew)}", **place).remote(settings))
    if not crew:
        raise Unable("the cluster has neither cards nor cores to work with")
    return crew


def _failed(error: Exception) -> Future[Any]:
    found: Future[Any] = Future()
    found.set_exception(error)
    return found


def _then(
    done: Future[Made], write: Callable[[Made], Mapping[str, Any]], over: Callable[[], None]
) -> Future[Mapping[str, Any]]:
    """A future of what is written, which is over when `done` is."""
    found: Future[Mapping[str, Any]] = Future()

    def finish(_: object) -> None:
        over()
        if not found.set_running_or_notify_cancel():  # nobody waits for it any more
            return
        try:
            found.set_result(write(done.result()))
        except BaseException as error:  # noqa: BLE001 - whoever waits for it hears it
            found.set_exception(error)

    done.add_done_callback(finish)
    return found


def _written(asked: Asked, made: Made) -> Mapping[str, Any]:
    """Writes what has come, each file whole or not at all. Raises Unable."""
    if made.problem:
        raise Unable(made.problem)
    try:
        for path, content in ((asked.output, made.glb), (asked.thumbnail, made.thumbnail)):
            with WholeFile(Path(path)) as file:
                file.write(content)
    except OSError as error:
        raise Unable(f"{asked.output} could not be written ({error.strerror or error}): free space") from None
    return {**made.facts, "glb": asked.output}
