# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way of one `generate`, as a list of steps: pictures (-> cameras) -> representation -> asset -> GLB.

Knows pictures, the table of methods, finish and the store; must not know pipes, threads, torch or how progress is
shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.camera_info import CameraInfo
from ..core.errors import Unable
from ..core.file_types import SPLATS, result_ending
from ..core.job import Job, Span
from ..core.texts import path_of, shortened
from ..core.whole_file import WholeFile, checked_folder, writable_mode
from ..finish.photos import written
from ..finish.thumbnail import drawn_of
from ..pictures.gather import Inputs, gather
from ..pictures.load import Picture, check_shows_something, load
from ..pictures.look import is_collection, look
from ..store import cache, folders
from ..store.history import without_bookkeeping
from ..store.timings import Timings
from .request import Machine, Request
from .select import Subject, select
from .shown import THUMBNAIL, png_of
from .steps import Step, run
from .subject import Thing, finder
from .work import KEPT_SPLATS, PICTURES, Work

_EARLY = "learning was ended early, as you asked: it would have gone on to become finer"

READING = 0.02
"""Share of the bar in which pictures are read."""


def generate(request: Request, machine: Machine, job: Job) -> dict[str, Any]:
    """Makes request.output, and returns what there is to say about it: the fields of `GenerateResult`, as JSON.

    What was made before of the same, by the same code and weights, is not made again.
    """
    output = checked_output(request.output, SPLATS)
    for folder in filter(None, (request.previews, request.photos, request.maps, request.views)):
        checked_folder(path_of(folder))
    if request.thumbnail:
        _checked_file(path_of(request.thumbnail))
    with job.timed("reading"):
        inputs = read([path_of(path) for path in request.pictures], job.span(0.0, READING))
    store = cache.Cache(machine.results) if request.cached else None
    subject = Subject.of(inputs, finder(machine.weights, machine.device, store))
    choice = select(subject, request.category, request.network, request.options, machine.weights)
    work = Work.of(request, machine, inputs, choice, store, output, job)
    steps = [
        *([Step("cameras", work.find_cameras, work.kept_cameras, work.keep_cameras, usual=0.2)] * work.is_of_several),
        Step("network", work.represent, work.kept_representation, work.keep_representation, usual=0.6, improves=True),
        Step("mesh", work.finish, usual=0.35),
        Step("writing", work.write, work.kept_file, work.keep_file, usual=0.05),
    ]
    timings = Timings(machine.results / folders.TIMINGS)
    ran = run(steps, job, timings.of(work.kind))
    if not ran.ended_early:
        timings.add(work.kind, ran.seconds)
    made = ran.made
    if request.thumbnail:
        _draw(made, output, Path(request.thumbnail))
    if ran.ended_early:  # what is not kept has no key
        made = {**made, "warnings": [*made["warnings"], _EARLY], "key": ""}
    facts = with_photos(made, request.photos)
    return {**facts, "glb": str(output), "seconds": job.seconds, "from_cache": not ran.seconds}


def _draw(made: Mapping[str, Any], glb: Path, target: Path) -> None:
    """Writes the picture of what was made, now or before. Raises Unable."""
    content = made["thumbnails"][0] if "thumbnails" in made else png_of(_drawn_again(made, glb))
    try:
        with WholeFile(target) as file:
            file.write(content)
    except OSError as error:
        raise Unable(f"{target} could not be written ({error.strerror or error}): free space") from None


def _drawn_again(made: Mapping[str, Any], glb: Path) -> np.ndarray:
    return drawn_of(glb, THUMBNAIL, CameraInfo(**made["cameras"][0]) if made["cameras"] else None)


def looked_at(
    paths: list[Path], job: Job | Span, find: Callable[[Picture], Thing | None] = lambda picture: None
) -> Subject:
    """What is to be known of what was chosen before a network is taken: of several pictures their number will do.
    find: as for `Subject`."""
    if len(paths) != 1 or is_collection(paths[0]):
        found = look(paths)
        if found.cameras or found.count > 1:
            return Subject(found.count, bool(found.cameras))
    return Subject.of(read(paths, job), find)


def read(paths: list[Path], job: Job | Span) -> Inputs:
    """What was chosen: one picture as it is; several, a folder, a video or a list of cameras as `gather` reads them."""
    job.report(0.0, "reading")
    if len(paths) == 1 and not is_collection(paths[0]):
        picture = load(paths[0], job.check)
        check_shows_something(picture)
        return Inputs((picture,), False, None, picture.notes)
    return gather(paths, job)


def with_photos(made: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The facts with a file for each camera, where a folder was named; without, where they are not kept."""
    facts = {name: value for name, value in made.items() if name not in PICTURES}
    photos = made["photos"]
    if not folder or len(photos) != len(facts["cameras"]):
        return facts
    try:
        paths = written(photos, Path(folder))
    except OSError as error:
        missing = f"the photos of the cameras could not be written ({error.strerror or error})"
        return {**facts, "warnings": [*facts["warnings"], missing]}
    return {**facts, "cameras": [{**camera, "photo": str(path)} for camera, path in zip(facts["cameras"], paths)]}


def fetch(key: str, output: str, photos: str, results: Path) -> dict[str, Any]:
    """A kept result again: the fields of `GenerateResult`, as JSON. Raises Unable where it is there no more."""
    path, store = checked_output(output), cache.Cache(results)
    if photos:
        path_of(photos)
    facts = store.load_glb(key, path) if key.isalnum() else None
    if facts is None:
        raise Unable("that result is not kept any more: make it again")
    if facts.get("splats"):
        path = _as_splats(path)
    kept = (store.load_arrays(facts.get("photos_key", "")) if photos else None) or {}
    found = with_photos({**without_bookkeeping(facts), "photos": kept}, photos)
    return {**found, "glb": str(path), "seconds": {}, "from_cache": True}


def _as_splats(path: Path) -> Path:
    """Calls a file what it is. Raises Unable where another is called so."""
    target = path.with_suffix(KEPT_SPLATS)
    if target.exists():
        path.unlink(missing_ok=True)
        raise Unable(f"{target} is not overwritten, and the result is splats: choose another name")
    return path.replace(target)


def checked_output(output: str, splats: Collection[str] = ()) -> Path:
    """The path to write to, checked before any work is done for it. A link is followed. splats: endings that are
    allowed beside a GLB's."""
    path = path_of(output)
    if result_ending(path.name) not in (".glb", *splats):
        also = f", or {' or '.join(splats)} for splats" if splats else ""
        raise Unable(f"the result is a GLB file, so {shortened(path.name)!r} should end in .glb{also}")
    return _checked_file(path)


def _checked_file(path: Path) -> Path:
    """The path, where a file can be written to. Raises Unable."""
    if path.is_dir():
        raise Unable(f"{path} is a folder: name a file in it")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise Unable(f"there is no folder {folder}: make it first, or choose another")
    if not os.access(folder, os.W_OK):
        raise Unable(f"the folder {folder} cannot be written to: choose another")
    try:
        writable_mode(path)
    except OSError as error:
        raise Unable(f"{path} is not overwritten ({error.strerror}): choose another name") from None
    return path
