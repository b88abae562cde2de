# SPDX-License-Identifier: GPL-3.0-or-later
"""The included object network: what its file says is what is built, and what ships is small and beats the cushion."""

from pathlib import Path

import pytest
import torch
from image_to_3d.worker.methods.layers.network import IncludedObjectConfig
from image_to_3d.worker.methods.method import INCLUDED
from image_to_3d.worker.training.object_card import held_out_scores
from image_to_3d.worker.training.object_network import IncludedObject, load, metadata
from image_to_3d.worker.training.run import export
from safetensors.torch import save_file

SHIPPED = INCLUDED / "object.safetensors"


def test_load_reads_every_hyper_parameter_back_from_the_file(tmp_path: Path) -> None:
    config = IncludedObjectConfig(widths=(8, 16, 8, 16), blocks=(1, 0, 2, 1), size=48)
    export(IncludedObject(config), metadata(config), tmp_path / "weights.safetensors")
    network = load(tmp_path / "weights.safetensors")
    assert network.config == config and not network.training


def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="other.safetensors is not an IncludedObject file"):
        load(tmp_path / "other.safetensors")


def test_a_picture_of_an_odd_size_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        IncludedObject()(torch.zeros(1, 3, 40, 48), torch.zeros(1, 40, 48), torch.zeros(1, 40, 48))


def test_an_untrained_network_gives_about_the_inflated_outline() -> None:
    height = torch.rand(1, 32, 32)
    with torch.inference_mode():
        front, back, *_ = IncludedObject()(torch.rand(1, 3, 32, 32), torch.ones(1, 32, 32), height)
    assert (front + height).abs().max() < 0.5 and (back - height).abs().max() < 0.5


def test_the_shipped_file_is_small_and_better_than_inflation_on_things_it_has_not_seen() -> None:
    assert SHIPPED.stat().st_size <= 20_000_000
    ours, inflation = held_out_scores(load(SHIPPED), views=48)["all"]
    assert ours < 0.9 * inflation
