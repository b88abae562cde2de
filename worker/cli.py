# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal front: the same jobs that the add-on asks for. Knows App and the messages, nothing behind them.

Exit codes: 0 done, 1 could not be done, 2 wrong usage, 130 cancelled. With --json, stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .app import App
from .core.errors import Cancelled
from .core.job import Job, Notify
from .hello import Greeting, greet
from .wire import protocol
from .wire.server import as_error

DONE, FAILED, CANCELLED = 0, 1, 130


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        result = options.run(options)
    except Exception as error:  # noqa: BLE001 - the terminal's boundary, as wire/server.py is the pipe's
        return _tell_failure(error, options.json)
    if options.json:
        _write(json.dumps(dataclasses.asdict(result), ensure_ascii=False))
    else:
        options.show(result)
    return result.exit_code if isinstance(result, Report) else DONE


# ------------------------------------------------------------------------------------------------ commands


def generate(options: argparse.Namespace) -> protocol.GenerateResult:
    params = protocol.GenerateParams(
        pictures=tuple(options.photo),
        output=str(Path(options.output).absolute()),
        backend=options.backend,
        preset=options.preset,
        model=options.model,
        options=dict(options.set),
    )
    with _job(quiet=options.json) as job:
        return _started(options).generate(params, job)


def download(options: argparse.Namespace) -> protocol.DownloadResult:
    params = protocol.DownloadParams(options.backend, options.model)
    with _job(quiet=options.json) as job:
        return _started(options, online=True).download_model(params, job)


def models(options: argparse.Namespace) -> protocol.ModelsResult:
    return _started(options).list_models(protocol.Empty(), _silent_job())


def hello(options: argparse.Namespace) -> Greeting:
    return greet(protocol.InitializeParams(protocol.VERSION, False, options.device, options.weights, options.cache))


@dataclasses.dataclass(frozen=True)
class Report:
    """What `doctor` found."""

    checks: tuple[Any, ...]
    exit_code: int


def doctor(options: argparse.Namespace) -> Report:
    from .doctor import examine

    checks = examine()
    return Report(checks, DONE if all(check.ok for check in checks if check.needed) else FAILED)


# ------------------------------------------------------------------------------------------------ what is shown


def show_generated(result: protocol.GenerateResult) -> None:
    seconds = ", ".join(f"{stage} {value:.2f}" for stage, value in result.seconds.items())
    origin = "from the cache" if result.from_cache else f"{sum(result.seconds.values()):.1f} s: {seconds}"
    _write(f"{result.glb}: {result.vertices:,} vertices, {result.faces:,} faces, {result.model} ({origin})")
    for warning in result.warnings:
        _write(f"note: {warning}")


def show_downloaded(result: protocol.DownloadResult) -> None:
    _write(f"{result.model} is here ({result.bytes / 1e6:.0f} MB)")


def show_models(result: protocol.ModelsResult) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("backend", "model", "licence", "download", "here", "what it is", box=None)
    for backend in result.backends:
        for model in backend.models:
            size = f"{model.bytes / 1e6:.0f} MB" if model.bytes else "none"
            name = model.name + (" (default)" if model.name == backend.default_model else "")
            table.add_row(backend.name, name, model.licence, size, "yes" if model.here else "no", model.help)
    Console().print(table)


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
        sys.stderr.write(f"{answer.message}\n")
    return CANCELLED if isinstance(error, Cancelled) else FAILED


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


# ------------------------------------------------------------------------------------------------ jobs in a terminal


def _started(options: argparse.Namespace, online: bool = False) -> App:
    app = App()
    settings = protocol.InitializeParams(protocol.VERSION, online, options.device, options.weights, options.cache)
    app.initialize(settings, _silent_job())
    return app


def _silent_job() -> Job:
    return Job(lambda progress, stage, message: None)


@contextmanager
def _job(quiet: bool) -> Iterator[Job]:
    """A job that shows its progress on stderr, and that the first Ctrl-C cancels; a second one ends the program."""
    if quiet:
        with _cancelled_by_interrupt(_silent_job()) as job:
            yield job
    elif sys.stderr.isatty():
        with _progress_bar() as show, _cancelled_by_interrupt(Job(show)) as job:
            yield job
    else:
        with _cancelled_by_interrupt(Job(_stage_lines())) as job:
            yield job


@contextmanager
def _progress_bar() -> Iterator[Notify]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("starting", total=1.0)
        yield lambda progress, stage, message: bars.update(
            bar, completed=progress, description=f"{stage} {message}".strip()
        )


def _stage_lines() -> Notify:
    """For a log or a pipe: one line per stage."""
    last = ""

    def show(progress: float, stage: str, message: str) -> None:
        nonlocal last
        if stage != last:
            sys.stderr.write(f"{progress:4.0%} {stage}\n")
            sys.stderr.flush()
        last = stage

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
    common.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    common.add_argument("--weights", metavar="FOLDER", help="where weights of networks lie")
    common.add_argument("--cache", metavar="FOLDER", help="where results are kept")
    parser = argparse.ArgumentParser(prog="image-to-3d", description="Pictures to textured 3D meshes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(commands, "generate", "make a GLB from a photo", common, generate, show_generated)
    command.add_argument("photo", nargs="+", metavar="PHOTO")
    command.add_argument("-o", "--output", required=True, metavar="OUT.glb")
    command.add_argument("--backend", default="depth")
    command.add_argument("--model", help="one of the backend's models (see: models)")
    command.add_argument("--preset", default="balanced", help="fast, balanced or high")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="OPTION=VALUE",
        help="set an option of the backend, for example --set solid=true; may be repeated",
    )

    command = _command(commands, "download", "fetch the weights of a model", common, download, show_downloaded)
    command.add_argument("model")
    command.add_argument("--backend", default="depth")

    _command(commands, "models", "list what is offered: licence, size, here or not", common, models, show_models)
    _command(commands, "doctor", "tell what works on this machine and what is missing", common, doctor, show_report)
    _command(commands, "hello", "tell whether a worker can be started: one line of JSON", common, hello, show_greeting)
    return parser


def _command(
    commands: Any, name: str, help: str, common: argparse.ArgumentParser, run: Callable, show: Callable
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=help, parents=[common])
    command.set_defaults(run=run, show=show)
    return command


def _setting(text: str) -> tuple[str, protocol.Value]:
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form OPTION=VALUE")
    try:
        parsed = json.loads(value)
    except ValueError:
        return name, value
    return name, parsed if isinstance(parsed, bool | int | float) else value
