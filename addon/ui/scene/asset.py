# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects in Blender's asset browser, in a catalogue of ours. Must not know how they were made."""

from __future__ import annotations

import os
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
    thing.asset_mark()
    data = thing.asset_data
    data.catalog_id = CATALOGUE
    data.description, data.author, data.license = about.description, about.author, about.licence
    for tag in about.tags:
        data.tags.new(tag, skip_if_exists=True)
    thing.asset_generate_preview()
    name_catalogue()


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
            part = path.with_suffix(".part")
            part.write_text(before.rstrip("\n") + "\n" + _LINE, "utf-8")
            os.replace(part, path)


def _is_ours(thing: bpy.types.Object) -> bool:
    return thing.asset_data is not None and thing.asset_data.catalog_id == CATALOGUE


def register() -> None:
    bpy.app.handlers.save_post.append(name_catalogue)


def unregister() -> None:
    bpy.app.handlers.save_post.remove(name_catalogue)
