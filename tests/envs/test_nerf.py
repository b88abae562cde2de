# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment for many photos holds what nerfstudio's models need to be trained, where it has been made."""

import subprocess
from pathlib import Path

import pytest
from image_to_3d.envs.places import default_root
from image_to_3d.envs.running import process_environment
from image_to_3d.envs.states import status

STEPS = Path(__file__).with_name("nerf_steps.py")
NOWHERE = "http://127.0.0.1:9"  # the port of "discard", which nobody listens to


@pytest.mark.timeout(600)  # the first imports on a busy machine take minutes
@pytest.mark.parametrize("model", ["nerfacto", "neus-facto"])
def test_a_model_of_nerfstudio_trains_on_the_processor_without_the_network(model):
    python = status(default_root(), "nerf").python
    if python is None:
        pytest.skip("the environment nerf is not here: make it with `python3 -m envs create nerf`")
    offline = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "CUDA_VISIBLE_DEVICES": "-1"}
    variables = {**process_environment(default_root(), "nerf"), **offline}
    ran = subprocess.run([str(python), str(STEPS), model], env=variables, capture_output=True, text=True, timeout=580)
    assert ran.returncode == 0, ran.stderr[-2000:]
    losses = [float(line.partition(" ")[2]) for line in ran.stdout.splitlines() if line.startswith("loss ")]
    assert len(losses) == 5
    assert 0 < losses[-1] < losses[0]
