# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way of one `generate`, as a list of steps: pictures -> representation -> asset -> GLB.

Knows pictures, the table of methods, finish and the store; must not know pipes, threads, torch or how progress is
shown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.file_types import is_camera_list
from ..core.job import Job, Span
from ..core.options import Value
from ..core.representations import Representation
from ..finish.asset import Asset, write
from ..finish.dispatch import finished
from ..finish.photos import encoded, written
from ..methods.method import Task
from ..pictures.gather import Inputs, gather, is_collection
from ..pictures.load import check_shows_something, load
from ..store import cache
from ..store.timings import Timings
from ..store.weights import WeightStore
from . import code
from .select import Choice, Settings, select, settings
from .steps import Step, run

_EARLY = "learning was ended early, as you asked: it would have gone on to become finer"

READING = 0.02
"""Share of the bar in which pictures are read."""


class Request(Protocol):
    """What is asked for; `wire.protocol.GenerateParams` says what each means."""

    pictures: tuple[str, ...]
    output: str
    preset: str
    category: str | None
    network: str | None
    options: dict[str, Value]
    previews: str
    photos: str
    cached: bool


@dataclass(frozen=True)
class Machine:
    """Where things are kept, and what networks run on."""

    weights: WeightStore
    results: Path
    device: str


def generate(request: Request, machine: Machine, job: Job) -> dict[str, Any]:
    """Makes request.output, and returns what there is to say about it: the fields of `GenerateResult`, as JSON.

    What was made before of the same, by the same code and weights, is not made again.
    """
    output = _checked_output(request.output)
    with job.timed("reading"):
        inputs = read([Path(path) for path in request.pictures], job.span(0.0, READING))
    choice = select(inputs, request.category, request.network, request.options, machine.weights)
    work = Work.of(request, machine, inputs, choice, output)
    steps = [
        Step("network", work.represent, work.kept_representation, work.keep_representation, usual=0.6, improves=True),
        Step("mesh", work.finish, usual=0.35),
        Step("writing", work.write, work.kept_file, work.keep_file, usual=0.05),
    ]
    timings = Timings(machine.results / cache.TIMINGS)
    ran = run(steps, job, timings.of(work.kind))
    if not ran.ended_early:
        timings.add(work.kind, ran.seconds)
    early = [_EARLY] if ran.ended_early else []
    facts = work.with_photos({**ran.made, "warnings": [*ran.made["warnings"], *early]})
    return {**facts, "glb": str(output), "seconds": job.seconds, "from_cache": not ran.seconds}


def read(paths: list[Path], job: Job | Span) -> Inputs:
    """What was chosen: one picture as it is; several, a folder, a video or a list of cameras as `gather` reads them."""
    job.report(0.0, "reading")
    if len(paths) == 1 and not is_collection(paths[0]):
        picture = load(paths[0], job.check)
        check_shows_something(picture)
        return Inputs((picture,), False, None, picture.notes)
    return gather(paths, job)


@dataclass(frozen=True)
class Work:
    """One request with all that was decided about it; its methods are what the steps do."""

    request: Request
    task: Task
    choice: Choice
    settings: Settings
    store: cache.Cache | None
    output: Path
    name: str

    @classmethod
    def of(cls, request: Request, machine: Machine, inputs: Inputs, choice: Choice, output: Path) -> Work:
        values = settings(choice.method, request.preset, request.options)
        task = Task(inputs, choice.network, values.method, machine.device, machine.weights)
        store = cache.Cache(machine.results) if request.cached else None
        return cls(request, task, choice, values, store, output, _name(inputs, request.pictures))

    # ---- pictures -> representation

    def represent(self, before: None, job: Span) -> Representation:
        task = dataclasses.replace(self.task, on_preview=_previewer(self.request.previews, job))
        with job.timed("network"):
            found = self.choice.method.run(task, job)
        job.show(None)
        return found

    def kept_representation(self, job: Span) -> Representation | None:
        arrays = self.store.load_arrays(self.representation_key) if self.store else None
        return self.choice.method.restored(arrays, self.task, job) if arrays else None

    def keep_representation(self, found: Representation) -> None:
        if self.store:
            self.store.save_arrays(self.representation_key, found.to_arrays())

    # ---- representation -> asset

    def finish(self, found: Representation, job: Span) -> Asset:
        return finished(found, self.settings.finish, job)

    # ---- asset -> GLB

    def write(self, asset: Asset, job: Span) -> dict[str, Any]:
        job.report(0.0, "writing the GLB")
        with job.timed("writing"):
            write(asset, self.output, self.name)
        weights, network = self.task.weights, self.choice.network
        facts = {
            "name": self.name,
            "method": self.choice.method.name,
            "network": network.name,
            "vertices": len(asset.mesh.vertices),
            "faces": len(asset.mesh.faces),
            "cameras": [dataclasses.asdict(camera) for camera in asset.cameras],
            "warnings": [*self.task.inputs.notes, *asset.warnings, *network.remarks(weights)],
        }
        pictures = self.task.inputs.pictures
        wanted = asset.photos if self.store or self.request.photos else ()
        return {**facts, "photos": encoded(wanted, pictures[0] if len(pictures) == 1 else None)}

    def kept_file(self, job: Span) -> dict[str, Any] | None:
        facts = self.store.load_glb(self.file_key, self.output) if self.store else None
        if facts is None:
            return None
        return {**facts, "photos": (self.store.load_arrays(self.photos_key) if self.request.photos else None) or {}}

    def keep_file(self, facts: Mapping[str, Any]) -> None:
        if self.store:
            if facts["photos"]:
                self.store.save_arrays(self.photos_key, facts["photos"])
            plain = {name: value for name, value in facts.items() if name != "photos"}
            self.store.save_glb(self.file_key, self.output, plain)

    def with_photos(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """The facts with a file for each camera, where a folder was named; without, where they are not kept."""
        facts = {name: value for name, value in made.items() if name != "photos"}
        photos, folder = made["photos"], self.request.photos
        if not folder or len(photos) != len(facts["cameras"]):
            return facts
        try:
            paths = written(photos, Path(folder))
        except OSError as error:
            missing = f"the photos of the cameras could not be written ({error.strerror or error})"
            return {**facts, "warnings": [*facts["warnings"], missing]}
        return {**facts, "cameras": [{**camera, "photo": str(path)} for camera, path in zip(facts["cameras"], paths)]}

    # ---- keys

    @cached_property
    def representation_key(self) -> str:
        """All that the representation's arrays depend on."""
        method, inputs = self.choice.method, self.task.inputs
        options = dataclasses.asdict(self.task.options)
        return cache.key(
            pictures=[*(picture.digest for picture in inputs.pictures), *_digests(inputs.cameras)],
            ordered=inputs.ordered,
            network=self.choice.network.name,
            revision=self.choice.network.revision(self.task.weights),
            code=code.of_method(method),
            options={name: value for name, value in options.items() if name not in method.late},
            device=self.task.device,
        )

    @cached_property
    def file_key(self) -> str:
        """All that the GLB depends on."""
        options = [dataclasses.asdict(self.task.options), dataclasses.asdict(self.settings.finish)]
        return cache.key(made_of=self.representation_key, name=self.name, options=options, code=code.of_finish())

    @property
    def photos_key(self) -> str:
        return cache.key(photos_of=self.representation_key, code=code.of_finish())

    @property
    def kind(self) -> str:
        """Works of the same kind take about the same time."""
        several = len(self.task.inputs.pictures).bit_length()
        return json.dumps([self.choice.network.name, self.request.preset, self.task.device, several])


def _previewer(folder: str, job: Span) -> Callable[[np.ndarray], None]:
    """Writes pictures (H, W, 3) uint8 into the folder by turns under two names, and tells of each."""
    names = itertools.cycle(("preview-a.png", "preview-b.png"))  # the one before may still be read

    def show(picture: np.ndarray) -> None:
        path = Path(folder) / next(names)
        with contextlib.suppress(OSError):  # a preview less: nothing is lost
            Image.fromarray(picture).save(path)
            job.show(path)

    return show if folder else lambda picture: None


def _digests(cameras: Path | None) -> list[str]:
    """What tells a list of cameras and the files beside it from others."""
    if cameras is None:
        return []
    beside = sorted(path for path in cameras.parent.rglob("*") if path.is_file())
    facts = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in beside]
    return [hashlib.sha256("\n".join(facts).encode()).hexdigest()]


def _name(inputs: Inputs, chosen: tuple[str, ...]) -> str:
    """A name for what the pictures show: the picture's, or of several their folder's, or the video's."""
    if len(inputs.pictures) == 1:
        return inputs.pictures[0].name
    first = Path(chosen[0])
    if len(chosen) > 1 or is_camera_list(first.name):
        return first.resolve().parent.name or first.stem
    return first.resolve().name if first.is_dir() else first.stem


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
