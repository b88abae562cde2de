# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the user chose to cameras, and from cameras to a capture: the two entrances to this room.

Must not know how cameras are read or found, only who does it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.file_types import COLMAP_IMAGES
from ..core.job import Job, Span
from ..core.view import View
from ..pictures.gather import LONGEST_SIDE, MOST_PIXELS, Inputs
from ..pictures.load import Picture, load
from ..pictures.look import folder_of_listed
from .capture import Capture
from .extent import extent
from .lens import straightened
from .orient import upright
from .outline import outlines
from .readers import colmap, middlebury, transforms
from .readers.exif_turn import turned
from .registration import Registration

_FAR = 100.0  # times the cameras' spread that they may be from the origin
_ONE_PLACE = 1e-9  # of their distance from the origin: what is nearer to one another cannot be told apart


def registered(inputs: Inputs, job: Job | Span, threads: int | None = None) -> Registration:
    """The cameras of the inputs' pictures: found, by so many threads or as many as fit, or read where somebody has
    written them down.

    Raises Unable, with one sentence, where there is nothing to be made of them.
    """
    if inputs.cameras is None:
        from .sfm import reconstruct  # on use: one picture needs none of it, and it brings scipy.optimize

        return reconstruct.registered(inputs.pictures, inputs.ordered, job, threads or reconstruct.THREADS)
    name = inputs.cameras.name.lower()
    reader = transforms if name.endswith(".json") else colmap if name in COLMAP_IMAGES else middlebury
    return _centred(reader.read(inputs.cameras, job), inputs.cameras.name)


def _centred(found: Registration, name: str) -> Registration:
    """The same near the origin, where all digits of its numbers tell something: maps put the origin far away. Raises
    Unable where all cameras stand in one place."""
    middle = found.positions.mean(0)
    spread, away = np.linalg.norm(found.positions - middle, axis=1).max(), np.linalg.norm(middle)
    if spread <= _ONE_PLACE * max(away, 1.0):
        raise Unable(f"all cameras of {name} stand in one place, which tells no depth: write its matrices again")
    if away <= _FAR * spread:
        return found
    return dataclasses.replace(found, positions=found.positions - middle, points=found.points - middle)


def views_of(inputs: Inputs, registration: Registration, job: Job | Span) -> tuple[View, ...]:
    """The registered pictures as a pinhole camera sees them, in the registration's world; the same each time.

    One picture of a list of cameras is read at a time. Raises Unable where one cannot be read.
    """
    views, poses = [], zip(registration.lenses, registration.rotations, registration.positions)
    for number, (lens, rotation, position) in enumerate(poses):
        job.report(
            number / len(registration.pictures),
            "straightening",
            f"picture {number + 1} of {len(registration.pictures)}",
        )
        picture = _picture(inputs, registration, number)
        height, width = picture.rgb.shape[:2]
        rgb, mask, camera = straightened(picture.rgb, picture.alpha, lens.scaled(width, height))
        views.append(View(camera, rotation, position, rgb, mask, picture.name))
    return tuple(views)


def capture_of(inputs: Inputs, registration: Registration, job: Job | Span) -> Capture:
    """The registered pictures straightened, in a world that stands upright around the thing and has its size."""
    turn = upright(registration.listed_rotations, registration.positions, registration.axes_given)
    views = [_turned(view, turn) for view in views_of(inputs, registration, job)]
    points = registration.points @ turn.T
    box, unbounded = extent(views, outlines([(v.rgb, v.mask) for v in views]), points, registration.sightings)
    return Capture(tuple(views), points, box, unbounded, registration.notes).reframed(box)


def _picture(inputs: Inputs, registration: Registration, number: int) -> Picture:
    """A registered picture, a listed one with its mask and within the bounds that pictures of a folder have."""
    source = registration.pictures[number]
    if isinstance(source, int):
        return inputs.pictures[source]
    folder, count = folder_of_listed(inputs.cameras), len(registration.pictures)
    picture = load(folder / source)
    if registration.masks and (mask := registration.masks[number]):
        picture = dataclasses.replace(picture, alpha=_masked(picture, load(folder / mask.file), mask.turn))
    side = min(LONGEST_SIDE, (MOST_PIXELS / count * 4.0 / 3.0) ** 0.5)
    height, width = picture.rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1.0:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    alpha = None if picture.alpha is None else resized(picture.alpha, size, Image.Resampling.BOX)
    return dataclasses.replace(picture, rgb=resized(picture.rgb, size, Image.Resampling.LANCZOS), alpha=alpha)


def _masked(picture: Picture, mask: Picture, turn: int) -> np.ndarray | None:
    """(H, W) uint8, the picture's alpha within its mask, which is bright where the thing is; None where that is all."""
    height, width = picture.rgb.shape[:2]
    bright = mask.rgb.max(2) if mask.alpha is None else np.minimum(mask.rgb.max(2), mask.alpha)
    bright = turned(bright * 255 if bright.max() <= 1 else bright, turn)  # some write 1 for what is there
    alpha = resized(bright, (width, height), Image.Resampling.BOX)
    alpha = alpha if picture.alpha is None else np.minimum(alpha, picture.alpha)
    return None if alpha.min() == 255 else alpha


def resized(values: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    """Pixels (h, w) or (h, w, 3) uint8 at `size`, width and height."""
    return np.asarray(Image.fromarray(values).resize(size, how))


def _turned(view: View, turn: np.ndarray) -> View:
    return dataclasses.replace(view, rotation=view.rotation @ turn.T, position=turn @ view.position)
