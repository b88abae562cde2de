# SPDX-License-Identifier: GPL-3.0-or-later
"""Several photos to splats: the runner of that method (see ...method). Brings torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import torch

from ....cameras.capture import TO_GLTF
from ....core.job import Job, Span
from ....core.representations import Splats
from ....core.view import View
from ...method import Task
from ...runtime import devices, memory
from ..fit import captured
from . import learn, rasterise


def run(task: Task, loaded: None, job: Job | Span) -> Splats:
    """The splats of what the task's inputs show, in glTF's axes, with the photos as their views. Raises as a field's
    runner does."""
    device = devices.pick(task.device)
    capture = captured(task, job.span(0.0, 0.1))
    with memory.guard(device, memory.FASTER):
        plan = learn.PRESETS[task.options.training]
        plan = dataclasses.replace(plan, most=task.options.splats or plan.most)
        learned = learn.learn(capture, plan, job.span(0.1, 1.0), device, task.on_preview, job.is_enough)
    return _with_views(learned.splats, capture.views, device)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Splats:
    """The same splats of their arrays and the same inputs."""
    capture = captured(task, job)
    return _with_views(Splats.from_arrays(arrays, ()), capture.views, devices.pick(task.device))


def _with_views(splats: Splats, views: tuple[View, ...], device: torch.device) -> Splats:
    turned = tuple(
        dataclasses.replace(view, rotation=view.rotation @ TO_GLTF.T, position=TO_GLTF @ view.position)
        for view in views
    )
    return dataclasses.replace(splats, views=turned, seen=_renderer(splats, device))


def _renderer(splats: Splats, device: torch.device) -> Callable[[View], tuple[np.ndarray, np.ndarray]]:
    values = (splats.centres, splats.scales, splats.rotations, splats.opacities)
    tensors = [torch.tensor(value, device=device) for value in values]

    def seen(view: View) -> tuple[np.ndarray, np.ndarray]:
        pixels = max(view.camera.width, view.camera.height)
        with torch.inference_mode():
            depth, opacity = rasterise.depth(rasterise.Camera.of(view, pixels, device), *tensors)
        return depth.cpu().numpy(), opacity.cpu().numpy()

    return seen
