# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects in Blender's asset browser, in a catalogue of ours. Must not know how they were made."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import bpy

CATALOGUE = "6d0f4f9e-7f0b-4d52-9a3d-3f6f3c2d1e1a"
"""Ours, the same in all files."""

CATALOGUES = "blender_assets.cats.txt"
"""Where Blender keeps the names of catalogues: in a file of that name beside the .blend file, or above it."""

_HEAD = "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n"
_LINE = f"{CATALOGUE}:Image to 3D:Image to 3D\n"


@dataclass(frozen=True)
class About:
    """What the browser says of an asset. licence: of the weights that it was made with."""

    description: str = ""
    author: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ("Image to 3D",)


def mark(thing: bpy.types.Object, about: About) -> None:
    """Makes the object an asset with a preview, or says anew what it is."""
    describe(thing, about)
    thing.asset_generate_preview()
    name_catalogue()


def describe(thing: bpy.types.Object, about: About, within: str = "") -> None:
    """Makes the object an asset, without a preview. within: a catalogue in ours, with `/` between its parts."""
    thing.asset_mark()
    data = thing.asset_data
    data.catalog_id = _id(within)
    data.description, data.author, data.license = about.description, about.author, about.licence
    for tag in about.tags:
        data.tags.new(tag, skip_if_exists=True)


def show(thing: bpy.types.Object, path: Path) -> None:
    """Makes a picture file the object's preview; where it cannot be read, there is none."""
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError:
        return
    preview = thing.preview_ensure()
    preview.image_size = image.size
    preview.image_pixels_float.foreach_set(image.pixels[:])
    bpy.data.images.remove(image)


def name_catalogues(folder: Path, parts: Iterable[str]) -> None:
    """Writes the names of our catalogue, and of those in it, for the .blend files in the folder. Raises OSError."""
    inner = {part[:end] for part in parts for end in (*_ends(part), len(part))} - {""}
    lines = [_LINE, *(f"{_id(part)}:Image to 3D/{_plain(part)}:{_plain(part, '-')}\n" for part in sorted(inner))]
    _write(folder / CATALOGUES, _HEAD + "".join(lines))


def _ends(part: str) -> Iterator[int]:
    return (place for place, letter in enumerate(part) if letter == "/")


def _id(part: str) -> str:
    """Of a catalogue within ours: the same in all files."""
    return str(uuid.uuid5(uuid.UUID(CATALOGUE), part)) if part else CATALOGUE


def _plain(part: str, slash: str = "/") -> str:
    """Without what has a meaning in a file of catalogues."""
    return part.replace(":", "-").replace("/", slash)


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, "utf-8", "replace")
    os.replace(part, path)


@bpy.app.handlers.persistent
def name_catalogue(*_: object) -> None:
    """Gives our catalogue its name where the .blend file lies, if there is one with assets of ours."""
    if not bpy.data.filepath or not any(_is_ours(thing) for thing in bpy.data.objects):
        return
    folder = Path(bpy.data.filepath).parent
    path = next((each / CATALOGUES for each in (folder, *folder.parents) if (each / CATALOGUES).is_file()), None)
    path = path or folder / CATALOGUES
    with suppress(OSError):  # a folder that is not to be written to: the asset has no catalogue then
        before = path.read_text("utf-8") if path.exists() else _HEAD
        if CATALOGUE not in before:
            _write(path, before.rstrip("\n") + "\n" + _LINE)


def _is_ours(thing: bpy.types.Object) -> bool:
    return thing.asset_data is not None and thing.asset_data.catalog_id == CATALOGUE


def register() -> None:
    bpy.app.handlers.save_post.append(name_catalogue)


def unregister() -> None:
    bpy.app.handlers.save_post.remove(name_catalogue)
