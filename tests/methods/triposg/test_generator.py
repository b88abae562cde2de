# SPDX-License-Identifier: GPL-3.0-or-later
"""TripoSG from a cut-out picture to a field, with tiny networks whose field is a ball."""

import gc
import weakref

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods import asked
from image_to_3d.tests.methods.asked import silent, task
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.worker.core import job as job_module
from image_to_3d.worker.core.errors import Cancelled, OutOfMemory, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Field
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.methods.triposg import METHODS, generator, stages
from image_to_3d.worker.methods.triposg import files as triposg_files
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.cache import Cache
from image_to_3d.worker.store.weights import WeightStore
from safetensors.torch import load_file, save_file

CPU = torch.device("cpu")
FLOW = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(autouse=True)
def few_tokens(monkeypatch):
    monkeypatch.setattr(triposg, "TOKENS", 48)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> WeightStore:
    """A store with a tiny TripoSG whose field is a ball."""
    root = tmp_path_factory.mktemp("weights")
    tiny.write(root / "triposg", shards=2)
    return WeightStore(root)


@pytest.fixture(scope="module")
def folder(weights):
    return weights.root / "triposg"


def photo(row: int = 60, column: int = 80, shade: float = 1.0) -> Picture:
    """A red disc of radius 30 at that place, on nothing, 120 x 160."""
    rows, columns = np.indices((120, 160))
    is_disc = (rows - row) ** 2 + (columns - column) ** 2 <= 30**2
    rgb = np.where(is_disc[..., None], [200 * shade, 40 * shade, 30 * shade], 255).astype(np.uint8)
    return Picture(rgb, np.where(is_disc, 255, 0).astype(np.uint8), None, "", "disc")


def arrays(folder, picture=None, seed=0, steps=3, job=None, half=None):
    loaded = generator.load(METHODS[0].networks[0], folder, "cpu", half)
    return loaded(picture or photo(), seed, steps, triposg.GUIDANCE, job or silent())


def field(weights: WeightStore, picture: Picture | None = None, job: Job | None = None, **options) -> Field:
    return asked.run(task("triposg", weights, picture or photo(), **{"steps": 3, **options}), job)


def sphere(radius: float, count: int = 300) -> np.ndarray:
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True) * radius).astype(np.float32)


def test_the_field_is_positive_inside_and_negative_outside_and_has_no_colour(weights):
    found = field(weights)
    assert (found.value(sphere(0.4)) > 0).all() and (found.value(sphere(0.8)) < 0).all()
    assert found.colour is None and any("colour" in note for note in found.notes)
    assert abs(found.bounds).max() == pytest.approx(1.005)


def test_the_same_seed_gives_the_same_shape_and_another_seed_or_picture_another(folder):
    first, again, other = arrays(folder), arrays(folder), arrays(folder, seed=1)
    darker = arrays(folder, photo(shade=0.2))
    assert (first["tokens"] == again["tokens"]).all()
    for different in (other, darker):
        assert abs(first["tokens"] - different["tokens"]).max() > 0.01


def test_the_options_are_heard(weights):
    """Each of the method's options changes the shape, the guidance as far as its own value is not 1."""
    usual = field(weights).to_arrays()["tokens"]
    for options in ({"seed": 1}, {"steps": 2}, {"guidance": 1.0}):
        assert abs(field(weights, **options).to_arrays()["tokens"] - usual).max() > 1e-4
    assert (field(weights, guidance=triposg.GUIDANCE).to_arrays()["tokens"] == usual).all()


def test_points_may_be_asked_for_in_any_batch(weights, monkeypatch):
    found = field(weights)
    whole = found.value(sphere(0.6))
    monkeypatch.setitem(stages.BATCH, "cpu", 7)
    again = generator.restored(found.to_arrays(), task("triposg", weights, photo()), silent())
    np.testing.assert_allclose(again.value(sphere(0.6)), whole, atol=1e-4)
    assert again.value(sphere(0.6)[:0]).shape == (0,)


def test_the_same_field_comes_back_from_the_cache_without_the_networks(weights, tmp_path):
    made = field(weights)
    kept = Cache(tmp_path)
    kept.save_arrays("key", made.to_arrays())
    wanted = task("triposg", WeightStore(tmp_path / "none"), photo())
    again = generator.restored(kept.load_arrays("key"), wanted, silent())
    assert (again.value(sphere(0.6)) == made.value(sphere(0.6))).all()
    assert again.views[0].camera == made.views[0].camera and (again.views[0].mask == made.views[0].mask).all()
    assert (again.views[0].rgb == made.views[0].rgb).all()


@pytest.mark.parametrize("row, column", [(60, 80), (30, 40), (89, 129)])
def test_the_camera_sees_the_thing_where_the_photo_shows_it(weights, row, column):
    [view] = field(weights, photo(row, column), steps=1).views
    assert np.linalg.det(view.rotation) == pytest.approx(1.0) and (view.camera.width, view.camera.height) == (160, 120)
    assert not view.exact

    def seen(point):
        x, y, z = view.rotation @ (np.array(point) - view.position)
        return view.camera.fx * x / z + view.camera.cx, view.camera.fy * y / z + view.camera.cy

    assert seen((0.0, 0.0, 0.0)) == pytest.approx((column + 0.5, row + 0.5), abs=1.0)
    assert seen((0.1, 0.0, 0.0))[0] > column + 1 and seen((0.0, 0.1, 0.0))[1] < row - 1  # x is right, y is up


def test_each_step_is_told_and_a_cancel_is_heard_within_one(folder, monkeypatch):
    monkeypatch.setattr(job_module, "REPORT_INTERVAL", 0.0)
    told = []
    arrays(folder, steps=4, job=Job(lambda progress, stage, message, _: told.append((progress, stage, message))))
    assert {("denoising", f"step {step} of 4") for step in (1, 2, 3, 4)} < {tuple(said) for _, *said in told}
    assert [progress for progress, *_ in told] == sorted(progress for progress, *_ in told)
    job = Job(lambda progress, stage, message, _: job.cancel() if message == "step 2 of 4" else told.append(message))
    told.clear()
    with pytest.raises(Cancelled):
        arrays(folder, steps=4, job=job)
    assert "step 1 of 4" in told and "step 3 of 4" not in told


def test_no_network_is_loaded_while_another_is_in_memory(folder, monkeypatch):
    alive, found = [], []

    def watched(load):
        def watching(*wanted):
            gc.collect()
            found.append(sum(network() is not None for network in alive))
            alive.append(weakref.ref(network := load(*wanted)))
            return network

        return watching

    for name in ("load_encoder", "load_flow", "load_coder"):
        monkeypatch.setattr(triposg_files, name, watched(getattr(triposg_files, name)))
    arrays(folder)
    assert found == [0, 0, 0]


def test_half_precision_gives_nearly_the_same_shape_and_falls_back_where_it_overflows(folder, tmp_path):
    full, half = (arrays(folder, half=h)["tokens"] for h in (False, True))
    assert 0 < abs(half - full).max() < 0.05 * abs(full).max()
    tiny.write(tmp_path)
    state = load_file(tmp_path / FLOW)
    state["blocks.0.ff.net.2.weight"] *= 1e8
    save_file(state, tmp_path / FLOW)
    full, half = (arrays(tmp_path, half=h)["tokens"] for h in (False, True))
    np.testing.assert_allclose(half, full, atol=0.05 * abs(full).max())  # the picture is still seen in half precision


@pytest.mark.parametrize(
    "path, name",
    [
        ("image_encoder_dinov2/model.safetensors", "encoder.layer.1.mlp.fc1.bias"),
        (FLOW, "blocks.1.norm1.weight"),
        ("vae/diffusion_pytorch_model.safetensors", "decoder.blocks.0.norm3.bias"),
        ("vae/diffusion_pytorch_model.safetensors", "decoder.proj_out.bias"),
    ],
)
@pytest.mark.parametrize("half", [False, True])
def test_weights_that_are_not_numbers_are_one_sentence(tmp_path, path, name, half):
    tiny.write(tmp_path)
    state = load_file(tmp_path / path)
    state[name] = torch.full_like(state[name], torch.nan)
    save_file(state, tmp_path / path)
    with pytest.raises(Unable, match="not finite") as caught:
        arrays(tmp_path, half=half)
    assert path.split("/")[0] in str(caught.value) and "\n" not in str(caught.value)


def test_weights_that_cannot_be_read_are_one_sentence_that_says_what_to_do(tmp_path):
    tiny.write(tmp_path, shards=2)
    next(tmp_path.glob("transformer/*-00001-of-*")).unlink()
    with pytest.raises(Unable, match="00001-of-00002.safetensors is missing; remove that folder and download again"):
        arrays(tmp_path)


def test_what_is_not_here_is_asked_for_before_anything_is_done(tmp_path):
    with pytest.raises(WeightsMissing, match="7946 MB, MIT") as caught:
        field(WeightStore(tmp_path))
    assert caught.value.network == "triposg"


def test_too_little_memory_is_told_before_the_start(weights, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    monkeypatch.setattr(triposg_files, "load_encoder", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(OutOfMemory, match="smaller model"):
        field(weights)


def test_other_files_under_the_same_name_change_the_revision(weights, tmp_path):
    [network] = METHODS[0].networks
    tiny.write(tmp_path / "triposg", shards=2)
    here, absent, others = (network.revision(WeightStore(root)) for root in (weights.root, tmp_path / "no", tmp_path))
    assert here == network.revision(weights) and len({here, absent, others}) == 3


def test_an_invisible_thing_is_refused(folder):
    empty = photo()
    empty.alpha[...] = 0
    with pytest.raises(Unable, match="no object"):
        arrays(folder, empty)


def test_the_full_networks_take_about_what_their_authors_say(monkeypatch):
    monkeypatch.setattr(triposg, "TOKENS", 2048)
    config = triposg_files.TripoSGConfig(
        triposg.EncoderConfig(), triposg.FlowConfig(), triposg.ShapeConfig(), tiny.TINY.preparation
    )
    needed = [generator.Generator(None, config, CPU, half).needed() for half in (True, False)]
    assert 3e9 < needed[0] < 8e9 and 6e9 < needed[1] < 16e9
