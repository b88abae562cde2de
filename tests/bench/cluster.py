# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch on a Ray cluster of one, two and three nodes on this machine, each of one core: what the cluster costs.

    python -m envs create farm; then with that environment's Python:
    OMP_NUM_THREADS=1 python tests/bench/cluster.py [--nodes 1 2 3] [--things 100] [--hashes 60]
                                                    [--pictures FOLDER] [--lose]

Synthetic things are 0.35 MB that go and 0.84 MB that come back, once for nothing and once for `--hashes` rounds of
sha256 over them, which is work without sleep. --pictures: a batch of that folder too. --lose: with the last number of
nodes one of them is lost in the middle, and after that the one who gave the command is killed and gives it again.
Prints a line of JSON for each. Linux.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checkout

sys.path.insert(0, str(checkout.ROOT))  # as `python -m worker` has it: Ray names what it sends by its module
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from ray.cluster_utils import Cluster  # noqa: E402

from worker.executors import cluster as clusters  # noqa: E402 - after what its nodes are to find
from worker.executors.hand import Made  # noqa: E402
from worker.pipeline.batch import Asked  # noqa: E402
from worker.wire.offers import InitializeParams  # noqa: E402
from worker.wire.protocol import VERSION  # noqa: E402

GOES, COMES, LIMIT = 350_000, 840_000, 400.0


class Hashing:
    """What works on a node instead of a worker."""

    def __init__(self, settings: object) -> None:
        self.comes = os.urandom(COMES)

    def make(self, asked: Asked, sent: object) -> Made:
        content = b"".join(sent.files.values())
        for _ in range(asked.options["hashes"]):
            content = hashlib.sha256(content).digest() + content[32:]
        return Made({}, self.comes, b"png")


def synthetic(things: int, hashes: int, folder: Path) -> dict:
    """Seconds for each of so many things, and those that the one who gave the command computed."""
    photo = folder / "photo.bin"
    photo.write_bytes(os.urandom(GOES))
    clusters.Hand = Hashing

    def tasks(count: int) -> list[tuple[int, Asked]]:
        out = str(folder / "out.glb"), str(folder / "out.png")
        each = Asked((str(photo),), out[0], "fast", None, None, {"hashes": hashes}, False, out[1])
        return [(number, each) for number in range(count)]

    execute = clusters.cluster("auto", InitializeParams(VERSION, device="cpu"))
    before, ends = time.process_time(), []
    for outcome in execute(tasks(things), lambda parts: None):
        assert not outcome.problem, outcome.problem
        ends.append(time.monotonic())
    first = len(ends) // 5  # without the start of the nodes' processes
    wall = (ends[-1] - ends[first]) / (len(ends) - 1 - first)
    return {"ms_each": round(1000 * wall, 1), "ms_cpu_here": round(1000 * (time.process_time() - before) / things, 1)}


def batch(pictures: Path, out: Path, address: str) -> subprocess.Popen:
    how = ["--preset", "fast", "--included", "--no-cache", "--json", "--cluster", address]
    command = [sys.executable, "-m", "worker", "batch", str(pictures), "-o", str(out), *how]
    return subprocess.Popen(command, cwd=checkout.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def answered(running: subprocess.Popen) -> dict:
    answer = json.loads(running.communicate(timeout=LIMIT)[0])
    return {name: answer[name] for name in ("made", "kept", "failed", "seconds")}


def wait_for(out: Path, count: int, running: subprocess.Popen) -> None:
    end = time.monotonic() + LIMIT
    while len([*out.rglob("*.glb")]) < count and running.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def lost(nodes: Cluster, last: object, pictures: Path, folder: Path) -> None:
    """A node goes after three things; then the one who commands is killed after three, and commands again."""
    running = batch(pictures, folder / "lost", nodes.address)
    wait_for(folder / "lost", 3, running)
    nodes.remove_node(last, allow_graceful=False)
    print(json.dumps({"node_lost": answered(running)}), flush=True)
    running = batch(pictures, folder / "again", nodes.address)
    wait_for(folder / "again", 3, running)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    print(json.dumps({"killed_and_again": answered(batch(pictures, folder / "again", nodes.address))}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--things", type=int, default=100)
    parser.add_argument("--hashes", type=int, default=60)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--lose", action="store_true")
    asked = parser.parse_args()
    import ray

    for count in asked.nodes:
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            last = None
            for _ in range(count - 1):
                last = nodes.add_node(num_cpus=1)
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                os.environ["RAY_ADDRESS"] = nodes.address
                for hashes in (0, asked.hashes):
                    told = synthetic(asked.things, hashes, folder)
                    print(json.dumps({"nodes": count, "hashes": hashes, **told}), flush=True)
                ray.shutdown()
                if asked.pictures:
                    told = answered(batch(asked.pictures, folder / "out", nodes.address))
                    print(json.dumps({"nodes": count, **told}), flush=True)
                if asked.lose and last is not None and count == asked.nodes[-1]:
                    lost(nodes, last, asked.pictures, folder)
        finally:
            ray.shutdown()
            nodes.shutdown()


if __name__ == "__main__":
    main()
