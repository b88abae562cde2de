# SPDX-License-Identifier: GPL-3.0-or-later
"""Shap-E from a cut-out picture to a field, with tiny networks whose field is a ball."""

import sys

import numpy as np
import pytest
import torch
from image_to_3d.worker.core.errors import Cancelled, MethodUnavailable, OutOfMemory, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.methods.shap_e import generator as shap_e_inference
from image_to_3d.worker.methods.shap_e import network as shap_e
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.cache import Cache
from safetensors.torch import load_file, save_file

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny():
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    from image_to_3d.tests.methods.shap_e import tiny

    return tiny_shap_e


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("shap-e")
    tiny.write(path)
    return path


def photo(shade: float = 1.0) -> Picture:
    """A red disc on nothing, 120 x 160."""
    rows, columns = np.indices((120, 160))
    is_disc = (rows - 60) ** 2 + (columns - 80) ** 2 <= 30**2
    rgb = np.where(is_disc[..., None], [200 * shade, 40 * shade, 30 * shade], 255).astype(np.uint8)
    return Picture(rgb, np.where(is_disc, 255, 0).astype(np.uint8), None, "", "disc")


def silent() -> Job:
    return Job(lambda *_: None)


def arrays(folder, picture=None, seed=0, steps=3, job=None):
    return shap_e_inference.load(folder, "cpu")(picture or photo(), seed, steps, 3.0, job or silent())


def sphere(radius: float, count: int = 300) -> np.ndarray:
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True) * radius).astype(np.float32)


def test_the_field_is_positive_inside_and_negative_outside_and_has_colours(folder):
    field = shap_e_inference.field(arrays(folder), CPU)
    assert (field.value(sphere(0.3)) > 0).all() and (field.value(sphere(0.95)) < 0).all()
    colours = field.colour(np.float32([[0.5, 0, 0], [-0.5, 0, 0]]))
    assert colours.shape == (2, 3) and colours.min() >= 0 and colours.max() <= 1
    assert colours[0, 0] > 0.7 > 0.3 > colours[1, 0]


def test_up_becomes_gltfs_up_and_the_front_its_front():
    up, front = (shap_e_inference.TO_GLTF @ np.array(axis) for axis in ((0, 0, 1.0), (0, -1.0, 0)))
    assert up.tolist() == [0, 1, 0] and front.tolist() == [0, 0, 1]
    assert np.linalg.det(shap_e_inference.TO_GLTF) == 1.0


def test_the_same_seed_gives_the_same_shape_and_another_seed_or_picture_another(folder):
    first, again, other, darker = (arrays(folder, *wish) for wish in ((), (), (None, 1), (photo(0.2),)))
    assert (first["weight1"] == again["weight1"]).all()
    for different in (other, darker):
        assert abs(first["weight1"] - different["weight1"]).max() > 1e-5


def test_the_same_field_comes_back_from_the_cache_without_diffusers(folder, tmp_path, monkeypatch):
    made = shap_e_inference.field(arrays(folder), CPU)
    kept = Cache(tmp_path)
    kept.save_arrays("key", made.to_arrays())
    monkeypatch.setitem(sys.modules, "diffusers", None)
    again = shap_e_inference.field(kept.load_arrays("key"), CPU)
    assert (again.value(sphere(0.6)) == made.value(sphere(0.6))).all()


def test_each_step_is_told_and_a_cancel_is_heard_within_one(folder):
    told = []
    arrays(folder, steps=4, job=Job(lambda progress, stage, message: told.append((progress, stage))))
    assert {f"denoising {step}/4" for step in (1, 2, 3, 4)} < {stage for _, stage in told}
    assert [progress for progress, _ in told] == sorted(progress for progress, _ in told)
    told.clear()
    job = Job(lambda progress, stage, message: job.cancel() if stage == "denoising 2/4" else told.append(stage))
    with pytest.raises(Cancelled):
        arrays(folder, steps=4, job=job)
    assert "denoising 1/4" in told and "denoising 3/4" not in told


@pytest.mark.parametrize(
    "path, name",
    [
        ("prior/diffusion_pytorch_model.safetensors", "proj_in.bias"),
        ("shap_e_renderer/diffusion_pytorch_model.safetensors", "mlp.mlp.6.bias"),
        ("image_encoder/model.safetensors", "embeddings.position_embedding.weight"),
    ],
)
def test_weights_that_are_not_numbers_are_one_sentence(tiny, tmp_path, path, name):
    tiny.write(tmp_path)
    state = load_file(tmp_path / path)
    name = next(key for key in state if key.endswith(name))
    state[name] = torch.full_like(state[name], torch.nan)
    save_file(state, tmp_path / path, {"format": "pt"})
    told = []
    with pytest.raises(Unable, match="not finite") as caught:
        arrays(tmp_path, job=Job(lambda progress, stage, message: told.append(stage)))
    assert "\n" not in str(caught.value)
    assert ("denoising 2/3" in told) == ("renderer" in path)  # what cannot come right is not waited for


def test_weights_that_cannot_be_read_are_one_sentence_that_says_what_to_do(tiny, tmp_path):
    tiny.write(tmp_path)
    (tmp_path / "prior/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(Unable, match="prior/diffusion_pytorch_model.safetensors is missing; remove that folder"):
        shap_e_inference.load(tmp_path, "cpu")


def test_too_little_memory_is_told_before_anything_is_loaded(folder, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    monkeypatch.setattr(shap_e, "load", lambda folder: pytest.fail("it was loaded"))
    with pytest.raises(OutOfMemory, match="close other programs"):
        shap_e_inference.load(folder, "cpu")


def test_without_diffusers_it_is_said_that_the_environment_lacks_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.setattr(shap_e, "files", lambda folder: ())
    with pytest.raises(MethodUnavailable, match="diffusers, which is not installed"):
        shap_e_inference.load(tmp_path, "cpu")
