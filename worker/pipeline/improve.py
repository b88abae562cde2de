# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way of one `improve`: a mesh of anybody's, and pictures of the same thing -> the mesh after rounds in which
the sides that no picture shows are painted, and shape and texture follow.

Knows pictures, methods' matting and repainters, finish and the store; must not know pipes, threads, torch or how
progress is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import Invalid, Unable
from ..core.job import Job, Span
from ..core.refining import IMPROVE, work_of
from ..core.repaint import Repainter
from ..core.texts import path_of, shortened
from ..core.view import View
from ..finish import improved
from ..finish.asset import write
from ..finish.improved import Plan
from ..finish.refined import Found, located, located_among, opened, painted
from ..finish.repainted import Patches
from ..methods.method import LOADED, OWN_LICENCE, Network
from ..methods.repaint import named, painter
from ..pictures.load import Picture, check_shows_something, load
from ..store import cache, folders
from ..store.timings import Timings
from .generate import checked_output
from .kept_rounds import KeptRounds, Standing, file_of
from .refine import facts, seen
from .request import Machine
from .rounds import EARLY, Loop, Round
from .select import kind_of
from .steps import Step, run

MOST_ROUNDS, MOST_PICTURES = 8, 24
INCLUDED = "included"

IMAGINED = "what no picture shows is imagined"
STAND_IN = "the painter that ships adds no more than the photo shows: a network that repaints makes more of it"
NOTHING = "nothing would have become better, so the shape stays as it was"


class Request(Protocol):
    """What is asked for; `wire.making.ImproveParams` says what each means."""

    mesh: str
    pictures: tuple[str, ...]
    output: str
    preset: str
    rounds: int
    repainter: str
    seed: int
    previews: str
    cached: bool


def improve(request: Request, machine: Machine, job: Job) -> dict[str, Any]:
    """Makes request.output, and returns the fields of `GenerateResult`, as JSON. Raises Unable and its kin. Rounds that
    were made before of the same, by the same code, are not made again."""
    if request.previews and not path_of(request.previews).is_dir():
        raise Unable(f"there is no folder {shortened(request.previews)}: make it first, or choose another")
    output, planned = checked_output(request.output), improved.plans(request.preset, request.rounds)
    network = None if request.repainter.lower() == INCLUDED else named(request.repainter)
    repainter = LOADED.get(network, machine.weights, machine.device, painter.load) if network else Patches()
    job.report(0.0, "reading")
    with job.timed("reading"):
        found = opened(path_of(request.mesh), planned[-1].texture)
        pictures = read(request.pictures, job)
    store = cache.Cache(machine.results) if request.cached else None
    kept = KeptRounds.of(path_of(request.mesh), planned, _told(request, network, machine, pictures), store)
    going = Going(request, found, pictures, machine, repainter, planned, kept)
    timings, kind = Timings(machine.results / folders.TIMINGS), kind_of_work(request, machine.device)
    ran = run(going.steps(), job, timings.of(kind))
    photos, last = ran.made.photos, ran.made.last
    if last.ended != EARLY:
        timings.add(kind, ran.seconds)
    asset = improved.finished(last.asset.mesh, photos, (*found.notes, *_said(request, last)))
    job.report(1.0, "writing the GLB")
    with job.timed("writing"):
        write(asset, output, found.name)
    if request.previews:
        kept.lay_out(last.number, Path(request.previews))
    key = kept.keys[last.number - 1] if last.number and store else ""
    made = {"key": key, "provenance": kept.provenance(last.number), "from_cache": not ran.seconds}
    return {**facts(asset, found.name, IMPROVE, output, pictures, job, kept.told["network"]), **made}


@dataclass(frozen=True, eq=False)
class Going:
    """One request with what was read for it: what its steps do."""

    request: Request
    found: Found
    pictures: Sequence[Picture]
    machine: Machine
    repainter: Repainter
    plans: Sequence[Plan]
    kept: KeptRounds

    def steps(self) -> list[Step]:
        """To the mesh as it is with the photos in their places, and then the rounds, the next twice as long."""
        rounds = [
            Step(f"round {n}", partial(self._round, n), partial(self._kept, n), partial(self._keep, n), 2.0**n)
            for n in range(1, len(self.plans) + 1)
        ]
        return [Step("begin", self._begin, usual=0.5), *rounds]

    def _begin(self, before: None, job: Span) -> Standing:
        with job.timed("cameras"):
            photos = self._placed(job.span(0.0, 0.6))
        with job.timed("texture"):
            whole, size = self.found.mesh.with_normals(), self.plans[0].texture
            start = improved.finished(painted(whole, self.found, photos[0], size, job.span(0.6, 1.0)), photos)
        return Standing(photos, self._loop(photos).begun(start))

    def _placed(self, job: Span) -> tuple[View, ...]:
        """Each picture's view before the mesh. Raises Unable where the first does not fit, or none of the others."""
        photos, alone = [], len(self.pictures) == 1
        for number, picture in enumerate(self.pictures):
            job.report(number / len(self.pictures), "finding the pictures' places")
            view = seen(picture, self.machine)
            photos.append(located(self.found, view)[0] if alone else located_among(self.found, view))
        return tuple(photos)

    def _loop(self, photos: Sequence[View]) -> Loop:
        if not self.repainter.draws:
            return Loop(photos, self.repainter, self.request.seed, None)
        from ..methods.multiview_fit.outlined import outlined_field  # brings torch

        return Loop(photos, self.repainter, self.request.seed, outlined_field)

    def _round(self, number: int, before: Standing, job: Span) -> Standing:
        with job.timed(f"round {number}"):
            made = self._loop(before.photos).after(before.last, self.plans[number - 1], job)
        if made.number > before.last.number and self.request.previews:
            path = Path(self.request.previews) / file_of(number)
            with contextlib.suppress(Unable):  # a look less: nothing is lost
                write(made.asset, path, self.found.name)
                job.show(path)
        return Standing(before.photos, made, job.seconds[f"round {number}"])

    def _kept(self, number: int, job: Span) -> Standing | None:
        if not self.kept.has(number):
            return None
        return self.kept.of_round(number, [seen(picture, self.machine) for picture in self.pictures])

    def _keep(self, number: int, made: Standing) -> None:
        self.kept.keep(number, made, self.found.name)


def kind_of_work(request: Request, device: str) -> str:
    """The name under which is remembered what such rounds took."""
    return kind_of(work_of(request.repainter), request.preset, device, len(request.pictures))


def _told(request: Request, network: Network | None, machine: Machine, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Of a provenance (`wire.making.Provenance`), what all rounds have in common."""
    return {
        "pictures": list(request.pictures),
        "digests": [picture.digest for picture in pictures],
        "category": "Improve",
        "method": IMPROVE,
        "network": f"{IMPROVE} with {network.name if network else INCLUDED}",
        "label": f"Improve with {network.label}" if network else "Improve",
        "licence": network.licence if network else OWN_LICENCE,
        "revision": network.revision(machine.weights) if network else "",
        "preset": request.preset,
        "options": {"seed": request.seed},
    }


def read(paths: Sequence[str], job: Job) -> list[Picture]:
    """The pictures. Raises Unable."""
    if not 1 <= len(paths) <= MOST_PICTURES:
        raise Invalid(f"choose 1 to {MOST_PICTURES} pictures of the thing, not {len(paths)}")
    pictures = [load(path_of(path), job.check) for path in paths]
    for picture in pictures:
        check_shows_something(picture)
    return pictures


def _said(request: Request, last: Round) -> tuple[str, ...]:
    stand_in = [STAND_IN] if request.repainter.lower() == INCLUDED else []
    return (*([last.ended] if last.ended else []), IMAGINED if last.number else NOTHING, *stand_in)
