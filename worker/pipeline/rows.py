# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch is to make: the pictures in a folder, the folders of photos in it, or the rows of a list.

Reads names and lists, no picture. What is wrong with a row is told of that row (`Row.problem`); the others go on.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from ..core.errors import Unable
from ..core.file_types import raw_twins
from ..core.options import Value, parsed
from ..core.texts import path_of, readable, shortened
from ..pictures.faults import named
from ..pictures.look import is_video, masks_apart, may_be_picture

RESULTS = "results.jsonl"
"""The file of a batch's folder that tells what was made; a folder with it holds no pictures of the user's."""

TABLES, LINES, TEXTS = (".csv", ".tsv"), (".jsonl", ".ndjson"), (".txt", ".lst")
_PICTURE = ("picture", "photo", "pictures", "photos", "file", "image")
"""Names that the column of pictures may have; the first that is there counts."""

_KNOWN = ("name", "model", "preset")


@dataclass(frozen=True)
class Row:
    """One thing to make. name: of its files below the folder of results, without an ending, `/` between folders. model,
    preset: "" for the batch's. options: beside the batch's. problem: why it cannot be made, a sentence."""

    name: str
    pictures: tuple[str, ...] = ()
    model: str = ""
    preset: str = ""
    options: Mapping[str, Value] = field(default_factory=dict)
    problem: str = ""


def rows_of(source: Path, sets: bool, results: Path) -> list[Row]:
    """The rows of a folder or of a list, each with a name of its own. sets: each folder in the folder is a set of
    photos. results: a folder that may lie in it and is left out. Raises Unable where there is nothing to make."""
    if source.is_dir():
        if os.path.realpath(source) == os.path.realpath(results):
            raise Unable(f"results cannot come into the folder of pictures {named(source)} itself: choose one in it")
        rows = _sets(source, results) if sets else _pictures(source, results)
        what = "no folder with files" if sets else "no pictures"
    else:
        rows, what = _listed(source), "no rows"
    if not rows:
        raise Unable(f"{named(source)} holds {what}: choose another")
    return _apart(rows)


# ------------------------------------------------------------------------------------------------ folders


def _pictures(folder: Path, results: Path) -> list[Row]:
    """Each picture in the folder and in those in it, in the order of names."""
    rows = []
    for place, files in _walked(folder, results):
        twins = raw_twins(files)
        paths = [place / name for name in files if name not in twins]
        photos = masks_apart([path for path in paths if may_be_picture(path) and not is_video(path)])[0]
        rows += [Row(_below(folder, path.with_suffix("")), (str(path),)) for path in photos]
    return rows


def _sets(folder: Path, results: Path) -> list[Row]:
    """Each folder in the folder that holds a file, however deep."""
    holding = {place.relative_to(folder).parts[0] for place, files in _walked(folder, results) if place != folder}
    return [Row(name, (str(folder / name),)) for name in sorted(holding)]


def _walked(folder: Path, results: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder that holds files, and their names; without what is hidden."""
    own = os.path.realpath(results)
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if _is_walked(Path(root, each), own))
        shown = sorted(name for name in files if not name.startswith("."))
        if shown:
            yield Path(root), shown


def _is_walked(folder: Path, own: str) -> bool:
    """Whether a folder may hold pictures of the user's: not where it is hidden, or holds what a batch made."""
    return not folder.name.startswith(".") and os.path.realpath(folder) != own and not (folder / RESULTS).is_file()


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


# ------------------------------------------------------------------------------------------------ lists


def _listed(source: Path) -> list[Row]:
    """The rows of a list; paths in it are meant from its own folder."""
    kind = source.suffix.lower()
    if kind not in (*TABLES, *LINES, *TEXTS):
        raise Unable(f"{named(source)} is neither a folder nor a list that ends in .txt, .csv or .jsonl: choose one")
    try:
        text = source.read_text("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise Unable(f"{named(source)} cannot be read: {(error.strerror or str(error)).lower()}") from None
    read = _table if kind in TABLES else _json_lines if kind in LINES else _lines
    return [_row(fields, number, source.parent) for number, fields in read(text)]


def _lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, {"picture": line.strip()}


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        yield number, fields if isinstance(fields, dict) else "is not an object of JSON"


def _table(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Columns that are neither the picture's nor known are options; an empty cell sets nothing."""
    first = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=first.count))
    try:
        for cells in reader:
            if None in cells or None in cells.values():
                yield reader.line_num, "has more or fewer cells than the first line"
                continue
            filled = {name.strip(): cell.strip() for name, cell in cells.items() if cell.strip()}
            own = {name: filled.pop(name) for name in (*_PICTURE, *_KNOWN) if name in filled}
            yield reader.line_num, {**own, "options": {name: parsed(cell) for name, cell in filled.items()}}
    except csv.Error as error:
        yield reader.line_num, f"is no line of a table ({error})"


def _row(fields: dict[str, Any] | str, number: int, folder: Path) -> Row:
    """The row that a line describes, or that tells what is wrong with it."""
    problem = fields if isinstance(fields, str) else _fault(fields)
    if problem:
        return Row(f"line {number}", problem=f"line {number} of the list {problem}")
    chosen = next(fields[name] for name in _PICTURE if name in fields)
    pictures = tuple(str(folder / each) for each in ([chosen] if isinstance(chosen, str) else chosen))
    name = fields.get("name") or PurePath(pictures[0]).stem or "picture"
    own = {each: fields.get(each) or "" for each in ("model", "preset")}
    return Row(name, pictures, **own, options=fields.get("options") or {})


def _fault(fields: dict[str, Any]) -> str:
    """What is wrong with a line's fields, to be said after "line 3 of the list"; "" where nothing is."""
    chosen = next((fields[name] for name in _PICTURE if name in fields), None)
    paths = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(paths, list) or not paths or not all(isinstance(each, str) and each for each in paths):
        return "names no picture"
    for name in _KNOWN:
        if not isinstance(fields.get(name) or "", str):
            return f"has a {name} that is no text"
    if strange := sorted(fields.keys() - {*_PICTURE, *_KNOWN, "options"}):
        return f"has the unknown key {shortened(strange[0], 40)!r}: options belong into an object of that name"
    options = fields.get("options") or {}
    if not isinstance(options, dict) or not all(isinstance(value, Value) for value in options.values()):
        return "has options that are no object of numbers, texts, true and false"
    return "" if _is_name(fields.get("name") or "a") else "has a name that is no file's"


def _is_name(name: str) -> bool:
    """Whether files below a folder can be called so."""
    parts = name.split("/")
    usable = all(part and part not in (".", "..") and not part.startswith("-") for part in parts)
    if not usable or not name.isprintable() or "\\" in name or PurePath(name).is_absolute() or ":" in name:
        return False
    try:
        path_of(name)
    except Unable:
        return False
    return True


# ------------------------------------------------------------------------------------------------ names


def _apart(rows: list[Row]) -> list[Row]:
    """The rows with names that differ, also where large and small letters are the same: by the picture's ending, then
    by what makes them differ, then by a number. A row that is added elsewhere changes none of them."""
    rows = _renamed(rows, lambda row, _: f"{row.name}{PurePath(row.pictures[0]).suffix}" if row.pictures else row.name)
    rows = _renamed(rows, lambda row, _: f"{row.name}-{_mark(row)}")
    return _renamed(rows, lambda row, before: f"{row.name}-{before + 1}" if before else row.name)


def _renamed(rows: list[Row], new: Any) -> list[Row]:
    """new: a row whose name another has too, and how many came before it -> its new name."""
    often, seen = Counter(row.name.casefold() for row in rows), Counter()
    found = []
    for row in rows:
        name = row.name.casefold()
        found.append(replace(row, name=new(row, seen[name])) if often[name] > 1 else row)
        seen[name] += 1
    return found


def _mark(row: Row) -> str:
    facts = json.dumps([row.pictures, row.model, row.preset, dict(row.options), row.problem], sort_keys=True)
    return hashlib.sha256(readable(facts).encode()).hexdigest()[:6]
