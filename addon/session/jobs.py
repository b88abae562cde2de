# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker is asked for: a job, the folder that it may need, and what comes out. Must not know bpy, or when a
job runs.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...worker.core.options import Value
from ...worker.core.sequence_info import SequenceResult
from ...worker.core.texts import shortened
from ...worker.wire import making, protocol
from ...worker.wire.making import (
    BatchParams,
    FetchParams,
    GenerateParams,
    HistoryEntry,
    ImproveParams,
    RefineParams,
    RemoveParams,
    SequenceParams,
)
from ...worker.wire.offers import DownloadParams, MethodInfo, NetworkInfo, SelectParams
from . import glb
from .provenance import SEED
from .states import Problem

LONGEST_MESSAGE = 2000
"""Characters of a line of an error that are shown."""

QUEUE_LIMIT = 20
"""Jobs that wait while one runs: more are an accident."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Label:
    """What a job is called in the panel. `picture` is a file that shows what it is about, "" for none."""

    title: str
    detail: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Recipe:
    """What the user wants made. `question` selects the method and its network; `presets` and `options` are those of
    each method that may be selected, by its name. `cached`: as in GenerateParams. `beside`: what the object is called
    beside which the result is to stand, "" for none. `maps`, `views`: as in GenerateParams. `splats`: whether Blender
    shows splats, of which a mesh is made else."""

    question: SelectParams
    presets: dict[str, str]
    options: dict[str, dict[str, Value]]
    cached: bool = True
    label: Label = field(default=Label(""), compare=False)
    beside: str = field(default="", compare=False)
    maps: str = ""
    splats: bool = False
    views: str = ""


@dataclass(frozen=True)
class By:
    """What refines a mesh: a network in its environment with its preset and options, or without a name the picture's
    outline."""

    network: str = ""
    environment: str = ""
    label: str = ""
    preset: str = "balanced"
    options: dict[str, Value] = field(default_factory=dict)


OUTLINE = By()


@dataclass(frozen=True)
class Instead:
    """What a result comes in place of: the object of that name, which was turned and scaled so when it was sent, four
    rows of four numbers."""

    name: str
    turned: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Job:
    """A request to the worker, to be run in `environment`; `stage` is what is shown until the worker says more.

    `folder` is the job's own, removed with whatever is in it when the job comes to nothing. `recipe` is what is
    made of it, also of a selection once that has been answered. `number` tells it from all others. `instead`: of what
    its result takes the place.
    """

    method: str
    params: (
        GenerateParams
        | DownloadParams
        | SelectParams
        | FetchParams
        | RemoveParams
        | SequenceParams
        | RefineParams
        | ImproveParams
        | BatchParams
    )
    stage: str
    environment: str
    folder: Path | None = None
    recipe: Recipe | None = None
    label: Label = Label("")
    number: int = field(default_factory=lambda: next(_numbers), compare=False)
    instead: Instead | None = None

    def discard(self) -> None:
        """Removes its folder."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Finished:
    """A mesh that waits for its import while its file is read; `folder` goes after it. `beside`: as in Recipe,
    `instead`: as in Job."""

    result: making.GenerateResult
    folder: Path
    file: glb.Reading
    beside: str = ""
    instead: Instead | None = None


@dataclass(frozen=True)
class Coarse:
    """A first guess at the mesh that the job makes whose folder this is. `instead`: as in Job."""

    file: glb.Reading
    folder: Path
    instead: Instead | None = None


class Results:
    """The meshes, and the sequences, that wait for their import, and how the last mesh that was imported turned out.
    `cancelled` is what the user gave up last, None where something was begun or has come since. `note`: why what comes
    with the set-up is not here, "" where it is or nobody has asked. `coarse` waits for its import, too. `batch`: how
    the last one went."""

    def __init__(self) -> None:
        self.waiting: list[Finished] = []
        self.last: making.GenerateResult | None = None
        self.cancelled: Label | None = None
        self.note = ""
        self.sequences: list[SequenceResult] = []
        self.coarse: Coarse | None = None
        self.batch: making.BatchResult | None = None

    def imported(self, finished: Finished) -> None:
        """It is in the scene now."""
        self.last, self.cancelled = finished.result, None
        self.discard(finished)

    def discard(self, finished: Finished) -> None:
        """Removes it with its folder."""
        self.waiting.remove(finished)
        shutil.rmtree(finished.folder, ignore_errors=True)


def problem(message: str, error: protocol.WireError | None, log: str) -> Problem:
    """What went wrong, as the panel shows it; `log` is the worker's, for an error that brings none."""
    message = "\n".join(shortened(line, LONGEST_MESSAGE) for line in message.splitlines())
    if error is None:
        return Problem(message, log=log)
    network = error.data.get("network") if error.code is protocol.ErrorCode.WEIGHTS_MISSING else None
    missing = DownloadParams(network) if isinstance(network, str) else None
    told, option = error.data.get("log"), error.data.get("option")
    option = option if error.code is protocol.ErrorCode.UNSURE and isinstance(option, str) else ""
    return Problem(message, error.code, told if isinstance(told, str) and told else log, missing, option)


def selection(recipe: Recipe, environment: str) -> Job:
    """Asks which network is taken, to make the recipe with it."""
    return Job("select", recipe.question, "starting", environment, recipe=recipe, label=recipe.label)


def generation(recipe: Recipe, method: MethodInfo, network: NetworkInfo, temporary: Path) -> Job:
    """Turns pictures into a GLB in a new folder below `temporary`. Raises OSError where none can be made."""
    pictures, preset, options = recipe.question.pictures, recipe.presets[method.name], recipe.options[method.name]
    folder = _folder(temporary)
    ending = glb.SPLATS if recipe.splats and method.makes == "Splats" else ".glb"
    output, beside = str(folder / f"result{ending}"), str(folder)
    params = GenerateParams(
        pictures, output, preset, method.category, network.name, options, beside, beside, recipe.cached
    )
    params = replace(params, maps=recipe.maps, views=recipe.views)
    seed = f", seed {options[SEED]}" if SEED in options else ""
    label = Label(recipe.label.title, f"{network.label}, {preset}{seed}", recipe.label.picture)
    return Job("generate", params, "starting", method.environment, folder, recipe, label)


def download(method: MethodInfo, network: NetworkInfo, along: bool = False) -> Job:
    """Fetches the weights of one of the method's networks. along: with the set-up, and done without if need be."""
    label, params = Label(network.label, "download"), DownloadParams(network.name, along)
    return Job("networks/download", params, "connecting", method.environment, label=label)


def sequence(method: MethodInfo, params: SequenceParams, title: str) -> Job:
    """Gives each frame of a video or a folder its depth, in a folder of the user's."""
    label = Label(title, "depth of each frame")
    return Job("sequence", params, "starting", method.environment, label=label)


def batch(params: BatchParams, title: str, environment: str) -> Job:
    """Makes a thing of each of many pictures, in a folder of the user's."""
    return Job("batch", params, "starting", environment, label=Label(title, f"many pictures, {params.preset}"))


def fetching(entry: HistoryEntry, environment: str, temporary: Path) -> Job:
    """Brings a result that is kept again. Raises OSError where no folder can be made."""
    folder = _folder(temporary)
    params = FetchParams(entry.key, str(folder / "result.glb"), str(folder))
    label = Label(entry.name, "from the history", entry.thumbnail)
    return Job("history/fetch", params, "fetching", environment, folder, label=label)


def refinement(picture: str, instead: Instead, by: By, environment: str, temporary: Path) -> Job:
    """Gives a mesh, which is to be written to `params.mesh`, the outline and the colours of a picture, or has a network
    refine it. Raises OSError where no folder can be made."""
    folder = _folder(temporary)
    files = str(folder / "mesh.glb"), picture, str(folder / "result.glb")
    params = RefineParams(*files, network=by.network, preset=by.preset, options=by.options)
    label = Label(instead.name, f"refining, {by.label}" if by.label else "refining", picture)
    where = by.environment or environment
    return Job("refine", params, "starting", where, folder, label=label, instead=instead)


def improvement(pictures: tuple[str, ...], preset: str, instead: Instead, environment: str, temporary: Path) -> Job:
    """Makes a mesh, which is to be written to `params.mesh`, better in rounds, by pictures of the thing. Raises OSError
    where no folder can be made."""
    folder = _folder(temporary)
    files = str(folder / "mesh.glb"), pictures, str(folder / "result.glb")
    params = ImproveParams(*files, preset=preset, previews=str(folder))
    label = Label(instead.name, f"improving, {preset}", pictures[0])
    return Job("improve", params, "starting", environment, folder, label=label, instead=instead)


def removal(params: RemoveParams, environment: str) -> Job:
    """Removes results that are kept."""
    label = Label("History", "clearing" if params.everything else "removing")
    return Job("history/remove", params, "removing", environment, label=label)


def _folder(temporary: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="image-to-3d-", dir=temporary))
