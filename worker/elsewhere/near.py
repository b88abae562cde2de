# SPDX-License-Identifier: GPL-3.0-or-later
"""The near end: what is asked of it, it asks of a worker on another machine, with the pictures sent there before and
the results fetched after. Speaks the wire like any worker, so that nobody needs to know.

Standard library only: whoever has no environment here may have one there. Must not know what is made, or how.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import queue
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import Unable
from ..core.file_types import is_camera_list, result_ending
from ..core.job import Job, Span
from ..core.whole_file import WholeFile
from ..pictures.look import files_below, folder_of_listed
from ..wire import making, offers, protocol
from ..wire.calling import Called
from ..wire.protocol import ErrorCode, WireError
from ..wire.server import Handler
from . import ssh
from .frames import ALIVE_EVERY, Arriving, fields_of, header, pieces, read_exactly

ANSWERS_WITHIN = 60.0
"""Seconds: logging in, and an interpreter that starts from a cold disk."""

SET_UP_WITHIN = 3600.0
"""Seconds in which an environment is made there: 163 were measured on a busy machine with packages at hand."""

HEARD_EVERY, TOLD_EVERY = 0.05, 1.0
"""Seconds between two looks at whether that is over or cancelled, and at how far it is."""

SENDING, FETCHING = 0.1, 0.95
"""Shares of the bar at which the pictures are there, and from which on the result is on its way."""

_WAITING = 64  # pieces that were not taken yet


class Ferry(Called):
    """The connection: a worker, and files beside what is said. Raises OSError where ssh cannot be started."""

    def __init__(self, host: str, command: list[str]) -> None:
        self._host, self._folder, self._lock = host, "", threading.Lock()
        self._files: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue(_WAITING)
        super().__init__(command, os.environ)
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def greet(self, limit: float, job: Job | Span) -> None:
        """Waits for the far end so many seconds, and tells what it says meanwhile. Raises WireError where it does not
        come, or is of another version; Cancelled."""
        start = told = time.monotonic()
        while self._files.empty() and (now := time.monotonic()) < start + limit:
            job.check()
            if now > told + TOLD_EVERY:
                job.report(0.0, "connecting", self._last_line())
                told = now
            self._gone.wait(HEARD_EVERY)
        if self._files.empty():
            raise WireError(ErrorCode.WORKER_EXITED, f"{self._host} did not answer in {limit:.0f} s")
        fields, _ = self._next("")
        if fields.get("version") != protocol.VERSION:
            message = f"{self._host} speaks version {fields.get('version')} and not {protocol.VERSION}"
            raise WireError(ErrorCode.VERSION_MISMATCH, f"{message}: install the same program on both")
        self._folder = str(fields["folder"])

    def path(self, name: str) -> str:
        """What the worker there calls a file of the connection."""
        return f"{self._folder}/{name}"

    def put(self, path: Path, name: str, job: Job | Span) -> None:
        """Sends a file. Raises Unable where it cannot be read, or not be kept there; Cancelled."""
        try:
            for piece in pieces(path, name):
                job.check()
                self._send(piece)
        except FileNotFoundError:
            raise Unable(f"there is no file {path}: choose the picture again") from None
        except OSError as error:
            raise Unable(f"{path.name} cannot be read: {error.strerror}") from None
        fields, _ = self._next(name)
        if "problem" in fields:
            raise Unable(f"{path.name} could not be kept on {self._host} ({fields['problem']})")

    def get(self, name: str, path: Path) -> None:
        """Fetches a file; it has its name here once it is whole. Raises Unable."""
        self._send(header(get=name))
        arriving = None
        try:
            arriving = Arriving(path.with_name(f".new-{path.name[:100]}"))
            whole = False
            while not whole:
                fields, piece = self._next(name)
                if "problem" in fields:
                    raise Unable(f"{name} could not be fetched from {self._host} ({fields['problem']})")
                whole = arriving.take(piece, fields.get("sha256"))
            _named(path.with_name(f".new-{path.name[:100]}"), path)
        except OSError as error:
            raise Unable(f"{path} could not be written ({error.strerror or error}): free space") from None
        finally:
            if arriving:
                with suppress(OSError):
                    arriving.drop()

    def _next(self, name: str) -> tuple[dict[str, Any], bytes]:
        """The next piece of the file of that name; what is left of others, which nobody waits for, is thrown away."""
        while True:
            found = self._files.get()
            if found is None:
                self._files.put(None)
                raise self._ended()
            if found[0].get("file", "") == name:
                return found

    def _send(self, content: bytes) -> None:
        try:
            with self._lock:
                while content:  # an unbuffered pipe takes what it has room for
                    content = content[self._process.stdin.write(content) :]
        except (OSError, ValueError):
            raise self._ended() from None

    def _say(self, message: protocol.Message) -> None:
        with suppress(WireError):  # the reader says so
            self._send(protocol.encode(message))

    def _keep_alive(self) -> None:
        with suppress(WireError):
            while not self._gone.wait(ALIVE_EVERY):
                self._send(header(alive=True))

    def _heard(self, line: bytes) -> None:
        fields = fields_of(line)
        if fields is None:
            super()._heard(line)
        else:
            self._files.put((fields, read_exactly(self._process.stdout, fields.get("bytes", 0))))

    def _over(self) -> None:
        super()._over()
        with suppress(queue.Full):
            self._files.put(None, timeout=ANSWERS_WITHIN)

    def _ended(self) -> WireError:
        self._process.wait()
        return WireError(ErrorCode.WORKER_EXITED, f"the connection to {self._host} ended ({self._last_line()})")


class Near:
    """The worker elsewhere, with the functions of `App` that make sense there. where: `[user@]host[:folder]`;
    environment, make: as in ssh.command. Raises Invalid."""

    def __init__(self, where: str, environment: str = "core", make: bool = False) -> None:
        self._host, self._command = ssh.split(where)[0], ssh.command(where, environment, make)
        self._patience = SET_UP_WITHIN if make else ANSWERS_WITHIN
        self._ferry: Ferry | None = None
        self._numbers = itertools.count(1)

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "initialize": self.initialize,
            "select": self._with_pictures("select"),
            "estimate": self._with_pictures("estimate"),
            "generate": self.generate,
            "refine": self.refine,
            "history": self.history,
            "history/fetch": self.fetch,
            "history/remove": lambda params, job: _unseen(self._plain("history/remove", params, job)),
            "catalogue": self.catalogue,
            "networks/download": self.download,
            "networks/unload": lambda params, job: self._plain("networks/unload", params, job),
            **dict.fromkeys(("sequence", "batch", "improve"), self.refused),
            "shutdown": self.shutdown,
        }

    def initialize(self, params: offers.InitializeParams, job: Job) -> offers.InitializeResult:
        """Connects, and asks what is offered there; folders of this machine mean nothing there."""
        self._settings = dataclasses.replace(params, weights=None, cache=None)
        return self._begin(job)

    def generate(self, params: making.GenerateParams, job: Job) -> making.GenerateResult:
        """Sends the pictures, has the GLB made, and fetches what there is to fetch."""
        if params.maps or params.views:
            raise Unable("depth maps and views are saved by a worker on this machine only: work here")
        own = f"out/{next(self._numbers)}"
        there = self._made(own, job)
        sent = dataclasses.replace(
            params,
            pictures=self._sent(params.pictures, job),
            output=f"{there}/result{result_ending(params.output)}",
            previews="",
            photos=there if params.photos else "",
            maps="",
            views="",
            thumbnail=f"{there}/thumbnail.png" if params.thumbnail else "",
        )
        made = self._ask("generate", sent, job, whole=True)
        job.report(FETCHING, "fetching the result", self._host)
        if params.thumbnail:
            self._ferry.get(f"{own}/thumbnail.png", Path(params.thumbnail))
        return self._fetched(made, own, params, params.pictures)

    def refine(self, params: making.RefineParams, job: Job) -> making.GenerateResult:
        """As `generate`."""
        own = f"out/{next(self._numbers)}"
        there = self._made(own, job)
        mesh, picture = self._sent((params.mesh, params.picture), job)
        sent = dataclasses.replace(params, mesh=mesh, picture=picture, output=f"{there}/result.glb")
        made = self._ask("refine", sent, job, whole=True)
        self._ferry.get(f"{own}/result.glb", Path(params.output))
        return dataclasses.replace(made, glb=params.output)

    def history(self, params: offers.Empty, job: Job) -> making.History:
        """What is kept there."""
        return _unseen(self._plain("history", params, job))

    def catalogue(self, params: offers.Empty, job: Job) -> offers.Catalogue:
        """What is offered there."""
        return self._plain("catalogue", params, job)

    def download(self, params: offers.DownloadParams, job: Job) -> offers.DownloadResult:
        """Fetches weights, there."""
        return self._plain("networks/download", params, job)

    def fetch(self, params: making.FetchParams, job: Job) -> making.GenerateResult:
        """One of them, from there."""
        own = f"out/{next(self._numbers)}"
        there = self._made(own, job)
        sent = dataclasses.replace(params, output=f"{there}/result.glb", photos=there if params.photos else "")
        return self._fetched(self._ask("history/fetch", sent, job), own, params)

    def shutdown(self, params: offers.Empty, job: Job) -> offers.Empty:
        self.close()
        return params

    def close(self) -> None:
        """Ends the connection, and with it the worker there."""
        if self._ferry:
            self._ferry.close()
        self._ferry = None

    # ---- asking

    def _connect(self) -> None:
        """Again, where the connection was lost since."""
        if not self._ferry or not self._ferry.alive:
            self._begin(Job(lambda *report: None))

    def _begin(self, job: Job) -> offers.InitializeResult:
        self.close()
        try:
            self._ferry = Ferry(self._host, self._command)
        except OSError as error:
            raise Unable(f"ssh could not be started ({error.strerror}): install it") from None
        self._ferry.greet(self._patience, job)
        return self._ferry.ask("initialize", self._settings)

    def _ask(self, method: str, params: Any, job: Job, whole: bool = False) -> Any:
        """whole: what is done there is the middle of the job's bar."""
        low, high = (SENDING, FETCHING) if whole else (0.0, 1.0)

        def told(progress: protocol.Progress) -> None:
            job.remaining = lambda _: progress.remaining
            job.report(low + progress.progress * (high - low), progress.stage, progress.message)

        return self._ferry.ask(method, params, job, told)

    def _with_pictures(self, method: str) -> Handler:
        def ask(params: Any, job: Job) -> Any:
            return self._ask(method, dataclasses.replace(params, pictures=self._sent(params.pictures, job)), job)

        return ask

    def _plain(self, method: str, params: Any, job: Job) -> Any:
        """Asks what no file belongs to."""
        self._connect()
        return self._ask(method, params, job)

    def refused(self, params: Any, job: Job) -> Any:
        """Raises Unable."""
        raise Unable("frames, batches and rounds of improving are made by a worker on this machine only: work here")

    # ---- files

    def _made(self, name: str, job: Job) -> str:
        """A folder there, by having an empty file in it."""
        self._connect()
        self._ferry.put(Path(os.devnull), f"{name}/made", job)
        return self._ferry.path(name)

    def _sent(self, paths: tuple[str, ...], job: Job) -> tuple[str, ...]:
        """Sends what was chosen: files, folders, and the folder of a list of cameras; their paths there."""
        self._connect()
        number, found = next(self._numbers), []
        todo = [(path, *with_it(Path(path))) for path in paths]
        total, done = sum(len(files) for _, _, files in todo), 0
        for place, (path, root, files) in enumerate(todo):
            base = f"up/{number}/{place}"
            for each in files:
                job.report(SENDING * done / max(total, 1), "sending pictures", f"{done} of {total}")
                self._ferry.put(each, f"{base}/{each.relative_to(root).as_posix()}", job)
                done += 1
            found.append(self._ferry.path(f"{base}/{Path(path).relative_to(root).as_posix()}"))
        return tuple(found)

    def _fetched(
        self,
        made: making.GenerateResult,
        own: str,
        params: making.GenerateParams | making.FetchParams,
        pictures: tuple[str, ...] = (),
    ) -> making.GenerateResult:
        """The result with its files here, and the paths of this machine in it."""
        ending, output = result_ending(made.glb), Path(params.output)
        if ending != result_ending(output.name):  # what was kept there are splats
            output = output.with_suffix(ending)
        self._ferry.get(f"{own}/result{ending}", output)
        cameras = []
        for camera in made.cameras:
            name = Path(camera.photo).name
            if name:
                self._ferry.get(f"{own}/{name}", Path(params.photos) / name)
            cameras.append(dataclasses.replace(camera, photo=str(Path(params.photos) / name) if name else ""))
        provenance = made.provenance
        if provenance and pictures:
            provenance = dataclasses.replace(provenance, pictures=pictures)
        return dataclasses.replace(made, glb=str(output), cameras=tuple(cameras), provenance=provenance)


def with_it(path: Path) -> tuple[Path, list[Path]]:
    """What travels with a chosen path, and the folder from which its names are meant."""
    if path.is_dir():
        return path.parent, [*files_below(path)]
    if is_camera_list(path.name):
        folder = folder_of_listed(path)
        return folder.parent, [*files_below(folder)]
    return path.parent, [path]


def _named(part: Path, path: Path) -> None:
    """Gives a file that has arrived its name, as any result gets it: links, modes and the disk are cared for there."""
    try:
        with WholeFile(path) as file, part.open("rb") as content:
            while piece := content.read(1 << 20):
                file.write(piece)
    finally:
        part.unlink(missing_ok=True)


def _unseen(history: making.History) -> making.History:
    """Thumbnails lie there, and are not to be seen here."""
    entries = (dataclasses.replace(entry, thumbnail="", clay="") for entry in history.entries)
    return dataclasses.replace(history, entries=tuple(entries))


def serve(where: str, environment: str = "core") -> int:
    """Speaks the wire for whoever started this process. Returns its exit code."""
    from ..wire import stdio
    from ..wire.server import Server

    source, sink = stdio.claim()
    near = Near(where, environment)
    try:
        Server(source, sink, near.handlers()).run()
    finally:
        near.close()
    return 0
