# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras of several photos through the pipe: a process that is asked twice looks for them once."""

import itertools
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.wire import protocol
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Stands in for worker/__main__.py: the same App, a plan that takes a second, and a look at who finds cameras.
SCRIPT = """
import sys
from worker.wire import stdio
source, sink = stdio.claim()
from worker.app import App
from worker.methods.multiview_fit import grid_training
from worker.methods.multiview_fit.grid_training import Plan, Stage
from worker.pipeline import work
from worker.wire.server import Server

plan = Plan(48, 512, (Stage("density", 16, 20), Stage("surface", 24, 20)))
grid_training.PRESETS = dict.fromkeys(("fast", "balanced", "high"), plan)
find = work.registered
work.registered = lambda *asked: sys.stderr.write("looked for cameras\\n") and find(*asked)
Server(source, sink, App().handlers()).run()
"""


@pytest.fixture
def shots(tmp_path):
    """Eight pictures of a painted box, and their cameras."""
    folder, frames = tmp_path / "box", []
    folder.mkdir()
    shape = scene.painted_box()
    for number, view in enumerate(scene.ring(8, size=48)):
        photo = scene.photo(shape, view, "", alpha=True)
        Image.fromarray(np.dstack([photo.rgb, photo.alpha])).save(folder / f"{number}.png")
        focal = {"fl_x": view.camera.fx, "fl_y": view.camera.fy}
        frames.append({"file_path": f"{number}.png", "transform_matrix": scene.to_opengl(view), **focal})
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}))
    return folder


@pytest.fixture
def ask(tmp_path):
    """Asks the process and waits for its answer, 100 seconds at most."""
    errors = (tmp_path / "stderr").open("w")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors, "text": True}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=ROOT, **pipes)
    numbers = itertools.count(1)

    def asked(method: str, **params) -> dict:
        number, timer = next(numbers), threading.Timer(100.0, process.kill)
        timer.start()
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
        process.stdin.flush()
        answer = next(line for line in map(json.loads, process.stdout) if line.get("id") == number)
        timer.cancel()
        return answer["result"]

    yield asked
    process.kill()
    process.communicate()
    errors.close()


def test_another_preset_and_another_subject_look_for_no_cameras_again(shots, tmp_path, ask):
    ask("initialize", version=protocol.VERSION, device="cpu", cache=str(tmp_path / "cache"))
    work = {"pictures": [str(shots)], "output": str(tmp_path / "out.glb"), "category": "nerf"}
    options = {"grid": 32, "faces": 500, "texture": 64}
    first = ask("generate", preset="fast", options=options, **work)
    second = ask("generate", preset="balanced", options={**options, "subject": "scene"}, **work)
    assert "cameras" in first["seconds"] and "cameras" not in second["seconds"] and "network" in second["seconds"]
    assert (tmp_path / "stderr").read_text().count("looked for cameras") == 1
