# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user chose for many-photo work, as the names of files tell it: pictures, a video, or a list of cameras.

Reads no picture, so it answers at once also for a long video. Must not know what is in a list of cameras.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ..core.errors import Unable
from ..core.file_types import (
    COLMAP_IMAGES,
    IMAGE_FOLDERS,
    MASK_MARKS,
    TAKEN,
    UNREAD_PICTURES,
    VIDEO_FRAMES,
    VIDEOS,
    camera_list_among,
    is_camera_list,
    raw_twins,
)
from . import kinds
from .faults import named

MOST_PICTURES = 400
"""More are thinned out evenly: every pair that shows the same is compared, and all are kept in memory."""

MOST_FILES = 20_000
"""Files that are looked at below a folder: a list of cameras may lie in a folder of everything."""

_SHOWN = (*TAKEN, *UNREAD_PICTURES)
_MODEL_FOLDERS = ("sparse", "colmap")
"""Names of the folders of a project in which COLMAP's models lie, in numbered folders or themselves."""

NAMED = 4
"""Files that are named in a sentence; the others are counted."""


def is_collection(path: Path) -> bool:
    """Whether `path` names a folder, a video or a list of cameras, and not one picture."""
    return is_folder(path) or is_video(path) or is_camera_list(path.name)


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long for the file system
        return False


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


@dataclass(frozen=True)
class Look:
    """What was chosen, as names tell it: pictures, one video, or a list of cameras. notes: sentences."""

    pictures: tuple[Path, ...] = ()
    video: Path | None = None
    cameras: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """About how many pictures it is."""
        if self.cameras:
            folder = folder_of_listed(self.cameras)
            inner = [path for path in _listing(folder, Path.is_dir) if path.name.lower() in IMAGE_FOLDERS]
            listed = (path for each in (folder, *inner) for path in _listing(each, Path.is_file))
            return min(sum(may_be_picture(path) for path in listed), MOST_PICTURES)
        return VIDEO_FRAMES if self.video else min(len(masks_apart(self.pictures)[0]), MOST_PICTURES)


def look(paths: Sequence[Path]) -> Look:
    """What `gather` would read, without reading it. Raises Unable where names tell already that it is nothing."""
    if not paths:
        raise Unable("no pictures were chosen: choose several photos of one thing, a folder of them or a video")
    if len(paths) == 1 and is_folder(paths[0]):
        return _in_folder(paths[0])
    lists = [path for path in paths if is_camera_list(path.name)]
    return Look(cameras=lists[0]) if len(lists) == 1 else _chosen(paths, "what was chosen")


def folder_of_listed(cameras: Path) -> Path:
    """The folder from which a list of cameras names its pictures: its own, or that of COLMAP's whole project."""
    folder = cameras.parent
    if cameras.name.lower() in COLMAP_IMAGES:
        folder = folder.parent if folder.name.isdigit() else folder
        while folder.name.lower() in _MODEL_FOLDERS:
            folder = folder.parent
    return folder


def _in_folder(folder: Path, inner: bool = True) -> Look:
    """inner: whether to look for pictures in the folders in it too."""
    files = _listing(folder, Path.is_file)
    if name := camera_list_among([path.name for path in files]):
        return Look(cameras=folder / name)
    if inner and (model := _largest_model(folder)):
        return Look(cameras=model)
    chosen = _once([path for path in files if may_be_picture(path) or is_video(path)])
    if chosen:
        return _chosen(chosen, f"the folder {named(folder)}")
    deeper = [path for path in _listing(folder, Path.is_dir) if _holds_pictures(path)] if inner else []
    usual = [path for path in deeper if path.name.lower() in IMAGE_FOLDERS]
    if len(usual or deeper) == 1:
        only = (usual or deeper)[0]
        note = f"the folder {named(folder)} holds no pictures itself, so those of {named(only)} are used"
        found = _in_folder(only, inner=False)
        return replace(found, notes=(note, *found.notes))
    if deeper:
        names = listed([named(path) for path in deeper])
        raise Unable(f"the folder {named(folder)} holds no pictures itself, but its folders {names} do: choose one")
    raise Unable(f"the folder {named(folder)} holds no pictures: choose one with several photos of one thing")


def _once(files: list[Path]) -> list[Path]:
    """The files without what a camera has written beside a picture of the same name: raw files."""
    twins = raw_twins([path.name for path in files])
    return [path for path in files if path.name not in twins]


def _largest_model(project: Path) -> Path | None:
    """COLMAP's largest model of the project: it makes another where pictures do not fit together."""
    roots = [project / name for name in _MODEL_FOLDERS]
    roots += [root / inner for root in roots for inner in _MODEL_FOLDERS]
    folders = [folder for root in roots if is_folder(root) for folder in (root, *_listing(root, Path.is_dir))]
    models = [(folder, camera_list_among([path.name for path in _listing(folder, Path.is_file)])) for folder in folders]
    found = [folder / name for folder, name in models if name and name.lower() in COLMAP_IMAGES]
    return max(found, key=lambda path: path.stat().st_size, default=None)


def _chosen(paths: Sequence[Path], whose: str) -> Look:
    """Pictures, or one video. whose: what holds them, in words."""
    videos = [path for path in paths if is_video(path)]
    pictures = tuple(path for path in paths if not is_video(path))
    if pictures:
        beside = f"photos are used, and not {listed([named(path) for path in videos])} beside them"
        return Look(pictures, notes=(beside,) if videos else ())
    if len(videos) > 1:
        names = listed([named(path) for path in videos])
        raise Unable(f"one video at a time can be used, but {whose} holds {len(videos)} ({names}): choose one")
    return Look(video=videos[0])


def _listing(folder: Path, which: Callable[[Path], bool]) -> list[Path]:
    """What is in the folder, in the order of names, but for what is hidden."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and which(path))
    except OSError as error:
        raise Unable(f"the folder {named(folder)} cannot be read: {error.strerror}") from None


def files_below(folder: Path) -> Iterator[Path]:
    """The files in the folder and in those within it, in the order of names; at most MOST_FILES."""
    walked = ((root, folders.sort() or sorted(files)) for root, folders, files in os.walk(folder))
    return islice((Path(root, file) for root, files in walked for file in files), MOST_FILES)


def _holds_pictures(folder: Path) -> bool:
    try:
        return any(may_be_picture(path) for path in _listing(folder, Path.is_file))
    except Unable:
        return False


def may_be_picture(path: Path) -> bool:
    """Whether the file's name, or where that has no ending its beginning, is a picture's."""
    if path.suffix:
        return path.suffix.lower() in _SHOWN
    try:
        if not path.stat().st_size:  # among them the system's own, which may be waited for
            return False
        with path.open("rb") as file:
            return kinds.format_of(file.read(kinds.HEAD)) is not None
    except OSError:
        return False


def masks_apart(paths: Sequence[Path]) -> tuple[list[Path], dict[Path, Path]]:
    """The photos, and the masks of those that have one: photo_mask.png or photo.mask.png beside photo.jpg."""
    photos = {path.with_suffix("") if path.suffix else path: path for path in paths}
    photos |= {path: path for path in paths}  # photo.jpg.mask.png
    masks = {}
    for path in paths:
        for mark in MASK_MARKS:
            of = photos.get(path.with_name(path.stem[: -len(mark)])) if path.stem.lower().endswith(mark) else None
            if of is not None and of != path and len(path.stem) > len(mark):
                masks[of] = path
    return [path for path in paths if path not in masks.values()], masks


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
