# SPDX-License-Identifier: GPL-3.0-or-later
"""The thumbnail of the chosen picture. Blender reads the file in a thread of its own, after the icon is first drawn."""

from __future__ import annotations

import os

import bpy.utils.previews

_collection: bpy.utils.previews.ImagePreviewCollection | None = None
_shown = ""


def show(path: str) -> None:
    """Makes the picture at `path` the one that `icon` gives; "" for none."""
    global _shown
    _shown = ""
    if _collection is None or not os.path.isfile(path):
        return
    _collection.clear()  # also forgets the same file as it was before
    _collection.load(path, path, "IMAGE")
    _shown = path


def icon() -> int:
    """The number of the thumbnail's icon, 0 if there is none."""
    return _collection[_shown].icon_id if _shown else 0


def register() -> None:
    global _collection
    _collection = bpy.utils.previews.new()


def unregister() -> None:
    global _collection, _shown
    bpy.utils.previews.remove(_collection)
    _collection, _shown = None, ""
