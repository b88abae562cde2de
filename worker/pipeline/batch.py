# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures: each goes the way of `generate`, wherever an executor lets it, and what became of it is written down.

What is done is not done again: a thing is known by the content of its pictures, its options, its name and our code. One
that fails is tried once more after all others. Must not know where the work is done, nor how.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import Invalid, Unable
from ..core.job import Job
from ..core.options import Value
from ..core.texts import path_of, readable
from ..pictures.look import files_below
from ..store import cache
from ..store.ledger import Ledger
from . import code
from .rows import RESULTS, Row, rows_of
from .select import named
from .sheet import written

SHEET, THUMBNAILS = "contact_sheet.html", "thumbnails"
"""In the folder of results."""

TOLD = 20
"""Failures that the answer names; all are in the file of results."""

KNOWN_AFTER = 3
"""Things that must be made before the time that remains is told."""


class Request(Protocol):
    """What is asked for; `wire.making.BatchParams` says what each means."""

    source: str
    folder: str
    preset: str
    category: str | None
    network: str | None
    options: dict[str, Value]
    sets: bool
    cached: bool
    part: int
    parts: int
    format: str


@dataclass(frozen=True)
class Asked:
    """One thing of a batch: the fields of `wire.making.GenerateParams`."""

    pictures: tuple[str, ...]
    output: str
    preset: str
    category: str | None
    network: str | None
    options: dict[str, Value]
    cached: bool
    thumbnail: str
    previews: str = ""
    photos: str = ""
    maps: str = ""
    views: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of the thing of that number: the fields of `GenerateResult`, or a sentence on why not."""

    number: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


Told = Callable[[float], None]
"""Hears the parts, from 0 to 1, that are done of all that is worked on now, together. Raises Cancelled."""

Execute = Callable[[Iterable[tuple[int, Asked]], Told], Iterator[Outcome]]
"""An executor: has things made, takes the next one when it has room for it, yields each one's outcome once, in any
order. Raises Cancelled; then nothing goes on."""


def batch(request: Request, execute: Execute, job: Job) -> dict[str, Any]:
    """Makes all of request.source, and returns the fields of `BatchResult`, as JSON. Raises Unable and its kin for what
    concerns all; what is wrong with one thing is told of it."""
    start, folder = time.monotonic(), path_of(request.folder).absolute()
    job.report(0.0, "looking for pictures")
    rows = rows_of(path_of(request.source).absolute(), request.sets, folder)[request.part - 1 :: request.parts]
    results = folder / (RESULTS if request.parts == 1 else f"results-{request.part}-of-{request.parts}.jsonl")
    ledger, beside = _ledger(folder, results)
    run = _Run(request, rows, ledger, folder, job)
    run.through(execute, range(len(rows)))
    run.through(execute, [*run.failed])
    ledger.settle([row.name for row in rows])
    if request.parts == 1:
        job.report(1.0, "writing the contact sheet")
        written(folder / SHEET, [ledger[row.name] for row in rows], job.check)
        for each in beside:  # all that they told is told here now
            each.unlink(missing_ok=True)
    return {
        "folder": str(folder),
        "results": str(results),
        "sheet": str(folder / SHEET) if request.parts == 1 else "",
        "made": run.made,
        "kept": run.kept,
        "failed": len(run.failed),
        "seconds": round(time.monotonic() - start, 3),
        "failures": [
            {"name": readable(rows[number].name), "message": message}
            for number, message in [*run.failed.items()][:TOLD]
        ],
    }


def _ledger(folder: Path, results: Path) -> tuple[Ledger, list[Path]]:
    """The ledger of a batch or of a part of it, and those of the other parts and the whole beside it."""
    try:
        (folder / THUMBNAILS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unable(f"the folder {folder} cannot be made ({error.strerror}): choose another") from None
    beside = [folder / RESULTS] if results.name != RESULTS else sorted(folder.glob("results-*-of-*.jsonl"))
    return Ledger(results, beside), beside


class _Run:
    """One batch under way. failed: of each number that is not made, why not."""

    def __init__(self, request: Request, rows: Sequence[Row], ledger: Ledger, folder: Path, job: Job) -> None:
        self._request, self._rows, self._folder, self._job = request, rows, folder, job
        self.ledger, self.failed = ledger, {}
        self.made = self.kept = 0
        self._keys: dict[int, str] = {}
        self._began: float | None = None
        job.remaining = self._remaining

    def through(self, execute: Execute, numbers: Sequence[int]) -> None:
        """Has all of these made that are not there, and writes down what became of each."""
        for outcome in execute(self._todo(numbers), self._tell) if numbers else ():
            self._note(outcome)
            self._tell(0.0)

    @property
    def _over(self) -> int:
        """Things that are made, kept or have failed for now."""
        return self.made + self.kept + len(self.failed)

    def _todo(self, numbers: Iterable[int]) -> Iterator[tuple[int, Asked]]:
        """What is to be made, one after the other, as an executor has room for it."""
        for number in numbers:
            self._job.check()
            self.failed.pop(number, None)
            row = self._rows[number]
            try:
                asked = self._asked(row)
                self._keys[number] = self._key(row, asked)
                if entry := self._there(row.name, self._keys[number]):
                    self.kept += 1
                    if entry is not self.ledger[row.name]:
                        self.ledger.add(entry)
                    self._tell(0.0)
                    continue
                Path(asked.output).parent.mkdir(parents=True, exist_ok=True)
                Path(asked.thumbnail).parent.mkdir(parents=True, exist_ok=True)
            except Unable as error:
                self._note(Outcome(number, problem=str(error)))
                continue
            except OSError as error:
                self._note(Outcome(number, problem=f"no folder could be made for it ({error.strerror or error})"))
                continue
            self._began = self._began or time.monotonic()
            yield number, asked

    def _asked(self, row: Row) -> Asked:
        """Raises Invalid."""
        if row.problem:
            raise Invalid(row.problem)
        request = self._request
        category, network = named(row.model) if row.model else (request.category, request.network)
        return Asked(
            row.pictures,
            str(self._folder / f"{row.name}.{request.format}"),
            row.preset or request.preset,
            category,
            network,
            {**request.options, **row.options},
            request.cached,
            str(self._folder / THUMBNAILS / f"{row.name}.png"),
        )

    def _key(self, row: Row, asked: Asked) -> str:
        """All that the thing's file depends on, "" where its pictures cannot be read."""
        try:
            pictures = [_digest(Path(path)) for path in row.pictures]
        except (OSError, ValueError):
            return ""
        wanted = {name: getattr(asked, name) for name in ("preset", "category", "network", "options")}
        return cache.key(name=row.name, pictures=pictures, code=code.of_all(), format=self._request.format, **wanted)

    def _there(self, name: str, key: str) -> dict[str, Any] | None:
        """What is told of it if it is made, and its file is still as large as it was."""
        for entry in self.ledger.known(name) if key else ():
            if entry.get("key") == key and entry.get("status") == "done":
                with suppress(OSError, TypeError, KeyError):
                    if (self._folder / entry["glb"]).stat().st_size == entry["bytes"]:
                        return entry
        return None

    def _note(self, outcome: Outcome) -> None:
        number, row = outcome.number, self._rows[outcome.number]
        entry = {"name": row.name, "pictures": list(row.pictures), "key": self._keys.get(number, "")}
        if outcome.problem:
            self.failed[number] = outcome.problem
            self.ledger.add({**entry, "status": "failed", "error": outcome.problem})
            return
        self.made += 1
        facts, glb = outcome.facts, f"{row.name}.{self._request.format}"
        told = {name: facts[name] for name in ("network", "vertices", "faces", "warnings", "provenance")}
        seconds = round(sum(facts["seconds"].values()), 3)
        own = {"status": "done", "glb": glb, "thumbnail": f"{THUMBNAILS}/{row.name}.png", "seconds": seconds}
        self.ledger.add({**entry, **own, "bytes": (self._folder / glb).stat().st_size, **told})

    # ---- progress

    def _tell(self, parts: float) -> None:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        message = f"{self._over} of {len(self._rows)}{failed}"
        self._job.report((self._over + parts) / len(self._rows), "making", message)

    def _remaining(self, progress: float) -> float | None:
        """Seconds, from what those took that were made in this run."""
        if self._began is None or self.made < KNOWN_AFTER:
            return None
        each = (time.monotonic() - self._began) / (self.made + len(self.failed))
        return each * (1.0 - progress) * len(self._rows)


def _digest(path: Path) -> str:
    """sha256 of a file, or of all files in a folder with their names. Raises OSError, ValueError."""
    if not path.is_dir():
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is a device or a pipe, which may have no end")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    listed = [f"{each.relative_to(path)} {_digest(each)}" for each in files_below(path)]
    return hashlib.sha256("\n".join(listed).encode("utf-8", "surrogateescape")).hexdigest()
