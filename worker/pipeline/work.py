# SPDX-License-Identifier: GPL-3.0-or-later
"""One request with all that was decided about it: what its steps do, what is kept of them, and under which keys.

Knows the table of methods, finish and the store; must not know pipes, threads, torch or in which order steps run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from .. import __version__
from ..core.file_types import is_camera_list
from ..core.job import Job, Span
from ..core.options import Value
from ..core.representations import Representation
from ..core.texts import path_of, readable
from ..finish.asset import Asset, write
from ..finish.dispatch import finished
from ..finish.photos import encoded
from ..finish.thumbnail import drawn
from ..methods.method import Task
from ..pictures.gather import Inputs
from ..pictures.look import files_below, folder_of_listed, look
from ..store import cache
from ..store.history import History, without_bookkeeping
from ..store.weights import WeightStore
from . import code
from .select import Choice, Settings, kind_of, settings

THUMBNAIL = 256
"""Pixels of the pictures of a result that the history shows."""


PICTURES = ("photos", "thumbnails")
"""Of the facts, what is kept as files of its own."""


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
    seconds: Mapping[str, float]

    @classmethod
    def of(cls, request: Request, machine: Machine, inputs: Inputs, choice: Choice, output: Path, job: Job) -> Work:
        """job: its `seconds` are what the result took, once it is there."""
        values = settings(choice.method, request.preset, request.options)
        task = Task(inputs, choice.network, values.method, machine.device, machine.weights)
        store = cache.Cache(machine.results) if request.cached else None
        return cls(request, task, choice, values, store, output, readable(_name(inputs, request.pictures)), job.seconds)

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
            "cameras": [dataclasses.asdict(camera) | {"name": readable(camera.name)} for camera in asset.cameras],
            "warnings": [*map(readable, (*self.task.inputs.notes, *asset.warnings, *network.remarks(weights)))],
        }
        pictures = self.task.inputs.pictures
        wanted = asset.photos if self.store or self.request.photos else ()
        facts |= {"provenance": self._provenance(), "key": self.file_key if self.store else ""}
        if self.store and self.request.previews:
            facts["thumbnails"] = [_png(picture) for picture in drawn(asset.mesh, THUMBNAIL)]
        return {**facts, "photos": encoded(wanted, pictures[0] if len(pictures) == 1 else None)}

    def kept_file(self, job: Span) -> dict[str, Any] | None:
        facts = self.store.load_glb(self.file_key, self.output) if self.store else None
        if facts is None:
            return None
        return {
            **without_bookkeeping(facts),
            "photos": (self.store.load_arrays(self.photos_key) if self.request.photos else None) or {},
        }

    def keep_file(self, facts: Mapping[str, Any]) -> None:
        if self.store:
            if facts["photos"]:
                self.store.save_arrays(self.photos_key, facts["photos"])
            if "thumbnails" in facts:
                History(self.store.root).keep_pictures(self.file_key, *facts["thumbnails"])
            plain = {name: value for name, value in facts.items() if name not in PICTURES}
            self.store.save_glb(
                self.file_key, self.output, {**plain, "took": sum(self.seconds.values()), "photos_key": self.photos_key}
            )

    def _provenance(self) -> dict[str, Any]:
        """The fields of `wire.protocol.Provenance`."""
        method, network = self.choice.method, self.choice.network
        return {
            "pictures": list(self.request.pictures),
            "digests": self._picture_digests(),
            "category": method.category,
            "method": method.name,
            "network": network.name,
            "label": network.label,
            "licence": network.licence,
            "revision": network.revision(self.task.weights),
            "preset": self.request.preset,
            "options": dataclasses.asdict(self.task.options) | dataclasses.asdict(self.settings.finish),
            "version": __version__,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    # ---- keys

    def _picture_digests(self) -> list[str]:
        inputs = self.task.inputs
        return [*(picture.digest for picture in inputs.pictures), *_digests(inputs.cameras)]

    @cached_property
    def representation_key(self) -> str:
        """All that the representation's arrays depend on."""
        method, inputs = self.choice.method, self.task.inputs
        options = dataclasses.asdict(self.task.options)
        return cache.key(
            pictures=self._picture_digests(),
            ordered=inputs.ordered,
            network=self.choice.network.name,
            revision=self.choice.network.revision(self.task.weights),
            code=code.of_method(method),
            options={name: value for name, value in options.items() if name not in method.late},
            device=self.task.place,
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
        pictures = self.request.pictures
        return kind_of(self.choice.network.name, self.request.preset, self.task.device, counted(pictures))


def counted(pictures: Sequence[str]) -> int:
    """About how many pictures these paths hold, without reading them. Raises Unable where they hold none."""
    return look([path_of(path) for path in pictures]).count


def _previewer(folder: str, job: Span) -> Callable[[np.ndarray], None]:
    """Writes pictures (H, W, 3) uint8 into the folder by turns under two names, and tells of each."""
    names = itertools.cycle(("preview-a.png", "preview-b.png"))  # the one before may still be read

    def show(picture: np.ndarray) -> None:
        path = Path(folder) / next(names)
        with contextlib.suppress(OSError):  # a preview less: nothing is lost
            Image.fromarray(picture).save(path)
            job.show(path)

    return show if folder else lambda picture: None


def _png(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def _digests(cameras: Path | None) -> list[str]:
    """What tells a list of cameras and the files beside it from others."""
    if cameras is None:
        return []
    facts = []
    for path in files_below(folder_of_listed(cameras)):
        with contextlib.suppress(OSError):  # a link to nowhere, or gone meanwhile
            facts.append(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}")
    return [hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()]


def _name(inputs: Inputs, chosen: tuple[str, ...]) -> str:
    """A name for what the pictures show: the picture's, or of several their folder's, or the video's."""
    if len(inputs.pictures) == 1:
        return inputs.pictures[0].name
    first = Path(chosen[0])
    if len(chosen) > 1 or is_camera_list(first.name):
        return first.resolve().parent.name or first.stem
    return first.resolve().name if first.is_dir() else first.stem
