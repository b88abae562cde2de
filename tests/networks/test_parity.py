# SPDX-License-Identifier: GPL-3.0-or-later
"""Our networks against recorded results of the authors' code, and against the published tensor lists."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.tests.parity.compare import TABLE, compared
from image_to_3d.worker.networks.triposr import TripoSR, TripoSRConfig, read_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("network", sorted(TABLE))
def test_every_stage_agrees_with_the_authors_code(shared, network):
    report = compared(network, shared / "fixtures" / network)
    assert report["failed"] == []
    assert {"foreground_rgba", "image_rgb_uint8", "image_tokens", "scene_code", "query_density"} < set(report["stages"])


def test_a_mistake_is_told_by_its_stage_and_by_the_exit_status(shared, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(shared / "fixtures" / "triposr", folder)
    with np.load(folder / "reference.npz") as file:
        arrays = dict(file)
    arrays["scene_code"] = arrays["scene_code"] * 1.001
    (folder / "reference.npz").chmod(0o644)
    np.savez(folder / "reference.npz", **arrays)
    command = [sys.executable, "-m", "tests.parity", "triposr", str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert run.returncode == 1 and json.loads(run.stdout)["failed"] == ["scene_code"]


def test_every_tensor_of_the_full_triposr_has_its_published_name_and_shape(shared):
    published = json.loads((shared / "fixtures" / "keys" / "triposr.json").read_text())
    wanted = {name: tuple(shape) for name, shape in published["tensors"].items()}
    on_meta = {name: torch.empty(shape, device="meta") for name, shape in wanted.items()}
    config = read_config(published["config_yaml"], on_meta)
    assert config == TripoSRConfig()
    with torch.device("meta"):
        network = TripoSR(config)
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == wanted


def test_the_full_triposr_has_as_many_tensors_and_parameters_as_the_published_file():
    with torch.device("meta"):
        state = TripoSR(TripoSRConfig()).state_dict()
    assert len(state) == 549 and sum(tensor.numel() for tensor in state.values()) == 419_275_628
