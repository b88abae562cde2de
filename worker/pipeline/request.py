# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for, on which machine, and each method's part of it, under its keys.

Knows the table of methods and the store; must not know finish, pipes, threads, torch or in which order steps run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from ..cameras.registration import Registration
from ..core.job import Span
from ..core.options import Value
from ..core.representations import Representation
from ..core.texts import path_of
from ..methods import under
from ..methods.method import Method, Network, Task
from ..pictures.gather import Inputs
from ..pictures.look import files_below, folder_of_listed, look
from ..store import cache
from ..store.weights import WeightStore
from . import code
from .select import Choice, Settings, all_options, settings


class Request(Protocol):
    """What is asked for; `wire.making.GenerateParams` says what each means."""

    pictures: tuple[str, ...]
    output: str
    preset: str
    category: str | None
    network: str | None
    options: dict[str, Value]
    previews: str
    photos: str
    cached: bool
    maps: str
    thumbnail: str
    views: str


@dataclass(frozen=True)
class Machine:
    """Where things are kept, and what networks run on."""

    weights: WeightStore
    results: Path
    device: str


@dataclass(frozen=True)
class Making:
    """One method's part of a request: what it is asked for, and how."""

    choice: Choice
    task: Task
    settings: Settings

    @classmethod
    def of(
        cls, choice: Choice, request: Request, machine: Machine, inputs: Inputs, options: dict[str, Value]
    ) -> Making:
        """Raises Unable where the picture is to be cut out and shows no thing."""
        values = settings(choice.method, request.preset, options)
        if choice.thing:
            inputs = dataclasses.replace(inputs, pictures=tuple(map(choice.thing.cut_out, inputs.pictures)))
        return cls(choice, Task(inputs, choice.network, values.method, machine.device, machine.weights), values)

    @property
    def digests(self) -> list[str]:
        """What tells the pictures, and a list of their cameras, from others."""
        inputs = self.task.inputs
        return [*(picture.digest for picture in inputs.pictures), *digests(inputs.cameras)]

    @cached_property
    def cameras_key(self) -> str:
        """All that cameras of several pictures depend on; names are in what is told of them."""
        inputs = self.task.inputs
        names = [picture.name for picture in inputs.pictures]
        return cache.key(cameras_of=self.digests, names=names, ordered=inputs.ordered, code=code.of_cameras())

    @cached_property
    def key(self) -> str:
        """All that the representation's arrays depend on."""
        method, inputs = self.choice.method, self.task.inputs
        options = dataclasses.asdict(self.task.options)
        return cache.key(
            pictures=self.digests,
            ordered=inputs.ordered,
            network=self.choice.network.name,
            revision=[each.revision(self.task.weights) for each in (self.choice.network, *_below(method))],
            code=code.of_method(method),
            options={name: value for name, value in options.items() if name not in method.late},
            device=self.task.place,
        )

    def run(
        self,
        job: Span,
        cameras: Registration | None,
        on_preview: Callable[[np.ndarray], None],
        on_coarse: Callable[[Representation], None] = lambda found: None,
    ) -> Representation:
        task = dataclasses.replace(self.task, cameras=cameras, on_preview=on_preview, on_coarse=on_coarse)
        return self.choice.method.run(task, job)

    def kept(self, store: cache.Cache, job: Span) -> Representation | None:
        arrays = store.load_arrays(self.key)
        return self.choice.method.restored(arrays, self.task, job) if arrays else None


def _below(method: Method) -> list[Network]:
    """The networks of the methods that a method is a list of steps over."""
    return [network for each in under(method) for network in each.networks]


def options_of(choice: Choice, request: Request) -> dict[str, Value]:
    """What the request sets of the options that the choice's method has."""
    names = {option.name for option in all_options(choice.method)}
    return {name: value for name, value in request.options.items() if name in names}


def counted(pictures: Sequence[str]) -> int:
    """About how many pictures these paths hold, without reading them. Raises Unable where they hold none."""
    return look([path_of(path) for path in pictures]).count


def digests(cameras: Path | None) -> list[str]:
    """What tells a list of cameras and the files beside it from others."""
    if cameras is None:
        return []
    facts = []
    for path in files_below(folder_of_listed(cameras)):
        with contextlib.suppress(OSError):  # a link to nowhere, or gone meanwhile
            facts.append(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}")
    return [hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()]
