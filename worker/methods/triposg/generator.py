# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs TripoSG on one thing, and asks its field: the runner of the method `triposg` (see ..method). Brings torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path

import numpy as np

from ...core.job import Job, Span
from ...core.representations import Field
from ...core.view import Window
from ...pictures.load import Picture
from ...pictures.padded import padded_on_white
from ...pictures.silhouette import solid_part
from ..matting import matte
from ..method import Network, Task
from ..runtime import devices, memory
from ..runtime.loading import loading
from . import files as triposg_files
from . import network as triposg
from .stages import Stages, surface

FOV, DISTANCE = 30.0, 4.3
"""Where the camera that took the picture is looked for: on the z axis, with that vertical field of view in degrees
over the square picture. The published files do not say what the training's was."""

TURNS = tuple((up, sideways) for up in (0.0, 25.0) for sideways in (-60.0, -30.0, 0.0, 30.0, 60.0) if up or sideways)
"""Where else: shapes stand upright and face the z axis, from wherever the photo saw them."""

NO_COLOUR = "TripoSG gives shapes without colour: the photo is laid onto what it shows"

_FACING = np.diag([1.0, -1.0, -1.0])  # the camera on the z axis that looks along -z, y up
_SHARES = (0.02, 0.95)  # of the time: until the picture is seen, until the shape is there


def load(network: Network, folder: Path, device: str, half: bool | None = None) -> Generator:
    """What is in `folder`; half: as suits the device. Quick: reads sizes only.

    Raises Unable, one sentence, if a file is missing, damaged or of another network.
    """
    chosen = devices.pick(device)
    with loading(folder):
        config = triposg_files.read_config(folder)
    return Generator(folder, config, chosen, chosen.type != "cpu" if half is None else half)


def run(task: Task, generator: Generator, job: Job | Span) -> Field:
    """The field of the thing in the task's picture."""
    memory.require(generator.device, generator.needed(), {})  # nothing is held between runs; all presets need the same
    job.report(0.0, "cutting the object out")
    picture, options = matte.without_background(task.picture, task.weights, task.network.name), task.options
    arrays = generator(picture, options.seed, options.steps, options.guidance, job.span(0.1, 1.0))
    return _field(arrays, task)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Field:
    return _field(arrays, task)


class Generator(Stages):
    """TripoSG's networks, of which nothing is loaded yet."""

    def __call__(
        self, picture: Picture, seed: int, steps: int, guidance: float, job: Job | Span
    ) -> dict[str, np.ndarray]:
        """What `_field` makes the field of a picture with an alpha of. The same seed gives the same shape.

        Raises Unable where the alpha shows no thing, or the networks give nothing finite; OutOfMemory.
        """
        alpha = solid_part(picture.alpha)
        white, window = padded_on_white(picture.rgb, alpha, triposg.MARGIN)
        embeds = self.seen(white, job.span(0.0, _SHARES[0]))
        start = triposg.noise(seed, triposg.TOKENS, self.config.flow.channels)
        latents = self.followed(start, embeds, self.config.levels(steps), guidance, job.span(*_SHARES))
        found = self.decoded(latents, job.span(_SHARES[1], 1.0))
        return {**found, "window": np.array(astuple(window)), "subject": alpha}


def _field(arrays: Mapping[str, np.ndarray], task: Task) -> Field:
    """The field that a Generator's arrays describe."""
    device, subject = devices.pick(task.device), arrays["subject"]
    window = Window(*map(int, arrays["window"]))
    camera = window.camera(subject.shape[1], subject.shape[0], FOV)
    pose = {"rotation": _FACING, "position": np.array([0.0, 0.0, DISTANCE]), "exact": False, "turns": TURNS}
    return Field(
        value=surface(arrays, device),
        colour=None,
        bounds=np.array([[-triposg.EXTENT] * 3, [triposg.EXTENT] * 3]),
        to_gltf=np.eye(3),
        arrays=lambda: arrays,
        views=(matte.thing_view(task.picture, subject, camera, **pose),),
        notes=(*matte.remarks(subject), NO_COLOUR),
    )
