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
from . import memory

_FULL = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "invalid buffer size")
"""What the errors of devices say: CUDA and its cuBLAS, Metal, and the CPU on Linux and on Windows."""


def pick(device: str) -> torch.device:
    """The device of that name, or for "auto" the fastest that works here. Raises Unable if it does not."""
    works = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device("cuda" if works["cuda"] else "mps" if works["mps"] else "cpu")
    if not works.get(device.split(":")[0], False):
        raise Unable(f"the device {device!r} does not work on this machine: choose auto or cpu")
    return torch.device(device)


@contextmanager
def memory_guard(device: torch.device, advice: str = memory.SMALLER) -> Iterator[None]:
    """Turns errors that say that memory is full, on any device, into OutOfMemory with that advice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_full(error):
            raise
        full = error.with_traceback(None)  # what the frames hold is what memory is full of
    else:
        return
    raise told(full, device, advice) from None


def is_full(error: BaseException) -> bool:
    """Whether an error says that memory is full. CUDA has a class for it, Metal and the CPU have words only."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _FULL)


def told(error: BaseException, device: torch.device, advice: str = memory.SMALLER) -> OutOfMemory:
    """What to tell of an error for which `is_full`; gives back what is held for nothing. The CPU's allocator may be the
    one that is full while another device works."""
    of_cpu = isinstance(error, MemoryError) or "cpuallocator" in str(error).lower()
    place = torch.device("cpu") if of_cpu else device
    release()
    free = memory.free(place)
    size = "" if free is None else f" ({free / 1e9:.1f} GB are free)"
    return OutOfMemory(f"{memory.named(place)} is too small for this{size}: {advice}", free=free)


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
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
