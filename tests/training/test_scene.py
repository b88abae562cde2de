# SPDX-License-Identifier: GPL-3.0-or-later
"""Training learns, can be cut off, and ends in a file that the product can load."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.worker.methods.depth.included import IncludedDepthConfig, load, metadata
from image_to_3d.worker.training import scene
from image_to_3d.worker.training.batches import ShardPool
from image_to_3d.worker.training.run import Batch, Plan, Run, export
from image_to_3d.worker.training.shards import view_type

SMALL = IncludedDepthConfig(widths=(4, 6, 8, 8, 8), blocks=(0, 0, 1, 0, 0), size=64)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures whose brightness is their inverse depth, which anything can learn, in the shards 0 and 1."""
    rng = np.random.default_rng(0)
    for number in range(2):
        shard = np.zeros(8, view_type(64, 96))
        shard["inverse_depth"] = np.linspace(0.1, 1, 96) * rng.uniform(0.5, 1, (8, 1, 1))
        shard["image"] = shard["inverse_depth"].astype(np.float32)[..., None] * 255
        np.save(tmp_path / f"shard{number:05d}.npy", shard)
    return tmp_path


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path, steps=10, batch=4, rate=2e-2, chunk=4)


def begun(plan: Plan, data: Path) -> Run:
    return scene.start(plan, scene.SceneTask(ShardPool(data), shards=2), SMALL)


def test_a_handful_of_steps_reduce_the_loss(plan: Plan, data: Path) -> None:
    run = begun(replace(plan, steps=30, chunk=6), data)
    run.train()
    losses = [loss for _, loss in run.curve]
    assert losses[-1] < 0.7 * losses[0]


def test_a_run_cut_off_anywhere_and_gone_on_with_ends_in_the_weights_of_one_run_through(
    plan: Plan, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = begun(plan, data)
    straight.train()
    other = replace(plan, out=data / "other")
    other.out.mkdir()
    _cut_off_at(monkeypatch, 6)
    with pytest.raises(KeyboardInterrupt):
        begun(other, data).train()
    monkeypatch.undo()
    resumed = begun(other, data)
    assert resumed.restore() and resumed.step == 4
    resumed.train()
    for name, value in straight.average.state_dict().items():
        assert torch.equal(value, resumed.average.state_dict()[name]), name
    assert straight.curve == resumed.curve


def _cut_off_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    learn = Run.train_step

    def interrupted(run: Run, batch: Batch) -> float:
        if run.step == step:
            raise KeyboardInterrupt
        return learn(run, batch)

    monkeypatch.setattr(Run, "train_step", interrupted)


def test_a_step_draws_from_the_shards_of_its_chunk_and_from_no_later_one(plan: Plan, data: Path) -> None:
    task = scene.SceneTask(ShardPool(data), shards=2)
    views = []
    for chunk in range(4):
        task.prepare(chunk)
        views.append(task.pool.views)
    assert views == [8, 16, 16, 16]


@pytest.mark.parametrize(("change", "named"), [({"seed": 1}, "seed 0, not 1"), ({"steps": 20}, "steps 10, not 20")])
def test_a_checkpoint_of_another_recipe_is_refused(plan: Plan, data: Path, change: dict[str, int], named: str) -> None:
    begun(plan, data).save()
    with pytest.raises(ValueError, match=named):
        begun(replace(plan, **change), data).restore()


def test_a_call_ends_at_the_first_checkpoint_after_its_minutes(plan: Plan, data: Path) -> None:
    run = begun(plan, data)
    run.train(minutes=0)
    assert run.step == plan.chunk
    again = begun(plan, data)
    assert again.restore() and again.step == plan.chunk


def test_the_rate_is_constant_for_most_of_a_run_and_ends_at_nothing(plan: Plan, data: Path) -> None:
    run = begun(replace(plan, steps=4000), data)
    assert run.rate(0) < run.rate(100) < run.rate(200) == run.rate(3000) == plan.rate
    assert 0 < run.rate(3999) < 0.01 * plan.rate


def test_a_loss_that_is_no_number_ends_the_run_before_it_spoils_the_weights(plan: Plan, data: Path) -> None:
    run = begun(plan, data)
    with pytest.raises(FloatingPointError, match="step 0"):
        run.train_step((torch.full((1, 3, 64, 96), torch.nan), torch.ones(1, 64, 96)))
    assert all(torch.isfinite(value).all() for value in run.average.state_dict().values())


def test_exported_weights_give_the_same_answer_but_for_half_precision(plan: Plan, data: Path, tmp_path: Path) -> None:
    run = begun(replace(plan, steps=2), data)
    run.train()
    export(run.average, metadata(SMALL), tmp_path / "weights.safetensors")
    again = load(tmp_path / "weights.safetensors")
    picture = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(again(picture), run.average.eval()(picture), rtol=0.02, atol=0.02)
    assert [file.name for file in tmp_path.glob("*.part")] == []


def test_one_command_ends_in_weights_and_card_and_goes_on_from_given_weights(data: Path, tmp_path: Path) -> None:
    sizes = ["--data", str(data), "--shards", "1", "--steps", "2", "--batch", "2", "--unseen", "2"]
    scene.main(["--out", str(tmp_path / "first"), *sizes])
    weights = tmp_path / "first" / "depth.safetensors"
    assert "8 views" in (tmp_path / "first" / "depth.md").read_text()
    scene.main(["--out", str(tmp_path / "second"), *sizes, "--rate", "0", "--start", str(weights)])
    first, second = load(weights).state_dict(), load(tmp_path / "second" / "depth.safetensors").state_dict()
    assert torch.equal(first["head.weight"], second["head.weight"])


_TOGETHER = """
import sys
import torch
from worker.training.together import Together
together = Together()
numbers = torch.arange(4.0).view(2, 2).t() + together.rank
together.average([numbers])
assert numbers.flatten().tolist() == [0.5, 2.5, 1.5, 3.5], numbers
assert together.slowest(float(together.rank)) == 1.0
if together.leads:
    sys.stdout.write("agreed")
"""


def test_processes_that_train_together_agree_on_weights_and_on_the_time(tmp_path: Path) -> None:
    (tmp_path / "pair.py").write_text(_TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(tmp_path / "pair.py")], env=environment, capture_output=True, text=True, timeout=100
    )
    assert "agreed" in done.stdout, done.stderr[-2000:]
