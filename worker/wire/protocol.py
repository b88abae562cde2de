# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message between Blender and the worker, as frozen dataclasses: JSON-RPC 2.0, one line of ASCII each. What is
asked and answered is in offers.py and making.py.

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
from typing import Any

from ..core.sequence_info import SequenceResult
from ..core.texts import readable, shortened
from .making import (
    BatchParams,
    BatchResult,
    FetchParams,
    GenerateParams,
    GenerateResult,
    History,
    ImproveParams,
    RefineParams,
    RemoveParams,
    SequenceParams,
)
from .offers import (
    Catalogue,
    DownloadParams,
    DownloadResult,
    Empty,
    EstimateParams,
    EstimateResult,
    InitializeParams,
    InitializeResult,
    SelectParams,
    SelectResult,
)
from .reading import LARGEST, ErrorCode, WireError, read

VERSION = 12
"""Raised by one whenever a message changes; both sides must have the same."""

PROGRESS = "notifications/progress"
CANCELLED = "notifications/cancelled"
PREVIEW = "notifications/preview"
ENOUGH = "notifications/enough"


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
