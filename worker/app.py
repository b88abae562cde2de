# SPDX-License-Identifier: GPL-3.0-or-later
"""What each request means, one function each: this file reads like the list of features.

Knows pictures, backends, the store and assets; must not know pipes, threads or how progress is shown.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import __version__, assets, backends
from .errors import Unable
from .pictures.load import load
from .representations import DepthMap
from .store import cache, folders
from .store.weights import WeightStore
from .wire import protocol
from .wire.jobs import Job
from .wire.protocol import ErrorCode, WireError
from .wire.server import Handler


class App:
    """The worker's state between requests: folders, device, loaded backends."""

    def __init__(self) -> None:
        self._settings: protocol.InitializeParams | None = None

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "initialize": self.initialize,
            "generate": self.generate,
            "models/list": self.list_models,
            "models/download": self.download_model,
            "models/unload": self.unload_models,
            "shutdown": lambda params, job: params,
        }

    def initialize(self, params: protocol.InitializeParams, job: Job) -> protocol.InitializeResult:
        """Agrees on the protocol's version and the folders. Fast: imports neither torch nor any network."""
        if params.version != protocol.VERSION:
            message = f"the worker speaks version {protocol.VERSION} and not {params.version}: install both anew"
            raise WireError(ErrorCode.VERSION_MISMATCH, message)
        self._settings = params
        return protocol.InitializeResult(protocol.VERSION, __version__, self._offered())

    def list_models(self, params: protocol.Empty, job: Job) -> protocol.ModelsResult:
        return protocol.ModelsResult(self._offered())

    def download_model(self, params: protocol.DownloadParams, job: Job) -> protocol.DownloadResult:
        backend = backends.get(params.backend)
        model = backends.choose_model(backend.describe(self._weights), params.model)
        return protocol.DownloadResult(model, backend.download(model, self._weights, job))

    def unload_models(self, params: protocol.Empty, job: Job) -> protocol.Empty:
        for name in backends.TABLE:
            backends.get(name).unload()
        return params

    def generate(self, params: protocol.GenerateParams, job: Job) -> protocol.GenerateResult:
        """Pictures to one GLB file: from the cache where everything is as it was before."""
        output = _checked_output(params.output)
        backend = backends.get(params.backend)
        info = backend.describe(self._weights)
        model = backends.choose_model(info, params.model)
        options = backends.settle(info, params.preset, params.options)
        clock = _Clock()

        with clock.stage("reading"):
            job.report(0.0, "reading the photo")
            pictures = tuple(load(Path(path)) for path in params.pictures)
        if not pictures:
            raise Unable("no picture was given: choose one")
        task = backends.Task(pictures, model, options, self._device, self._weights)
        source = {"pictures": [p.digest for p in pictures], "model": model, "revision": backend.revision(model)}
        glb_key = cache.key(**source, name=pictures[0].name, options=options)
        if kept := self._cache.load_glb(glb_key, output):
            return _result(kept, output, clock, from_cache=True)

        depth_map = self._representation(backend, task, source, clock, job)
        asset = assets.from_depth(depth_map, pictures[0], options, job.span(0.6, 0.95), clock.stage)
        with clock.stage("writing"):
            job.report(0.95, "writing the GLB")
            assets.write(asset, output, pictures[0].name)
        facts = {
            "name": pictures[0].name,
            "model": model,
            "vertices": len(asset.mesh.vertices),
            "faces": len(asset.mesh.faces),
            "camera": dataclasses.asdict(asset.camera),
            "warnings": [*pictures[0].notes, *asset.warnings],
        }
        self._cache.save_glb(glb_key, output, facts)
        return _result(facts, output, clock, from_cache=False)

    def _representation(
        self, backend: backends.Backend, task: backends.Task, source: dict, clock: _Clock, job: Job
    ) -> DepthMap:
        chosen = {name: task.options[name] for name in backend.representation_options}
        key = cache.key(**source, options=chosen)
        if arrays := self._cache.load_arrays(key):
            return DepthMap.from_arrays(arrays)
        with clock.stage("network"):
            depth_map = backend.generate(task, job.span(0.05, 0.6))
        self._cache.save_arrays(key, depth_map.to_arrays())
        return depth_map

    def _offered(self) -> tuple[protocol.BackendInfo, ...]:
        return tuple(backends.get(name).describe(self._weights) for name in backends.TABLE)

    @property
    def _initialized(self) -> protocol.InitializeParams:
        if self._settings is None:
            raise WireError(ErrorCode.INVALID_REQUEST, "the first request must be initialize")
        return self._settings

    @property
    def _weights(self) -> WeightStore:
        settings = self._initialized
        return WeightStore(Path(settings.weights) if settings.weights else folders.weights(), settings.online)

    @property
    def _cache(self) -> cache.Cache:
        settings = self._initialized
        return cache.Cache(Path(settings.cache) if settings.cache else folders.cache())

    @property
    def _device(self) -> str:
        return self._initialized.device


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


def _result(facts: dict, output: Path, clock: _Clock, from_cache: bool) -> protocol.GenerateResult:
    plain = {**facts, "glb": str(output), "seconds": clock.seconds, "from_cache": from_cache}
    return protocol.read(protocol.GenerateResult, plain)
