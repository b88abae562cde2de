# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages about what is made: what it is made of and how, what came of it, and what is kept.

Imported by both sides, as protocol.py is: the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.camera_info import CameraInfo
from ..core.options import Value


@dataclass(frozen=True)
class GenerateParams:
    """As SelectParams; `output` is the GLB to write.

    `previews`: the folder for pictures of what is made so far, "" for none. `photos`: the folder for the photos as
    their cameras see them, "" for none. `maps`: the folder for depth, normals and mask as OpenEXR files,
    or for splats that are learned as SPZ, "" for none.
    `views`: the folder for pictures of a thing from all sides with cameras, depth and confidence, "" for none.
    `cached` False: neither takes anything from the cache nor keeps anything there. `thumbnail`: the PNG file to write
    of what was made, "" for none.
    """

    pictures: tuple[str, ...]
    output: str
    preset: str
    category: str | None = None
    network: str | None = None
    options: dict[str, Value] = field(default_factory=dict)
    previews: str = ""
    photos: str = ""
    cached: bool = True
    maps: str = ""
    thumbnail: str = ""
    views: str = ""


@dataclass(frozen=True)
class BatchParams:
    """`source`: a folder of pictures, or a list of them (text, CSV, JSON lines); `sets`: each folder in it is a set of
    photos of one thing. `folder`: where results come. `preset` to `cached`: as in GenerateParams, of each picture whose
    row in the list says nothing else.

    `jobs`: worker processes at the same time, fewer where memory is short. `on`: `[user@]host[:folder]` of a machine
    that ssh reaches, "" for this one. `cluster`: the address of one of Ray's, "" for none. `blender`: the program, or a
    Python with the module bpy, that makes an asset library of the results, "" for none. `part` of `parts`: of all
    things every so manieth, as for several machines; the whole batch afterwards finds what the parts have made.
    `format`: of the files, one of core.file_types.FORMATS.
    """

    source: str
    folder: str
    preset: str
    category: str | None = None
    network: str | None = None
    options: dict[str, Value] = field(default_factory=dict)
    sets: bool = False
    cached: bool = True
    jobs: int = 1
    on: str = ""
    cluster: str = ""
    blender: str = ""
    part: int = 1
    parts: int = 1
    format: str = "glb"


@dataclass(frozen=True)
class Failure:
    """Of a batch: `name` of what could not be made, and why."""

    name: str
    message: str


@dataclass(frozen=True)
class BatchResult:
    """Of the things that were asked for, `made` now, `kept` from before, or failed; `failures` names the first of them.

    `results`: a file of JSON lines, one for each; `sheet`: a page of HTML; `library`: a folder of assets, "" for none.
    """

    folder: str
    results: str
    sheet: str
    made: int
    kept: int
    failed: int
    seconds: float
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    library: str = ""


@dataclass(frozen=True)
class RefineParams:
    """`mesh`: a GLB of anybody's; `picture`: of the same thing; `output`: the GLB to write, in which it has its place
    and its size. `texture`: pixels along the side of the new texture. `network`: one that refines shapes makes it anew,
    with `preset` and `options` as in GenerateParams; "": it follows the picture's outline."""

    mesh: str
    picture: str
    output: str
    texture: int = 2048
    network: str = ""
    preset: str = "balanced"
    options: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class ImproveParams:
    """As RefineParams, of one or several `pictures`. `rounds`: 0: as many as the preset says. `repainter`: the name of
    what paints the sides that no picture shows. `previews`: the folder for the mesh that each round leaves, "" for
    none. `cached`: as in GenerateParams, of each round."""

    mesh: str
    pictures: tuple[str, ...]
    output: str
    preset: str = "balanced"
    rounds: int = 0
    repainter: str = "included"
    seed: int = 0
    previews: str = ""
    cached: bool = True


@dataclass(frozen=True)
class SequenceParams:
    """`pictures`: a video, a folder of frames, or frames; `folder`: where maps and colours of each are written.

    `first`, `last`, `step`: which frames, counted from 1; `last` 0: to the end. `preset`, `network`, `options`: as in
    GenerateParams, of methods that make depth.
    """

    pictures: tuple[str, ...]
    folder: str
    preset: str
    network: str | None = None
    options: dict[str, Value] = field(default_factory=dict)
    first: int = 1
    last: int = 0
    step: int = 1


@dataclass(frozen=True)
class Provenance:
    """How a result was made, to be kept with it and to make it again.

    `pictures` are paths as they were given, `digests` the sha256 of what was read, in their order. `options` are all,
    as they were used. `revision` tells the network's weights from others; `version` is the program's; `date` is ISO
    8601, UTC, of when it was made first.
    """

    pictures: tuple[str, ...]
    digests: tuple[str, ...]
    category: str
    method: str
    network: str
    label: str
    licence: str
    revision: str
    preset: str
    options: dict[str, Value]
    version: str
    date: str


@dataclass(frozen=True)
class GenerateResult:
    """`seconds` per stage in the order in which they ran; `warnings` are sentences for the user.

    `cameras`: of all photos whose place is known, in the order in which they were given. `key`: its HistoryEntry's,
    "" if it was not kept. `glb`: the file, which holds `splats` Gaussian splats where that is not 0, and else a mesh.
    """

    glb: str
    name: str
    method: str
    network: str
    vertices: int
    faces: int
    seconds: dict[str, float]
    from_cache: bool
    provenance: Provenance | None = None
    key: str = ""
    cameras: tuple[CameraInfo, ...] = ()
    warnings: tuple[str, ...] = ()
    splats: int = 0


@dataclass(frozen=True)
class HistoryEntry:
    """A result that is kept. `thumbnail`, `clay`: PNG files of 256 pixels, "" where there are none. `seconds`: what it
    took. `bytes`: of its file."""

    key: str
    name: str
    faces: int
    seconds: float
    bytes: int
    provenance: Provenance
    thumbnail: str = ""
    clay: str = ""


@dataclass(frozen=True)
class History:
    """`bytes`: of all that is kept, also of what is no result; `limit`: beyond which the oldest goes."""

    entries: tuple[HistoryEntry, ...]
    bytes: int
    limit: int


@dataclass(frozen=True)
class FetchParams:
    """`key`: of a HistoryEntry; `output`, `photos` as in GenerateParams."""

    key: str
    output: str
    photos: str = ""


@dataclass(frozen=True)
class RemoveParams:
    """`keys`: of HistoryEntries; `everything`: representations and all, too."""

    keys: tuple[str, ...] = ()
    everything: bool = False
