# SPDX-License-Identifier: GPL-3.0-or-later
"""A video, or a range of it, to the depth of each frame: one field of view and one scale for all.

A network that sees one frame at a time says another field of view and another scale for each, so that the scene would
pump. Here the field of view is EXIF's, or the median of what it says of some frames, and the scale one (finish.steady).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.file_types import is_video
from ..core.job import Job, Span
from ..core.options import Value
from ..core.representations import DepthMap
from ..core.texts import path_of
from ..core.whole_file import WholeFile, made_folder
from ..finish.maps import depth_of, saved
from ..finish.steady import steadied
from ..methods import with_network
from ..methods.method import Task
from ..pictures.gather import Inputs
from ..pictures.load import Picture, load
from ..pictures.look import look
from ..pictures.video import every_frame
from .request import Machine
from .select import Subject, select, settings

PROBED = 5
"""Frames, evenly chosen, of whose fields of view the median is taken for all."""

FACTS = "sequence.json"

MOST, LONGEST = 600, 1280
"""Frames at a time, and pixels of a frame's longer side: 2.2 GB of colours, at 16:9, are held."""


class Request(Protocol):
    """What is asked for; `wire.making.SequenceParams` says what each means."""

    pictures: tuple[str, ...]
    folder: str
    preset: str
    network: str | None
    options: dict[str, Value]
    first: int
    last: int
    step: int


def sequence(request: Request, machine: Machine, job: Job) -> dict[str, Any]:
    """Writes the maps and the colours of each frame into request.folder; the fields of `SequenceResult`."""
    folder = path_of(request.folder)
    paths = [path_of(path) for path in request.pictures]
    frames = []
    for frame in _frames(paths, request, job.span(0.0, 0.1)):
        frames.append(_reduced(frame))
        if len(frames) > MOST:
            raise Unable(f"more than {MOST} frames are too many at a time: choose a range of them, or every second one")
    if len(sizes := {frame.rgb.shape for frame in frames}) > 1:
        told = " and ".join(f"{width} x {height}" for height, width, _ in sorted(sizes)[:2])
        raise Unable(f"frames must be of one size, and these are of {told} pixels: choose those of one video")
    if not frames:
        asked = f"{request.first} to {request.last}" if request.last else f"{request.first} and later"
        raise Unable(f"there is no frame in {asked}: choose others")
    made_folder(folder)
    seen = Seer.of(request, machine, frames[0])
    fov = seen.field_of_view(frames, job.span(0.1, 0.2))
    found = seen.maps(frames, fov, job.span(0.2, 0.8))
    found = steadied(found, [frame.rgb for frame in frames], job.span(0.8, 0.9))
    near = float(getattr(seen.finish, "near", 1.0))
    return _written(found, frames, folder, near, seen.network, job.span(0.9, 1.0))


def _frames(paths: list[Path], request: Request, job: Span) -> Iterator[Picture]:
    """The frames first, first + step, ... up to last (0: the end), counted from 1."""
    numbers = range(request.first, request.last + 1 if request.last else 1 << 31, request.step)
    if len(paths) == 1 and is_video(paths[0].name):
        yield from every_frame(paths[0], numbers, job)
        return
    found = look(paths)
    if found.cameras is not None:
        raise Unable(f"{found.cameras.name} lists cameras, not frames: choose the pictures beside it")
    chosen = [path for number, path in enumerate(found.pictures, 1) if number in numbers]
    for number, path in enumerate(chosen):
        job.report(number / len(chosen), "reading", f"frame {number + 1} of {len(chosen)}")
        yield load(path, job.check)


def _reduced(picture: Picture) -> Picture:
    height, width = picture.rgb.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    rgb = picture.on_backdrop() if scale == 1.0 else np.asarray(Image.fromarray(picture.on_backdrop()).resize(size))
    return dataclasses.replace(picture, rgb=rgb, alpha=None)


@dataclass(frozen=True)
class Seer:
    """The network that sees each frame, and how."""

    task: Task
    method: Any
    finish: Any

    @classmethod
    def of(cls, request: Request, machine: Machine, first: Picture) -> Seer:
        """Raises Invalid, Unable where no network for depth is meant."""
        wish = {**request.options, "subject": "scene"}
        choice = select(Subject(1, picture=first), "depth", request.network, wish, machine.weights)
        if choice.method.makes != "DepthMap":
            raise Unable(f"{choice.network.label} makes no depth of a scene: choose another network")
        values = settings(choice.method, request.preset, wish)
        inputs = Inputs((first,))
        task = Task(inputs, choice.network, values.method, machine.device, machine.weights)
        return cls(task, choice.method, values.finish)

    @property
    def network(self) -> str:
        return self.task.network.name

    def see(self, picture: Picture, job: Span) -> DepthMap:
        return self.method.run(dataclasses.replace(self.task, inputs=Inputs((picture,))), job)

    def field_of_view(self, frames: list[Picture], job: Span) -> float:
        """Degrees across the longer side for all frames: as set, as EXIF says, else the median of some."""
        if self.finish.fov or frames[0].fov_degrees:
            return self.finish.fov or frames[0].fov_degrees
        probed = [frames[at] for at in np.unique(np.linspace(0, len(frames) - 1, PROBED).round().astype(int))]
        parts = (job.span(number / len(probed), (number + 1) / len(probed)) for number in range(len(probed)))
        return float(np.median([self.see(frame, part).view.camera.fov_degrees for frame, part in zip(probed, parts)]))

    def maps(self, frames: list[Picture], fov: float, job: Span) -> list[DepthMap]:
        found = []
        for number, frame in enumerate(frames):
            job.report(number / len(frames), "estimating depth", f"frame {number + 1} of {len(frames)}")
            part = job.span(number / len(frames), (number + 1) / len(frames))
            found.append(self.see(dataclasses.replace(frame, fov_degrees=fov), part))
        return found


def _written(found: list[DepthMap], frames: list[Picture], folder: Path, near: float, network: str, job: Span) -> dict:
    every = depth_of(found, near)
    for number, (each, depth, frame) in enumerate(zip(found, every, frames), 1):
        job.report(number / len(found), "writing", f"frame {number} of {len(found)}")
        saved(each, depth, folder, f"{number:04d}")
        with WholeFile(folder / f"colour_{number:04d}.jpg") as file:
            Image.fromarray(frame.rgb).save(file, "JPEG", quality=92)
    camera = found[0].view.camera
    height, width = found[0].inverse_depth.shape
    size = {"width": camera.width, "height": camera.height, "map_width": width, "map_height": height}
    metric = bool(found[0].metric)
    facts = {"frames": len(found), "fov_degrees": camera.fov_degrees, **size, "metric": metric, "network": network}
    with WholeFile(folder / FACTS) as file:
        file.write(json.dumps(facts, indent=1).encode())
    label = with_network(network)[1].label
    return {**facts, "folder": str(folder), "label": label, "name": folder.name}
