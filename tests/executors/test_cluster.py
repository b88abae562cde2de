# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches on a cluster: what travels to a node and back, and, where Ray is here (environment farm), a node, and one
who commands, that are lost in the middle of it."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.executors import hand
from image_to_3d.worker.executors.cluster import cluster
from image_to_3d.worker.executors.hand import Hand, packed
from image_to_3d.worker.executors.spread import spread
from image_to_3d.worker.pipeline.batch import Asked
from image_to_3d.worker.wire.offers import InitializeParams
from image_to_3d.worker.wire.protocol import VERSION
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 240.0

needs_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="Ray is not here (environment farm)")


def picture(path: Path, seed: int = 0) -> Path:
    rows, columns = np.mgrid[:60, :80]
    rgb = np.stack([rows * 3, columns * 3, np.full_like(rows, 40 + 20 * seed)], -1).astype(np.uint8)
    rgb[20:45, 20 + seed : 50] = (200, 60, 30)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


def asked(tmp_path: Path, *pictures: Path) -> Asked:
    paths = tuple(map(str, pictures))
    out = str(tmp_path / "out.glb")
    return Asked(paths, out, "fast", "Depth", "included", {}, False, str(tmp_path / "out.png"))


def test_a_hand_makes_of_bytes_what_a_worker_makes_of_files(tmp_path):
    photo = picture(tmp_path / "in" / "my photo.png")
    worker = Hand(InitializeParams(VERSION, device="cpu"))
    made = worker.make(asked(tmp_path, photo), packed(asked(tmp_path, photo)))
    assert not made.problem and made.glb[:4] == b"glTF" and made.thumbnail[:4] == b"\x89PNG"
    assert made.facts["name"] == "my photo" and made.facts["provenance"]["pictures"] == (str(photo),)
    (tmp_path / "in" / "bad.png").write_bytes(b"bad")
    bad = asked(tmp_path, tmp_path / "in" / "bad.png")
    assert "not a picture" in worker.make(bad, packed(bad)).problem
    worker._worker.close()
    assert not (tmp_path / "out.glb").exists()


def test_folders_travel_with_their_names_and_not_too_much(tmp_path, monkeypatch):
    for name in ("a.png", "deep/b.png"):
        picture(tmp_path / "set" / name)
    sent = packed(asked(tmp_path, tmp_path / "set"))
    assert sent.chosen == ("0/set",) and set(sent.files) == {"0/set/a.png", "0/set/deep/b.png"}
    monkeypatch.setattr(hand, "MOST", 100)
    with pytest.raises(Unable, match="no cluster is sent"):
        packed(asked(tmp_path, tmp_path / "set"))


def test_no_more_is_on_its_way_than_there_is_room_for(tmp_path):
    taken, running = [], []

    def tasks():
        for number in range(9):
            taken.append(number)
            yield number, asked(tmp_path)

    def submit(_):
        assert len(taken) <= sum(future.done() for future in running) + 3
        future = Future()
        if running:
            running[-1].set_result({"n": len(running)}) if not running[-1].done() else None
        running.append(future)
        if len(running) == 9:
            future.set_exception(Unable("the last one"))
        return future

    found = list(spread(tasks(), submit, 2, lambda parts: None))
    assert sorted(each.number for each in found) == list(range(9))
    assert [each.problem for each in found if each.problem] == ["the last one"]


def test_where_ray_is_not_that_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Unable, match="envs create farm"):
        cluster("auto", InitializeParams(VERSION))


@needs_ray
def test_where_nobody_listens_there_is_no_cluster():
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(Unable, match="no cluster at"):
            cluster(address, InitializeParams(VERSION))


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """A cluster of one node with one core on this machine. What it starts can be told by its environment."""
    from ray.cluster_utils import Cluster

    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    for name, value in {"PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IMAGE_TO_3D_HOME", str(tmp_path / "home"))
    for seed in range(8):
        picture(tmp_path / "in" / f"{seed}.png", seed)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"bad")
    try:
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    except Exception as error:
        if "timed out during startup" not in str(error):  # Ray gives its nodes half a minute, whoever is busy
            raise
        pytest.skip("this machine is too busy for Ray to start")
    yield found
    found.shutdown()


def begun(tmp_path: Path, out: str, *more: str) -> subprocess.Popen:
    options = ["--preset", "fast", "--included", "--no-cache", "--json", *more]
    command = [sys.executable, "-m", "worker", "batch", tmp_path / "in", "-o", tmp_path / out, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def meshes(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.glob("*.glb")}


def ended(running: subprocess.Popen) -> dict:
    out, log = running.communicate(timeout=LIMIT)
    assert running.returncode == 1, log
    result = json.loads(out)
    assert result["failed"] == 1 and "not a picture" in result["failures"][0]["message"]
    return result


def workers_of(home: Path) -> list[int]:
    """The processes that make things, wherever they hang: those with that home in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            of_it = str(home).encode() in (path / "environ").read_bytes()
            if of_it and b"-m\0worker\0" in (path / "cmdline").read_bytes() + b"\0":
                found.append(int(path.name))
    return found


@needs_ray
@pytest.mark.timeout(2 * LIMIT)
def test_a_node_that_is_lost_costs_no_result(nodes, tmp_path):
    """Two nodes on this machine; one goes when two things are made."""
    second = nodes.add_node(num_cpus=1)
    running = begun(tmp_path, "out", "--cluster", nodes.address)
    until(lambda: len(meshes(tmp_path / "out")) >= 2 or running.poll() is not None)
    nodes.remove_node(second, allow_graceful=False)
    assert ended(running)["made"] == 8 and len(meshes(tmp_path / "out")) == 8


@needs_ray
@pytest.mark.timeout(3 * LIMIT)
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_who_commands_may_be_killed_and_the_same_command_goes_on(nodes, tmp_path):
    """Nobody is left working for one who is gone; what he had is not made twice; in the end all is as without Ray."""
    running = begun(tmp_path, "out", "--cluster", nodes.address)
    rows = tmp_path / "out" / "results.jsonl"
    until(lambda: rows.is_file() and rows.read_bytes().count(b"\n") >= 3 or running.poll() is not None)
    running.kill()
    running.communicate()
    told = {row["name"] for row in map(json.loads, rows.read_text().splitlines()) if row["status"] == "done"}
    before = {name: path.stat().st_ino for name, path in meshes(tmp_path / "out").items()}
    assert 2 <= len(told) < 8
    until(lambda: not workers_of(tmp_path / "home"))
    result = ended(begun(tmp_path, "out", "--cluster", nodes.address))
    found = meshes(tmp_path / "out")
    assert (result["made"], result["kept"], len(found)) == (8 - len(told), len(told), 8)
    assert all(found[f"{name}.glb"].stat().st_ino == before[f"{name}.glb"] for name in told)
    until(lambda: not workers_of(tmp_path / "home"))
    ended(begun(tmp_path, "alone"))
    alone = meshes(tmp_path / "alone")
    assert {name: path.read_bytes() for name, path in found.items()} == {
        n: path.read_bytes() for n, path in alone.items()
    }
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.startswith(".new-")]
