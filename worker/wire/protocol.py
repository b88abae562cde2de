# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message between Blender and the worker, as frozen dataclasses: JSON-RPC 2.0, one line of ASCII each.

Imported by both sides, so: the standard library only, Python 3.11 and later. Must not know pipes, threads, bpy, torch
or the names of methods.

Requests and their answers (`REQUESTS`), each answered exactly once, a cancelled one too:

    initialize        InitializeParams -> InitializeResult    first of all; agrees on VERSION, tells what is offered
    select            SelectParams     -> SelectResult        which network is taken for these pictures; nothing is run
    generate          GenerateParams   -> GenerateResult      pictures to one GLB file
    batch             BatchParams      -> BatchResult         many pictures to a GLB file each; resumes what was cut off
    refine            RefineParams     -> GenerateResult      a mesh and a picture of the same thing to one GLB file
    improve           ImproveParams    -> GenerateResult      a mesh and pictures of it to a better one, in rounds
    sequence          SequenceParams   -> SequenceResult      a video or a folder of frames to the depth of each
    estimate          EstimateParams   -> EstimateResult      what each preset takes on this machine, if it is known
    catalogue         Empty            -> Catalogue           what is offered, and which weights are here now
    history           Empty            -> History             the results that are kept, the newest first
    history/fetch     FetchParams      -> GenerateResult      one of them again, as it was; nothing is run
    history/remove    RemoveParams     -> History             removes some of them, or all
    networks/download DownloadParams   -> DownloadResult      fetches the weights of one network
    networks/unload   Empty            -> Empty               gives memory back
    shutdown          Empty            -> Empty               the worker ends after its answer

Notifications: from the worker `notifications/progress` (Progress) and `notifications/preview` (Preview); from the
client `notifications/cancelled` (Cancelled) and `notifications/enough` (Enough).

Characters beyond ASCII are escaped, so that the name of a file that is not UTF-8, which has halves of surrogate pairs
in Python, arrives as it was. Numbers are finite and whole ones have 64 bits.

Specification: https://www.jsonrpc.org/specification; names follow the Model Context Protocol.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from ..core.camera_info import CameraInfo
from ..core.options import Option, Value
from ..core.sequence_info import SequenceResult
from ..core.texts import readable, shortened
from .reading import LARGEST, ErrorCode, WireError, read

VERSION = 11
"""Raised by one whenever a message changes; both sides must have the same."""

PROGRESS = "notifications/progress"
CANCELLED = "notifications/cancelled"
PREVIEW = "notifications/preview"
ENOUGH = "notifications/enough"


# ------------------------------------------------------------------------------------------------ what is offered


@dataclass(frozen=True)
class NetworkInfo:
    """One row of weights that a method can run; its name is unique among all methods. `bytes` is the size of its
    download, 0 where there is none; `here` says that it runs offline now. `quality`: of two networks of one category
    for as many pictures, the one with the higher makes better things; with the same, nobody has compared them.
    `along`: what is fetched with the set-up where it is fetched, itself first, each with size and licence; empty of
    others."""

    name: str
    label: str
    licence: str
    commercial: bool
    bytes: int
    here: bool
    source: str
    help: str = ""
    quality: int = 1
    along: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodInfo:
    """A method as it describes itself.

    category: what the panel files it under. pictures: how many it takes. cut_out: whether it makes a thing alone, not
    all that a picture shows. makes: the name of its representation. presets: of each preset's name, the option values
    that it sets. environment: the Python that has its packages (`python3 -m envs check` lists them). refines: whether
    its networks refine a mesh that is there.
    """

    name: str
    label: str
    category: str
    help: str
    pictures: Literal["one", "several"]
    cut_out: bool
    makes: str
    networks: tuple[NetworkInfo, ...]
    options: tuple[Option, ...]
    presets: dict[str, dict[str, Value]]
    environment: str = "core"
    refines: bool = False


# ------------------------------------------------------------------------------------------------ params and results


@dataclass(frozen=True)
class Empty:
    """No parameters, or no result."""


@dataclass(frozen=True)
class InitializeParams:
    """`weights` and `cache` are folders (None: the worker's defaults); `online` False forbids any network use."""

    version: int
    online: bool = False
    device: str = "auto"
    weights: str | None = None
    cache: str | None = None


@dataclass(frozen=True)
class InitializeResult:
    version: int
    worker: str
    methods: tuple[MethodInfo, ...]


@dataclass(frozen=True)
class SelectParams:
    """`pictures` are paths of existing files. `category` None: any; `network` None: the one that suits the pictures and
    the `options` best, of those that are here."""

    pictures: tuple[str, ...]
    category: str | None = None
    network: str | None = None
    options: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class SelectResult:
    """The names of the method and of its network; what there is to know about them the catalogue tells."""

    method: str
    network: str


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
class EstimateParams:
    """`pictures` are paths, as in `SelectParams`: what takes long depends on how many they hold."""

    network: str
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """`seconds`: what the last runs took, None while this machine has not run it. `faces`, `texture`: at most."""

    preset: str
    seconds: float | None
    faces: int
    texture: int


@dataclass(frozen=True)
class EstimateResult:
    """Of each preset. `memory`: bytes that the network needs beside everything else, 0 where it needs hardly any."""

    presets: tuple[Estimate, ...]
    memory: int


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
class Catalogue:
    methods: tuple[MethodInfo, ...]


@dataclass(frozen=True)
class DownloadParams:
    """`along`: those that come with the set-up, which are done without where they cannot be had; `network` is one."""

    network: str
    along: bool = False


@dataclass(frozen=True)
class DownloadResult:
    """`note`: why what comes along is not here, a sentence, "" where it is."""

    network: str
    bytes: int
    note: str = ""


@dataclass(frozen=True)
class Progress:
    """`progressToken` is the request's id, `progress` runs from 0 to 1 and never falls within one request.

    `remaining`: seconds that it will still take about, None while nobody knows that within a factor of two.
    """

    progressToken: int
    progress: float
    stage: str
    message: str = ""
    remaining: float | None = None


@dataclass(frozen=True)
class Preview:
    """What is being made looks like the picture in `file` so far, a PNG. Such a job also hears `Enough`.

    "": it is made, and what follows is not to be seen; `Enough` comes too late. A GLB: a first guess at the mesh, to be
    replaced by the result.
    """

    progressToken: int
    file: str


@dataclass(frozen=True)
class Cancelled:
    requestId: int


@dataclass(frozen=True)
class Enough:
    """The job is to learn no longer, and to finish with what it has."""

    requestId: int


REQUESTS: dict[str, tuple[type, type]] = {
    "initialize": (InitializeParams, InitializeResult),
    "select": (SelectParams, SelectResult),
    "generate": (GenerateParams, GenerateResult),
    "batch": (BatchParams, BatchResult),
    "refine": (RefineParams, GenerateResult),
    "improve": (ImproveParams, GenerateResult),
    "sequence": (SequenceParams, SequenceResult),
    "estimate": (EstimateParams, EstimateResult),
    "catalogue": (Empty, Catalogue),
    "history": (Empty, History),
    "history/fetch": (FetchParams, GenerateResult),
    "history/remove": (RemoveParams, History),
    "networks/download": (DownloadParams, DownloadResult),
    "networks/unload": (Empty, Empty),
    "shutdown": (Empty, Empty),
}
NOTIFICATIONS: dict[str, type] = {PROGRESS: Progress, PREVIEW: Preview, CANCELLED: Cancelled, ENOUGH: Enough}


# ------------------------------------------------------------------------------------------------ envelopes


@dataclass(frozen=True)
class Request:
    id: int
    method: str
    params: Any


@dataclass(frozen=True)
class Notification:
    method: str
    params: Any


@dataclass(frozen=True)
class Result:
    """`result` is plain JSON here: only who asked knows its type (`read(REQUESTS[method][1], answer.result)`)."""

    id: int
    result: dict[str, Any]


@dataclass(frozen=True)
class Error:
    """`id` is None where the request could not be read."""

    id: int | None
    code: int
    message: str
    data: dict[str, Any] = field(default_factory=dict)


Message = Request | Notification | Result | Error


def encode(message: Message) -> bytes:
    """One line, newline included. Raises ValueError, TypeError or RecursionError for what JSON cannot say."""
    body: dict[str, Any] = {"jsonrpc": "2.0"}
    match message:
        case Request(id, method, params):
            body |= {"id": id, "method": method, "params": dataclasses.asdict(params)}
        case Notification(method, params):
            body |= {"method": method, "params": dataclasses.asdict(params)}
        case Result(id, result):
            body |= {"id": id, "result": result}
        case Error(id, code, text, data):
            body |= {"id": id, "error": {"code": int(code), "message": text, "data": data}}
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Reads one line. Raises WireError, and nothing else; its `data["id"]` names the request where that much could be
    read."""
    try:
        body = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise WireError(ErrorCode.PARSE_ERROR, f"not a line of JSON: {error}") from None
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise WireError(ErrorCode.INVALID_REQUEST, "not a JSON-RPC 2.0 message")
    id = body.get("id")
    if id is not None and not (type(id) is int and -LARGEST < id < LARGEST):
        raise WireError(ErrorCode.INVALID_REQUEST, "the id of a request must be a whole number")
    try:
        return _decode_body(body, id)
    except WireError as error:
        error.data.setdefault("id", id)
        raise


def _decode_body(body: dict[str, Any], id: int | None) -> Message:
    if "error" in body:
        return _decode_error(body["error"], id)
    if "result" in body:
        if id is None:
            raise WireError(ErrorCode.INVALID_REQUEST, "an answer without an id")
        return Result(id, body["result"])
    method = body.get("method")
    if not isinstance(method, str):
        raise WireError(ErrorCode.INVALID_REQUEST, "neither a request nor an answer")
    params = body.get("params", {})
    if id is None:
        if method not in NOTIFICATIONS:
            raise WireError(ErrorCode.METHOD_NOT_FOUND, f"unknown notification {shortened(method)!r}")
        return Notification(method, read(NOTIFICATIONS[method], params))
    if method not in REQUESTS:
        raise WireError(ErrorCode.METHOD_NOT_FOUND, f"unknown method {shortened(method)!r}")
    return Request(id, method, read(REQUESTS[method][0], params))


def _decode_error(error: Any, id: int | None) -> Error:
    """Whatever else an answer's error holds, it has a code, a text and an object."""
    if not isinstance(error, dict):
        raise WireError(ErrorCode.INVALID_REQUEST, "the error of an answer must be an object")
    code, text, data = (error.get(key) for key in ("code", "message", "data"))
    return Error(
        id,
        code if type(code) is int else int(ErrorCode.INTERNAL_ERROR),
        readable(text) if isinstance(text, str) else "the error has no message",
        data if isinstance(data, dict) else {},
    )
