# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures of ours beside an OBJ or FBX that was exported. Blender's exporters only name them there, since they are
packed: without this the thing is grey wherever the file is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import bpy

from .provenance import kept

EXPORTERS = {"wm.obj_export": ".mtl", "export_scene.fbx": ".fbx"}
"""Those that write no packed picture, and how the file ends that names it."""

_seen: dict[str, tuple[str, int]] = {}


def follow() -> None:
    """Looks whether Blender has exported such a file from its menu since last time, and adds what it left out."""
    for exporter, ending in EXPORTERS.items():
        last = bpy.context.window_manager.operator_properties_last(exporter)
        if not last or not last.filepath or _is_within(last):
            continue
        path = Path(bpy.path.abspath(last.filepath)).with_suffix(ending)
        with suppress(OSError):  # not there (exported without materials), or a folder that is not to be written to
            now = str(path), path.stat().st_mtime_ns
            if _seen.get(exporter) != now:
                _seen[exporter] = now
                complete(path)


def _is_within(last: bpy.types.OperatorProperties) -> bool:
    """Whether the textures were written into the file itself, as FBX's exporter can."""
    return getattr(last, "embed_textures", False) and last.path_mode == "COPY"


def complete(naming: Path) -> None:
    """Writes the textures of ours that the exported file names beside it. What has such a name already is the same
    texture (material.as_file), or was until somebody painted on it. Raises OSError."""
    text = naming.read_bytes()
    for image in _textures():
        name = os.path.basename(image.filepath)
        if name.encode() in text:
            (naming.parent / name).write_bytes(image.packed_file.data)


def _textures() -> Iterator[bpy.types.Image]:
    """Each of them once."""
    found = {}
    for thing in bpy.data.objects:
        for slot in thing.material_slots if kept(thing) else ():
            for node in slot.material.node_tree.nodes if slot.material and slot.material.node_tree else ():
                if node.type == "TEX_IMAGE" and node.image and node.image.packed_file:
                    found[node.image.name] = node.image
    yield from found.values()
