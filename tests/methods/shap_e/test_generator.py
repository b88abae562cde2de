# SPDX-License-Identifier: GPL-3.0-or-later
"""Shap-E from a cut-out picture to a field, with tiny networks whose field is a ball."""

import sys

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods import asked
from image_to_3d.tests.methods.asked import silent, task
from image_to_3d.worker.core import job as job_module
from image_to_3d.worker.core.errors import Cancelled, MethodUnavailable, OutOfMemory, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Field
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.methods.shap_e import METHODS, generator
from image_to_3d.worker.methods.shap_e import network as shap_e
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.cache import Cache
from image_to_3d.worker.store.weights import WeightStore
from safetensors.torch import load_file, save_file

[NETWORK] = METHODS[0].networks


@pytest.fixture(scope="module")
def tiny():
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    from image_to_3d.tests.methods.shap_e import tiny as written_by

    return written_by


@pytest.fixture(scope="module")
def weights(tiny, tmp_path_factory) -> WeightStore:
    root = tmp_path_factory.mktemp("weights")
    tiny.write(root / "shap-e")
    return WeightStore(root)


@pytest.fixture(scope="module")
def folder(weights):
    return weights.root / "shap-e"


def photo(shade: float = 1.0) -> Picture:
    """A red disc on nothing, 120 x 160."""
    rows, columns = np.indices((120, 160))
    is_disc = (rows - 60) ** 2 + (columns - 80) ** 2 <= 30**2
    rgb = np.where(is_disc[..., None], [200 * shade, 40 * shade, 30 * shade], 255).astype(np.uint8)
    return Picture(rgb, np.where(is_disc, 255, 0).astype(np.uint8), None, "", "disc")


def arrays(folder, picture=None, seed=0, steps=3, job=None):
    return generator.load(NETWORK, folder, "cpu")(picture or photo(), seed, steps, 3.0, job or silent())


def field(weights: WeightStore, **options) -> Field:
    return asked.run(task("shap-e", weights, photo(), **{"steps": 3, **options}))


def sphere(radius: float, count: int = 300) -> np.ndarray:
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True) * radius).astype(np.float32)


def test_the_field_is_positive_inside_and_negative_outside_and_has_colours(weights):
    found = field(weights)
    assert (found.value(sphere(0.3)) > 0).all() and (found.value(sphere(0.95)) < 0).all()
    assert found.views == () and any("photo is not laid onto" in note for note in found.notes)
    colours = found.colour(np.float32([[0.5, 0, 0], [-0.5, 0, 0]]))
    assert colours.shape == (2, 3) and colours.min() >= 0 and colours.max() <= 1
    assert colours[0, 0] > 0.7 > 0.3 > colours[1, 0]


def test_up_becomes_gltfs_up_and_the_front_its_front():
    up, front = (generator.TO_GLTF @ np.array(axis) for axis in ((0, 0, 1.0), (0, -1.0, 0)))
    assert up.tolist() == [0, 1, 0] and front.tolist() == [0, 0, 1]
    assert np.linalg.det(generator.TO_GLTF) == 1.0


def test_the_same_seed_gives_the_same_shape_and_another_seed_or_picture_another(folder):
    first, again, other, darker = (arrays(folder, *wish) for wish in ((), (), (None, 1), (photo(0.2),)))
    assert (first["weight1"] == again["weight1"]).all()
    for different in (other, darker):
        assert abs(first["weight1"] - different["weight1"]).max() > 1e-5


def test_the_options_are_heard(weights):
    usual = field(weights).to_arrays()["weight1"]
    for options in ({"seed": 1}, {"steps": 2}, {"guidance": 1.0}):
        assert abs(field(weights, **options).to_arrays()["weight1"] - usual).max() > 1e-6
    assert (field(weights, guidance=3.0).to_arrays()["weight1"] == usual).all()


def test_the_same_field_comes_back_from_the_cache_without_diffusers(weights, tmp_path, monkeypatch):
    made = field(weights)
    kept = Cache(tmp_path)
    kept.save_arrays("key", made.to_arrays())
    monkeypatch.setitem(sys.modules, "diffusers", None)
    wanted = task("shap-e", WeightStore(tmp_path / "none"), photo())
    again = generator.restored(kept.load_arrays("key"), wanted, silent())
    assert (again.value(sphere(0.6)) == made.value(sphere(0.6))).all() and again.notes == made.notes


def test_each_step_is_told_and_a_cancel_is_heard_within_one(folder, monkeypatch):
    monkeypatch.setattr(job_module, "REPORT_INTERVAL", 0.0)
    told = []
    arrays(folder, steps=4, job=Job(lambda progress, stage, message, _: told.append((progress, stage, message))))
    assert {("denoising", f"step {step} of 4") for step in (1, 2, 3, 4)} < {tuple(said) for _, *said in told}
    assert [progress for progress, *_ in told] == sorted(progress for progress, *_ in told)
    told.clear()
    job = Job(lambda progress, stage, message, _: job.cancel() if message == "step 2 of 4" else told.append(message))
    with pytest.raises(Cancelled):
        arrays(folder, steps=4, job=job)
    assert "step 1 of 4" in told and "step 3 of 4" not in told


@pytest.mark.parametrize(
    "path, name",
    [
        ("prior/diffusion_pytorch_model.safetensors", "proj_in.bias"),
        ("shap_e_renderer/diffusion_pytorch_model.safetensors", "mlp.mlp.6.bias"),
        ("image_encoder/model.safetensors", "embeddings.position_embedding.weight"),
    ],
)
def test_weights_that_are_not_numbers_are_one_sentence(tiny, tmp_path, monkeypatch, path, name):
    monkeypatch.setattr(job_module, "REPORT_INTERVAL", 0.0)
    tiny.write(tmp_path)
    state = load_file(tmp_path / path)
    name = next(key for key in state if key.endswith(name))
    state[name] = torch.full_like(state[name], torch.nan)
    save_file(state, tmp_path / path, {"format": "pt"})
    told = []
    with pytest.raises(Unable, match="not finite") as caught:
        arrays(tmp_path, job=Job(lambda progress, stage, message, _: told.append(message)))
    assert "\n" not in str(caught.value)
    assert ("step 2 of 3" in told) == ("renderer" in path)  # what cannot come right is not waited for


def test_weights_that_cannot_be_read_are_one_sentence_that_says_what_to_do(tiny, tmp_path):
    tiny.write(tmp_path)
    (tmp_path / "prior/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(Unable, match="prior/diffusion_pytorch_model.safetensors is missing; remove that folder"):
        generator.load(NETWORK, tmp_path, "cpu")


def test_too_little_memory_is_told_before_anything_is_loaded(folder, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    monkeypatch.setattr(shap_e, "load", lambda folder: pytest.fail("it was loaded"))
    with pytest.raises(OutOfMemory, match="close other programs"):
        generator.load(NETWORK, folder, "cpu")


def test_without_diffusers_it_is_said_that_the_environment_lacks_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    monkeypatch.setattr(shap_e, "files", lambda folder: ())
    with pytest.raises(MethodUnavailable, match="diffusers, which is not installed"):
        generator.load(NETWORK, tmp_path, "cpu")


def test_what_is_not_here_is_asked_for(tmp_path):
    with pytest.raises(WeightsMissing, match="1691 MB, MIT") as caught:
        field(WeightStore(tmp_path))
    assert caught.value.network == "shap-e"
