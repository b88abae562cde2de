# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine learns several photos: the grid of our own, or one of nerfstudio's. Must not know how any of them does.

Imports torch and the engines on use only, so that describing what is offered takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...core.errors import MethodUnavailable
from ...core.job import Job, Span

if TYPE_CHECKING:
    import numpy as np

    from ...cameras.capture import Capture
    from .grid_training import Trained

NAMES = ("auto", "grid", "nerfacto", "neus-facto")

_ON_CUDA = {"fast": "grid", "balanced": "nerfacto", "high": "neus-facto"}
"""For each length of the training, what "auto" means on an NVIDIA card where nerfstudio is installed. All else is
learned with the grid, which is the fastest on a processor and works on Apple's chips too."""


def installed() -> bool:
    """Whether nerfstudio can be imported in this Python."""
    return find_spec("nerfstudio") is not None


def chosen(name: str, training: str, device: str) -> str:
    """The engine of that name, or what "auto" means here. device: a torch device's name, such as "cuda:0".

    Raises MethodUnavailable where nerfstudio is asked for and not here.
    """
    here = installed()
    if name == "auto":
        return _ON_CUDA[training] if here and device.startswith("cuda") else "grid"
    if name != "grid" and not here:
        raise MethodUnavailable(
            f"the engine {name} needs nerfstudio, which is not in this Python: run the worker in the environment "
            "nerf (`python3 -m envs run --name nerf ...`), or choose the engine auto or grid"
        )
    return name


def trained(
    engine: str,
    capture: Capture,
    training: str,
    job: Job | Span,
    on_preview: Callable[[np.ndarray], None],
    device: str,
) -> Trained:
    """What the engine (not "auto") learns of a capture, until its plan's end or until it is enough."""
    if engine == "grid":
        from . import grid_training

        plan = grid_training.PRESETS[training]
        return grid_training.train(capture, plan, job, on_preview, job.is_enough, device)
    from . import nerfstudio_training

    plan = nerfstudio_training.PLANS[training]
    return nerfstudio_training.train(capture, engine, plan, job, on_preview, job.is_enough, device)
