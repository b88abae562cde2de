# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way of one `generate`: pictures -> representation -> asset -> GLB, with both caches on the way.

Knows pictures, backends, the store and assets; must not know pipes, threads or how progress is shown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from .. import finish as assets
from .. import methods as backends
from ..core.errors import Invalid, Unable
from ..core.job import Job, Span
from ..core.representations import Representation
from ..finish.photos import encoded, written
from ..pictures.gather import Gathered, gather, is_collection
from ..pictures.load import load
from ..store import cache
from ..store.weights import WeightStore
from ..wire import protocol

_EARLY = "learning was ended early, as you asked: it would have gone on to become finer"


def generate(
    params: protocol.GenerateParams, weights: WeightStore, results: Path, device: str, job: Job
) -> protocol.GenerateResult:
    """Makes params.output. What was made before from the same is not made again: `results` is the cache's folder."""
    output = _checked_output(params.output)
    backend = backends.get(params.backend)
    info = backend.describe(weights)
    model = backends.choose_model(info, params.model)
    options = backends.settle(info, params.preset, params.options)
    if not params.pictures:
        raise Invalid("no picture was given: choose one")
    paths = [Path(path) for path in params.pictures]
    plan = assets.plan_for(backend.makes, options)
    clock, kept = _Clock(), cache.Cache(results)

    with clock.stage("reading"):
        job.report(0.0, "reading")
        gathered = _gathered(paths, job.span(0.0, 0.05))
        pictures = gathered.pictures
        if params.model is None:
            model = backend.suited(pictures, options, model)
    show = _previewer(Path(params.previews), job) if params.previews else lambda picture: None
    task = backends.Task(pictures, model, options, device, weights, gathered.ordered, gathered.cameras, show)
    digests = [*(p.digest for p in pictures), *_digests(gathered.cameras)]
    source = {"pictures": digests, "model": model, "revision": backend.revision(model, weights)}
    name = pictures[0].name if len(pictures) == 1 else _name_of(paths)
    glb_key = cache.key(**source, name=name, options=options)
    learned = {"options": {name: options[name] for name in backend.representation_options}}
    photos_key = cache.key(**source, **learned, photos=True)
    if facts := kept.load_glb(glb_key, output):
        photos = kept.load_arrays(photos_key) if params.photos else None
        return _result(_with_photos(facts, photos or {}, params.photos), output, clock, from_cache=True)

    picture = pictures[0] if pictures else None
    found = _representation(backend, task, cache.key(**source, **learned), kept, clock, job)
    ended_early = job.is_enough()
    job.show(None)
    photos = encoded(found, picture)
    asset = plan.made_of(found, picture, job.span(0.6, 0.95), clock.stage)
    with clock.stage("writing"):
        job.report(0.95, "writing the GLB")
        assets.write(asset, output, name)
    notes = pictures[0].notes if len(pictures) == 1 else gathered.notes
    early = (_EARLY,) if ended_early else ()
    facts = _facts(asset, name, model, [*notes, *asset.warnings, *early, *backend.remarks(model, weights)])
    if not ended_early:
        if photos:
            kept.save_arrays(photos_key, photos)
        kept.save_glb(glb_key, output, facts)
    return _result(_with_photos(facts, photos, params.photos), output, clock, from_cache=False)


def _representation(
    backend: backends.Backend, task: backends.Task, key: str, kept: cache.Cache, clock: _Clock, job: Job
) -> Representation:
    if arrays := kept.load_arrays(key):
        return backend.restored(arrays, task)
    with clock.stage("network"):
        found = backend.generate(task, job.span(0.05, 0.6))
    if not job.is_enough():  # what was ended early is not what the same request would give next time
        kept.save_arrays(key, found.to_arrays())
    return found


def _gathered(paths: list[Path], job: Job | Span) -> Gathered:
    """What was chosen: one picture as it is; several, a folder, a video or a list of cameras as `gather` reads them."""
    if len(paths) == 1 and not is_collection(paths[0]):
        return Gathered((load(paths[0]),), False, None, ())
    return gather(paths, job)


def _previewer(folder: Path, job: Job) -> Callable[[np.ndarray], None]:
    """Writes pictures (H, W, 3) uint8 into the folder by turns under two names, and tells of each."""
    names = itertools.cycle(("preview-a.png", "preview-b.png"))  # the one before may still be read

    def show(picture: np.ndarray) -> None:
        path = folder / next(names)
        with contextlib.suppress(OSError):  # a preview less: nothing is lost
            Image.fromarray(picture).save(path)
            job.show(path)

    return show


def _digests(cameras: Path | None) -> list[str]:
    """What tells a list of cameras and the files beside it from others."""
    if cameras is None:
        return []
    beside = sorted(path for path in cameras.parent.rglob("*") if path.is_file())
    facts = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in beside]
    return [hashlib.sha256("\n".join(facts).encode()).hexdigest()]


def _name_of(paths: list[Path]) -> str:
    """A name for what several pictures show: their folder's, or the video's."""
    [first, *others] = paths
    if others or first.suffix.lower() == ".json" or first.match("*_par.txt"):
        return first.resolve().parent.name or first.stem
    return first.resolve().name if first.is_dir() else first.stem


class _Clock:
    """Seconds per stage, in the order in which the stages ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 4)


def _checked_output(output: str) -> Path:
    """The path to write to, checked before any work is done for it."""
    path = Path(output)
    if path.suffix.lower() != ".glb":
        raise Unable(f"the result is a GLB file, so {path.name} should end in .glb")
    if path.is_dir():
        raise Unable(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise Unable(f"there is no folder {path.parent}: make it first, or choose another")
    if not os.access(path.parent, os.W_OK):
        raise Unable(f"the folder {path.parent} cannot be written to: choose another")
    return path


def _facts(asset: assets.Asset, name: str, model: str, warnings: list[str]) -> dict:
    """What a result says of the asset, and the cache keeps beside it."""
    return {
        "name": name,
        "model": model,
        "vertices": len(asset.mesh.vertices),
        "faces": len(asset.mesh.faces),
        "cameras": [dataclasses.asdict(camera) for camera in asset.cameras],
        "warnings": warnings,
    }


def _with_photos(facts: dict, photos: Mapping[str, np.ndarray], folder: str) -> dict:
    """The facts with a file for each camera, in the folder if one was named; without, where they are not kept."""
    if not folder or len(photos) != len(facts["cameras"]):
        return facts
    try:
        paths = written(photos, Path(folder))
    except OSError as error:
        missing = f"the photos of the cameras could not be written ({error.strerror or error})"
        return {**facts, "warnings": [*facts["warnings"], missing]}
    return {**facts, "cameras": [{**camera, "photo": str(path)} for camera, path in zip(facts["cameras"], paths)]}


def _result(facts: dict, output: Path, clock: _Clock, from_cache: bool) -> protocol.GenerateResult:
    plain = {**facts, "glb": str(output), "seconds": clock.seconds, "from_cache": from_cache}
    return protocol.read(protocol.GenerateResult, plain)
