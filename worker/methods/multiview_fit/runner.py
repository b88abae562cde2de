# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of both methods (see ..method): which of the engines a network's name stands for. Brings torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...core.job import Job, Span
from ...core.representations import Field
from ..method import Task
from . import fit

GRID = "photos"
"""The network whose engine is the grid of our own; nerfstudio's are called as it calls them."""


def run(task: Task, loaded: None, job: Job | Span) -> Field:
    """The field that is fitted to the task's photos."""
    name, options = task.network.name, task.options
    engine = "grid" if name == GRID else name
    learned = (options.training, options.subject, task.device, task.weights, name, task.on_preview)
    return fit.fitted(task.inputs, engine, *learned, job)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Field:
    return fit.restored(arrays, task.inputs, task.device, job)
