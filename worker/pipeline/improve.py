# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way of one `improve`: a mesh of anybody's, and pictures of the same thing -> the mesh after rounds in which
the sides that no picture shows are painted, and shape and texture follow.

Knows pictures, methods' matting and repainters, finish and the store; must not know pipes, threads, torch or how
progress is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import Invalid, Unable
from ..core.job import Job
from ..core.repaint import Repainter
from ..core.texts import path_of, shortened
from ..core.view import View
from ..finish import improved
from ..finish.asset import write
from ..finish.refined import Found, located, opened, painted
from ..finish.repainted import Patches
from ..methods.method import LOADED
from ..methods.repaint import named, painter
from ..pictures.load import Picture, check_shows_something, load
from .generate import checked_output
from .refine import facts, seen
from .rounds import Round, rounds
from .work import Machine

MOST_ROUNDS, MOST_PICTURES = 8, 24
INCLUDED = "included"

IMAGINED = "what no picture shows is imagined"
STAND_IN = "the painter that ships adds no more than the photo shows: a network that repaints makes more of it"
NOTHING = "nothing would have become better, so the shape stays as it was"


class Request(Protocol):
    """What is asked for; `wire.protocol.ImproveParams` says what each means."""

    mesh: str
    pictures: tuple[str, ...]
    output: str
    preset: str
    rounds: int
    repainter: str
    seed: int
    previews: str


def improve(request: Request, machine: Machine, job: Job) -> dict[str, Any]:
    """Makes request.output, and returns the fields of `GenerateResult`, as JSON. Raises Unable and its kin."""
    if request.previews and not path_of(request.previews).is_dir():
        raise Unable(f"there is no folder {shortened(request.previews)}: make it first, or choose another")
    output, planned = checked_output(request.output), improved.plans(request.preset, request.rounds)
    repainter = repainter_named(request.repainter, machine)
    job.report(0.0, "reading")
    with job.timed("reading"):
        found = opened(path_of(request.mesh), planned[-1].texture)
        pictures = read(request.pictures, job)
    with job.timed("cameras"):
        photos = _placed(found, pictures, machine, job)
    with job.timed("texture"):
        mesh = painted(found.mesh.with_normals(), found, photos[0], planned[0].texture, job.span(0.1, 0.15))
        start = improved.finished(mesh, photos)
    with job.timed("rounds"):
        last, why = rounds(
            start, photos, planned, repainter, request.seed, job.span(0.15, 0.98), _offerer(request, found.name, job)
        )
    asset = improved.finished(last.asset.mesh, photos, (*found.notes, *_said(request, last.asset is start, why)))
    job.report(0.98, "writing the GLB")
    with job.timed("writing"):
        write(asset, output, found.name)
    return facts(asset, found.name, "improve", output, pictures, job)


def repainter_named(name: str, machine: Machine) -> Repainter:
    """The one that ships, or a network's. Raises Invalid where there is none of that name, WeightsMissing."""
    if name.lower() == INCLUDED:
        return Patches()
    return LOADED.get(named(name), machine.weights, machine.device, painter.load)


def read(paths: Sequence[str], job: Job) -> list[Picture]:
    """The pictures. Raises Unable."""
    if not 1 <= len(paths) <= MOST_PICTURES:
        raise Invalid(f"choose 1 to {MOST_PICTURES} pictures of the thing, not {len(paths)}")
    pictures = [load(path_of(path), job.check) for path in paths]
    for picture in pictures:
        check_shows_something(picture)
    return pictures


def _placed(found: Found, pictures: Sequence[Picture], machine: Machine, job: Job) -> list[View]:
    """Each picture's view before the mesh. Raises Unable where the first does not fit, or none of the others."""
    photos = []
    for number, picture in enumerate(pictures):
        job.report(0.02 + 0.08 * number / len(pictures), "finding the pictures' places")
        photos.append(located(found, seen(picture, machine))[0])
    return photos


def _offerer(request: Request, name: str, job: Job) -> Any:
    """Writes what each round leaves into the folder for previews, and tells of it."""

    def offer(number: int, made: Round) -> None:
        path = Path(request.previews) / f"round-{number}.glb"
        with contextlib.suppress(Unable):  # a look less: nothing is lost
            write(made.asset, path, name)
            job.show(path)

    return offer if request.previews else lambda number, made: None


def _said(request: Request, unchanged: bool, why: str) -> tuple[str, ...]:
    stand_in = [STAND_IN] if request.repainter.lower() == INCLUDED else []
    return (*([why] if why else []), NOTHING if unchanged else IMAGINED, *stand_in)
