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
from image_to_3d.worker.methods.depth import moge
from image_to_3d.worker.methods.triposg import detail_network as detail
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.methods.triposr.network import TripoSR, TripoSRConfig, read_config

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {
    "detailgen3d": {"surface", "coarse_mean", "augmented_latents", "dit_block_0", "latents_step_4", "field_grid"},
    "moge": {"image_14", "encoder_out", "neck_out_2", "focal", "shift", "points", "normal", "mask", "fov50_depth"},
    "triposg": {"pixel_values", "image_embeds", "dit_out", "latents_step_4", "vae_kv", "mean", "field_of_mean"},
    "triposr": {"foreground_rgba", "image_rgb_uint8", "image_tokens", "scene_code", "query_density"},
}
"""Stages that a set of the network must compare at least."""


@pytest.mark.parametrize("network", sorted(TABLE))
def test_every_stage_agrees_with_the_authors_code(shared, network):
    report = compared(network, shared / "fixtures" / network)
    assert report["failed"] == []
    assert NEEDED[network] < set(report["stages"])


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


def test_every_tensor_of_the_three_full_moges_has_its_published_name_and_shape(shared):
    variants = json.loads((shared / "fixtures" / "keys" / "moge.json").read_text())["variants"]
    assert len(variants) == 3
    for variant in variants.values():
        wanted = {name: tuple(shape) for name, shape in variant["tensors"].items()}
        on_meta = {name: torch.empty(shape, device="meta") for name, shape in wanted.items()}
        with torch.device("meta"):
            network = moge.Moge(moge.MogeConfig.of(variant["model_config"], on_meta))
        assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == wanted


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


def test_every_tensor_of_the_full_triposg_has_its_published_name_and_shape(shared):
    published = json.loads((shared / "fixtures" / "keys" / "triposg.json").read_text())["components"]
    with torch.device("meta"):
        networks = {
            "image_encoder_dinov2": triposg.PictureEncoder(triposg.EncoderConfig()),
            "transformer": triposg.Flow(triposg.FlowConfig()),
            "vae": triposg.ShapeCoder(triposg.ShapeConfig()),
        }
    for name, network in networks.items():
        wanted = {key: tuple(shape) for key, shape in published[name]["tensors"].items()}
        assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == wanted


def test_the_full_triposg_has_as_many_tensors_as_the_published_files():
    with torch.device("meta"):
        states = [
            network.state_dict()
            for network in (
                triposg.Flow(triposg.FlowConfig()),
                triposg.ShapeCoder(triposg.ShapeConfig()),
                triposg.PictureEncoder(triposg.EncoderConfig()),
            )
        ]
    assert [len(state) for state in states] == [554, 356, 439]
    sizes = [sum(tensor.numel() for tensor in state.values()) for state in states]
    assert sizes == [1_439_556_160, 242_662_017, 304_368_640]


def test_every_tensor_of_the_full_detailgen3d_has_its_name_and_shape(shared):
    published = json.loads((shared / "fixtures" / "keys" / "detailgen3d.json").read_text())["components"]
    with torch.device("meta"):
        networks = {
            "image_encoder_1": triposg.PictureEncoder(triposg.EncoderConfig()),
            "transformer": detail.DetailFlow(detail.DEFAULTS),
            "vae": triposg.ShapeCoder(triposg.ShapeConfig()),
        }
    for name, network in networks.items():
        wanted = {key: tuple(shape) for key, shape in published[name]["tensors"].items()}
        assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == wanted


def test_the_full_detailgen3d_has_as_many_tensors_as_its_authors_code_makes():
    with torch.device("meta"):
        state = detail.DetailFlow(detail.DEFAULTS).state_dict()
    assert len(state) == 538 and sum(tensor.numel() for tensor in state.values()) == 368_560_192
