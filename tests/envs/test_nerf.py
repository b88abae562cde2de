# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment for many photos holds what nerfstudio's models need to be trained, where it has been made."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from image_to_3d.envs.places import default_root
from image_to_3d.envs.running import process_environment
from image_to_3d.envs.states import status

ENGINES = Path(__file__).with_name("nerf_engines.py")
NOWHERE = "http://127.0.0.1:9"  # the port of "discard", which nobody listens to


def learned(engine: str, case: str) -> dict:
    """What the engine finds, in the environment's own Python, without the network and without a GPU."""
    python = status(default_root(), "nerf").python
    if python is None:
        pytest.skip("the environment nerf is not here: make it with `python3 -m envs create nerf`")
    offline = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "CUDA_VISIBLE_DEVICES": "-1"}
    variables = {**process_environment(default_root(), "nerf"), **offline}
    command = [str(python), "-W", "ignore", str(ENGINES), engine, case]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=580)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.timeout(600)  # the first imports on a busy machine take minutes
@pytest.mark.parametrize("engine, off", [("nerfacto", 0.04), ("neus-facto", 0.012)])
def test_an_engine_finds_a_ball(engine, off):
    """Of radius 0.35: how far the surface that is found lies off the true one, in the same unit."""
    found = learned(engine, "cut-out")
    assert (found["steps"], found["stopped"]) == (300, False)
    told = [re.fullmatch(r"step (\d+) of 300", found[end]) for end in ("first", "last")]
    assert int(told[0][1]) == 1 and int(told[1][1]) > 250  # the last may come too soon after another to be told
    assert found["psnr"] > 23.0
    assert found["off"] < off
    assert found["inside"] > 0.6 and found["outside"] == 1.0


@pytest.mark.timeout(600)  # the first imports on a busy machine take minutes
def test_a_ball_before_a_backdrop_is_told_from_it():
    found = learned("neus-facto", "surrounded")
    assert found["psnr"] > 19.0  # after the first step 13
    assert found["off"] < 0.05 and found["inside"] > 0.85 and found["outside"] == 1.0  # 0.09 at first


@pytest.mark.timeout(600)  # the first imports on a busy machine take minutes
def test_what_is_stopped_early_is_kept_and_was_shown():
    found = learned("neus-facto", "stopped")
    assert found["stopped"] and found["steps"] < 300
    assert found["previews"] == [[24, 24, 3]] * 2
    assert found["inside"] > 0.9 and found["outside"] > 0.9


@pytest.mark.timeout(600)  # the first imports on a busy machine take minutes
def test_a_cancel_is_heard_between_steps():
    assert learned("nerfacto", "cancelled") == {"cancelled": True, "said": 3}
