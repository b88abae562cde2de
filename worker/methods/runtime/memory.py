# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory is free on a device, told before work that would not fit is begun.

Must not know what the memory is for. Imported on use, because it brings torch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ...core.errors import OutOfMemory
from ...core.free_memory import available

RESERVE = 1 << 29
"""Bytes that are left to everything else on a computer's own memory."""

SMALLER = "close other programs, or choose a smaller model"
"""What helps where no preset changes what is needed."""

FASTER = "choose a faster preset, or close other programs"
"""What helps where presets need differently."""


def named(device: torch.device) -> str:
    """The memory, in a sentence."""
    return "the computer's memory" if device.type == "cpu" else f"the memory of {device}"


def free(device: torch.device) -> int | None:
    """Bytes that a job could get on the device, or None where nobody says."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    there = available()
    return None if there is None else max(there - RESERVE, 0)


def fits(device: torch.device, needed: int) -> bool:
    """Whether `needed` bytes are free on the device. Where nobody says, they are not."""
    there = free(device)
    return there is not None and needed <= there


def require(device: torch.device, needed: int, presets: Mapping[str, int]) -> None:
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
