# SPDX-License-Identifier: GPL-3.0-or-later
"""The included depth network: what its file says is what is built, and what ships is small and sees depth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.worker.methods.depth.included import MULTIPLE, IncludedDepth, IncludedDepthConfig, load, metadata
from image_to_3d.worker.methods.method import INCLUDED
from image_to_3d.worker.training.card import held_out_scores
from image_to_3d.worker.training.run import export
from safetensors.torch import save_file

SHIPPED = INCLUDED / "depth.safetensors"


def test_load_reads_every_hyper_parameter_back_from_the_file(tmp_path: Path) -> None:
    config = IncludedDepthConfig(widths=(4, 5, 6, 7, 8), blocks=(1, 0, 2, 0, 1), size=96)
    export(IncludedDepth(config), metadata(config), tmp_path / "weights.safetensors")
    network = load(tmp_path / "weights.safetensors")
    assert network.config == config
    assert not network.training
    assert {value.dtype for value in network.state_dict().values() if value.is_floating_point()} == {torch.float32}


def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="other.safetensors is not an IncludedDepth file"):
        load(tmp_path / "other.safetensors")


def test_a_picture_of_an_odd_size_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        IncludedDepth()(torch.zeros(1, 3, 100, 96))


@pytest.mark.parametrize("shape", [(64, 96), (96, 64), (32, 32), (32, 160)])
def test_any_shape_of_picture_gives_finite_depth_of_that_shape(shape: tuple[int, int]) -> None:
    network = load(SHIPPED)
    with torch.inference_mode():
        inverse = network(torch.rand(2, 3, *shape))
    assert inverse.shape == (2, *shape)
    assert torch.isfinite(inverse).all() and (inverse >= 0).all()


def test_the_shipped_file_is_small_and_its_size_can_be_run() -> None:
    assert SHIPPED.stat().st_size <= 20_000_000
    assert MULTIPLE <= load(SHIPPED).config.size <= 512


def test_the_shipped_network_beats_a_vertical_ramp_on_scenes_it_has_not_seen() -> None:
    ours, ramp = held_out_scores(load(SHIPPED), views=24)["all"]
    assert ours.abs_rel < 0.75 * ramp.abs_rel
    assert ours.delta1 > ramp.delta1 + 0.15
    assert np.isfinite(ours).all()
