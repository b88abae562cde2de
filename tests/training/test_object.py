# SPDX-License-Identifier: GPL-3.0-or-later
"""Training on made-up things: the data come from numbers alone, a run can be cut off, and it learns."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.worker.methods.layers.network import IncludedObjectConfig
from image_to_3d.worker.training import layers
from image_to_3d.worker.training.object import ObjectTask, start
from image_to_3d.worker.training.object_batches import ThingPool, _lean, as_batch, resized
from image_to_3d.worker.training.object_network import load, metadata
from image_to_3d.worker.training.objects import FAMILIES, resting
from image_to_3d.worker.training.run import Plan, Run, export
from image_to_3d.worker.training.shapes import box

SMALL = IncludedObjectConfig(widths=(8, 8, 16, 16), blocks=(0, 0, 1, 1), size=32)


@pytest.fixture(scope="module")
def shard() -> np.ndarray:
    return layers.make_shard(7, 24)


@pytest.fixture
def plan(tmp_path: Path, shard: np.ndarray) -> Plan:
    np.save(tmp_path / "things00007.npy", shard)
    return Plan(tmp_path, steps=8, batch=4, chunk=3)


def begun(plan: Plan) -> Run:
    return start(plan, ObjectTask(ThingPool(plan.out)), SMALL)


def test_a_shard_is_made_again_by_its_number(shard: np.ndarray) -> None:
    assert (layers.make_shard(7, 8) == shard[:8]).all()
    assert not (layers.make_shard(8, 8)["front"] == shard[:8]["front"]).all()


def test_front_lies_before_back_and_the_middle_is_zero(shard: np.ndarray) -> None:
    for view in shard:
        front, back = (view[name].astype(float)[view["mask"]] for name in ("front", "back"))
        assert (back - front).min() > -0.01 and abs((front + back).mean()) < 0.01


def test_the_outline_fills_its_share_of_the_square(shard: np.ndarray) -> None:
    for mask in shard["mask"]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(0.875 * 96, abs=3)


@pytest.mark.parametrize("number", range(len(FAMILIES)))
def test_every_family_draws_things_that_can_be_rendered(number: int) -> None:
    draw, _ = FAMILIES[number]
    for seed in range(12):
        thing = draw(np.random.default_rng([number, seed]))
        assert thing.parts
        for mesh, _, _, _ in thing.parts:
            assert np.isfinite(mesh.vertices).all() and 0 <= mesh.faces.min() <= mesh.faces.max() < len(mesh.vertices)


def test_a_thing_falls_on_a_side_that_it_lies_on():
    slab = box(1.0, 0.7, 0.05).vertices
    rng = np.random.default_rng(0)
    tall = [np.ptp(slab @ resting(slab, rng).T, axis=0)[2] for _ in range(40)]
    assert np.isclose(np.array(tall)[:, None], [1.0, 0.7, 0.05], atol=1e-6).any(1).all()
    assert np.mean(np.isclose(tall, 0.05)) > 0.8


def test_what_is_up_is_known_of_things_that_stand_and_goes_along_with_a_mirror(plan: Plan, shard: np.ndarray) -> None:
    length = np.linalg.norm(shard["up"].astype(float), axis=1)
    assert np.isclose(length, 1, atol=2e-3).sum() > 0.7 * len(shard) and (np.isclose(length, 0) | (length > 0.9)).all()
    ups = np.concatenate([begun(plan).batch(step).up.numpy() for step in range(6)])
    known = {tuple(np.round(up, 3)) for up in shard["up"].astype(np.float32)}
    mirrored = {(-x if x else x, y, z) for x, y, z in known}
    found = {tuple(np.round(up, 3)) for up in ups}
    assert found <= known | mirrored and found & known and found - known


def test_the_vertical_costs_as_far_as_its_tip_is_off():
    up = torch.tensor([[0.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    assert _lean(torch.tensor([[0.0, -3.0, 0.0], [5.0, 0.0, 0.0]]), up) == 0
    assert float(_lean(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), up)) == pytest.approx(2**0.5, abs=1e-5)


def test_a_smaller_batch_has_the_same_depths(shard: np.ndarray) -> None:
    whole, half = as_batch(shard), resized(as_batch(shard), 48)
    means = [(b.front * b.mask).sum((1, 2)) / b.mask.sum((1, 2)) for b in (whole, half)]
    assert (means[0] - means[1]).abs().max() < 0.06


def test_a_batch_depends_on_its_step_alone(plan: Plan) -> None:
    first, again, other = (begun(plan).batch(step) for step in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True)) and not (first.image == other.image).all()
    assert ThingPool(plan.out).shards == 1


def test_a_run_cut_off_and_resumed_ends_in_the_same_weights(plan: Plan) -> None:
    torch.set_num_threads(1)
    whole = begun(plan)
    whole.train()
    (plan.out / "checkpoint.pt").unlink()
    begun(plan).train(minutes=0.0)
    resumed = begun(plan)
    assert resumed.restore() and resumed.step == 3
    resumed.train()
    pairs = zip(whole.average.state_dict().values(), resumed.average.state_dict().values(), strict=True)
    assert resumed.step == 8 and all((a == b).all() for a, b in pairs)


def test_a_few_steps_reduce_the_error_and_the_file_can_be_loaded(plan: Plan, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    run = begun(Plan(plan.out, steps=60, batch=8, rate=5e-3))
    batch = run.batch(0)
    errors = [run.train_step(batch) for _ in range(50)]
    assert np.mean(errors[-5:]) < 0.85 * errors[0]
    export(run.average, metadata(run.average.config), tmp_path / "object.safetensors")
    assert load(tmp_path / "object.safetensors").config == SMALL


def test_a_checkpoint_of_another_seed_is_refused(plan: Plan) -> None:
    begun(plan).save()
    with pytest.raises(ValueError, match="seed 0, not 1"):
        begun(dataclasses.replace(plan, seed=1)).restore()
