# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory is free on a device, told before work that would not fit is begun; and what is told where it is full.

Devices are torch's, or their names: what runs on the processor without torch need not bring it. Must not know what the
memory is for.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ...core.errors import OutOfMemory
from ...core.free_memory import available

if TYPE_CHECKING:  # only named here
    import torch

    Device = torch.device | str

RESERVE = 1 << 29
"""Bytes that are left to everything else on a computer's own memory."""

SMALLER = "close other programs, or choose a smaller model"
"""What helps where no preset changes what is needed."""

FASTER = "choose a faster preset, or close other programs"
"""What helps where presets need differently."""

_FULL = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "invalid buffer size")
"""What the errors of devices say: CUDA and its cuBLAS, Metal, and the CPU on Linux and on Windows."""


def named(device: Device) -> str:
    """The memory, in a sentence."""
    return "the computer's memory" if _kind(device) == "cpu" else f"the memory of {device}"


def _kind(device: Device) -> str:
    return str(device).partition(":")[0]


def free(device: Device) -> int | None:
    """Bytes that a job could get on the device, or None where nobody says."""
    torch = sys.modules.get("torch")  # which knows the device, if it is any but the processor
    if torch and _kind(device) == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if torch and _kind(device) == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    there = available()
    return None if there is None else max(there - RESERVE, 0)


def fits(device: Device, needed: int) -> bool:
    """Whether `needed` bytes are free on the device. Where nobody says, they are not."""
    there = free(device)
    return there is not None and needed <= there


def require(device: Device, needed: int, presets: Mapping[str, int]) -> None:
    """Raises OutOfMemory where `needed` bytes are not free. presets: the bytes that each would take, the best last; the
    best one that fits is named."""
    there = free(device)
    if there is None or needed <= there:
        return
    fitting = [name for name, bytes in presets.items() if bytes <= there]
    advice = f"choose the preset {fitting[-1]}" if fitting else SMALLER
    message = (
        f"this needs about {needed / 1e9:.1f} GB of {named(device)}, of which {there / 1e9:.1f} GB are free: {advice}"
    )
    raise OutOfMemory(message, needed, there)


@contextmanager
def guard(device: Device, advice: str = SMALLER) -> Iterator[None]:
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
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _FULL)


def told(error: BaseException, device: Device, advice: str = SMALLER) -> OutOfMemory:
    """What to tell of an error for which `is_full`; gives back what is held for nothing. The CPU's allocator may be the
    one that is full while another device works."""
    of_cpu = isinstance(error, MemoryError) or "cpuallocator" in str(error).lower()
    place = "cpu" if of_cpu else device
    release()
    there = free(place)
    size = "" if there is None else f" ({there / 1e9:.1f} GB are free)"
    return OutOfMemory(f"{named(place)} is too small for this{size}: {advice}", free=there)


def release() -> None:
    """Gives what is held for nothing back to the system: devices' caches, and what the C library keeps between arrays
    of some megabytes that are still used, which after a shape was cut out of 32 photos was half of all."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # glibc has it, musl has not
            ctypes.CDLL(None).malloc_trim(0)
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch and torch.backends.mps.is_available():
        torch.mps.empty_cache()
