# SPDX-License-Identifier: GPL-3.0-or-later
"""What each request means, one function each: this file reads like the list of features.

Knows the table of methods, the pipeline and the store; must not know pipes, threads or how progress is shown.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from . import __version__
from .core import refining
from .core.errors import Invalid, Unable
from .core.file_types import FORMATS
from .core.job import Job
from .core.sequence_info import SequenceResult
from .core.texts import path_of, shortened
from .core.whole_file import checked_folder
from .methods import all_methods, along, network_named, with_network
from .methods.method import LOADED, Method, Network
from .pipeline.select import all_options, kind_of, named, select, settings
from .store import folders
from .store.history import History
from .store.timings import Timings
from .store.weights import WeightStore
from .wire import making, offers, protocol
from .wire.protocol import ErrorCode, WireError
from .wire.server import Handler


class App:
    """The worker's state between requests: folders and device."""

    def __init__(self) -> None:
        self._settings: offers.InitializeParams | None = None

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "initialize": self.initialize,
            "select": self.select,
            "generate": self.generate,
            "batch": self.batch,
            "refine": self.refine,
            "improve": self.improve,
            "sequence": self.sequence,
            "estimate": self.estimate,
            "catalogue": self.catalogue,
            "history": self.history,
            "history/fetch": self.fetch,
            "history/remove": self.remove,
            "networks/download": self.download,
            "networks/unload": self.unload,
            "shutdown": lambda params, job: params,
        }

    def initialize(self, params: offers.InitializeParams, job: Job) -> offers.InitializeResult:
        """Agrees on the protocol's version and the folders. Fast: imports neither torch nor any network."""
        if params.version != protocol.VERSION:
            message = f"the worker speaks version {protocol.VERSION} and not {params.version}: install both anew"
            raise WireError(ErrorCode.VERSION_MISMATCH, message)
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", params.device):
            raise Invalid(f"there is no device {shortened(params.device)!r}: choose auto, cpu, cuda or mps")
        for folder in filter(None, (params.weights, params.cache)):
            checked_folder(path_of(folder), written=False)
        self._settings = params
        return offers.InitializeResult(protocol.VERSION, __version__, self._described())

    def catalogue(self, params: offers.Empty, job: Job) -> offers.Catalogue:
        return offers.Catalogue(self._described())

    def select(self, params: offers.SelectParams, job: Job) -> offers.SelectResult:
        """Which network is taken for these pictures."""
        from .pipeline.generate import looked_at  # on use, as below
        from .pipeline.subject import finder
        from .store.cache import Cache

        find = finder(self._weights, self._initialized.device, Cache(self._results))
        subject = looked_at([path_of(path) for path in params.pictures], job, find)
        choice = select(subject, params.category, params.network, params.options, self._weights)
        return offers.SelectResult(choice.method.name, choice.network.name)

    def estimate(self, params: offers.EstimateParams, job: Job) -> offers.EstimateResult:
        """What each preset takes, from what this machine took before."""
        from .pipeline.request import counted  # on use, as below

        pictures = counted(params.pictures) if params.pictures else 1
        if params.network == refining.IMPROVE:
            return self._improving(pictures)
        method, network = with_network(params.network)
        presets = []
        for name in method.presets:
            values = settings(method, name, {}).finish
            seconds, guessed = self._usual(network.name, name, pictures, method.first.get(name))
            presets.append(offers.Estimate(name, seconds, values.faces, values.texture, guessed))
        return offers.EstimateResult(tuple(presets), network.memory)

    def _improving(self, pictures: int) -> offers.EstimateResult:
        presets = []
        for name, each in refining.PRESETS.items():
            first = refining.first_time(name, pictures)
            seconds, guessed = self._usual(refining.work_of("included"), name, pictures, first)
            presets.append(offers.Estimate(name, seconds, each.faces, each.texture, guessed, each.memory))
        return offers.EstimateResult(tuple(presets), 0)

    def _usual(self, work: str, preset: str, pictures: int, first: float | None) -> tuple[float | None, bool]:
        """Seconds that such work takes here, and whether that is a guess, as it was never done. first: on another
        machine, None where nobody knows."""
        known = Timings(self._results / folders.TIMINGS).usual(
            kind_of(work, preset, self._initialized.device, pictures)
        )
        return (first, first is not None) if known is None else (known, False)

    def history(self, params: offers.Empty, job: Job) -> making.History:
        """The results that are kept."""
        return protocol.read(making.History, History(self._results).state())

    def fetch(self, params: making.FetchParams, job: Job) -> making.GenerateResult:
        """One of them again."""
        from .pipeline import generate  # on use, as below

        found = generate.fetch(params.key, params.output, params.photos, self._results)
        return protocol.read(making.GenerateResult, found)

    def remove(self, params: making.RemoveParams, job: Job) -> making.History:
        """Forgets some of them."""
        History(self._results).remove(params.keys, params.everything)
        return self.history(offers.Empty(), job)

    def generate(self, params: making.GenerateParams, job: Job) -> making.GenerateResult:
        """Pictures to one GLB file."""
        from .pipeline import generate  # on use: geometry takes longer to import than initialize may take to answer

        machine = generate.Machine(self._weights, self._results, self._initialized.device)
        return protocol.read(making.GenerateResult, generate.generate(params, machine, job))

    def batch(self, params: making.BatchParams, job: Job) -> making.BatchResult:
        """Many pictures to one GLB file each."""
        from .executors.cluster import cluster
        from .executors.elsewhere import elsewhere
        from .executors.here import here  # on use, as above
        from .executors.workers import fitting, workers
        from .pipeline import batch, generate

        if params.jobs < 1:
            raise Invalid(f"there is at least 1 worker, not {params.jobs}")
        if params.format not in FORMATS:
            raise Invalid(f"a batch writes {', '.join(FORMATS)}, not {shortened(params.format)}")
        if params.format != "glb" and params.blender:
            raise Invalid("an asset library is made of meshes: choose the format glb for it")
        if not 1 <= params.part <= params.parts:
            raise Invalid(f"there is no part {params.part} of {params.parts}: parts are counted from 1")
        machine = generate.Machine(self._weights, self._results, self._initialized.device)
        count = fitting(params.jobs, self._most_memory(params.network)) if params.jobs > 1 else 1
        if params.cluster:
            execute = cluster(params.cluster, self._initialized)
        elif params.on:
            execute = elsewhere(params.on, self._initialized, job)
        elif count > 1:
            execute = workers(count, self._initialized, job)
        else:
            execute = here(lambda asked, own: generate.generate(asked, machine, own), job)
        short = f"memory has room for {count} at the same time, not {params.jobs}"
        notes = [short] if count < params.jobs else []
        found = protocol.read(making.BatchResult, {**batch.batch(params, execute, job), "notes": notes})
        return self._with_library(found, params.blender, job) if params.blender else found

    def library(self, blender: str, folder: Path, job: Job) -> str:
        """Makes the asset library of a batch's results; returns its folder. Raises Unable."""
        from .executors import library  # on use, as above

        return library.make(blender, folder, job)

    def _with_library(self, found: making.BatchResult, blender: str, job: Job) -> making.BatchResult:
        """The result with its asset library, or with a note why there is none."""
        try:
            return dataclasses.replace(found, library=self.library(blender, Path(found.folder), job))
        except Unable as error:
            return dataclasses.replace(found, notes=(*found.notes, str(error)))

    def _most_memory(self, name: str | None) -> int:
        """Bytes that the network of that name takes, or without one any that may be taken by itself."""
        networks = [network for method in all_methods() for network in method.networks]
        named = [each for each in networks if each.name == name]
        automatic = (each for each in networks if each.automatic and each.is_here(self._weights))
        return max(each.memory for each in named or automatic)

    def refine(self, params: making.RefineParams, job: Job) -> making.GenerateResult:
        """A mesh, and a picture of the same thing, to the mesh as the picture shows it."""
        from .pipeline.generate import Machine  # on use, as above
        from .pipeline.refine import refine

        if not 64 <= params.texture <= 8192:
            raise Invalid(f"the texture must lie between 64 and 8192 pixels, not {params.texture}")
        machine = Machine(self._weights, self._results, self._initialized.device)
        return protocol.read(making.GenerateResult, refine(params, machine, job))

    def improve(self, params: making.ImproveParams, job: Job) -> making.GenerateResult:
        """A mesh, and pictures of the same thing, to a better one: sides that no picture shows are painted."""
        from .pipeline.generate import Machine  # on use, as above
        from .pipeline.improve import MOST_ROUNDS, improve

        if not 0 <= params.rounds <= MOST_ROUNDS:
            raise Invalid(f"there are 1 to {MOST_ROUNDS} rounds, or 0 for the preset's, not {params.rounds}")
        if not 0 <= params.seed < 1 << 31:
            raise Invalid(f"a seed is a number from 0 to {(1 << 31) - 1}, not {params.seed}")
        machine = Machine(self._weights, self._results, self._initialized.device)
        return protocol.read(making.GenerateResult, improve(params, machine, job))

    def sequence(self, params: making.SequenceParams, job: Job) -> SequenceResult:
        """A video or a folder of frames to the depth of each."""
        from .pipeline.generate import Machine  # on use, as above
        from .pipeline.sequence import sequence

        if not (params.first >= 1 and params.step >= 1 and (params.last == 0 or params.last >= params.first)):
            raise Invalid("frames are counted from 1, and the last one must not come before the first")
        machine = Machine(self._weights, self._results, self._initialized.device)
        return protocol.read(SequenceResult, sequence(params, machine, job))

    def download(self, params: offers.DownloadParams, job: Job) -> offers.DownloadResult:
        """Fetches a network's weights, and those of the networks that it may need beside it."""
        network = network_named(params.network)
        if params.along:
            return offers.DownloadResult(network.name, network.bytes, along.fetch(self._weights, job))
        return offers.DownloadResult(network.name, network.download(self._weights, job))

    def named(self, model: str | None, other: str | None = None) -> tuple[str | None, str | None]:
        """The category and the network that a user names so. Raises Invalid."""
        return named(model, other)

    def check_preset(self, preset: str) -> None:
        """Raises Invalid where the method that things come along for has none of that name: before they are fetched."""
        settings(with_network(self.first_along)[0], preset, {})

    @property
    def first_along(self) -> str:
        """The network that what comes along is asked for by."""
        return along.networks()[0].name

    def along(self) -> str:
        """What is to be fetched before the first work, for the user; "" where nothing is."""
        parts = along.wanted(self._weights)
        return along.told(parts) if parts else ""

    def unload(self, params: offers.Empty, job: Job) -> offers.Empty:
        LOADED.unload()
        return params

    def _described(self) -> tuple[offers.MethodInfo, ...]:
        return tuple(_method_info(method, self._weights) for method in all_methods())

    @property
    def _initialized(self) -> offers.InitializeParams:
        if self._settings is None:
            raise WireError(ErrorCode.INVALID_REQUEST, "the first request must be initialize")
        return self._settings

    @property
    def _results(self) -> Path:
        settings = self._initialized
        return Path(settings.cache) if settings.cache else folders.cache()

    @property
    def _weights(self) -> WeightStore:
        settings = self._initialized
        return WeightStore(Path(settings.weights) if settings.weights else folders.weights(), settings.online)


def _method_info(method: Method, weights: WeightStore) -> offers.MethodInfo:
    return offers.MethodInfo(
        method.name,
        method.label,
        method.category,
        method.help,
        method.pictures,
        method.cut_out,
        method.makes,
        tuple(_network_info(network, weights) for network in method.networks),
        all_options(method),
        {name: dict(values) for name, values in method.presets.items()},
        method.environment,
        method.refines,
    )


def _network_info(network: Network, weights: WeightStore) -> offers.NetworkInfo:
    source = network.published.source if network.published else "included"
    here = network.is_here(weights)
    own = network.name, network.label, network.licence, True, network.bytes, here, source, network.help
    comes = tuple(each.told for each in network.fetched) if network.comes_along else ()
    return offers.NetworkInfo(*own, network.quality, comes)
