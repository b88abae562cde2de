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


def stream(network: nn.Module, device: torch.device) -> None:
    """Brings a network to the device but for its blocks, of which each is there only while it runs: for a device that
    could not hold them all. Slower by the time that it takes to bring them."""
    blocks = list(_blocks(network))
    inside = {part for block in blocks for part in block.modules()}
    for module in (part for part in network.modules() if part not in inside):
        for name, parameter in module.named_parameters(recurse=False):
            module._parameters[name] = nn.Parameter(parameter.to(device), requires_grad=False)
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = buffer.to(device)
    for block in blocks:
        block.register_forward_pre_hook(lambda this, _: this.to(device) and None)
        block.register_forward_hook(lambda this, _given, _result: this.to("cpu") and None)


def _blocks(network: nn.Module) -> Iterable[nn.Module]:
    """The members of the outermost lists of modules."""
    for part in network.children():
        yield from part if isinstance(part, nn.ModuleList) else _blocks(part)
