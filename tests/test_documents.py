# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command that the README, the documents and our own messages mention does what they say, or is at least one."""

import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.methods import all_methods
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "docs/*.md", "worker/included/*.md", "worker/**/*.py", "envs/**/*.py", "addon/**/*.py")
COMMAND = re.compile(r"python3 -m envs(?: (?:[\w.][\w./=-]*|--?[\w-]+|\{[\w.]+\}))+")
NOTHING_REACHED = dict.fromkeys(("http_proxy", "https_proxy", "HF_ENDPOINT"), "http://127.0.0.1:9")


def mentioned() -> set[str]:
    """All commands, with names of networks where messages have one in braces."""
    found = set()
    for pattern in DOCUMENTS:
        for path in ROOT.glob(pattern):
            if "training" not in path.parts:
                found |= {each.rstrip(".,") for each in COMMAND.findall(path.read_text("utf-8"))}
    rows = [network.name for method in all_methods() for network in method.networks]
    return {
        re.sub(r"\{[\w.]+\}", name, command)
        for command in found
        for name in (rows if "{" in command and "download" in command else ["core"])
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with what the commands name, and the home of what they make."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "docs" / "examples").mkdir(parents=True)
    for name in ("room.jpg", "robot.png"):
        (folder / "docs" / "examples" / name).symlink_to(ROOT / "docs" / "examples" / name)
    (folder / "PHOTO").symlink_to(ROOT / "docs" / "examples" / "room.jpg")
    (folder / "VIDEO").mkdir()  # a folder of frames is as good
    (folder / "VIDEO" / "1.jpg").symlink_to(ROOT / "docs" / "examples" / "room.jpg")
    balls(folder / "FOLDER")
    return folder


def balls(folder: Path) -> None:
    """Six small pictures of a ball with their cameras."""
    folder.mkdir()
    frames = []
    for number in range(6):
        yaw = number * math.tau / 6
        back = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
        pose = np.eye(4)
        pose[:3] = np.column_stack([np.cross((0, 0, 1), back), (0, 0, 1), back, 3.0 * back])
        rows, columns = np.mgrid[:32, :32] - 15.5
        inside = rows**2 + columns**2 < 8**2
        rgba = np.dstack(
            [np.where(rows[..., None] > 0, np.uint8([220, 40, 40]), np.uint8([40, 60, 220])), 255 * inside]
        )
        Image.fromarray(rgba.astype(np.uint8)).save(folder / f"{number}.png")
        frames.append({"file_path": f"{number}.png", "transform_matrix": pose.tolist()})
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": 0.7, "frames": frames}))


def ran(command: str, place: Path) -> subprocess.CompletedProcess:
    """The command, with this Python in the place of the environment that `run` would make."""
    words = shlex.split(command)[3:]
    variables = os.environ | NOTHING_REACHED | {"IMAGE_TO_3D_HOME": str(place / "home"), "PYTHONPATH": str(ROOT)}
    module = ["worker", *words[1:]] if words[0] == "run" else ["envs", *words]
    command = [sys.executable, "-m", *module]
    return subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, timeout=110)


HERE = re.compile(r"python3 -m envs run (generate|batch|models|doctor)(?!.* --on )")
WORKING = sorted(filter(HERE.match, mentioned()))
FETCHING = sorted(c for c in mentioned() if c.startswith("python3 -m envs run download"))
OTHERS = sorted(mentioned() - set(WORKING) - set(FETCHING))


def test_commands_are_found():
    assert len(WORKING) >= 6 and len(FETCHING) >= 10 and len(OTHERS) >= 6
    assert "python3 -m envs run download triposr" in FETCHING and "python3 -m envs run download photos" in FETCHING


@pytest.mark.parametrize("command", WORKING)
def test_what_makes_or_tells_something_does(command, place):
    done = ran(command, place)
    assert done.returncode == 0, done.stderr
    if "-o" in command:
        made = place / shlex.split(command)[shlex.split(command).index("-o") + 1]
        files = made.rglob("*") if made.is_dir() else [made]
        assert sum(path.stat().st_size for path in files) > 10_000


@pytest.mark.parametrize("command", FETCHING)
def test_what_fetches_something_knows_what(command, place):
    """Nothing can be reached here: it gets as far as that, or has nothing to fetch."""
    done = ran(command, place)
    if done.returncode:
        assert done.returncode == 1 and "there is no network" not in done.stderr
        assert re.search(r"could not be (reached|fetched|downloaded)|put its files there", done.stderr), done.stderr
    else:
        assert "is here" in done.stdout


@pytest.mark.parametrize("command", OTHERS)
def test_what_cares_for_environments_is_understood(command, place):
    """What it does is shown in tests/envs, in an empty machine of its own."""
    words = shlex.split(command)[3:]
    if words[:1] == ["run"]:
        words = words[: 3 if words[1:2] == ["--name"] else 1]
    done = subprocess.run(
        [sys.executable, "-m", "envs", *words, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
