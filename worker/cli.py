# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal front: the same jobs that the add-on asks for. Knows App and the messages, nothing behind them.

Exit codes: 0 done, 1 could not be done, 2 wrong usage, 130 cancelled. With --json, stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import atexit
import dataclasses
import json
import logging
import math
import os
import re
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .app import App
from .core.errors import Cancelled, Invalid, Unable, Unsure, WeightsMissing
from .core.file_types import FORMATS, result_ending
from .core.job import Job, Notify
from .core.options import Value, parsed
from .core.sequence_info import SequenceResult
from .elsewhere.near import Near
from .hello import Greeting, greet
from .wire import making, offers, protocol
from .wire.server import as_error

DONE, FAILED, CANCELLED = 0, 1, 130

TOLD_AFTER = 5.0
"""Seconds until a log has another line of a stage that goes on."""

OFFLINE = ("HF_HUB_OFFLINE", "UV_OFFLINE")
"""Variables by which one says to tools like these that they are not to go online."""


def main(arguments: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if misused := _misused(options):
        parser.error(misused)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        result = options.run(options)
    except Exception as error:  # noqa: BLE001 - the terminal's boundary, as wire/server.py is the pipe's
        return _tell_failure(error, options.json)
    if options.json:
        _write(json.dumps(dataclasses.asdict(result)))
    else:
        options.show(result)
    failed = isinstance(result, making.BatchResult) and result.failed and not options.failures_later
    return result.exit_code if isinstance(result, Report) else FAILED if failed else DONE


# ------------------------------------------------------------------------------------------------ commands


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
    deep = (category or "depth").lower() in ("depth", "hybrid")
    missed = _brought_along(app, options) if network is None and deep and not options.on else ""
    if options.frames and not options.on:
        if (category or "depth").lower() != "depth":
            raise Invalid(f"frames become depth, not {category}: choose the model depth or one of its networks")
        shared = {name: getattr(params, name) for name in ("pictures", "preset", "network", "options")}
        with _job(quiet=options.json) as job:
            return app.sequence(making.SequenceParams(folder=params.output, **shared, **options.frames), job)
    with _job(quiet=options.json) as job:
        made = app.refused(params, job) if options.frames else app.generate(params, job)
    return dataclasses.replace(made, warnings=(missed, *made.warnings)) if missed else made


def _folder(name: str | None, on: str | None = None) -> str:
    """The folder of that name, "" for none; it is made where there is none, but for work on another machine. Raises
    Invalid, Unable."""
    if not name or on:
        return name or ""
    path = Path(name).absolute()
    if path.exists() and not path.is_dir():
        raise Invalid(f"{path} is a file: name a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unable(f"the folder {path} cannot be made ({error.strerror or error}): choose another") from None
    return str(path)


def _options(options: argparse.Namespace) -> dict[str, Value]:
    return dict(options.set) | ({"allow_partial": True} if options.allow_partial else {})


def _brought_along(app: App, options: argparse.Namespace) -> str:
    """Fetches what comes with the set-up, before the first work; returns a sentence where it cannot be had."""
    parts = "" if options.included or any(os.environ.get(name) for name in OFFLINE) else app.along()
    if not parts:
        return ""
    sys.stderr.write(f"and {parts} (--included does without)\n")
    with _job(quiet=options.json) as job:
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
    deep = network is None and (category or "depth").lower() != "nerf"
    missed = _brought_along(app, options) if deep and not options.on else ""
    with _job(quiet=options.json, lines=_counted_lines) as job:
        made = app.batch(params, job)
    return dataclasses.replace(made, notes=(missed, *made.notes)) if missed else made


@dataclasses.dataclass(frozen=True)
class Library:
    """Where `library` has made one."""

    folder: str


def library(options: argparse.Namespace) -> Library:
    with _job(quiet=options.json, lines=_counted_lines) as job:
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
    with _job(quiet=options.json) as job:
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
        _folder(options.each),
        not options.no_cache,
    )
    with _job(quiet=options.json) as job:
        return _started(options).improve(params, job)


def download(options: argparse.Namespace) -> offers.DownloadResult:
    with _job(quiet=options.json) as job:
        return _started(options, online=True).download(offers.DownloadParams(options.network), job)


def catalogue(options: argparse.Namespace) -> offers.Catalogue:
    return _started(options).catalogue(offers.Empty(), _silent_job())


def hello(options: argparse.Namespace) -> Greeting:
    return greet(offers.InitializeParams(protocol.VERSION, False, options.device, options.weights, options.cache))


@dataclasses.dataclass(frozen=True)
class Report:
    """What `doctor` found."""

    checks: tuple[Any, ...]
    exit_code: int


def doctor(options: argparse.Namespace) -> Report:
    from .doctor import examine

    checks = examine(options.weights, options.cache)
    return Report(checks, DONE if all(check.ok for check in checks if check.needed) else FAILED)


# ------------------------------------------------------------------------------------------------ what is shown


def show_generated(result: making.GenerateResult) -> None:
    seconds = ", ".join(f"{stage} {value:.2f}" for stage, value in result.seconds.items())
    origin = "from the cache" if result.from_cache else f"{sum(result.seconds.values()):.1f} s: {seconds}"
    made_by = result.network or result.method
    mesh = f"{result.vertices:,} vertices, {result.faces:,} faces"
    what = f"{result.splats:,} splats" if result.splats else mesh
    _write(f"{result.glb}: {what}, {made_by} ({origin})")
    for warning in result.warnings:
        _write(f"note: {warning}")


def show_made(result: making.GenerateResult | SequenceResult) -> None:
    if isinstance(result, making.GenerateResult):
        show_generated(result)
        return
    unit = "metres" if result.metric else "a unit that is one for all"
    maps = f"{result.map_width} x {result.map_height} pixels, depth in {unit}"
    _write(f"{result.folder}: {result.frames} frames of {maps}, {result.fov_degrees:.1f} degrees, {result.network}")


def show_batch(result: making.BatchResult) -> None:
    counts = f"{result.made} made, {result.kept} there before, {result.failed} failed"
    _write(f"{counts}, in {result.seconds:.1f} s: {result.sheet or result.results}")
    if result.library:
        show_library(Library(result.library))
    for note in result.notes:
        _write(f"note: {note}")
    for failure in result.failures:
        _write(f"failed: {failure.name}: {failure.message}")
    if result.failed > len(result.failures):
        _write(f"and {result.failed - len(result.failures)} more: see {result.results}")


def show_library(result: Library) -> None:
    _write(f"{result.folder}: add it to Blender's preferences, File Paths > Asset Libraries")


def show_downloaded(result: offers.DownloadResult) -> None:
    _write(f"{result.network} is here ({result.bytes / 1e6:.0f} MB)")


def show_catalogue(catalogue: offers.Catalogue) -> None:
    """Each network's name, licence and download on a line, and what it is below: whole in 80 columns."""
    for category in dict.fromkeys(method.category for method in catalogue.methods):
        _write(category)
        for method in catalogue.methods:
            for network in method.networks if method.category == category else ():
                here = f"in the environment {method.environment}" if method.environment != "core" else ""
                here = here or ("here" if network.here else f"{network.bytes / 1e6:.0f} MB" * bool(network.bytes))
                _write(f"  {network.name:24} {network.licence:24} {here}".rstrip())
                _write(textwrap.fill(network.help, 78, initial_indent=" " * 6, subsequent_indent=" " * 6))


def show_report(report: Report) -> None:
    for check in report.checks:
        mark = "ok  " if check.ok else "MISS" if check.needed else "note"
        _write(f"{mark}  {check.name}: {check.found}" + ("" if check.ok else f" -> {check.advice}"))


def show_greeting(greeting: Greeting) -> None:
    _write(json.dumps(dataclasses.asdict(greeting)))  # whoever asks is a program, with or without --json


def _tell_failure(error: Exception, as_json: bool) -> int:
    answer = as_error(None, error)
    if as_json:
        _write(json.dumps({"error": {"code": int(answer.code), "message": answer.message, "data": answer.data}}))
    else:
        sys.stderr.write(f"{answer.message}{_advice(error)}\n")
    return CANCELLED if isinstance(error, Cancelled) else FAILED


def _advice(error: Exception) -> str:
    """What to type, where that would help."""
    match error:
        case WeightsMissing():
            return f" (python3 -m envs run download {error.network})"
        case Unsure():
            return f" (--{error.option.replace('_', '-')})"
    return ""


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


# ------------------------------------------------------------------------------------------------ jobs in a terminal


def _started(options: argparse.Namespace, online: bool = False) -> App | Near:
    """What the command is asked of: the worker here, or one on another machine."""
    if not getattr(options, "on", None):
        return _started_here(options, online)
    near = Near(options.on, make=options.set_up)
    atexit.register(near.close)
    with _job(quiet=options.json or not options.set_up) as job:
        near.initialize(_settings(options, online), job)
    return near


def _started_here(options: argparse.Namespace, online: bool = False) -> App:
    app = App()
    app.initialize(_settings(options, online), _silent_job())
    return app


def _settings(options: argparse.Namespace, online: bool) -> offers.InitializeParams:
    return offers.InitializeParams(protocol.VERSION, online, options.device, options.weights, options.cache)


def _silent_job() -> Job:
    return Job(lambda *report: None)


@contextmanager
def _job(quiet: bool, lines: Callable[[], Notify] | None = None) -> Iterator[Job]:
    """A job that shows its progress on stderr, and that the first Ctrl-C cancels; a second one ends the program. lines:
    how it is shown in a log, `_stage_lines` where nobody says."""
    if quiet:
        with _cancelled_by_interrupt(_silent_job()) as job:
            yield job
    elif sys.stderr.isatty():
        with _progress_bar() as show, _cancelled_by_interrupt(Job(show)) as job:
            yield job
    else:
        with _cancelled_by_interrupt(Job((lines or _stage_lines)())) as job:
            yield job


@contextmanager
def _progress_bar() -> Iterator[Notify]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    left = TextColumn("{task.fields[left]}")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), left)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("starting", total=1.0, left="")
        yield lambda progress, stage, message, remaining: bars.update(
            bar, completed=progress, description=f"{stage} {message}".strip(), left=_left(remaining)
        )


def _left(remaining: float | None) -> str:
    if remaining is None:
        return ""
    return f"about {math.ceil(remaining)} s left" if remaining < 120 else f"about {math.ceil(remaining / 60)} min left"


def _stage_lines() -> Notify:
    """For a log or a pipe: one line per stage, and where one takes long how far it is."""
    last, due = "", 0.0

    def show(progress: float, stage: str, message: str, remaining: float | None) -> None:
        nonlocal last, due
        now = time.monotonic()
        if stage != last or now >= due:
            told = f"{stage}, {message}" if stage == last and message else stage
            sys.stderr.write(f"{progress:4.0%} {told}\n")
            sys.stderr.flush()
            last, due = stage, now + TOLD_AFTER

    return show


def _counted_lines() -> Notify:
    """For a log of many things: one line for each, and at most one per hundredth."""
    told, last = -1, ""

    def show(progress: float, stage: str, message: str, remaining: float | None) -> None:
        nonlocal told, last
        if int(100 * progress) > told and message != last:
            told, last = int(100 * progress), message
            sys.stderr.write(f"{progress:4.0%} {stage} {message} {_left(remaining)}".rstrip() + "\n")
            sys.stderr.flush()

    return show


@contextmanager
def _cancelled_by_interrupt(job: Job) -> Iterator[Job]:
    def on_interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        job.cancel()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield job
    finally:
        signal.signal(signal.SIGINT, before)


# ------------------------------------------------------------------------------------------------ the command line


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="write the result as one JSON object")
    common.add_argument("--device", type=_given, default="auto", help="auto, cpu, cuda or mps")
    common.add_argument("--weights", type=_given, metavar="FOLDER", help="where weights of networks lie")
    common.add_argument("--cache", type=_given, metavar="FOLDER", help="where results are kept")
    parser = argparse.ArgumentParser(prog="image-to-3d", description="Pictures to textured 3D meshes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(commands, "generate", "make a GLB from a photo", common, generate, show_made)
    command.add_argument("photo", nargs="+", type=_given, metavar="PHOTO")
    command.add_argument("-o", "--output", type=_given, required=True, metavar="OUT.glb", help="a folder with --frames")
    which = "depth of each frame of a video or a folder, in one scale, as OpenEXR files: all, 10-50 or 10-50:2"
    command.add_argument("--frames", type=_range, metavar="RANGE", help=which)
    maps = "also write depth, normals and mask there as OpenEXR files, or splats that are learned"
    command.add_argument("--maps", type=_given, metavar="FOLDER", help=maps)
    what = "also write the thing from all sides there: pictures, cameras (transforms.json), depth, confidence"
    command.add_argument("--views", type=_given, metavar="FOLDER", help=what)
    command.add_argument("--backend", help=argparse.SUPPRESS)  # what depth, nerf and diffusion were called before
    _add_making(command)
    _add_elsewhere(command)

    _add_batch(commands, common)
    _add_refine(commands, common)
    _add_improve(commands, common)
    command = _command(commands, "download", "fetch the weights of a network", common, download, show_downloaded)
    command.add_argument("network")
    _add_elsewhere(command)

    what = "list what is offered: licence, size, here or not"
    _add_elsewhere(_command(commands, "models", what, common, catalogue, show_catalogue))
    _command(commands, "doctor", "tell what works on this machine and what is missing", common, doctor, show_report)
    _command(commands, "hello", "tell whether a worker can be started: one line of JSON", common, hello, show_greeting)
    return parser


def _add_elsewhere(command: argparse.ArgumentParser) -> None:
    what = "do it on a machine that ssh reaches: user@host, or user@host:folder of the program there"
    command.add_argument("--on", type=_given, metavar="HOST", help=what)
    command.add_argument("--set-up", action="store_true", help="with --on: make the environment there first")


def _add_making(command: argparse.ArgumentParser) -> None:
    """What says how things are made of pictures."""
    what = "depth, nerf, diffusion or hybrid, or one of their networks (see: models); else what suits the photos"
    command.add_argument("--model", type=_given, metavar="NAME", help=what)
    command.add_argument("--preset", default="balanced", help="fast, balanced or high")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="OPTION=VALUE",
        help="set an option, for example --set solid=true; may be repeated",
    )
    anyway = "of several photos: go on where less than two thirds of them have found their place"
    command.add_argument("--allow-partial", action="store_true", help=anyway)
    without = "fetch no network: work with those that ship"
    command.add_argument("--included", action="store_true", help=without)
    command.add_argument("--no-cache", action="store_true", help="make everything anew, and keep nothing of it")


_WITH_BLENDER = "Blender, or a Python with bpy: makes an asset library of the results"


def _add_batch(commands: Any, common: argparse.ArgumentParser) -> None:
    what = "make a GLB of each picture in a folder or a list; goes on where it was cut off"
    command = _command(commands, "batch", what, common, batch, show_batch)
    what = "a folder of pictures, or a list of them: .txt, .csv or .jsonl, with options for each"
    command.add_argument("source", type=_given, metavar="SOURCE", help=what)
    command.add_argument("-o", "--output", type=_given, required=True, metavar="FOLDER", help="where results come")
    what = "of what is made: meshes, else Gaussian splats"
    command.add_argument("--format", choices=FORMATS, default="glb", help=what)
    command.add_argument("--sets", action="store_true", help="each folder in SOURCE is a set of photos of one thing")
    command.add_argument("--blender", type=_given, metavar="PROGRAM", help=_WITH_BLENDER)
    what = "have a cluster of Ray's make them: auto, or ray://HOST:10001 (in the environment farm)"
    command.add_argument("--cluster", type=_given, metavar="ADDRESS", help=what)
    what = "every Nth thing from the Kth on, for one of N machines; the whole afterwards finds all of them"
    command.add_argument("--part", type=_part, default=(1, 1), metavar="K/N", help=what)
    what = "end well although some failed: the whole batch tries them again, and tells of them"
    command.add_argument("--failures-later", action="store_true", help=what)
    command.add_argument("--jobs", type=_count, metavar="N", help="workers at the same time, as memory allows")
    _add_making(command)
    _add_elsewhere(command)

    command = _command(
        commands, "library", "make an asset library of what batch has made", common, library, show_library
    )
    command.add_argument("folder", type=_given, metavar="RESULTS")
    command.add_argument("--blender", type=_given, required=True, metavar="PROGRAM", help=_WITH_BLENDER)


def _add_refine(commands: Any, common: argparse.ArgumentParser) -> None:
    what = "give a mesh a picture's outline and colours"
    command = _command(commands, "refine", what, common, refine, show_generated)
    command.add_argument("mesh", type=_given, metavar="MESH.glb")
    command.add_argument("picture", type=_given, metavar="PICTURE", help="of the same thing")
    command.add_argument("-o", "--output", type=_given, required=True, metavar="OUT.glb")
    command.add_argument("--texture", type=int, default=2048, help="pixels along the side of the new texture")
    by = "triposg or detailgen3d: the shape is refined by that network; else it follows the picture's outline"
    command.add_argument("--with", dest="network", type=_given, metavar="NETWORK", help=by)
    command.add_argument("--preset", help="with a network: fast, balanced (else taken) or high")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="OPTION=VALUE",
        help="with a network: strength, guidance, trust, seed, steps, faces or grid; may be repeated",
    )
    _add_elsewhere(command)


def _add_improve(commands: Any, common: argparse.ArgumentParser) -> None:
    what = "make a mesh better in rounds: sides that no picture shows are painted, shape and texture follow"
    command = _command(commands, "improve", what, common, improve, show_generated)
    command.add_argument("mesh", type=_given, metavar="MESH.glb")
    command.add_argument("picture", nargs="+", type=_given, metavar="PICTURE", help="of the same thing")
    command.add_argument("-o", "--output", type=_given, required=True, metavar="OUT.glb")
    command.add_argument("--preset", default="balanced", help="fast, balanced or high")
    command.add_argument("--rounds", type=int, default=0, metavar="R", help="how many; else as the preset says")
    command.add_argument("--repainter", default="included", metavar="NAME", help="what paints: included, or a network")
    command.add_argument("--seed", type=int, default=0)
    what = "also write the mesh that each round leaves there"
    command.add_argument("--each", type=_given, metavar="FOLDER", help=what)
    command.add_argument("--no-cache", action="store_true", help="make every round anew, and keep nothing of it")


def _command(
    commands: Any, name: str, help: str, common: argparse.ArgumentParser, run: Callable, show: Callable
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=help, parents=[common])
    command.set_defaults(run=run, show=show)
    return command


def _misused(options: argparse.Namespace) -> str:
    """What would be left out of what was said, as it goes with something else; "" where nothing would."""
    given = {name: value for name, value in vars(options).items() if value}
    if given.get("set_up") and "on" not in given:
        return "--set-up makes the environment of another machine: name that by --on"
    if options.run is refine and not options.network and (options.set or options.preset):
        return "--set and --preset are for networks: name one by --with"
    if "frames" in given and _like_a_file(options.output):
        return f"--frames come into a folder, and {options.output} is called like a file: name a folder"
    if "frames" in given and ("maps" in given or "views" in given):
        return "--frames are maps already, and have no views: leave --maps and --views out"
    if "jobs" in given and ("on" in given or "cluster" in given):
        return "--jobs counts workers on this machine: leave it out with --on and --cluster"
    if "cluster" in given and "on" in given:
        return "--on and --cluster are two ways: choose one"
    return ""


def _like_a_file(name: str) -> bool:
    return result_ending(name).removeprefix(".") in FORMATS and not Path(name).is_dir()


def _given(text: str) -> str:
    """A name that is one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("nothing was named")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _range(text: str) -> dict[str, int]:
    """Of `all`, `10`, `10-50` or `10-50:2`; frames are counted from 1."""
    found = re.fullmatch(r"(\d+)(?:-(\d+)?)?(?::(\d+))?", text)
    if text == "all":
        return {"first": 1, "last": 0, "step": 1}
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form all, 10-50 or 10-50:2")
    last = found[2] or ("0" if "-" in text else found[1])
    return {"first": int(found[1]), "last": int(last), "step": int(found[3] or 1)}


def _part(text: str) -> tuple[int, int]:
    """Of `3/10`."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 3/10")
    return int(found[1]), int(found[2])


def setting(text: str) -> tuple[str, Value]:
    """Name and value of OPTION=VALUE: numbers, true and false as such, all else as it stands."""
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form OPTION=VALUE")
    return name, parsed(value)
