# SPDX-License-Identifier: GPL-3.0-or-later
"""Training learns, can be interrupted, and ends in a file that the product can load."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.worker.networks.included_depth import IncludedDepthConfig, load
from image_to_3d.worker.training.scene import Plan, Run, export
from image_to_3d.worker.training.shards import view_type

SMALL = IncludedDepthConfig(widths=(4, 6, 8, 8, 8), blocks=(0, 0, 1, 0, 0), size=64)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A run on pictures whose brightness is their inverse depth, which anything can learn."""
    rng = np.random.default_rng(0)
    shard = np.zeros(8, view_type(64, 96))
    shard["inverse_depth"] = np.linspace(0.1, 1, 96) * rng.uniform(0.5, 1, (8, 1, 1))
    shard["image"] = shard["inverse_depth"].astype(np.float32)[..., None] * 255
    np.save(tmp_path / "shard00000.npy", shard)
    return Plan(tmp_path, tmp_path, steps=100, batch=4, rate=2e-2, config=SMALL)


def test_a_handful_of_steps_reduce_the_loss(plan: Plan) -> None:
    run = Run(plan)
    losses = [run.train_step(*run.batch(step)) for step in range(60)]
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:4])


def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(plan: Plan, tmp_path: Path) -> None:
    straight = Run(plan)
    straight.train(until_step=6)
    (tmp_path / "other").mkdir()
    broken = replace(plan, out=tmp_path / "other")
    Run(broken).train(until_step=3)
    resumed = Run(broken)
    resumed.restore()
    resumed.train(until_step=6)
    for name, value in straight.average.state_dict().items():
        assert torch.equal(value, resumed.average.state_dict()[name]), name


def test_a_checkpoint_of_another_seed_is_refused(plan: Plan) -> None:
    Run(plan).save()
    with pytest.raises(ValueError, match="seed 0"):
        Run(replace(plan, seed=1)).restore()


def test_a_run_stops_when_its_minutes_are_over(plan: Plan) -> None:
    run = Run(replace(plan, steps=None, minutes=1.0))
    run.seconds = 60.0
    run.train()
    assert run.step == 0


def test_exported_weights_give_the_same_answer_but_for_half_precision(plan: Plan, tmp_path: Path) -> None:
    run = Run(plan)
    run.train(until_step=2)
    export(run.average, tmp_path / "weights.safetensors")
    again = load(tmp_path / "weights.safetensors")
    picture = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(again(picture), run.average.eval()(picture), rtol=0.02, atol=0.02)
    assert [file.name for file in tmp_path.glob("*.part")] == []


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
