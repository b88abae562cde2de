# SPDX-License-Identifier: GPL-3.0-or-later
"""Training the generator: the noise is measured, a run can be cut off, and the flow learns where residuals lie."""

from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.worker.methods.layers.generator_network import GRIDS
from image_to_3d.worker.methods.layers.network import IncludedObjectConfig
from image_to_3d.worker.training import generator, layers
from image_to_3d.worker.training.generator_batches import coarse_residual, draw_known, spectrum
from image_to_3d.worker.training.generator_network import IncludedGenerator, load
from image_to_3d.worker.training.object_batches import Batch, ThingPool, draw_batch
from image_to_3d.worker.training.object_network import IncludedObject
from image_to_3d.worker.training.object_network import metadata as object_metadata
from image_to_3d.worker.training.run import Plan, Run, export
from safetensors.torch import load_file
from torch import Generator
from torch.nn import functional

CONFIG = IncludedObjectConfig(widths=(8, 8, 16, 16), blocks=(0, 0, 1, 1), size=64)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder with a few views and a random object network."""
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "things00007.npy", layers.make_shard(7, 24))
    torch.manual_seed(5)
    export(IncludedObject(CONFIG), object_metadata(CONFIG), folder / "object.safetensors")
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(generator, "_MEASURED", 2)
    torch.set_num_threads(1)


def begun(data: Path, out: Path, steps: int = 8, batch: int = 4, rate: float = 1e-3) -> Run:
    plan = Plan(out, steps, batch, rate, chunk=4)
    return generator.start(plan, ThingPool(data), data / "object.safetensors")


def test_a_batch_depends_on_its_step_alone(data, tmp_path):
    first, again, other = (begun(data, tmp_path).batch(step) for step in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(first, again, strict=True)) and not (first[3] == other[3]).all()


def test_residuals_in_a_batch_vary_about_as_the_noise_does(data, tmp_path):
    run = begun(data, tmp_path)
    view, outline, residual, noise, time = run.task.batch(32, 0.0, np.random.default_rng(0))
    for values in (residual, noise):
        assert (values.square().sum((0, 2, 3)) / outline.sum()).sqrt().tolist() == pytest.approx([1.0] * 5, abs=0.25)
    assert (residual * (1 - outline) == 0).all() and (noise * (1 - outline) == 0).all()
    assert sorted((time * 32).long().tolist()) == list(range(32))


def test_of_half_of_the_views_something_is_known_and_it_is_about_true(data):
    rng = np.random.default_rng(0)
    things = draw_batch(ThingPool(data), 400, 1.0, rng)
    layers, where, sure = draw_known(things, rng)
    front, back = (where.amax((2, 3)) > 0).T
    assert (
        (front | back).float().mean() == pytest.approx(0.5, abs=0.08) and (front & back).any() and (back & ~front).any()
    )
    assert (where <= things.mask[:, None]).all()
    error = ((layers[:, 0] - things.front).abs() * things.mask).sum((1, 2)) / things.mask.sum((1, 2))
    exact = front & (sure[:, 1] > 0) & (sure[:, 2] == 0)
    assert exact.any() and error[exact].max() < 1e-6
    off = front & (sure[:, 1] > 0) & (sure[:, 2] > 0)
    assert 0.3 < (error[off] / sure[off, 2]).median() < 1.2
    seen = (where[:, 1].sum((1, 2)) / things.mask.sum((1, 2)))[back]
    assert 0.3 < seen.mean() < 0.7 and seen.std() > 0.1


def test_the_spectrum_of_noise_is_found_again():
    network = IncludedGenerator()
    network.mixing.zero_()
    network.mixing[0] = 0.8 * torch.eye(5)
    network.mixing[GRIDS.index(9)] = 0.6 * torch.eye(5)
    network.mixing[0, 1, 0] = 0.8  # front and back together
    found = 2.0 * network.noise(300, 32, Generator().manual_seed(0))
    scale, mixing = spectrum(found, torch.ones(300, 1, 32, 32))
    assert scale.tolist() == pytest.approx([2.0, 2.0 * (0.36 + 1.28) ** 0.5, 2.0, 2.0, 2.0], rel=0.1)
    shares = (mixing @ mixing.mT)[:, 0, 0]
    assert shares[0] == pytest.approx(0.64, abs=0.1) and shares[2:].sum() == pytest.approx(0.36, abs=0.1)
    assert (mixing @ mixing.mT)[0, 0, 1] > 0.4


def test_a_coarse_residual_is_smooth_and_keeps_the_means():
    rows = torch.linspace(-1, 1, 64)[:, None].expand(1, 64, 64)
    rough = torch.randn(1, 64, 64, generator=Generator().manual_seed(0))
    ones, nothing = torch.ones(1, 64, 64), torch.zeros(1, 3, 64, 64)
    things = Batch(nothing, nothing, ones, ones, rows + rough, rows, torch.zeros(1, 3))
    found = coarse_residual(things, torch.zeros(1, 5, 64, 64), torch.ones(1, 1, 32, 32))
    small = functional.avg_pool2d(rows[:, None], 2)
    assert (found[:, 1:2] - small).abs()[..., 4:-4, :].max() < 0.01
    assert (found[:, :1] - small).abs().mean() < 0.15 * rough.std() and found.diff(dim=-1).abs().max() < 0.2


def test_a_run_cut_off_and_resumed_ends_in_the_same_weights(data, tmp_path):
    whole = begun(data, tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    whole.train()
    (tmp_path / "cut").mkdir()
    begun(data, tmp_path / "cut").train(minutes=0.0)
    resumed = begun(data, tmp_path / "cut")
    assert resumed.restore() and resumed.step == 4
    resumed.train()
    pairs = zip(whole.average.state_dict().values(), resumed.average.state_dict().values(), strict=True)
    assert resumed.step == 8 and all((a == b).all() for a, b in pairs)


def test_a_few_steps_reduce_the_loss_and_leave_the_regression_alone(data, tmp_path):
    run = begun(data, tmp_path, steps=100, batch=16, rate=4e-3)
    before = {name: values.clone() for name, values in run.network.regressor.state_dict().items()}
    batch = run.batch(0)
    losses = [run.train_step(batch) for _ in range(40)]
    assert losses[0] == pytest.approx(1.0, abs=0.3) and np.mean(losses[-5:]) < 0.85 * losses[0]
    assert all((values == before[name]).all() for name, values in run.network.regressor.state_dict().items())
    generator.write(run, data / "object.safetensors")
    names = set(load_file(tmp_path / "generator.safetensors"))
    assert load(tmp_path / "generator.safetensors").config == run.average.config
    assert names and not [name for name in names if name.startswith("regressor.")]


def test_a_generator_can_learn_on_from_where_another_run_ended(data, tmp_path):
    first = begun(data, tmp_path)
    first.train()
    generator.write(first, data / "object.safetensors")
    plan = Plan(tmp_path / "on", 8, 4, 1e-3, chunk=4)
    run = generator.start(plan, ThingPool(data), tmp_path / "generator.safetensors")
    ended, now = first.average.flow.state_dict(), run.average.flow.state_dict()
    assert run.step == 0 and all(torch.allclose(ended[name], now[name], atol=1e-2) for name in ended)
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    run.train_step(run.batch(0))
    moved = {
        name.partition(".")[0] for name, value in run.network.state_dict().items() if (value != before[name]).any()
    }
    assert moved == {"flow"}, "the regression stays as it is"


def test_a_generator_beside_another_regression_is_refused(data, tmp_path):
    run = begun(data, tmp_path)
    generator.write(run, data / "object.safetensors")
    beside = tmp_path / "object.safetensors"
    beside.write_bytes(beside.read_bytes() + b"x")
    with pytest.raises(ValueError, match="goes with another object.safetensors"):
        load(tmp_path / "generator.safetensors")
    beside.unlink()
    with pytest.raises(ValueError, match="goes with another object.safetensors"):
        load(tmp_path / "generator.safetensors")
