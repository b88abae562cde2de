# SPDX-License-Identifier: GPL-3.0-or-later
"""Several photos and their cameras to a field: the thing cut out, a grid or one of nerfstudio's networks fitted.

The runner of both methods (see ..method). Brings torch. Must not know JSON or meshes.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np
import torch
from PIL import Image

from ...cameras.capture import Capture
from ...cameras.estimate import capture_of, views_of
from ...cameras.registration import Registration
from ...cameras.sfm.failures import too_few_placed
from ...core.errors import MethodUnavailable, Unsure
from ...core.job import Job, Span
from ...core.representations import Field
from ...core.view import View
from ..method import Task
from ..runtime import devices, memory
from . import grid_result, grid_training
from .grid_model import Model
from .mattes import cut_out
from .training import Trained

GRID = "photos"
"""The network that is a grid of our own; the others are nerfstudio's."""

ENOUGH = 2 / 3
"""Of the photos that were chosen: where fewer have found their place, one is asked before a mesh is made of them."""


def run(task: Task, loaded: None, job: Job | Span) -> Field:
    """The field of what the task's inputs show, with the straightened photos as its views.

    Ends early with what there is where the job says that it is enough. Raises MethodUnavailable where the network is
    not installed, Unable where there is no thing where one is meant, Unsure where few photos have a camera.
    """
    require(task.network.name)
    device = devices.pick(task.device)
    capture = captured(task, job.span(0.0, 0.1))
    with memory.guard(device, memory.FASTER):
        trained = _trained(task, capture, device, job.span(0.1, 1.0))
    return _field(trained.model, trained.gains, task.cameras.posed_as(capture.views), capture.views, capture.notes)


def captured(task: Task, job: Job | Span) -> Capture:
    """The photos with their cameras, the thing cut out where it is meant. Raises Unable and Unsure as `run`."""
    _require_enough(task.cameras, task)
    capture = capture_of(task.inputs, task.cameras, job.span(0.0, 0.4))
    job.report(0.4, "cutting the object out")
    return cut_out(capture, task.options.subject, task.weights, task.network.name)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Field:
    """The same field of its arrays and the same inputs: whose pixels are read and straightened again."""
    registration = Registration.from_arrays(arrays)
    _require_enough(registration, task)
    views = tuple(
        dataclasses.replace(view, mask=_decoded(arrays[f"mask{number}"]) if f"mask{number}" in arrays else None)
        for number, view in enumerate(views_of(task.inputs, registration, job))
    )
    model = grid_result.restored(arrays, devices.pick(task.device))
    return _field(model, arrays["gains"], registration, views, tuple(arrays["notes"].tolist()))


def require(network: str) -> None:
    """Raises MethodUnavailable where the network needs what is not in this Python."""
    if network != GRID and find_spec("nerfstudio") is None:
        raise MethodUnavailable(
            f"the network {network} needs nerfstudio, which is not in this Python: run the worker in the environment "
            f"nerf (`python3 -m envs run --name nerf ...`), or choose the network {GRID}"
        )


def _require_enough(cameras: Registration, task: Task) -> None:
    pictures = task.inputs.pictures  # none of a list, whose pictures somebody has placed
    if not task.options.allow_partial and len(cameras.pictures) < ENOUGH * len(pictures):
        names = [picture.name for picture in pictures]
        raise Unsure(too_few_placed(names, cameras.pictures), "allow_partial")


def _trained(task: Task, capture: Capture, device: torch.device, job: Span) -> Trained:
    name, training = task.network.name, task.options.training
    if name == GRID:
        plan = grid_training.PRESETS[training]
        return grid_training.train(capture, plan, job, device, task.on_preview, job.is_enough)
    from . import nerfstudio_training  # where nerfstudio is installed

    plan = nerfstudio_training.PLANS[training]
    return nerfstudio_training.train(capture, name, plan, job, device, task.on_preview, job.is_enough)


def _field(
    model: Model, gains: np.ndarray, registration: Registration, views: tuple[View, ...], notes: tuple[str, ...]
) -> Field:
    """registration: of the views as they are posed. gains: as in Trained."""

    def more() -> dict[str, np.ndarray]:
        masks = {f"mask{k}": _encoded(view.mask) for k, view in enumerate(views) if view.mask is not None}
        return {**registration.to_arrays(), **masks, "gains": gains, "notes": np.array(notes, np.str_)}

    even = tuple(_evened(view, gain) for view, gain in zip(views, gains, strict=True))
    return grid_result.field(model, even, notes, more)


def _evened(view: View, gain: np.ndarray) -> View:
    """The view with the exposure of what was learned, or seams show where photos meet. gain: (3,)."""
    return dataclasses.replace(view, rgb=np.rint(np.clip(view.rgb / gain, 0.0, 255.0)).astype(np.uint8))


def _encoded(mask: np.ndarray) -> np.ndarray:
    """A mask as the bytes of a PNG file, (N,) uint8."""
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return np.frombuffer(stream.getvalue(), np.uint8)


def _decoded(data: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data.tobytes())))
