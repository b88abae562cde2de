# SPDX-License-Identifier: GPL-3.0-or-later
"""What making the environments costs, beside `pip install nerfstudio`: seconds, bytes downloaded, bytes on the disk.

    python3 tests/bench/environments.py SCRATCH_FOLDER [core] [nerf] [nerfstudio]

Cold is an empty data folder: uv and every package are fetched. Warm is the same once more, with the packages in the
cache. "nerf beside core" is cold but for what core has fetched. Downloads are counted by a proxy on this machine
through which everything goes, so files that come from a folder or a mirror on the disk are not in it; to measure
without such, set PIP_CONFIG_FILE to the null device. SCRATCH_FOLDER is made and removed; 5 GB, for nerfstudio 12.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Counting(socketserver.ThreadingTCPServer):
    """A proxy that passes on what HTTPS needs (RFC 9110, CONNECT) and counts the bytes that come back."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.received, self.guard = 0, threading.Lock()

    def count(self, size: int) -> None:
        with self.guard:
            self.received += size


class Tunnel(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked = self.rfile.readline().decode().split()
        if not asked:
            return  # a connection that was kept in reserve
        if asked[0] != "CONNECT":
            self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
            return
        while self.rfile.readline().strip():
            pass
        host, _, port = asked[1].rpartition(":")
        try:
            there = socket.create_connection((host, int(port)), timeout=30)
        except OSError:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        there.settimeout(None)
        with there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._pass_on, args=(there, self.connection, True), daemon=True)
            back.start()
            self._pass_on(self.connection, there, False)
            back.join()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while part := source.recv(1 << 16):
                target.sendall(part)
                if counted:
                    self.server.count(len(part))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return  # one end has hung up, as clients do when they have what they want


@dataclass(frozen=True)
class Cost:
    what: str
    seconds: float
    downloaded: int
    disk: int


def size_on_disk(folder: Path) -> int:
    """Bytes, with what has several names counted once."""
    seen = {}
    for base, _, names in os.walk(folder):
        for name in names:
            found = os.lstat(os.path.join(base, name))
            seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


def measured(what: str, command: list[str], folder: Path, proxy: Counting) -> Cost:
    address = f"http://127.0.0.1:{proxy.server_address[1]}"
    variables = {**os.environ, "PIP_PROXY": address, "HTTPS_PROXY": address, "HTTP_PROXY": address}
    before, start = proxy.received, time.perf_counter()
    ran = subprocess.run(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds = time.perf_counter() - start
    if ran.returncode:
        raise SystemExit(f"{what}: {' '.join(command)} failed\n{ran.stdout[-3000:]}")
    return Cost(what, seconds, proxy.received - before, size_on_disk(folder))


def core(scratch: Path, proxy: Counting) -> None:
    twice("core", scratch, proxy)


def nerf(scratch: Path, proxy: Counting) -> None:
    twice("nerf", scratch, proxy)
    if (scratch / "core").exists():
        create = [sys.executable, "-m", "envs", "create", "nerf", "--root", str(scratch / "core")]
        show(measured("nerf beside core", create, scratch / "core", proxy))


def twice(name: str, scratch: Path, proxy: Counting) -> None:
    home = scratch / name
    create = [sys.executable, "-m", "envs", "create", name, "--root", str(home)]
    show(measured(f"{name}, cold", create, home, proxy))
    show(measured(f"{name}, warm", [*create, "--anew"], home, proxy))


def nerfstudio(scratch: Path, proxy: Counting) -> None:
    """As its documentation says, into a virtual environment of its own."""
    folder = scratch / "nerfstudio"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    command = [str(folder / "bin" / "pip"), "install", "--no-cache-dir", "--quiet", "nerfstudio"]
    show(measured("pip install nerfstudio", command, folder, proxy))


MEASURED = {"core": core, "nerf": nerf, "nerfstudio": nerfstudio}


def show(cost: Cost) -> None:
    print(f"{cost.what:24} {cost.seconds:8.1f} s {cost.downloaded / 1e6:9.0f} MB {cost.disk / 1e6:9.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scratch", type=Path, help="a folder that is not there yet")
    parser.add_argument("what", nargs="*", default=["core", "nerf"], help="core, nerf, nerfstudio (default: core nerf)")
    options = parser.parse_args()
    scratch = options.scratch.resolve()
    scratch.mkdir(parents=True)
    proxy = Counting()
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':24} {'time':>10} {'downloaded':>12} {'on disk':>12}", flush=True)
    try:
        for what in options.what:
            MEASURED[what](scratch, proxy)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
