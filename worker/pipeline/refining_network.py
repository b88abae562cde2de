# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh of anybody's refined by a network of the table that can: camera and depth first, then the network, then the
surface in the old place. Knows the table of methods and finish; must not know pipes or torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..core.errors import Invalid, Unable
from ..core.job import Span
from ..core.options import Value
from ..core.representations import Begun
from ..core.texts import shortened
from ..core.view import View
from ..finish.asset import Asset
from ..finish.field import surface
from ..finish.refined import Found, located, remade, shown
from ..methods import all_methods
from ..methods.method import Task
from ..pictures.gather import Inputs
from ..pictures.load import Picture
from .request import Machine
from .select import Choice, Settings, settings

NO_DEPTH = "no depth network was fetched, so nothing but the picture and the mesh tells the network what is seen"
UNLIKE = "the picture's depth does not agree with the mesh, so it was left out"


class Request(Protocol):
    network: str
    preset: str
    options: dict[str, Value]


@dataclass(frozen=True)
class Refiner:
    """A network that refines shapes, with the options that were asked for."""

    choice: Choice
    wanted: Settings
    machine: Machine

    @classmethod
    def of(cls, request: Request, machine: Machine) -> Refiner:
        """By the network's own name or that of its weights. Raises Invalid where there is none, WeightsMissing and its
        kin where it is not here."""
        rows = [Choice(method, row) for method in all_methods() if method.refines for row in method.networks]
        for choice in rows:
            if request.network.lower() in (choice.network.name.lower(), choice.network.kept.lower()):
                wanted = settings(choice.method, request.preset, request.options)
                choice.network.folder(machine.weights)
                return cls(choice, wanted, machine)
        names = ", ".join(choice.network.kept for choice in rows)
        raise Invalid(f"there is no network {shortened(request.network)!r} that refines a mesh: choose {names}")

    @property
    def name(self) -> str:
        return self.choice.network.name

    def __call__(self, picture: Picture, found: Found, view: View, texture: int, job: Span) -> Asset:
        """The mesh as the network makes it, where it was. view: the picture's, with the thing's mask. Raises Unable
        where the outlines do not fit, and its kin."""
        job.report(0.0, "finding the picture's place")
        with job.timed("camera"):
            view, iou = located(found, view, job.check)
        with job.timed("depth"):
            points, notes = self._depth(picture, found, view, job.span(0.05, 0.1))
        known = Begun(found.mesh.vertices.astype(np.float64), found.mesh.faces, view, points)
        inputs = Inputs((replace(picture, alpha=view.mask),))
        with job.timed("network"):
            field = self.choice.method.run(
                self._task(inputs, self.choice, self.wanted.method, known), job.span(0.1, 0.8)
            )
        with job.timed("surface"):
            mesh = surface(field, self.wanted.finish, job.span(0.8, 0.9))
        asset = remade(found, mesh, view, iou, texture, job.span(0.9, 1.0))
        return replace(asset, warnings=(*asset.warnings, *notes))

    def _depth(self, picture: Picture, found: Found, view: View, job: Span) -> tuple[np.ndarray, tuple[str, ...]]:
        """Points (N, 3) of the surface that the best depth network shows which was fetched, and a sentence where there
        are none. The one that ships is too rough to refine anything by; without trust nobody asks."""
        nothing = np.zeros((0, 3))
        if not getattr(self.wanted.method, "trust", 0.0):
            return nothing, ()
        rows = [
            Choice(method, row) for method in all_methods() if method.makes == "DepthMap" for row in method.networks
        ]
        here = [each for each in rows if each.network.published and each.network.is_here(self.machine.weights)]
        if not here:
            return nothing, (NO_DEPTH,)
        best = max(here, key=lambda each: each.network.quality)
        try:
            depth = best.method.run(self._task(Inputs((picture,)), best, best.method.options()), job)
        except Unable as error:
            return nothing, (f"the depth network could not be used: {error}",)
        points = shown(depth, found, view)
        return (nothing, (UNLIKE,)) if points is None else (points, ())

    def _task(self, inputs: Inputs, choice: Choice, options: object, known: Begun | None = None) -> Task:
        return Task(inputs, choice.network, options, self.machine.device, self.machine.weights, known=known)
