# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading TripoSR: what fits is used as it is, and whatever does not is told in one sentence."""

import pickle
from dataclasses import replace

import pytest
import torch
from image_to_3d.tests.methods.triposr.tiny import TINY, write, yaml_of
from image_to_3d.worker.methods.triposr import network as triposr
from safetensors.torch import save_file


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


class Code:
    """Runs a program when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def refusal(folder) -> str:
    with pytest.raises(ValueError) as caught:
        triposr.load(folder)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


def result(network) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    with torch.inference_mode():
        return network(torch.rand(1, 3, network.config.image_size, network.config.image_size, generator=generator))


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, vit_width=128, vit_hidden=80, vit_layers=3, heads=4, layers=1, plane_size=6, image_size=100),
        replace(TINY, channels=64, heads=1, neurons=24, hidden_layers=4, radius=0.5, density_bias=0.5, positions=17),
    ],
)
def test_every_size_is_read_from_the_files(tmp_path, config):
    written = write(tmp_path, config)
    network = triposr.load(tmp_path)
    assert network.config == config and not network.training
    assert torch.equal(result(network), result(written))


def test_safetensors_and_checkpoints_in_the_old_format_are_read_too(folder):
    wanted, state = result(triposr.load(folder)), torch.load(folder / "model.ckpt")
    torch.save(state, folder / "model.ckpt", _use_new_zipfile_serialization=False)
    assert torch.equal(result(triposr.load(folder)), wanted)
    (folder / "model.ckpt").unlink()
    save_file(state, folder / "model.safetensors")
    assert torch.equal(result(triposr.load(folder)), wanted)


def test_a_checkpoint_in_half_precision_is_used_in_full(folder):
    state = torch.load(folder / "model.ckpt")
    torch.save({name: tensor.half() for name, tensor in state.items()}, folder / "model.ckpt")
    assert next(triposr.load(folder).parameters()).dtype == torch.float32


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_checkpoint_that_is_cut_off_is_told(folder, share):
    content = (folder / "model.ckpt").read_bytes()
    (folder / "model.ckpt").write_bytes(content[: int(share * len(content))])
    assert "model.ckpt is damaged" in refusal(folder)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\x80\x04", b"PK\x03\x04 a zip?", b"\0" * 4096])
def test_a_file_of_another_kind_is_told(folder, content):
    (folder / "model.ckpt").write_bytes(content)
    assert "model.ckpt is" in refusal(folder)


@pytest.mark.parametrize("plain", [True, False])
def test_program_code_in_a_checkpoint_is_refused_and_not_run(folder, tmp_path, plain):
    marker = tmp_path / "was run"
    content = {"state": Code(marker)}
    if plain:
        (folder / "model.ckpt").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, folder / "model.ckpt")
    assert "program code" in refusal(folder)
    assert not marker.exists()


@pytest.mark.parametrize("content", [{"state_dict": {"a": torch.zeros(1)}, "epoch": 3}, [torch.zeros(1)], {"x": "y"}])
def test_a_checkpoint_that_is_no_list_of_tensors_is_told(folder, content):
    torch.save(content, folder / "model.ckpt")
    assert "checkpoint of something else" in refusal(folder)


def test_a_foreign_list_of_tensors_is_told(folder):
    torch.save({"conv.weight": torch.zeros(3)}, folder / "model.ckpt")
    assert "not TripoSR's" in refusal(folder)


@pytest.mark.parametrize("change", ["missing", "unknown", "(16, 25)", "int64"])
def test_the_first_tensors_that_do_not_fit_are_named(folder, change):
    state = torch.load(folder / "model.ckpt")
    name = "decoder.layers.0.weight"
    if change == "missing":
        del state[name]
    elif change == "unknown":
        state[name := "decoder.layers.9.extra"] = torch.zeros(1)
    else:
        state[name] = torch.zeros(16, 25) if change == "(16, 25)" else state[name].long()
    torch.save(state, folder / "model.ckpt")
    message = refusal(folder)
    assert name in message and change in message


def test_many_misfits_are_counted(folder):
    (folder / "config.yaml").write_text(yaml_of(replace(TINY, layers=9)))
    assert "more" in refusal(folder)


@pytest.mark.parametrize(
    "old, new, named",
    [
        ("num_layers: 2", "num_layers: two", "backbone.num_layers"),
        ("num_layers: 2", "num_layers: -1", "backbone.num_layers"),
        ("num_layers: 2", "num_layers: 1000000000", "backbone.num_layers"),
        ("num_layers: 2", "num_layers: yes", "backbone.num_layers"),
        ("radius: 0.87", "radius: .nan", "renderer.radius"),
        ("radius: 0.87", "radius: 0", "renderer.radius"),
        ("activation: silu", "activation: tanh", "decoder.activation"),
        ("density_activation: exp", "density_activation: trunc_exp", "renderer.density_activation"),
        ("feature_reduction: concat", "feature_reduction: mean", "renderer.feature_reduction"),
        ("  n_neurons: 16\n", "", "decoder.n_neurons"),
        ("${tokenizer.num_channels}", "${backbone.in_channels}", "backbone.in_channels"),
        ("${tokenizer.num_channels}", "${nothing.here}", "nothing.here"),
        ("in_channels: 24", "in_channels: 25", "decoder.in_channels"),
        ("num_channels: 32", "num_channels: 40", "in_channels"),
        ("cond_image_size: 64", "cond_image_size: 8", "cond_image_size"),
        ("cond_image_size: 64", "cond_image_size: [64", "YAML"),
        ("cond_image_size: 64", "!!python/object/apply:os.system ['true']", "YAML"),
    ],
)
def test_a_wrong_value_in_the_configuration_is_named(folder, old, new, named):
    text = yaml_of(TINY)
    assert old in text
    (folder / "config.yaml").write_text(text.replace(old, new))
    message = refusal(folder)
    assert named in message


@pytest.mark.parametrize("content", [b"", b"just text", b"\xff\xfe\x00binary"])
def test_a_configuration_that_is_none_is_told(folder, content):
    (folder / "config.yaml").write_bytes(content)
    assert "config.yaml" in refusal(folder)
