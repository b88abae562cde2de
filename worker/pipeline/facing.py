# SPDX-License-Identifier: GPL-3.0-or-later
"""The normals of a thing in a picture, by the best network that is here: a fetched depth network that sees normals, or
the included network for things. Knows the table of methods and finish; must not know meshes, pipes or torch.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.view import View
from ..finish.facing import of_depth, of_layers
from ..methods import with_network
from ..methods.method import Task
from ..pictures.gather import Inputs
from ..pictures.load import Picture
from .request import Machine
from .select import Choice

INCLUDED = "included-object"
SEES_NORMALS = "moge-2-large", "moge-2-base", "moge-2"  # of the depth networks that are fetched, best first


def facing(view: View, picture: Picture, machine: Machine, job: Job | Span) -> View:
    """The view of a picture, with the thing's mask, and with its normals where a network sees any."""
    try:
        normals = _fetched(view, picture, machine, job)
        if normals is None:
            normals = of_layers(
                _seen(Choice(*with_network(INCLUDED)), replace(picture, alpha=view.mask), machine, job), view
            )
    except Unable:
        return view
    return replace(view, normals=normals) if np.isfinite(normals).all() and normals.any() else view


def _fetched(view: View, picture: Picture, machine: Machine, job: Job | Span) -> np.ndarray | None:
    for choice in (Choice(*with_network(name)) for name in SEES_NORMALS):
        if choice.network.is_here(machine.weights):
            with contextlib.suppress(Unable):  # then by the included one
                return of_depth(_seen(choice, picture, machine, job), view)
    return None


def _seen(choice: Choice, picture: Picture, machine: Machine, job: Job | Span) -> object:
    options = choice.method.options()
    task = Task(Inputs((picture,)), choice.network, options, machine.device, machine.weights)
    return choice.method.run(task, job)
