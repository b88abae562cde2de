# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command says when it is over."""

from __future__ import annotations

import dataclasses
import json
import sys
import textwrap

from ..core.errors import Cancelled, Unsure, WeightsMissing
from ..core.sequence_info import SequenceResult
from ..hello import Greeting
from ..wire import making, offers
from ..wire.server import as_error
from .commands import CANCELLED, FAILED, Library, Report


def show_generated(result: making.GenerateResult) -> None:
    seconds = ", ".join(f"{stage} {value:.2f}" for stage, value in result.seconds.items())
    origin = "from the cache" if result.from_cache else f"{sum(result.seconds.values()):.1f} s: {seconds}"
    made_by = result.network or result.method
    mesh = f"{result.vertices:,} vertices, {result.faces:,} faces"
    what = f"{result.splats:,} splats" if result.splats else mesh
    write(f"{result.glb}: {what}, {made_by} ({origin})")
    for warning in result.warnings:
        write(f"note: {warning}")


def show_made(result: making.GenerateResult | SequenceResult) -> None:
    if isinstance(result, making.GenerateResult):
        show_generated(result)
        return
    unit = "metres" if result.metric else "a unit that is one for all"
    maps = f"{result.map_width} x {result.map_height} pixels, depth in {unit}"
    write(f"{result.folder}: {result.frames} frames of {maps}, {result.fov_degrees:.1f} degrees, {result.network}")


def show_batch(result: making.BatchResult) -> None:
    counts = f"{result.made} made, {result.kept} there before, {result.failed} failed"
    write(f"{counts}, in {result.seconds:.1f} s: {result.sheet or result.results}")
    if result.library:
        show_library(Library(result.library))
    for note in result.notes:
        write(f"note: {note}")
    for failure in result.failures:
        write(f"failed: {failure.name}: {failure.message}")
    if result.failed > len(result.failures):
        write(f"and {result.failed - len(result.failures)} more: see {result.results}")


def show_library(result: Library) -> None:
    write(f"{result.folder}: add it to Blender's preferences, File Paths > Asset Libraries")


def show_downloaded(result: offers.DownloadResult) -> None:
    write(f"{result.network} is here ({result.bytes / 1e6:.0f} MB)")


def show_catalogue(catalogue: offers.Catalogue) -> None:
    """Each network's name, licence and download on a line, and what it is below: whole in 80 columns."""
    for category in dict.fromkeys(method.category for method in catalogue.methods):
        write(category)
        for method in catalogue.methods:
            for network in method.networks if method.category == category else ():
                here = f"in the environment {method.environment}" if method.environment != "core" else ""
                here = here or ("here" if network.here else f"{network.bytes / 1e6:.0f} MB" * bool(network.bytes))
                write(f"  {network.name:24} {network.licence:24} {here}".rstrip())
                write(textwrap.fill(network.help, 78, initial_indent=" " * 6, subsequent_indent=" " * 6))


def show_report(report: Report) -> None:
    for check in report.checks:
        mark = "ok  " if check.ok else "MISS" if check.needed else "note"
        write(f"{mark}  {check.name}: {check.found}" + ("" if check.ok else f" -> {check.advice}"))


def show_greeting(greeting: Greeting) -> None:
    write(json.dumps(dataclasses.asdict(greeting)))  # whoever asks is a program, with or without --json


def tell_failure(error: Exception, as_json: bool) -> int:
    answer = as_error(None, error)
    if as_json:
        write(json.dumps({"error": {"code": int(answer.code), "message": answer.message, "data": answer.data}}))
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


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
