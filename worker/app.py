# SPDX-License-Identifier: GPL-3.0-or-later
"""What each request means, one function each: this file reads like the list of features.

Knows backends and the store; must not know pipes, threads or how progress is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from . import __version__
from . import methods as backends
from .core.errors import Invalid
from .core.job import Job
from .store import folders
from .store.weights import WeightStore
from .wire import protocol
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
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", params.device):
            raise Invalid(f"there is no device {params.device!r}: choose auto, cpu, cuda or mps")
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
        """Pictures to one GLB file."""
        from .pipeline import (
            generate as generation,  # on use: geometry takes longer to import than initialize may take to answer
        )

        settings = self._initialized
        results = Path(settings.cache) if settings.cache else folders.cache()
        return generation.generate(params, self._weights, results, settings.device, job)

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
