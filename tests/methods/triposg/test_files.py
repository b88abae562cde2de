# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading TripoSG's folder: every size stands in it, and whatever does not fit is told in one sentence."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.tests.methods.triposg.tiny import TINY
from image_to_3d.worker.methods.triposg import files as triposg_files
from image_to_3d.worker.methods.triposg import network as triposg
from safetensors.torch import load_file, save_file

FLOW = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("triposg")
    tiny.write(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def loaded(folder):
    config = triposg_files.read_config(folder)
    loaders = triposg_files.load_encoder, triposg_files.load_flow, triposg_files.load_coder
    return [load(folder, config) for load in loaders]


def refusal(folder) -> str:
    with pytest.raises(ValueError) as caught:
        loaded(folder)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_every_size_is_read_from_the_files(tmp_path):
    other = replace(
        TINY,
        encoder=triposg.EncoderConfig(width=24, layers=1, heads=3, hidden=72, patch=7, image=21),
        flow=triposg.FlowConfig(width=40, layers=4, heads=2, channels=6, context=24),
        shape=triposg.ShapeConfig(24, 1, 12, 2, 2, channels=6, frequencies=5),
    )
    tiny.write(tmp_path, other)
    assert triposg_files.read_config(tmp_path) == other
    for network in loaded(tmp_path):
        assert not network.training and not any(values.requires_grad for values in network.parameters())


def test_weights_in_several_files_are_the_same_weights(written, tmp_path):
    tiny.write(tmp_path, shards=3)
    assert not (tmp_path / FLOW).exists()
    whole, parts = (network.state_dict() for network in (loaded(written)[1], loaded(tmp_path)[1]))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_missing_part_of_the_weights_is_named_before_anything_is_loaded(tmp_path):
    tiny.write(tmp_path, shards=3)
    (tmp_path / "transformer/diffusion_pytorch_model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ValueError, match="transformer/diffusion_pytorch_model-00002-of-00003.safetensors is missing"):
        triposg_files.read_config(tmp_path)


@pytest.mark.parametrize("path", [FLOW, "vae/config.json", "scheduler/scheduler_config.json", "vae"])
def test_a_missing_file_is_named(folder, path):
    found = folder / path
    shutil.rmtree(found) if found.is_dir() else found.unlink()
    assert path in (message := refusal(folder)) and "missing" in message


@pytest.mark.parametrize("names", [{}, {"a": "../../secret"}, {"a": 3}, [1]])
def test_an_index_that_makes_no_sense_is_told(folder, names):
    (folder / FLOW).unlink()
    (folder / (FLOW + ".index.json")).write_text(json.dumps({"weight_map": names}))
    assert "weight_map in transformer/diffusion_pytorch_model.safetensors.index.json" in refusal(folder)


@pytest.mark.parametrize("change", ["missing", "unknown", "(8, 31)"])
def test_the_first_tensors_that_do_not_fit_are_named(folder, change):
    state, name = load_file(folder / FLOW), "proj_out.weight"
    if change == "missing":
        del state[name]
    elif change == "unknown":
        state[name := "blocks.0.attn3.to_q.weight"] = torch.zeros(1)
    else:
        state[name] = torch.zeros(8, 31)
    save_file(state, folder / FLOW)
    message = refusal(folder)
    assert FLOW in message and name in message and change in message


def test_a_file_that_is_cut_off_is_told(folder):
    content = (folder / FLOW).read_bytes()
    (folder / FLOW).write_bytes(content[: len(content) // 2])
    assert "diffusion_pytorch_model.safetensors is damaged" in refusal(folder)


@pytest.mark.parametrize(
    "path, change, named",
    [
        ("transformer/config.json", {"_class_name": "HunyuanDiT2DModel"}, "_class_name"),
        ("transformer/config.json", {"width": "wide"}, "width"),
        ("transformer/config.json", {"num_layers": 0}, "num_layers"),
        ("transformer/config.json", {"num_attention_heads": 5}, "heads"),
        ("transformer/config.json", {"cross_attention_dim": 31}, "cross_attention_dim"),
        ("transformer/config.json", {"num_layers": 5}, "missing"),
        ("vae/config.json", {"_class_name": "AutoencoderKL"}, "_class_name"),
        ("vae/config.json", {"latent_channels": 4}, "latent_channels"),
        ("vae/config.json", {"embed_include_pi": True}, "embed_include_pi"),
        ("image_encoder_dinov2/config.json", {"model_type": "clip"}, "model_type"),
        ("image_encoder_dinov2/config.json", {"image_size": 7}, "image_size"),
        ("scheduler/scheduler_config.json", {"shift": 0}, "shift"),
        ("feature_extractor_dinov2/preprocessor_config.json", {"resample": 2}, "resample"),
        ("feature_extractor_dinov2/preprocessor_config.json", {"size": 256}, "size"),
        ("feature_extractor_dinov2/preprocessor_config.json", {"image_std": [0, 1, 1]}, "image_std"),
        ("feature_extractor_dinov2/preprocessor_config.json", {"crop_size": {"height": 9, "width": 9}}, "crop_size"),
    ],
)
def test_a_wrong_value_in_a_configuration_is_named(folder, path, change, named):
    tree = json.loads((folder / path).read_text())
    (folder / path).write_text(json.dumps(tree | change))
    message = refusal(folder)
    assert named in message and path.split("/")[0] in message


@pytest.mark.parametrize("content", [b"", b"just text", b"\xff\xfe\x00binary", b"[1, 2]"])
def test_a_configuration_that_is_none_is_told(folder, content):
    (folder / "vae" / "config.json").write_bytes(content)
    assert "vae/config.json" in refusal(folder)


def test_guidance_of_one_is_the_pictures_own_pull_and_both_ways_of_asking_agree(written):
    flow = loaded(written)[1]
    latents, picture = triposg.noise(0, 5, 8), torch.randn(1, 10, 32)
    time = torch.tensor([400.0])
    with torch.inference_mode():
        own = flow(latents, time, picture)
        torch.testing.assert_close(triposg.guided(flow, latents, time, picture, 1.0, together=False), own)
        both, single = (triposg.guided(flow, latents, time, picture, 7.0, together) for together in (True, False))
    torch.testing.assert_close(both, single, rtol=1e-4, atol=1e-5)


def test_steps_along_a_constant_velocity_end_where_it_leads():
    class Straight(torch.nn.Module):
        def forward(self, latents, time, picture):
            assert 0.0 < float(time.max()) <= 1000.0
            return torch.ones_like(latents)

    *_, last = triposg.sampled(Straight(), torch.zeros(1, 4, 2), torch.zeros(1, 3, 2), triposg.sigmas(7))
    torch.testing.assert_close(last, torch.ones(1, 4, 2))
