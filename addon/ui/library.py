# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch's results as marked assets in .blend files beside them, for the asset browser: each folder of results is a
catalogue. Run without a window (`in_background.py`), in a Blender with nothing else in it.

A file holds so many things as memory has room for; an asset library may have any number of files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy

from ..session import glb, provenance
from . import arrival, scene
from .scene import asset
from .scene import provenance as kept

FOLDER, RESULTS = "assets", "results.jsonl"

TOGETHER = 100
"""Things in a file: 0.6 GB of memory at Fast, 30,000 faces each."""

APART = 2.5
"""Metres between two things, which are two metres at their longest."""

_ROW = 10  # things beside each other


def build(folder: Path) -> Iterator[str]:
    """Makes the library of what is in the folder of results; tells of each file that it has written. What was there
    before is replaced. Raises OSError, RuntimeError of Blender's."""
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    entries = [*_made(folder)]
    files = [target / f"things-{number // TOGETHER + 1:03d}.blend" for number in range(0, len(entries), TOGETHER)]
    for number, path in enumerate(files):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        for place, entry in enumerate(entries[number * TOGETHER : (number + 1) * TOGETHER]):
            _add(folder, entry, place)
        bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)
        yield f"{min((number + 1) * TOGETHER, len(entries))} of {len(entries)}"
    asset.name_catalogues(target, sorted({_catalogue(entry) for entry in entries}))
    for old in set(target.glob("things-*.blend")) - {*files}:
        old.unlink()


def _made(folder: Path) -> Iterator[dict[str, Any]]:
    """The results that are there."""
    for line in (folder / RESULTS).read_bytes().splitlines():
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            if entry["status"] == "done" and (folder / entry["glb"]).is_file():
                yield entry


def _catalogue(entry: dict[str, Any]) -> str:
    """The folder of the result below all results, "" for none."""
    return entry["name"].rpartition("/")[0]


def _add(folder: Path, entry: dict[str, Any], place: int) -> None:
    """Brings one result in; what cannot be read is left out."""
    made = provenance.parsed(json.dumps(entry.get("provenance")))
    try:
        things = scene.add_meshes(
            bpy.context, glb.Reading(str(folder / entry["glb"])), entry["name"].rpartition("/")[2]
        )
    except scene.CannotAdd:
        return
    for thing in things:
        thing.location = (APART * (place % _ROW), APART * (place // _ROW), 0.0)
        if made:
            kept.keep(thing, json.dumps(entry["provenance"], ensure_ascii=False), provenance.readable(made))
    about = arrival.about(made, "") if made else asset.About()
    asset.describe(things[0], about, _catalogue(entry))
    asset.show(things[0], folder / entry["thumbnail"])
