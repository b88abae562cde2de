# SPDX-License-Identifier: GPL-3.0-or-later
"""The included depth network: what its file says is what is built, and what ships is small and sees depth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.worker.methods.depth.included import MULTIPLE, SceneConfig
from image_to_3d.worker.methods.method import INCLUDED
from image_to_3d.worker.training.card import held_out_scores
from image_to_3d.worker.training.run import export
from image_to_3d.worker.training.scene_network import IncludedScene, load, metadata
from safetensors.torch import save_file

SHIPPED = INCLUDED / "depth.safetensors"


def test_load_reads_every_hyper_parameter_back_from_the_file(tmp_path: Path) -> None:
    config = SceneConfig(widths=(4, 5, 6, 7, 8), blocks=(1, 0, 2, 0, 1), size=96)
    export(IncludedScene(config), metadata(config), tmp_path / "weights.safetensors")
    network = load(tmp_path / "weights.safetensors")
    assert network.config == config
    assert not network.training
    assert {value.dtype for value in network.state_dict().values() if value.is_floating_point()} == {torch.float32}


def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="other.safetensors is not an IncludedScene file"):
        load(tmp_path / "other.safetensors")


def test_a_picture_of_an_odd_size_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        IncludedScene()(torch.zeros(1, 3, 100, 96))


@pytest.mark.parametrize("shape", [(64, 96), (96, 64), (16, 16), (32, 160), (48, 80)])
def test_any_shape_of_picture_gives_finite_answers_of_that_shape(shape: tuple[int, int]) -> None:
    network = load(SHIPPED)
    with torch.inference_mode():
        seen = network(torch.rand(2, 3, *shape)).enlarged(*shape)
    assert seen.log_depth.shape == seen.log_scale.shape == seen.salient.shape == seen.solid.shape == (2, *shape)
    assert seen.normal.shape == (2, 3, *shape) and seen.log_focal.shape == (2,)
    torch.testing.assert_close(seen.normal.norm(dim=1), torch.ones(2, *shape))
    assert all(torch.isfinite(part).all() for part in seen)


def test_neighbouring_pixels_of_a_plain_picture_show_no_checkerboard() -> None:
    """What alternates from pixel to pixel is far less than what changes over the picture."""
    with torch.inference_mode():
        depth = load(SHIPPED)(torch.full((1, 3, 160, 208), 0.5)).log_depth[0, 8:-8, 8:-8]
    rows, columns = np.indices(depth.shape)
    sign = torch.from_numpy(np.where((rows + columns) % 2, 1.0, -1.0)).float()
    assert abs(float((depth * sign).mean())) < 0.002 * float(depth.std())


def test_the_shipped_file_is_small_and_its_size_can_be_run() -> None:
    assert SHIPPED.stat().st_size <= 20_000_000
    assert MULTIPLE <= load(SHIPPED).config.size <= 512


def test_the_shipped_network_beats_a_flat_card_on_scenes_it_has_not_seen() -> None:
    ours, flat = held_out_scores(load(SHIPPED), views=24)["all"]
    assert ours.abs_rel < 0.6 * flat.abs_rel
    assert ours.delta1 > flat.delta1 + 0.2
    assert np.isfinite(ours).all()
