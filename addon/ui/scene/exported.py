# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures of ours beside an OBJ that was exported. Blender's exporter only names them in the .mtl file, since they are
packed: without this the thing is grey until somebody unpacks them there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import bpy

from .provenance import kept

_seen: tuple[str, int] = ("", 0)


def follow() -> None:
    """Looks whether Blender has exported an OBJ from its menu since last time, and adds what it left out."""
    global _seen
    last = bpy.context.window_manager.operator_properties_last("wm.obj_export")
    path = Path(bpy.path.abspath(last.filepath)).with_suffix(".mtl") if last and last.filepath else None
    with suppress(OSError):  # not there (exported without materials), or a folder that is not to be written to
        if path and _seen != (now := (str(path), path.stat().st_mtime_ns)):
            _seen = now
            complete(path)


def complete(materials: Path) -> None:
    """Writes the textures of ours that the .mtl file names beside it. Another file of that name stays, and the texture
    gets a name that is free. Raises OSError."""
    before = text = materials.read_text("utf-8", "surrogateescape")
    for image in {image.name: image for image in _textures()}.values():
        named = os.path.basename(image.filepath)
        lines = [line for line in text.splitlines() if line.startswith("map_") and line.endswith(f" {named}")]
        if lines:
            name = _written(materials.parent, named, image.packed_file.data)
            for line in set(lines):
                text = text.replace(f"{line}\n", f"{line.removesuffix(named)}{name}\n")
    if text != before:
        materials.write_text(text, "utf-8", "surrogateescape")


def _textures() -> Iterator[bpy.types.Image]:
    for thing in bpy.data.objects:
        for slot in thing.material_slots if kept(thing) else ():
            for node in slot.material.node_tree.nodes if slot.material and slot.material.node_tree else ():
                if node.type == "TEX_IMAGE" and node.image and node.image.packed_file:
                    yield node.image


def _written(folder: Path, name: str, data: bytes) -> str:
    """The name of the file that holds the data, written unless it is there."""
    stem, ending = os.path.splitext(name)
    for number in range(1000):
        path = folder / (f"{stem}-{number}{ending}" if number else name)
        if not path.exists():
            path.write_bytes(data)
        if path.read_bytes() == data:
            return path.name
    raise OSError("no name is free")
