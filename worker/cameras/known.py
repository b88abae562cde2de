# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures whose cameras are known, from wherever, to a capture: straightened, turned upright, brought to size.

Must not know who found the cameras: a file, a calibration or a reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.view import View
from ..pictures.load import Picture
from .capture import Capture, Shot
from .extent import extent
from .lens import Lens, straightened
from .orient import upright
from .outline import outline

OUTLINE_SHARE = 0.8
"""What a plain or dark backdrop tells of the thing's outline counts if at least this share of the pictures tell it."""


@dataclass(frozen=True, eq=False)
class Posed:
    """A picture and the camera that took it. rotation, position: as in representations.View, in any world."""

    picture: Picture
    lens: Lens
    rotation: np.ndarray
    position: np.ndarray


@dataclass(frozen=True, eq=False)
class Points:
    """Sparse points on surfaces. places: (P, 3) float64 in the cameras' world. sightings: (P,) int, in how many
    pictures each was found."""

    places: np.ndarray
    sightings: np.ndarray

    @classmethod
    def none(cls) -> Points:
        return cls(np.zeros((0, 3)), np.zeros(0, np.int64))


def captured(posed: Sequence[Posed], points: Points, notes: Sequence[str], given: bool, job: Job | Span) -> Capture:
    """The capture of pictures with known cameras, in its world of sensible axes and size.

    points: in the same world as the cameras. given: whether that world was chosen by somebody, whose axes are kept
    where they are sensible. Raises Unable if there are fewer than two pictures.
    """
    if len(posed) < 2:
        raise Unable("only one picture has a known camera: at least two are needed, and twenty or more are good")
    rotations, positions = np.stack([p.rotation for p in posed]), np.stack([p.position for p in posed])
    turn = upright(rotations, positions, given)
    pictures = []
    for number, shot in enumerate(posed):
        job.report(number / len(posed), "straightening", f"picture {number + 1} of {len(posed)}")
        pictures.append(straightened(shot.picture.rgb, shot.picture.alpha, shot.lens))
    views = [View(camera, p.rotation @ turn.T, turn @ p.position) for (*_, camera), p in zip(pictures, posed)]
    outlines = outlined([(rgb, alpha) for rgb, alpha, _ in pictures])
    places = points.places @ turn.T
    found = extent(views, outlines, places, points.sightings)
    middle, size = found.box.mean(0), float((found.box[1] - found.box[0]).max())
    shots = tuple(
        Shot(p.picture.name, rgb, alpha, View(v.camera, v.rotation, (v.position - middle) / size))
        for p, (rgb, alpha, _), v in zip(posed, pictures, views)
    )
    sparse = ((places - middle) / size).astype(np.float32)
    return Capture(shots, sparse, (found.box - middle) / size, found.unbounded, tuple(notes))


def outlined(pictures: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> list[np.ndarray | None]:
    """Where the thing is in each picture, (H, W) bool: from its alpha, or where almost all have a plain backdrop."""
    found = [alpha >= 128 if alpha is not None else outline(rgb) for rgb, alpha in pictures]
    enough = sum(shape is not None for shape in found) >= OUTLINE_SHARE * len(found)
    return [shape if enough or alpha is not None else None for shape, (_, alpha) in zip(found, pictures)]
