# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails of pictures in files: what was chosen, what waits, what was made, and what is being made. Blender reads a
file in a thread of its own, after its icon is first drawn."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

import bpy
import bpy.utils.previews

from ...worker.core.file_types import VIDEOS
from ..session.contents import Folder

SHEET = 12
"""Pictures of several that are shown."""

MOST = 300
"""Thumbnails that are held before those that nobody shows any more are let go."""


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


class Gallery:
    """Many pictures, by their paths. Who draws asks for icons only; files are looked at by `hold`."""

    def __init__(self) -> None:
        self._collection: bpy.utils.previews.ImagePreviewCollection | None = None
        self._names: dict[str, str] = {}
        self._held: tuple[str, ...] = ()

    def hold(self, paths: Iterable[str]) -> bool:
        """Makes these the pictures of which there are icons; returns whether that is news."""
        wanted = tuple(dict.fromkeys(path for path in paths if path))
        if self._collection is None or wanted == self._held:
            return False
        if len(self._collection) > MOST:
            self._collection.clear()
        self._held = wanted
        self._names = {path: name for path in wanted if (name := self._load(path))}
        return True

    @property
    def held(self) -> tuple[str, ...]:
        """The pictures of which there are icons."""
        return tuple(self._names)

    def icon(self, path: str) -> int:
        """The number of its icon, 0 if there is none."""
        name = self._names.get(path)
        return self._collection[name].icon_id if name else 0

    def _load(self, path: str) -> str:
        """The name under which the picture is held as it is now, "" where it cannot be shown."""
        try:
            found = os.stat(path)
        except OSError:
            return ""
        name = f"{path}|{found.st_mtime_ns}"
        if name not in self._collection and not os.path.isdir(path):
            self._collection.load(name, path, "MOVIE" if path.lower().endswith(VIDEOS) else "IMAGE")
        return name if name in self._collection else ""

    def register(self) -> None:
        self._collection = bpy.utils.previews.new()

    def unregister(self) -> None:
        bpy.utils.previews.remove(self._collection)
        self.__init__()


class Video:
    """How long the video is that is chosen. `frames` is 0 and `seconds` 0.0 where that is not known."""

    def __init__(self) -> None:
        self.frames, self.seconds, self._seen = 0, 0.0, ""

    def look(self, path: str) -> None:
        """Looks into the file if it is another than before, which takes some 10 ms; "" for none."""
        if path == self._seen:
            return
        self.__init__()
        self._seen = path
        if os.path.isfile(path):
            with suppress(RuntimeError):  # what Blender cannot open the worker may
                clip = bpy.context.blend_data.movieclips.load(path)
                self.frames, self.seconds = clip.frame_duration, clip.frame_duration / (clip.fps or 1.0)
                bpy.context.blend_data.movieclips.remove(clip)


gallery, making, folder, video = Gallery(), Thumbnail(), Folder(), Video()


def register() -> None:
    gallery.register()
    making.register()


def unregister() -> None:
    gallery.unregister()
    making.unregister()
