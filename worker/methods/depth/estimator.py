# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a depth network on one photo: the runner of the method (see ..method). Brings torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import DepthMap
from ...core.view import View
from ...pictures.load import Picture
from ..method import Network, Task
from ..runtime import devices, memory
from ..runtime.checkpoint import loading

DEFAULT_FOV = 55.0
"""Degrees across the longer side, where neither user nor EXIF say otherwise: between a phone's main camera (about 67)
and a portrait lens (about 40)."""


def load(network: Network, folder: Path, device: str) -> Estimator:
    """The network on its device. Raises Unable if it cannot be loaded."""
    with loading(folder):
        if network.file:
            from . import included

            module = included.load(folder)
            return _placed(module, device, module.config.size, included.MULTIPLE, metric=False)
        from . import depth_anything  # on use: transformers takes seconds

        module = depth_anything.load(folder)
        return _placed(module, device, 518, depth_anything.MULTIPLE, module.metric)


def run(task: Task, estimator: Estimator, job: Job | Span) -> DepthMap:
    """The depth map of the task's picture."""
    job.report(0.5, "estimating depth")
    return estimator(task.picture, task.options.detail, task.options.mirror, job.check)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> DepthMap:
    return DepthMap.from_arrays(arrays, _view(task.picture))


def _view(picture: Picture) -> View:
    return picture.view(DEFAULT_FOV)


@dataclass(frozen=True)
class Estimator:
    """A loaded network on its device. `best_size`: pixels of the photo's shorter side at which it sees best.

    The network takes (1, 3, h, w) sRGB in [0, 1], h and w multiples of `multiple`, and gives (1, h, w): metres where
    it is metric, else inverse depth up to scale and shift.
    """

    network: torch.nn.Module
    device: torch.device
    best_size: int
    multiple: int
    metric: bool

    def __call__(self, picture: Picture, detail: float, mirror: bool, check: Callable[[], None]) -> DepthMap:
        """The picture's depth map at the network's own size, `detail` times its best one.

        mirror: average with the mirrored photo's. check: called between the runs, may raise to stop.
        """
        rgb = picture.on_backdrop()
        values = self._run(rgb, detail)
        if mirror:
            check()
            values = (values + self._run(np.ascontiguousarray(rgb[:, ::-1]), detail)[:, ::-1]) / 2
        if not np.isfinite(values).all():
            raise Unable("the network gave no finite depth for this photo: choose another network")
        inverse = 1.0 / np.maximum(values, 1e-3) if self.metric else values - min(values.min(), 0.0)
        return DepthMap(inverse.astype(np.float32), self.metric, np.ones(inverse.shape, bool), _view(picture))

    def _run(self, rgb: np.ndarray, detail: float) -> np.ndarray:
        height, width = network_size(rgb.shape[:2], self.best_size * detail, self.multiple)
        with devices.memory_guard(self.device, memory.FASTER), torch.inference_mode():
            return self.network(_resized(rgb, height, width).to(self.device))[0].float().cpu().numpy()


def _placed(network: torch.nn.Module, device: str, best_size: int, multiple: int, metric: bool) -> Estimator:
    chosen = devices.pick(device)
    with devices.memory_guard(chosen):
        return Estimator(network.to(chosen), chosen, best_size, multiple, metric)


def network_size(picture: tuple[int, int], shorter: float, multiple: int) -> tuple[int, int]:
    """Height and width nearest to the picture's shape with that shorter side, both multiples of `multiple`.

    A picture longer than 2:1 gets fewer pixels, so that the cost stays within bounds.
    """
    scale = min(shorter / min(picture), 2.0 * shorter / max(picture))
    height, width = (max(multiple, round(side * scale / multiple) * multiple) for side in picture)
    return height, width


def _resized(rgb: np.ndarray, height: int, width: int) -> torch.Tensor:
    """(1, 3, height, width) float32 in [0, 1], bicubic, antialiased."""
    small = Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return torch.from_numpy(np.array(small, dtype=np.float32) / 255.0).permute(2, 0, 1)[None].contiguous()
