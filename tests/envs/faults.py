# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is small or read-only, and an index whose connection breaks off."""

import contextlib
import http.server
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE = 10.0  # seconds


@dataclass(frozen=True)
class Disk:
    """A file system in memory at ``folder``."""

    folder: Path

    def resize(self, megabytes: int) -> None:
        self._remount(f"size={megabytes}m")

    def make_read_only(self, read_only: bool) -> None:
        self._remount("ro" if read_only else "rw")

    def _remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True)


@contextlib.contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Skips the test where nothing can be mounted: that takes root's rights on Linux."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class IndexServer:
    """Serves the wheels in ``folder`` as a package index; the connection ends in the middle of those in ``cuts``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cuts: tuple[str, ...] = ()
        self.before_cut: Callable[[], bool] = lambda: True  # a connection ends when this is so, or after PATIENCE
        self.served: list[str] = []

    def __enter__(self) -> "IndexServer":
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.answer(self)

            def log_message(self, format, *arguments) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}/simple"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        name = request.path.strip("/").rpartition("/")[2]
        if name.endswith(".whl"):
            self._send_wheel(request, name)
            return
        if name.endswith(".whl.metadata"):
            with zipfile.ZipFile(self.folder / name.removesuffix(".metadata")) as wheel:
                inside = next(each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
                self._send(request, wheel.read(inside), "text/plain")
            return
        pattern = f"{name.replace('-', '_')}-*.whl"
        links = "".join(
            f'<a href="/files/{each.name}" data-core-metadata="true">{each.name}</a>'
            for each in self.folder.glob(pattern)
        )
        self._send(request, links.encode(), "text/html", links != "")

    def _send_wheel(self, request: http.server.BaseHTTPRequestHandler, name: str) -> None:
        content = (self.folder / name).read_bytes()
        self.served.append(name)
        if not name.startswith(self.cuts or ("nothing",)):
            self._send(request, content, "application/octet-stream")
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2])
        end = time.monotonic() + PATIENCE
        while not self.before_cut() and time.monotonic() < end:
            time.sleep(0.01)

    def _send(self, request: http.server.BaseHTTPRequestHandler, content: bytes, kind: str, found: bool = True) -> None:
        request.send_response(200 if found else 404)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
