# SPDX-License-Identifier: GPL-3.0-or-later
"""A job in a terminal: how far it is, and Ctrl-C."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..core.job import Job, Notify

TOLD_AFTER = 5.0
"""Seconds until a log has another line of a stage that goes on."""


def silent_job() -> Job:
    return Job(lambda *report: None)


@contextmanager
def running(quiet: bool, lines: Callable[[], Notify] | None = None) -> Iterator[Job]:
    """A job that shows its progress on stderr, and that the first Ctrl-C cancels; a second one ends the program. lines:
    how it is shown in a log, `stage_lines` where nobody says."""
    if quiet:
        with _cancelled_by_interrupt(silent_job()) as job:
            yield job
    elif sys.stderr.isatty():
        with _progress_bar() as show, _cancelled_by_interrupt(Job(show)) as job:
            yield job
    else:
        with _cancelled_by_interrupt(Job((lines or stage_lines)())) as job:
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


def stage_lines() -> Notify:
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


def counted_lines() -> Notify:
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
