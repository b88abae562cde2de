# SPDX-License-Identifier: GPL-3.0-or-later
"""The house grows by one folder and one line, and each method can go without the others noticing."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading

import pytest
from image_to_3d.worker.methods import TABLE
from image_to_3d.worker.wire import making, offers, protocol

METHOD = """
from dataclasses import dataclass

from worker.core.options import option
from worker.methods.method import Method, Network


@dataclass(frozen=True)
class Options:
    lean: float = option(0.5, "Lean", "How far the wall leans back.", 0.0, 1.0)


METHODS = (
    Method(
        "ramp", "Leaning wall", "Depth", "Every photo to a wall that leans back.",
        pictures="one", cut_out=False, makes="DepthMap", runner=f"{__name__}.wall", options=Options,
        networks=(Network("leaning-wall", "Leaning wall", "GPL-3.0-or-later", "No network at all."),),
        presets={"fast": {"grid": 64}, "balanced": {"grid": 128}},
    ),
)
"""
RUNNER = """
import numpy as np

from worker.core.representations import DepthMap


def run(task, loaded, job):
    far = np.linspace(1.0, 1.0 + task.options.lean, 40, dtype=np.float32)
    return DepthMap(np.repeat(far[:, None], 60, 1), False, np.ones((40, 60), bool), task.picture.view(50.0))


def restored(arrays, task, job):
    return DepthMap.from_arrays(arrays, task.picture.view(50.0))
"""
LINE = '    "a_method_of_mine",\n'


@pytest.fixture
def grown(copy_of_the_worker):
    """A worker with one method more: a folder outside of the tree, and one line."""
    assert METHOD.count("\n") + RUNNER.count("\n") <= 40
    folder = copy_of_the_worker()
    own = folder / "elsewhere" / "a_method_of_mine"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text(METHOD)
    (own / "wall.py").write_text(RUNNER)
    table = folder / "worker" / "methods" / "__init__.py"
    table.write_text(re.sub(r"TABLE = \(\n", f"TABLE = (\n{LINE}", table.read_text("utf-8"), count=1))
    return folder


def process(folder, *arguments, **more) -> subprocess.CompletedProcess:
    variables = os.environ | {"IMAGE_TO_3D_HOME": str(folder / "home"), "PYTHONPATH": str(folder / "elsewhere")}
    command = [sys.executable, "-m", "worker", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, timeout=100, **more)


def test_a_method_from_outside_the_tree_makes_a_mesh_from_the_terminal(grown, photo, tmp_path):
    command = ("generate", photo, "-o", tmp_path / "out.glb", "--model", "leaning-wall", "--set", "lean=1.0", "--json")
    done = process(grown, *command)
    assert json.loads(done.stdout)["network"] == "leaning-wall", done.stderr
    again = json.loads(process(grown, *command).stdout)
    assert again["from_cache"]
    runner = grown / "elsewhere" / "a_method_of_mine" / "wall.py"
    runner.write_text(RUNNER.replace("1.0 + task", "2.0 + task"))
    assert not json.loads(process(grown, *command).stdout)["from_cache"]  # its own code is in its key


def asked(folder, requests: list[tuple[str, object]]) -> list[dict]:
    """The answers of a worker to one request after the other."""
    variables = os.environ | {"IMAGE_TO_3D_HOME": str(folder / "home"), "PYTHONPATH": str(folder / "elsewhere")}
    command, pipe, answers = [sys.executable, "-m", "worker"], subprocess.PIPE, []
    with subprocess.Popen(command, cwd=folder, env=variables, stdin=pipe, stdout=pipe, bufsize=0) as worker:
        late = threading.Timer(100, worker.kill)
        late.start()
        for number, (method, params) in enumerate(requests):
            worker.stdin.write(protocol.encode(protocol.Request(number, method, params)))
            for line in worker.stdout:
                answer = protocol.decode(line)
                assert not isinstance(answer, protocol.Error), answer
                if isinstance(answer, protocol.Result):
                    answers.append(answer.result)
                    break
        late.cancel()
    return answers


def test_a_method_from_outside_the_tree_is_described_and_makes_a_mesh_through_the_pipe(grown, photo, tmp_path):
    pictures, out = (str(photo),), str(tmp_path / "out.glb")
    introduced, selected, made, _ = asked(
        grown,
        [
            ("initialize", offers.InitializeParams(protocol.VERSION)),
            ("select", offers.SelectParams(pictures, "depth", options={"lean": 0.2})),
            ("generate", making.GenerateParams(pictures, out, "fast", network="leaning-wall")),
            ("shutdown", offers.Empty()),
        ],
    )
    described = protocol.read(offers.InitializeResult, introduced).methods
    [mine] = [method for method in described if method.name == "ramp"]
    assert {option.name for option in mine.options} >= {"lean", "grid", "faces", "texture", "size", "origin"}
    assert selected == {"method": "ramp", "network": "leaning-wall"}
    assert made["network"] == "leaning-wall" and made["faces"] > 100 and (tmp_path / "out.glb").is_file()


@pytest.mark.parametrize("line", TABLE)
def test_without_a_method_everything_else_works(copy_of_the_worker, photo, thing, tmp_path, line):
    folder = copy_of_the_worker()
    shutil.rmtree(folder / "worker" / "methods" / line.removeprefix("."))
    table = folder / "worker" / "methods" / "__init__.py"
    text = table.read_text("utf-8")
    assert text.count(f'    "{line}",\n') == 1
    table.write_text(text.replace(f'    "{line}",\n', ""))
    left = json.loads(process(folder, "models", "--json").stdout)["methods"]
    assert len(left) >= 6 and line.removeprefix(".") not in {method["name"] for method in left}
    names = {network["name"] for method in left for network in method["networks"]}
    for network, picture in (("included", photo), ("included-object", thing), ("included-generator", thing)):
        done = process(folder, "generate", picture, "-o", tmp_path / "out.glb", "--model", network, "--preset", "fast")
        assert done.returncode == (0 if network in names else 1), done.stderr
        if network not in names:
            assert b"there is no model" in done.stderr.splitlines()[-1]
