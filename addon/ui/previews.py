# SPDX-License-Identifier: GPL-3.0-or-later
"""The thumbnail of the chosen picture, and of what is being made. Blender reads the file in a thread of its own, after
the icon is first drawn."""

from __future__ import annotations

import os

import bpy.utils.previews


class Thumbnail:
    """One picture at a time."""

    def __init__(self) -> None:
        self._collection: bpy.utils.previews.ImagePreviewCollection | None = None
        self.path = ""

    def show(self, path: str) -> None:
        """Makes the picture at `path` the one whose icon there is; "" for none."""
        self.path = ""
        if self._collection is not None and os.path.isfile(path):
            self._collection.clear()  # also forgets the same file as it was before
            self._collection.load(path, path, "IMAGE")
            self.path = path

    def icon(self) -> int:
        """The number of the icon, 0 if there is none."""
        return self._collection[self.path].icon_id if self.path else 0

    def register(self) -> None:
        self._collection = bpy.utils.previews.new()

    def unregister(self) -> None:
        bpy.utils.previews.remove(self._collection)
        self.__init__()


chosen, making = Thumbnail(), Thumbnail()


def register() -> None:
    chosen.register()
    making.register()


def unregister() -> None:
    chosen.unregister()
    making.unregister()
