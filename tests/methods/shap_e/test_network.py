# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading Shap-E's folder, and evaluating the perceptron that is its shape as diffusers does."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("diffusers", reason="diffusers is not installed")

from image_to_3d.tests.methods.shap_e import tiny  # noqa: E402 (needs diffusers)
from image_to_3d.worker.methods.shap_e import network as shap_e  # noqa: E402

PRIOR = "prior/diffusion_pytorch_model.safetensors"
RENDERER = "shap_e_renderer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shap-e")
    tiny.write(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def latents() -> torch.Tensor:
    return torch.randn(1, 64, 8, generator=torch.Generator().manual_seed(3))


def refusal(folder) -> str:
    with pytest.raises(ValueError) as caught:
        shap_e.load(folder)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_the_perceptron_gives_what_diffusers_gives(written):
    renderer = tiny.pipeline().shap_e_renderer
    points = 2.0 * torch.rand(500, 3, generator=torch.Generator().manual_seed(1)) - 1.0
    with torch.inference_mode():
        weights = renderer.params_proj(latents())
        for name, values in renderer.mlp.state_dict().items():
            if f"nerstf.{name}" in weights:
                values.copy_(weights[f"nerstf.{name}"][0])
        wanted = renderer.mlp(position=points[None], direction=None, ts=None, nerf_level="fine", rendering_mode="stf")
        ours = shap_e.Perceptron(shap_e.load(written).perceptron(latents()))
        torch.testing.assert_close(ours.value(points).tanh(), wanted.signed_distance[0, :, 0], rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.colour(points), wanted.channels[0], rtol=0, atol=1e-5)


def test_the_networks_are_those_of_the_folder(written):
    sampler, wanted = shap_e.load(written), tiny.pipeline()
    for network, other in zip(sampler.networks, (wanted.image_encoder, wanted.prior, wanted.shap_e_renderer)):
        found, state = network.state_dict(), other.state_dict()
        assert set(state) - set(found) <= {"mesh_decoder.cases", "mesh_decoder.masks"}
        assert all(torch.equal(found[name], state[name]) for name in found) and not network.training


def test_the_published_folders_half_precision_and_older_copy_of_the_renderer_are_read(tmp_path, written):
    tiny.write(tmp_path, half=True)
    safe = tmp_path / "shap_e_renderer/diffusion_pytorch_model.fp16.safetensors"
    (tmp_path / "renderer").mkdir()
    shutil.copy(tmp_path / "shap_e_renderer/config.json", tmp_path / "renderer/config.json")
    tables = ("mesh_decoder.cases", "mesh_decoder.masks")
    tensors = {name: values for name, values in load_file(safe).items() if name not in tables}
    save_file(tensors, tmp_path / "renderer" / safe.name)
    torch.save(load_file(safe), safe.with_name("diffusion_pytorch_model.bin"))
    safe.unlink()
    _in_the_older_naming(tmp_path / "image_encoder/model.fp16.safetensors")
    for chosen in ("renderer", "shap_e_renderer"):
        halved, whole = (shap_e.load(folder) for folder in (tmp_path, written))
        for (weight, _), (wanted, _) in zip(halved.perceptron(latents()), whole.perceptron(latents())):
            torch.testing.assert_close(weight, wanted, rtol=0, atol=0.01)
        image = torch.rand(1, 3, 32, 32)
        seen, wanted = (sampler.pipeline.image_encoder(image).last_hidden_state for sampler in (halved, whole))
        torch.testing.assert_close(seen, wanted, rtol=0, atol=0.02)
        shutil.rmtree(tmp_path / chosen)
    assert "shap_e_renderer/diffusion_pytorch_model.safetensors is missing" in refusal(tmp_path)


def _in_the_older_naming(path):
    """As transformers wrote CLIP when the weights were published."""
    prefix = "vision_model."
    state = {prefix + name.removeprefix(prefix): values for name, values in load_file(path).items()}
    save_file({**state, f"{prefix}embeddings.position_ids": torch.arange(17)[None]}, path, {"format": "pt"})


@pytest.mark.parametrize("path", [PRIOR, "image_encoder/model.safetensors", "prior/config.json", "scheduler"])
def test_a_missing_file_is_named(folder, path):
    found = folder / path
    shutil.rmtree(found) if found.is_dir() else found.unlink()
    assert path in (message := refusal(folder)) and "missing" in message


@pytest.mark.parametrize("path", [PRIOR, RENDERER, "image_encoder/model.safetensors"])
def test_a_file_that_is_cut_off_is_told(folder, path):
    content = (folder / path).read_bytes()
    (folder / path).write_bytes(content[: len(content) // 2])
    assert "is damaged" in refusal(folder)


@pytest.mark.parametrize("path", [PRIOR, RENDERER, "image_encoder/model.safetensors"])
def test_a_tensor_that_is_missing_or_of_another_shape_is_named(folder, path):
    state = load_file(folder / path)
    name = max(state, key=lambda key: state[key].numel())
    state[name] = torch.zeros(2, 3)
    save_file(state, folder / path)
    refusal(folder)
    del state[name]
    save_file(state, folder / path)
    assert path in (message := refusal(folder)) and name in message


@pytest.mark.parametrize(
    "path, change, named",
    [
        ("prior/config.json", {"_class_name": "UNet2DModel"}, "_class_name"),
        ("prior/config.json", {"num_layers": "two"}, "prior/config.json"),
        ("prior/config.json", {"norm_in_type": "batch"}, "prior/config.json"),
        ("prior/config.json", {"num_layers": 3}, "missing"),
        ("shap_e_renderer/config.json", {"act_fn": "relu"}, "act_fn"),
        ("shap_e_renderer/config.json", {"d_hidden": 20}, "not (20"),
        ("image_encoder/config.json", {"model_type": "dinov2"}, "model_type"),
        ("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"}, "_class_name"),
    ],
)
def test_a_configuration_of_something_else_is_told(folder, path, change, named):
    tree = json.loads((folder / path).read_text())
    (folder / path).write_text(json.dumps(tree | change))
    assert named in refusal(folder)
