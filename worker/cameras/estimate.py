# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the user chose to cameras, and from cameras to a capture: the two entrances to this room.

Must not know how cameras are read or found, only who does it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..core.job import Job, Span
from ..core.view import View
from ..pictures.gather import Inputs
from ..pictures.load import load
from .capture import Capture
from .extent import extent
from .lens import straightened
from .orient import upright
from .outline import outlines
from .readers import middlebury, transforms
from .registration import Registration
from .sfm import reconstruct


def registered(inputs: Inputs, job: Job | Span, threads: int = reconstruct.THREADS) -> Registration:
    """The cameras of the inputs' pictures: found, or read where somebody has written them down.

    Raises Unable, with one sentence, where there is nothing to be made of them.
    """
    if inputs.cameras is None:
        return reconstruct.registered(inputs.pictures, inputs.ordered, job, threads)
    read = transforms.read if inputs.cameras.suffix.lower() == ".json" else middlebury.read
    return read(inputs.cameras, job)


def views_of(inputs: Inputs, registration: Registration, job: Job | Span) -> tuple[View, ...]:
    """The registered pictures as a pinhole camera sees them, in the registration's world; the same each time.

    One picture of a list of cameras is read at a time. Raises Unable where one cannot be read.
    """
    views, poses = [], zip(registration.lenses, registration.rotations, registration.positions)
    for number, (source, (lens, rotation, position)) in enumerate(zip(registration.pictures, poses)):
        job.report(
            number / len(registration.pictures),
            "straightening",
            f"picture {number + 1} of {len(registration.pictures)}",
        )
        picture = inputs.pictures[source] if isinstance(source, int) else load(inputs.cameras.parent / source)
        height, width = picture.rgb.shape[:2]
        rgb, mask, camera = straightened(picture.rgb, picture.alpha, lens.scaled(width, height))
        views.append(View(camera, rotation, position, rgb, mask, picture.name))
    return tuple(views)


def capture_of(inputs: Inputs, registration: Registration, job: Job | Span) -> Capture:
    """The registered pictures straightened, in a world that stands upright around the thing and has its size."""
    turn = upright(registration.rotations, registration.positions, registration.axes_given)
    views = [_turned(view, turn) for view in views_of(inputs, registration, job)]
    points = registration.points @ turn.T
    box, unbounded = extent(views, outlines([(v.rgb, v.mask) for v in views]), points, registration.sightings)
    return Capture(tuple(views), points, box, unbounded, registration.notes).reframed(box)


def _turned(view: View, turn: np.ndarray) -> View:
    return dataclasses.replace(view, rotation=view.rotation @ turn.T, position=turn @ view.position)
