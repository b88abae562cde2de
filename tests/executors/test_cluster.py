# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches on a cluster: what travels to a node and back, and, where Ray is here (environment farm), a node that is lost
in the middle of it."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from concurrent.futures import Future
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


@needs_ray
@pytest.mark.timeout(2 * LIMIT)
def test_a_node_that_is_lost_costs_no_result(tmp_path, monkeypatch):
    """Two nodes on this machine; one goes when two things are made."""
    from ray.cluster_utils import Cluster

    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    for name, value in {"PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IMAGE_TO_3D_HOME", str(tmp_path / "home"))
    for seed in range(8):
        picture(tmp_path / "in" / f"{seed}.png", seed)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"bad")
    try:
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    except Exception as error:
        if "timed out during startup" not in str(error):  # Ray gives its nodes half a minute, whoever is busy
            raise
        pytest.skip("this machine is too busy for Ray to start")
    try:
        second = nodes.add_node(num_cpus=1)
        options = ["--preset", "fast", "--included", "--no-cache", "--json", "--cluster", nodes.address]
        command = [sys.executable, "-m", "worker", "batch", tmp_path / "in", "-o", tmp_path / "out", *options]
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + LIMIT
        while len([*(tmp_path / "out").glob("*.glb")]) < 2 and running.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.02)
        nodes.remove_node(second, allow_graceful=False)
        out, log = running.communicate(timeout=LIMIT)
    finally:
        nodes.shutdown()
    assert running.returncode == 1, log
    result = json.loads(out)
    assert (result["made"], result["failed"]) == (8, 1) and "not a picture" in result["failures"][0]["message"]
    assert len([*(tmp_path / "out").glob("*.glb")]) == 8
