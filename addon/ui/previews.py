# SPDX-License-Identifier: GPL-3.0-or-later
"""The thumbnail of the chosen picture, and of what is being made. Blender reads the file in a thread of its own, after
the icon is first drawn."""

from __future__ import annotations

import os

import bpy.utils.previews

_collection: bpy.utils.previews.ImagePreviewCollection | None = None
_making: bpy.utils.previews.ImagePreviewCollection | None = None
_shown = _made = ""


def show(path: str) -> None:
    """Makes the picture at `path` the one that `icon` gives; "" for none."""
    global _shown
    _shown = _taken(_collection, path)


def show_making(path: str) -> None:
    """Makes the picture at `path` the one that `making` gives; "" for none."""
    global _made
    _made = _taken(_making, path)


def icon() -> int:
    """The number of the thumbnail's icon, 0 if there is none."""
    return _collection[_shown].icon_id if _shown else 0


def making() -> int:
    """The number of the icon of what is being made, 0 if there is none."""
    return _making[_made].icon_id if _made else 0


def _taken(collection: bpy.utils.previews.ImagePreviewCollection | None, path: str) -> str:
    """The name under which the picture is in the collection now, alone; "" if it is not there."""
    if collection is None or not os.path.isfile(path):
        return ""
    collection.clear()  # also forgets the same file as it was before
    collection.load(path, path, "IMAGE")
    return path


def register() -> None:
    global _collection, _making
    _collection, _making = bpy.utils.previews.new(), bpy.utils.previews.new()


def unregister() -> None:
    global _collection, _making, _shown, _made
    bpy.utils.previews.remove(_collection)
    bpy.utils.previews.remove(_making)
    _collection = _making = None
    _shown = _made = ""
