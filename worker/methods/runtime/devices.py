# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device a network runs on, and what a lack of memory on it means. Imported on use, because it brings torch."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ...core.errors import OutOfMemory, Unable


def pick(device: str) -> torch.device:
    """The device of that name, or for "auto" the fastest that works here. Raises Unable if it does not."""
    works = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device("cuda" if works["cuda"] else "mps" if works["mps"] else "cpu")
    if not works.get(device.split(":")[0], False):
        raise Unable(f"the device {device!r} does not work on this machine: choose auto or cpu")
    return torch.device(device)


@contextmanager
def memory_guard(device: torch.device) -> Iterator[None]:
    """Turns torch's out-of-memory error, which names allocations, into ours, which says what to do."""
    try:
        yield
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info(device)
        size = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB"
        message = f"{device} has too little free memory ({size}): choose a faster preset"
        raise OutOfMemory(message, free=free) from None


def for_arrays(
    function: Callable[[Tensor], Tensor], device: torch.device, batch: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of points (N, 3) float32, computed on the device, `batch` points at once, for numpy's arrays."""

    def ask(points: np.ndarray) -> np.ndarray:
        asked = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
        with memory_guard(device), torch.inference_mode():
            return torch.cat([function(part.to(device)).cpu() for part in asked.split(batch)]).numpy()

    return ask


def release() -> None:
    """Gives cached device memory back to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
