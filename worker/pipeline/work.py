# SPDX-License-Identifier: GPL-3.0-or-later
"""One request with all that was decided about it: what its steps do, what is kept of them, and under which keys.

Knows the table of methods, finish and the store; must not know pipes, threads, torch or in which order steps run.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import __version__
from ..cameras.estimate import registered
from ..cameras.registration import Registration
from ..core.file_types import SPLATS, is_camera_list, result_ending
from ..core.job import Job, Span
from ..core.representations import Apart, Representation
from ..core.texts import readable
from ..core.whole_file import made_folder
from ..finish.around import around
from ..finish.asset import Asset, write
from ..finish.dispatch import finished
from ..finish.maps import depth_of, saved
from ..finish.options import ApartOptions
from ..finish.photos import encoded
from ..finish.thumbnail import drawn
from ..methods.runtime.subject_option import AUTO
from ..pictures import views_folder
from ..pictures.gather import Inputs
from ..store import cache
from ..store.history import History, without_bookkeeping
from . import code
from .request import Machine, Making, Request, counted, digests, options_of
from .select import SUBJECT, Choice, kind_of, roughness
from .shown import THUMBNAIL, offerer, png_of, previewer

KEPT_SPLATS = ".spz"
KEPT = (".glb", KEPT_SPLATS)
"""Endings of files that are kept: of splats the smaller kind, from which a history shows them."""

PICTURES = ("photos", "thumbnails")
"""Of the facts, what is kept as files of its own."""


@dataclass(frozen=True)
class Work:
    """One request with all that was decided about it; its methods are what the steps do. thing: of a scene and the
    thing in it, how the thing is made. read: what was read of the request's pictures, before anything was cut out."""

    request: Request
    making: Making
    thing: Making | None
    read: Inputs
    store: cache.Cache | None
    output: Path
    name: str
    seconds: Mapping[str, float]

    @classmethod
    def of(
        cls,
        request: Request,
        machine: Machine,
        inputs: Inputs,
        choice: Choice,
        store: cache.Cache | None,
        output: Path,
        job: Job,
    ) -> Work:
        """job: its `seconds` are what the result took, once it is there."""
        making = Making.of(choice, request, machine, inputs, request.options)
        thing = choice.beside and Making.of(choice.beside, request, machine, inputs, options_of(choice.beside, request))
        name = readable(_name(inputs, request.pictures))
        return cls(request, making, thing, inputs, store, output, name, job.seconds)

    # ---- several pictures -> cameras

    @property
    def is_of_several(self) -> bool:
        return self.making.choice.method.pictures == "several"

    def find_cameras(self, before: None, job: Span) -> Registration:
        """Raises MethodUnavailable before anything is looked for where the network could not use them."""
        self.making.choice.method.require(self.making.choice.network)
        with job.timed("cameras"):
            return registered(self.making.task.inputs, job)

    def kept_cameras(self, job: Span) -> Registration | None:
        arrays = self.store.load_arrays(self.making.cameras_key) if self.store else None
        return Registration.from_arrays(arrays) if arrays else None

    def keep_cameras(self, found: Registration) -> None:
        if self.store:
            self.store.save_arrays(self.making.cameras_key, found.to_arrays())

    # ---- pictures -> representation

    def represent(self, cameras: Registration | None, job: Span) -> Representation:
        show = previewer(self.request.previews, job)
        with job.timed("network"):
            found = self.making.run(
                job.span(0.0, 0.6) if self.thing else job,
                cameras,
                show,
                offerer(self.request.previews, self.making.settings.finish, self.name, job),
            )
            if self.thing:
                found = Apart(self.thing.run(job.span(0.6, 1.0), None, show), found)
        job.show(None)
        return found

    def kept_representation(self, job: Span) -> Representation | None:
        found = self.making.kept(self.store, job) if self.store else None
        if found is None or self.thing is None:
            return found
        thing = self.thing.kept(self.store, job)
        return thing and Apart(thing, found)

    def keep_representation(self, found: Representation) -> None:
        if not self.store:
            return
        if self.thing:
            self.store.save_arrays(self.thing.key, found.thing.to_arrays())
            found = found.scene
        self.store.save_arrays(self.making.key, found.to_arrays())

    # ---- representation -> asset

    def finish(self, found: Representation, job: Span) -> Asset:
        asset = finished(found, self._finish_options, job)
        notes = [*(self._mapped(found, asset) if self.request.maps else ())]
        notes += self._seen_around(found, asset) if self.request.views else ()
        return dataclasses.replace(asset, warnings=(*asset.warnings, *notes))

    def _mapped(self, found: Representation, asset: Asset) -> tuple[str, ...]:
        """Writes depth, normals and mask, or the splats that were learned; sentences for the user on what cannot be
        written."""
        if asset.splats is not None:
            write(asset, made_folder(Path(self.request.maps)) / f"{self.name}{KEPT_SPLATS}", self.name)
            return ()
        scene = found.scene if self.thing else found
        if self.making.choice.method.makes != "DepthMap":
            return ("a thing alone has no depth map: choose Depth with the subject scene for one",)
        folder = made_folder(Path(self.request.maps))
        saved(scene, depth_of([scene], self.making.settings.finish.near)[0], folder, self.name)
        return ()

    def _seen_around(self, found: Representation, asset: Asset) -> tuple[str, ...]:
        """Writes the thing's views; sentences for the user where there are none."""
        shown = found.thing if self.thing else found
        if not self.thing and self.making.choice.method.makes == "DepthMap":
            return ("a scene is not seen from all sides, so it has no views: choose the subject thing, or Diffusion",)
        views_folder.saved(around(asset, shown.views), Path(self.request.views))
        return ()

    @property
    def _finish_options(self) -> Any:
        own = self.making.settings.finish
        return ApartOptions(self.thing.settings.finish, own) if self.thing else own

    # ---- asset -> GLB

    def write(self, asset: Asset, job: Span) -> dict[str, Any]:
        job.report(0.0, "writing the file")
        facts = self._facts(asset)
        with job.timed("writing"):  # last, so that hardly anything is between the file and its facts
            splats = write(asset, self.output, self.name)
        return {**facts, "splats": splats}

    def _facts(self, asset: Asset) -> dict[str, Any]:
        choice, weights, meshes = self.making.choice, self.making.task.weights, asset.meshes
        notes = (*self.read.notes, *self._remarks, *asset.warnings, *choice.network.remarks(weights))
        facts = {
            "name": self.name,
            "method": choice.method.name,
            "network": choice.network.name,
            "vertices": sum(len(mesh.vertices) for mesh in meshes),
            "faces": sum(len(mesh.faces) for mesh in meshes),
            "cameras": [dataclasses.asdict(camera) | {"name": readable(camera.name)} for camera in asset.cameras],
            "warnings": [*map(readable, notes)],
        }
        pictures = self.read.pictures
        wanted = asset.photos if self.store or self.request.photos else ()
        facts |= {"provenance": self._provenance(), "key": self.file_key if self._keeps else ""}
        if (self.store and self.request.previews) or self.request.thumbnail:
            photo = asset.cameras[0] if asset.double_sided and asset.cameras else None
            facts["thumbnails"] = [png_of(picture) for picture in drawn(asset.mesh, THUMBNAIL, photo, self._keeps)]
        return {**facts, "photos": encoded(wanted, pictures[0] if len(pictures) == 1 else None)}

    @property
    def _remarks(self) -> tuple[str, ...]:
        """What was decided about the picture that the user did not ask for."""
        thing = self.making.choice.thing or (self.thing and self.thing.choice.thing)
        unasked = self.request.options.get(SUBJECT, AUTO) == AUTO
        parts = [self.making, *([self.thing] if self.thing else [])]
        rough = [note for part in parts if (note := roughness(part.choice, self.making.task.weights))]
        return (*(thing.remarks(unasked) if thing else ()), *rough)

    def kept_file(self, job: Span) -> dict[str, Any] | None:
        is_splats = result_ending(self.output.name) in SPLATS
        drawn_anew = self.request.maps or self.request.views or (self.request.thumbnail and is_splats)
        facts = self.store.load_glb(self.file_key, self.output) if self.store and not drawn_anew else None
        if facts is None:
            return None
        return {
            **without_bookkeeping(facts),
            "photos": (self.store.load_arrays(self.photos_key) if self.request.photos else None) or {},
        }

    @property
    def _keeps(self) -> bool:
        return self.store is not None and result_ending(self.output.name) in KEPT

    def keep_file(self, facts: Mapping[str, Any]) -> None:
        if self._keeps:
            if facts["photos"]:
                self.store.save_arrays(self.photos_key, facts["photos"])
            if "thumbnails" in facts:
                History(self.store.root).keep_pictures(self.file_key, *facts["thumbnails"])
            plain = {name: value for name, value in facts.items() if name not in PICTURES}
            self.store.save_glb(
                self.file_key, self.output, {**plain, "took": sum(self.seconds.values()), "photos_key": self.photos_key}
            )

    def _provenance(self) -> dict[str, Any]:
        """The fields of `wire.making.Provenance`."""
        method, network = self.making.choice.method, self.making.choice.network
        return {
            "pictures": list(self.request.pictures),
            "digests": [*(picture.digest for picture in self.read.pictures), *digests(self.read.cameras)],
            "category": method.category,
            "method": method.name,
            "network": network.name,
            "label": network.label,
            "licence": network.licence,
            "revision": network.revision(self.making.task.weights),
            "preset": self.request.preset,
            "options": dataclasses.asdict(self.making.task.options) | dataclasses.asdict(self.making.settings.finish),
            "version": __version__,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    # ---- keys

    @property
    def representation_key(self) -> str:
        """All that the representation's arrays depend on."""
        return cache.key(thing=self.thing.key, scene=self.making.key) if self.thing else self.making.key

    @cached_property
    def file_key(self) -> str:
        """All that the file depends on."""
        options = [dataclasses.asdict(self.making.task.options), dataclasses.asdict(self._finish_options)]
        made = {"made_of": self.representation_key, "name": self.name, "remarks": (*self._remarks, *self.read.notes)}
        return cache.key(**made, options=options, code=code.of_finish(), ending=result_ending(self.output.name))

    @property
    def photos_key(self) -> str:
        return cache.key(photos_of=self.representation_key, code=code.of_finish())

    @property
    def kind(self) -> str:
        """Works of the same kind take about the same time."""
        pictures = self.request.pictures
        making = self.making
        both = f"{making.choice.network.name} and {self.thing.choice.network.name}" if self.thing else ""
        name = both or making.choice.network.name
        return kind_of(name, self.request.preset, making.task.device, counted(pictures))


def _name(inputs: Inputs, chosen: tuple[str, ...]) -> str:
    """A name for what the pictures show: the picture's, or of several their folder's, or the video's."""
    if len(inputs.pictures) == 1:
        return inputs.pictures[0].name
    first = Path(chosen[0])
    if len(chosen) > 1 or is_camera_list(first.name):
        return first.resolve().parent.name or first.stem
    return first.resolve().name if first.is_dir() else first.stem
