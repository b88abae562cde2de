# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a depth network on one photo. Imported by the Depth backend on use, because it brings torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError

from ...core.errors import Unable
from ...core.representations import DepthMap
from ..runtime import devices


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

    def __call__(self, rgb: np.ndarray, detail: float, mirror: bool, check: Callable[[], None]) -> DepthMap:
        """The depth map of (H, W, 3) uint8 at the network's own size, `detail` times its best one.

        mirror: average with the mirrored photo's. check: called between the runs, may raise to stop.
        """
        values = self._run(rgb, detail)
        if mirror:
            check()
            values = (values + self._run(np.ascontiguousarray(rgb[:, ::-1]), detail)[:, ::-1]) / 2
        if not np.isfinite(values).all():
            raise Unable("the network gave no finite depth for this photo: choose another network")
        inverse = 1.0 / np.maximum(values, 1e-3) if self.metric else values - min(values.min(), 0.0)
        return DepthMap(inverse.astype(np.float32), self.metric, np.ones(inverse.shape, bool))

    def _run(self, rgb: np.ndarray, detail: float) -> np.ndarray:
        height, width = network_size(rgb.shape[:2], self.best_size * detail, self.multiple)
        with devices.memory_guard(self.device), torch.inference_mode():
            return self.network(_resized(rgb, height, width).to(self.device))[0].float().cpu().numpy()


def load_included(path: Path, device: str) -> Estimator:
    from . import included as included_depth

    network = included_depth.load(path)
    return _placed(network, device, network.config.size, included_depth.MULTIPLE, metric=False)


def load_depth_anything(folder: Path, device: str) -> Estimator:
    """Raises Unable if the files in `folder` cannot be loaded."""
    from . import depth_anything

    try:
        network = depth_anything.load(folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        message = f"the weights in {folder} cannot be loaded ({reason}): remove that folder and download again"
        raise Unable(message) from None
    return _placed(network, device, 518, depth_anything.MULTIPLE, network.metric)


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
