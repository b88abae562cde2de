# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user chose for many-photo work, files, a folder, a video or a list of cameras, to a list of pictures.

Must not know what the pictures are for, nor read a list of cameras itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.file_types import PICTURES, VIDEOS, is_camera_list
from ..core.job import Job, Span
from .load import Picture, load
from .video import frames

CAMERA_LISTS = ("transforms.json", "transforms_train.json", "*_par.txt")
"""Names of files that say where the pictures of a folder were taken; the first that is there is read."""

MOST_PICTURES = 400
"""More are thinned out evenly: every pair that shows the same is compared, and all are kept in memory."""

MOST_PIXELS = 250_000_000
"""All pictures together: 750 MB. Larger ones are reduced alike."""

LONGEST_SIDE = 2400
"""Pixels of a single picture's longer side: an object's texture needs no more from each of many photos."""

_SAME = 6.0  # 8-bit grey levels, largest difference of two thumbnails: the same photo, saved twice
_FLAT = 3.0  # 8-bit levels between a picture's darkest and brightest hundredth: nothing is on it
_THUMBNAIL = 64  # pixels: a thing that was turned by a few degrees differs somewhere
_NAMED = 4


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a method gets.

    pictures: what was chosen, in the order of names or of time. ordered: whether neighbours are frames of a video.
    cameras: the file that lists the pictures and their cameras, then `pictures` is empty. notes: sentences.
    """

    pictures: tuple[Picture, ...]
    ordered: bool = False
    cameras: Path | None = None
    notes: tuple[str, ...] = ()


def is_collection(path: Path) -> bool:
    """Whether `path` names a folder, a video or a list of cameras, and not one picture."""
    return path.is_dir() or path.suffix.lower() in VIDEOS or is_camera_list(path.name)


def gather(paths: Sequence[Path], job: Job | Span) -> Inputs:
    """Reads what the user chose: pictures, one folder, one video or one list of cameras.

    Single pictures that cannot be read, are empty or are there twice are left out, and a note says so. Raises Unable
    where nothing is left.
    """
    if not paths:
        raise Unable("no pictures were chosen: choose several photos of one thing, a folder of them or a video")
    if len(paths) == 1:
        path = paths[0]
        if path.is_dir():
            return _of_folder(path, job)
        if is_camera_list(path.name):
            return Inputs((), cameras=path)
        if path.suffix.lower() in VIDEOS:
            return _of_video(path, job)
    return _of_files(paths, job)


def _of_folder(folder: Path, job: Job | Span) -> Inputs:
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise Unable(f"the folder {folder.name} cannot be read: {error.strerror}") from None
    lists = [path for name in CAMERA_LISTS for path in paths if path.match(name)]
    if lists:
        return Inputs((), cameras=lists[0])
    pictures = [path for path in paths if path.suffix.lower() in PICTURES]
    if pictures:
        return _of_files(pictures, job)
    videos = [path for path in paths if path.suffix.lower() in VIDEOS]
    if len(videos) == 1:
        return _of_video(videos[0], job)
    raise Unable(f"the folder {folder.name} holds no pictures: choose one with several photos of one thing")


def _of_video(path: Path, job: Job | Span) -> Inputs:
    taken = frames(path, job)
    kept, notes = _distinct([_reduced(picture, _side(len(taken))) for picture in taken])
    return Inputs(tuple(kept), True, None, (f"{len(kept)} frames of {path.name} are used", *notes))


def _of_files(paths: Sequence[Path], job: Job | Span) -> Inputs:
    notes, read, wrong = [], [], []
    if len(paths) > MOST_PICTURES:
        chosen = np.linspace(0, len(paths) - 1, MOST_PICTURES).round().astype(int)
        notes.append(f"{MOST_PICTURES} of {len(paths)} pictures are used, evenly chosen")
        paths = [paths[number] for number in chosen]
    side = _side(len(paths))
    for number, path in enumerate(paths):
        job.report(number / len(paths), "reading", f"picture {number + 1} of {len(paths)}")
        try:
            read.append(_reduced(load(path), side))
        except Unable as error:
            wrong.append(str(error))
    if not read:
        raise Unable(wrong[0] if len(wrong) == 1 else f"none of the {len(wrong)} pictures can be read: {wrong[0]}")
    if wrong:
        more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        notes.append(f"left out of {len(paths)} pictures: {'; '.join(wrong[:_NAMED])}{more}")
    kept, said = _distinct(read)
    return Inputs(tuple(kept), notes=(*notes, *said))


def _side(count: int) -> int:
    """The longest side that each of so many pictures may have."""
    return int(min(LONGEST_SIDE, (MOST_PIXELS / max(count, 1) * 4.0 / 3.0) ** 0.5))


def _reduced(picture: Picture, side: int) -> Picture:
    height, width = picture.rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1.0:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    rgb = np.asarray(Image.fromarray(picture.rgb).resize(size, Image.Resampling.LANCZOS))
    alpha = picture.alpha
    if alpha is not None:
        alpha = np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.BOX))
    return dataclasses.replace(picture, rgb=rgb, alpha=alpha)


def _distinct(pictures: Sequence[Picture]) -> tuple[list[Picture], list[str]]:
    """The pictures without those that show nothing and those that are there twice, and notes on both."""
    shown = [picture for picture in pictures if np.ptp(np.percentile(picture.on_backdrop(), (1, 99))) >= _FLAT]
    flat = [picture.name for picture in pictures if all(picture is not other for other in shown)]
    if not shown:
        raise Unable("all pictures are of one colour, black perhaps: photograph with more light and without a lens cap")
    small = [_thumbnail(picture) for picture in shown]
    kept: list[int] = []
    for number, thumbnail in enumerate(small):
        same = [k for k in kept if small[k].shape == thumbnail.shape and np.abs(small[k] - thumbnail).max() < _SAME]
        if not same:
            kept.append(number)
    notes, twice = [], len(shown) - len(kept)
    if flat:
        notes.append(f"nothing is to be seen on {_listed(flat)}: left out")
    if twice:
        notes.append(f"the same as others, and left out: {twice} of {len(pictures)} pictures")
    return [shown[number] for number in kept], notes


def _thumbnail(picture: Picture) -> np.ndarray:
    """(h, w) float32 grey, longer side _THUMBNAIL pixels."""
    grey = Image.fromarray(picture.on_backdrop()).convert("L")
    scale = _THUMBNAIL / max(grey.size)
    size = [max(1, round(side * scale)) for side in grey.size]
    return np.asarray(grey.resize(size, Image.Resampling.BOX), np.float32)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
