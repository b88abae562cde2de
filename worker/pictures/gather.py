# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user chose for many-photo work, files, a folder, a video or a list of cameras, to a list of pictures.

Must not know what the pictures are for, nor read a list of cameras itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.job import Job, Span
from .faults import named
from .load import Picture, load
from .look import MOST_PICTURES, NAMED, listed, look, masks_apart
from .silhouette import faint, marked
from .video import frames

MOST_PIXELS = 250_000_000
"""All pictures together: 750 MB. Larger ones are reduced alike."""

LONGEST_SIDE = 2400
"""Pixels of a single picture's longer side: an object's texture needs no more from each of many photos."""

_OTHER_SHAPE = 0.02  # relative difference of two aspect ratios: a mask is not this picture's
_SAME = 6.0  # 8-bit grey levels, largest difference of two thumbnails: the same photo, saved twice
_FLAT = 3.0  # 8-bit levels between a picture's darkest and brightest hundredth: nothing is on it
_THUMBNAIL = 64  # pixels: a thing that was turned by a few degrees differs somewhere


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


def gather(paths: Sequence[Path], job: Job | Span) -> Inputs:
    """Reads what the user chose: pictures, one folder, one video or one list of cameras.

    Single pictures that cannot be read, are empty or are there twice are left out, and a note says so. Raises Unable
    where nothing is left.
    """
    found = look(paths)
    if found.cameras:
        return Inputs((), cameras=found.cameras)
    read = _of_video(found.video, job) if found.video else _of_files(found.pictures, job)
    return dataclasses.replace(read, notes=(*found.notes, *read.notes))


def _of_video(path: Path, job: Job | Span) -> Inputs:
    taken = frames(path, job)
    kept, notes = _distinct([_reduced(picture, _side(len(taken))) for picture in taken])
    return Inputs(tuple(kept), True, None, (f"{len(kept)} frames of {named(path)} are used", *notes))


def _of_files(paths: Sequence[Path], job: Job | Span) -> Inputs:
    notes, read, wrong = [], [], []
    paths, masks = masks_apart(paths)
    if len(paths) > MOST_PICTURES:
        chosen = np.linspace(0, len(paths) - 1, MOST_PICTURES).round().astype(int)
        notes.append(f"{MOST_PICTURES} of {len(paths)} pictures are used, evenly chosen")
        paths = [paths[number] for number in chosen]
    side = _side(len(paths))
    for number, path in enumerate(paths):
        job.report(number / len(paths), "reading", f"picture {number + 1} of {len(paths)}")
        try:
            picture = _reduced(load(path, job.check), side)
            read.append(_masked(picture, masks[path], job.check) if path in masks else picture)
        except Unable as error:
            wrong.append(str(error))
    if not read:
        raise Unable(wrong[0] if len(wrong) == 1 else f"none of the {len(wrong)} pictures can be read: {wrong[0]}")
    if wrong:
        more = f", and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        notes.append(f"left out of {len(paths)} pictures: {'; '.join(wrong[:NAMED])}{more}")
    kept, said = _distinct(read)
    own = [note for picture in kept for note in picture.notes]
    own = [f"{note} ({own.count(note)} of {len(kept)} pictures)" for note in dict.fromkeys(own)]
    used = [f"masks are used with {len(masks)} of {len(paths)} pictures"] if masks else []
    return Inputs(tuple(kept), notes=(*notes, *said, *used, *own))


def _masked(picture: Picture, path: Path, check: Callable[[], None]) -> Picture:
    """The picture with the mask's white as its alpha. Raises Unable where the mask cannot be read, or is another's."""
    found = load(path, check)
    height, width = picture.rgb.shape[:2]
    if abs(found.rgb.shape[1] / found.rgb.shape[0] * height / width - 1.0) > _OTHER_SHAPE:
        raise Unable(f"the mask {named(path)} has not the shape of its picture {picture.name}")
    grey = Image.fromarray(found.rgb).convert("L").resize((width, height), Image.Resampling.BOX)
    rgb, alpha = marked(picture.rgb, np.asarray(grey))
    if alpha is not None and not (alpha >= 128).any():
        raise Unable(f"the mask {named(path)} of {picture.name} is black: white is where the thing is")
    digest = hashlib.sha256(f"{picture.digest} {found.digest}".encode()).hexdigest()
    return dataclasses.replace(picture, rgb=rgb, alpha=alpha, digest=digest)


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
    empty = [picture for picture in pictures if picture.alpha is not None and not (picture.alpha >= 128).any()]
    if empty and len(empty) == len(pictures):
        raise Unable(faint(empty[0].name, empty[0].alpha))
    pictures = [picture for picture in pictures if all(picture is not other for other in empty)]
    shown = [picture for picture in pictures if np.ptp(np.percentile(picture.on_backdrop(), (1, 99))) >= _FLAT]
    flat = [picture.name for picture in pictures if all(picture is not other for other in shown)]
    flat += [picture.name for picture in empty]
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
        notes.append(f"nothing is to be seen on {listed(flat)}: left out")
    if twice:
        notes.append(f"the same as others, and left out: {twice} of {len(pictures)} pictures")
    return [shown[number] for number in kept], notes


def _thumbnail(picture: Picture) -> np.ndarray:
    """(h, w) float32 grey, longer side _THUMBNAIL pixels."""
    grey = Image.fromarray(picture.on_backdrop()).convert("L")
    scale = _THUMBNAIL / max(grey.size)
    size = [max(1, round(side * scale)) for side in grey.size]
    return np.asarray(grey.resize(size, Image.Resampling.BOX), np.float32)
