# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way of one `refine`: a mesh of anybody's, and a picture of the same thing -> the mesh as that shows it.

By its outline and its normals, for which no network is needed but those that ship (a fetched one that sees normals is
taken instead), or by a network that refines shapes (see refining_network.py). Knows pictures, methods' matting,
finish and the store; must not know pipes, threads, torch or how progress is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import Unable
from ..core.job import Job
from ..core.options import Value
from ..core.texts import path_of, readable
from ..core.view import View
from ..finish.asset import Asset, write
from ..finish.refined import opened, refined
from ..methods.matting import matte
from ..pictures.load import Picture, check_shows_something, load
from .facing import facing
from .generate import checked_output
from .refining_network import Refiner
from .request import Machine
from .subject import finder

FOV = 35.0
"""Degrees across the picture's longer side where it does not say: things are photographed from some way off."""


class Request(Protocol):
    """What is asked for; `wire.making.RefineParams` says what each means."""

    mesh: str
    picture: str
    output: str
    texture: int
    network: str
    preset: str
    options: dict[str, Value]


def refine(request: Request, machine: Machine, job: Job) -> dict[str, Any]:
    """Makes request.output, and returns the fields of `GenerateResult`, as JSON. Raises Unable and its kin."""
    output = checked_output(request.output)
    network = Refiner.of(request, machine) if request.network else None
    job.report(0.0, "reading")
    with job.timed("reading"):
        found = opened(path_of(request.mesh), request.texture)
        picture = load(path_of(request.picture), job.check)
        check_shows_something(picture)
    job.report(0.05, "cutting the object out")
    with job.timed("cutting out"):
        view = seen(picture, machine)
    with job.timed("normals"):
        view = facing(view, picture, machine, job.span(0.08, 0.1))
    make = partial(network, picture) if network else refined
    asset = make(found, view, request.texture, job.span(0.1, 0.95))
    job.report(0.95, "writing the GLB")
    with job.timed("writing"):
        write(asset, output, found.name)
    return facts(asset, found.name, "refine", output, [picture], job, network.name if network else "")


def seen(picture: Picture, machine: Machine) -> View:
    """The picture's view with the thing's mask. Raises Unable where it shows no thing."""
    if picture.background is None:
        thing = finder(machine.weights, machine.device)(picture)
        if thing is None:
            raise Unable(f"no object was found in {picture.name}: choose a photo of a single thing, or cut it out")
        picture = thing.cut_out(picture)
    alpha = matte.subject_alpha(picture, machine.weights, "")
    return matte.thing_view(picture, alpha, picture.view(FOV).camera, name=picture.name, exact=False)


def facts(
    asset: Asset, name: str, method: str, output: Path, pictures: Sequence[Picture], job: Job, network: str = ""
) -> dict[str, Any]:
    """What there is to say about an asset that was made of another one: the fields of `GenerateResult`, as JSON."""
    notes = (*(note for picture in pictures for note in picture.notes), *asset.warnings)
    return {
        "glb": str(output),
        "name": readable(name),
        "method": method,
        "network": network,
        "vertices": len(asset.mesh.vertices),
        "faces": len(asset.mesh.faces),
        "seconds": job.seconds,
        "from_cache": False,
        "cameras": [dataclasses.asdict(camera) | {"name": readable(camera.name)} for camera in asset.cameras],
        "warnings": [*map(readable, notes)],
    }
