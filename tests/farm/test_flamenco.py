# SPDX-License-Identifier: GPL-3.0-or-later
"""The job type for Flamenco, compiled under Node with a stand-in for its `author`, and its commands run as written."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.envs.specs import spec
from image_to_3d.envs.states import Marker
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "farm" / "flamenco" / "image_to_3d.js"
NODE = shutil.which("node")
LIMIT = 100.0

pytestmark = pytest.mark.skipif(not NODE, reason="no node here")


def compiled(**settings) -> dict:
    settings = {"pictures": "/pictures", "results": "/results", **settings}
    command = [NODE, Path(__file__).with_name("compiled.js"), SCRIPT, json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_setting_has_a_type_and_a_tooltip():
    settings = compiled()["type"]["settings"]
    assert len(settings) == len({each["key"] for each in settings}) >= 10
    for each in settings:
        assert each["type"] in ("string", "int32", "float", "bool") and len(each["description"]) > 10
        assert each.get("required") or "default" in each
        assert each.get("subtype", "dir_path") in ("dir_path", "file_path", "file_name", "hashed_file_path")
        if "choices" in each:
            assert each["default"] in each["choices"]


@pytest.mark.parametrize("count, chunk, parts", [(1, 10, 1), (7, 3, 3), (1000, 1, 1000), (1000, 10, 100)])
def test_a_job_has_a_task_for_each_part_and_one_that_gathers(count, chunk, parts):
    tasks = compiled(count=count, chunk=chunk)["tasks"]
    *working, last = tasks
    assert len(working) == parts and len({task["name"] for task in tasks}) == parts + 1
    assert last["name"] == "gather" and last["dependencies"] == [task["name"] for task in working]
    for number, task in enumerate(working, 1):
        [command] = task["commands"]
        assert (task["type"], command["name"], task["dependencies"]) == ("misc", "exec", [])
        assert f"--part={number}/{parts}" in command["parameters"]["args"]
    assert last["type"] == "blender" and "--blender={blender}" in last["commands"][0]["parameters"]["args"]


def test_what_is_set_arrives_as_single_arguments():
    odd = {"options": " fov=60  solid=true ", "model": "depth; rm -rf x", "sets": True, "library": False}
    task, last = compiled(count=1, pictures="/a b/$(x)", **odd)["tasks"]
    args = task["commands"][0]["parameters"]["args"]
    assert args[:4] == ["{image_to_3d}/envs", "run", "batch", "/a b/$(x)"] and "--sets" in args
    assert args[6:9] == ["--model=depth; rm -rf x", "--set=fov=60", "--set=solid=true"]
    assert last["type"] == "misc" and not [each for each in args if "blender" in each]


@pytest.mark.parametrize("pictures", ["", "relative", "-o/x", "--blender=x"])
def test_paths_must_be_whole(pictures):
    assert "pictures must be a whole path" in compiled(pictures=pictures)["problem"]


def test_the_commands_run_as_they_are_written(tmp_path):
    """In two tasks and the one that gathers; a picture that is bad fails at the end, and stops no task before."""
    for seed in range(5):
        rows, columns = np.mgrid[:40, :60]
        rgb = np.stack([rows * 4, columns * 4, np.full_like(rows, 40 * seed)], -1).astype(np.uint8)
        (tmp_path / "my pictures").mkdir(exist_ok=True)
        Image.fromarray(rgb).save(tmp_path / "my pictures" / f"{seed}.png")
    (tmp_path / "my pictures" / "bad.jpg").write_bytes(b"bad")
    home = tmp_path / "home" / "environments"
    home.mkdir(parents=True)
    (home / "core@test").symlink_to(sys.prefix)
    made = Marker(folder="core@test", fingerprint=spec("core").fingerprint, torch="cpu", made_at="")
    (home / "core.json").write_text(json.dumps(asdict(made)))
    places = {"pictures": str(tmp_path / "my pictures"), "results": str(tmp_path / "results"), "program": str(ROOT)}
    job = compiled(count=6, chunk=3, preset="fast", model="included", library=False, python=sys.executable, **places)
    variables = os.environ | {"IMAGE_TO_3D_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    codes = []
    for task in job["tasks"]:
        command = task["commands"][0]["parameters"]
        done = subprocess.run(
            [command["exe"], *command["args"]], cwd=tmp_path, env=variables, capture_output=True, timeout=LIMIT
        )
        codes.append(done.returncode)
    assert codes == [0, 0, 1], done.stderr
    assert b"0 made, 5 there before, 1 failed" in done.stdout
    files = sorted(path.name for path in (tmp_path / "results").iterdir() if path.is_file())
    assert files == [*(f"{seed}.glb" for seed in range(5)), "contact_sheet.html", "results.jsonl"]
    lines = (tmp_path / "results" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["0", "1", "2", "3", "4", "bad"]
