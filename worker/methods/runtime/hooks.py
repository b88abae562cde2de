# SPDX-License-Identifier: GPL-3.0-or-later
"""What running a large network needs, whatever network it is: being told after each part of it, and half precision.

Imported on use, because it brings torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def after_each(modules: Iterable[nn.Module], tell: Callable[[object], None]) -> Iterator[None]:
    """Calls `tell` with its result whenever one of the modules has run: it reports progress, and so hears a cancel."""
    handles = [module.register_forward_hook(lambda _module, _given, result: tell(result)) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def halve(network: nn.Module, device: torch.device) -> None:
    """Brings what is large to the device in half precision: all linear layers."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.to(device, torch.float16)
