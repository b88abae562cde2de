# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way of one `generate`: pictures -> representation -> asset -> GLB, with both caches on the way.

Knows pictures, backends, the store and assets; must not know pipes, threads or how progress is shown.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import assets, backends
from .errors import Invalid, Unable
from .pictures.load import load
from .representations import Representation
from .store import cache
from .store.weights import WeightStore
from .wire import protocol
from .wire.jobs import Job


def generate(
    params: protocol.GenerateParams, weights: WeightStore, results: Path, device: str, job: Job
) -> protocol.GenerateResult:
    """Makes params.output. What was made before from the same is not made again: `results` is the cache's folder."""
    output = _checked_output(params.output)
    backend = backends.get(params.backend)
    info = backend.describe(weights)
    model = backends.choose_model(info, params.model)
    options = backends.settle(info, params.preset, params.options)
    if not params.pictures:
        raise Invalid("no picture was given: choose one")
    plan = assets.plan_for(backend.makes, options)
    clock, kept = _Clock(), cache.Cache(results)

    with clock.stage("reading"):
        job.report(0.0, "reading the photo")
        pictures = tuple(load(Path(path)) for path in params.pictures)
        if params.model is None:
            model = backend.suited(pictures, options, model)
    task = backends.Task(pictures, model, options, device, weights)
    source = {"pictures": [p.digest for p in pictures], "model": model, "revision": backend.revision(model, weights)}
    glb_key = cache.key(**source, name=pictures[0].name, options=options)
    backdrop = "" if backend.makes == "relief" else params.pictures[0]  # a relief's texture is the photo
    if facts := kept.load_glb(glb_key, output):
        return _result(facts, output, clock, backdrop, from_cache=True)

    found = _representation(backend, task, source, kept, clock, job)
    asset = plan.made_of(found, pictures[0], job.span(0.6, 0.95), clock.stage)
    with clock.stage("writing"):
        job.report(0.95, "writing the GLB")
        assets.write(asset, output, pictures[0].name)
    facts = {
        "name": pictures[0].name,
        "model": model,
        "vertices": len(asset.mesh.vertices),
        "faces": len(asset.mesh.faces),
        "camera": dataclasses.asdict(asset.camera) if asset.camera else None,
        "warnings": [*pictures[0].notes, *asset.warnings, *backend.remarks(model, weights)],
    }
    kept.save_glb(glb_key, output, facts)
    return _result(facts, output, clock, backdrop, from_cache=False)


def _representation(
    backend: backends.Backend, task: backends.Task, source: dict, kept: cache.Cache, clock: _Clock, job: Job
) -> Representation:
    chosen = {name: task.options[name] for name in backend.representation_options}
    key = cache.key(**source, options=chosen)
    if arrays := kept.load_arrays(key):
        return backend.restored(arrays, task)
    with clock.stage("network"):
        found = backend.generate(task, job.span(0.05, 0.6))
    kept.save_arrays(key, found.to_arrays())
    return found


class _Clock:
    """Seconds per stage, in the order in which the stages ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 4)


def _checked_output(output: str) -> Path:
    """The path to write to, checked before any work is done for it."""
    path = Path(output)
    if path.suffix.lower() != ".glb":
        raise Unable(f"the result is a GLB file, so {path.name} should end in .glb")
    if path.is_dir():
        raise Unable(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise Unable(f"there is no folder {path.parent}: make it first, or choose another")
    if not os.access(path.parent, os.W_OK):
        raise Unable(f"the folder {path.parent} cannot be written to: choose another")
    return path


def _result(facts: dict, output: Path, clock: _Clock, backdrop: str, from_cache: bool) -> protocol.GenerateResult:
    if facts["camera"]:
        facts = {**facts, "camera": {**facts["camera"], "photo": backdrop}}
    plain = {**facts, "glb": str(output), "seconds": clock.seconds, "from_cache": from_cache}
    return protocol.read(protocol.GenerateResult, plain)
