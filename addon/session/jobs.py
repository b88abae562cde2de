# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker is asked for: a job, the folder that it may need, and what comes out. Must not know bpy, or when a
job runs.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ...worker.wire.protocol import (
    BackendInfo,
    DownloadParams,
    ErrorCode,
    GenerateParams,
    GenerateResult,
    Value,
    WireError,
)
from .states import Problem


@dataclass(frozen=True)
class Job:
    """A request to the worker, to be run in `environment`; `stage` is what is shown until the worker says more.

    `folder` is the job's own, removed with whatever is in it when the job comes to nothing.
    """

    method: str
    params: GenerateParams | DownloadParams
    stage: str
    environment: str
    folder: Path | None = None

    def discard(self) -> None:
        """Removes its folder."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Finished:
    """A mesh on disk that waits for its import; `folder` is removed after it."""

    result: GenerateResult
    folder: Path


class Results:
    """The meshes that wait for their import, and how the last one that was imported turned out."""

    def __init__(self) -> None:
        self.waiting: list[Finished] = []
        self.last: GenerateResult | None = None

    def add(self, finished: Finished) -> None:
        self.waiting.append(finished)

    def imported(self, finished: Finished) -> None:
        """It is in the scene now."""
        self.last = finished.result
        self.discard(finished)

    def discard(self, finished: Finished) -> None:
        """Removes it with its folder."""
        self.waiting.remove(finished)
        shutil.rmtree(finished.folder, ignore_errors=True)

    def clear(self) -> None:
        """Removes all that wait."""
        for finished in [*self.waiting]:
            self.discard(finished)


def problem(message: str, error: WireError | None, job: Job | None, log: str) -> Problem:
    """What went wrong, as the panel shows it; `log` is the worker's, for an error that brings none."""
    if error is None:
        return Problem(message, log=log)
    missing = None
    if error.code is ErrorCode.WEIGHTS_MISSING and job and isinstance(error.data.get("model"), str):
        missing = DownloadParams(job.params.backend, error.data["model"])
    return Problem(message, error.code, error.data.get("log") or log, missing)


def generation(
    backend: BackendInfo,
    pictures: tuple[str, ...],
    model: str | None,
    preset: str,
    options: dict[str, Value],
    temporary: Path,
) -> Job:
    """Turns pictures into a GLB in a new folder below `temporary`. Raises OSError where none can be made."""
    folder = Path(tempfile.mkdtemp(prefix="image-to-3d-", dir=temporary))
    glb, beside = str(folder / "result.glb"), str(folder)
    params = GenerateParams(pictures, glb, backend.name, preset, model, options, previews=beside, photos=beside)
    return Job("generate", params, "starting", backend.environment, folder)


def download(backend: BackendInfo, model: str) -> Job:
    """Fetches the weights of one model."""
    return Job("models/download", DownloadParams(backend.name, model), "connecting", backend.environment)
