# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device a network runs on. Imported on use, because it brings torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...core.errors import Unable
from . import memory


def pick(device: str) -> torch.device:
    """The device of that name, or for "auto" the fastest that works here. Raises Unable if it does not."""
    works = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device("cuda" if works["cuda"] else "mps" if works["mps"] else "cpu")
    if not works.get(device.split(":")[0], False):
        raise Unable(f"the device {device!r} does not work on this machine: choose auto or cpu")
    return torch.device(device)


def for_arrays(
    function: Callable[[Tensor], Tensor], device: torch.device, batch: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of points (N, 3) float32, computed on the device, `batch` points at once, for numpy's arrays."""

    def ask(points: np.ndarray) -> np.ndarray:
        asked = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
        with memory.guard(device), torch.inference_mode():
            return torch.cat([function(part.to(device)).cpu() for part in asked.split(batch)]).numpy()

    return ask
