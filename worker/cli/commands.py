# SPDX-License-Identifier: GPL-3.0-or-later
"""What each command asks for, of the worker here or of one on another machine."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from ..app import App
from ..core import refining
from ..core.errors import Invalid, Unable
from ..core.options import Value
from ..core.sequence_info import SequenceResult
from ..core.whole_file import checked_folder, made_folder
from ..elsewhere.near import Near
from ..hello import Greeting, greet
from ..wire import making, offers, protocol
from .progress import counted_lines, running, silent_job

DONE, FAILED, CANCELLED = 0, 1, 130

OFFLINE = ("HF_HUB_OFFLINE", "UV_OFFLINE")
"""Variables by which one says to tools like these that they are not to go online."""


def generate(options: argparse.Namespace) -> making.GenerateResult | SequenceResult:
    app = _started(options, online=not options.included)
    category, network = App().named(options.model, options.backend)
    params = making.GenerateParams(
        pictures=tuple(options.photo),
        output=str(Path(options.output).absolute()),
        preset=options.preset,
        category=category,
        network=network,
        options=_options(options),
        cached=not options.no_cache,
        maps=_folder(options.maps, options.on),
        views=_folder(options.views, options.on),
    )
    if network and not options.on and not options.json:
        _tell_before(app, network, options.preset, params.pictures)
    missed = _brought_along(app, options, category, network)
    if options.frames and not options.on:
        if (category or "depth").lower() != "depth":
            raise Invalid(f"frames become depth, not {category}: choose the model depth or one of its networks")
        shared = {name: getattr(params, name) for name in ("pictures", "preset", "network", "options")}
        with running(quiet=options.json) as job:
            return app.sequence(making.SequenceParams(folder=params.output, **shared, **options.frames), job)
    with running(quiet=options.json) as job:
        made = app.refused(params, job) if options.frames else app.generate(params, job)
    return dataclasses.replace(made, warnings=(missed, *made.warnings)) if missed else made


def _folder(name: str | None, on: str | None = None) -> str:
    """The folder of that name, "" for none, which is made when there is something to put into it. Raises Invalid,
    Unable."""
    return name or "" if not name or on else str(checked_folder(Path(name).absolute()))


def _options(options: argparse.Namespace) -> dict[str, Value]:
    return dict(options.set) | ({"allow_partial": True} if options.allow_partial else {})


def _brought_along(app: App, options: argparse.Namespace, category: str | None, network: str | None) -> str:
    """Fetches what comes with the set-up, before the first work here that may take it; returns a sentence where it
    cannot be had."""
    if options.on or network is not None or (category or "depth").lower() not in ("depth", "hybrid"):
        return ""
    app.check_preset(options.preset)
    parts = "" if options.included or any(os.environ.get(name) for name in OFFLINE) else app.along()
    if not parts:
        return ""
    sys.stderr.write(f"and {parts} (--included does without)\n")
    with running(quiet=options.json) as job:
        return app.download(offers.DownloadParams(app.first_along, True), job).note


def batch(options: argparse.Namespace) -> making.BatchResult:
    if options.on and options.set_up:
        _started(options)  # makes the environment there
    app = _started_here(options, online=not options.included)
    category, network = app.named(options.model)
    params = making.BatchParams(
        source=str(Path(options.source).absolute()),
        folder=str(Path(options.output).absolute()),
        preset=options.preset,
        category=category,
        network=network,
        options=_options(options),
        sets=options.sets,
        cached=not options.no_cache,
        jobs=options.jobs or 1,
        on=options.on or "",
        cluster=options.cluster or "",
        blender=options.blender or "",
        part=options.part[0],
        parts=options.part[1],
        format=options.format,
    )
    missed = _brought_along(app, options, category, network)
    with running(quiet=options.json, lines=counted_lines) as job:
        made = app.batch(params, job)
    return dataclasses.replace(made, notes=(missed, *made.notes)) if missed else made


@dataclasses.dataclass(frozen=True)
class Library:
    """Where `library` has made one."""

    folder: str


def library(options: argparse.Namespace) -> Library:
    with running(quiet=options.json, lines=counted_lines) as job:
        return Library(App().library(options.blender, Path(options.folder).absolute(), job))


def refine(options: argparse.Namespace) -> making.GenerateResult:
    params = making.RefineParams(
        str(Path(options.mesh).absolute()),
        options.picture,
        str(Path(options.output).absolute()),
        options.texture,
        options.network or "",
        options.preset or "balanced",
        dict(options.set),
    )
    with running(quiet=options.json) as job:
        return _started(options).refine(params, job)


def improve(options: argparse.Namespace) -> making.GenerateResult:
    params = making.ImproveParams(
        str(Path(options.mesh).absolute()),
        tuple(options.picture),
        str(Path(options.output).absolute()),
        options.preset,
        options.rounds,
        options.repainter,
        options.seed,
        str(made_folder(Path(options.each).absolute())) if options.each else "",
        not options.no_cache,
    )
    app = _started_here(options)
    if not options.json and not options.rounds and options.repainter in ("", "included"):
        _tell_before(app, refining.IMPROVE, options.preset, tuple(options.picture))
    with running(quiet=options.json) as job:
        return app.improve(params, job)


def _tell_before(app: App, network: str, preset: str, pictures: tuple[str, ...]) -> None:
    """Says what a first run of something long takes, about; nothing where nobody knows, or it was run here."""
    with contextlib.suppress(Unable, Invalid):  # whatever is wrong is told by the work itself
        known = app.estimate(offers.EstimateParams(network, pictures), silent_job())
        for each in known.presets:
            if each.preset == preset and each.guessed:
                memory = max(each.memory, known.memory) / 1e9
                sys.stderr.write(f"this takes about {each.seconds:.0f} s of one core and {memory:.1f} GB of memory\n")


def download(options: argparse.Namespace) -> offers.DownloadResult:
    with running(quiet=options.json) as job:
        return _started(options, online=True).download(offers.DownloadParams(options.network), job)


def catalogue(options: argparse.Namespace) -> offers.Catalogue:
    return _started(options).catalogue(offers.Empty(), silent_job())


def hello(options: argparse.Namespace) -> Greeting:
    return greet(offers.InitializeParams(protocol.VERSION, False, options.device, options.weights, options.cache))


@dataclasses.dataclass(frozen=True)
class Report:
    """What `doctor` found."""

    checks: tuple[Any, ...]
    exit_code: int


def doctor(options: argparse.Namespace) -> Report:
    from ..doctor import examine

    checks = examine(options.weights, options.cache)
    return Report(checks, DONE if all(check.ok for check in checks if check.needed) else FAILED)


def _started(options: argparse.Namespace, online: bool = False) -> App | Near:
    """What the command is asked of: the worker here, or one on another machine."""
    if not getattr(options, "on", None):
        return _started_here(options, online)
    near = Near(options.on, make=options.set_up)
    atexit.register(near.close)
    with running(quiet=options.json or not options.set_up) as job:
        near.initialize(_settings(options, online), job)
    return near


def _started_here(options: argparse.Namespace, online: bool = False) -> App:
    app = App()
    if options.cache:  # else what is kept there would silently not be
        made_folder(Path(options.cache))
    app.initialize(_settings(options, online), silent_job())
    return app


def _settings(options: argparse.Namespace, online: bool) -> offers.InitializeParams:
    return offers.InitializeParams(protocol.VERSION, online, options.device, options.weights, options.cache)
