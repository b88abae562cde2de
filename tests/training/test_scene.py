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
from image_to_3d.worker.methods.depth.included import SceneConfig
from image_to_3d.worker.training import scene
from image_to_3d.worker.training.batches import ShardPool, crop
from image_to_3d.worker.training.run import Batch, Plan, Run, export
from image_to_3d.worker.training.scene_network import IncludedScene, load, metadata
from image_to_3d.worker.training.shards import view_type

SMALL = SceneConfig(widths=(4, 6, 8, 8, 8), blocks=(0, 0, 1, 0, 0), size=64)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures whose brightness is their inverse depth, which anything can learn, in the shards 0 and 1."""
    rng = np.random.default_rng(0)
    for number in range(2):
        shard = np.zeros(8, view_type(64, 96))
        shard["inverse_depth"] = np.linspace(0.1, 1, 96) * rng.uniform(0.5, 1, (8, 1, 1))
        shard["image"] = shard["inverse_depth"].astype(np.float32)[..., None] * 255
        shard["normal"], shard["fov"] = (0, 0, -127), 60.0
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
    run.task.prepare(0)
    with pytest.raises(FloatingPointError, match="step 0"):
        batch = run.task.batch(1, 0.0, np.random.default_rng(0))
        run.train_step(batch._replace(image=batch.image * torch.nan))
    assert all(torch.isfinite(value).all() for value in run.average.state_dict().values())


def test_exported_weights_give_the_same_answer_but_for_half_precision(plan: Plan, data: Path, tmp_path: Path) -> None:
    run = begun(replace(plan, steps=2), data)
    run.train()
    export(run.average, metadata(SMALL), tmp_path / "weights.safetensors")
    again = load(tmp_path / "weights.safetensors")
    picture = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(tuple(again(picture)), tuple(run.average.eval()(picture)), rtol=0.02, atol=0.02)
    assert [file.name for file in tmp_path.glob("*.part")] == []


def test_one_command_ends_in_weights_and_card_and_goes_on_from_given_weights(data: Path, tmp_path: Path) -> None:
    sizes = ["--data", str(data), "--shards", "1", "--steps", "2", "--batch", "2", "--unseen", "2"]
    scene.main(["--out", str(tmp_path / "first"), *sizes])
    weights = tmp_path / "first" / "depth.safetensors"
    assert "8 views" in (tmp_path / "first" / "depth.md").read_text()
    scene.main(["--out", str(tmp_path / "second"), *sizes, "--rate", "0", "--start", str(weights)])
    first, second = load(weights).state_dict(), load(tmp_path / "second" / "depth.safetensors").state_dict()
    assert torch.equal(first["heads.weight"], second["heads.weight"])


def test_weights_of_another_size_lend_what_fits(tmp_path: Path) -> None:
    other = IncludedScene(replace(SMALL, widths=(4, 6, 8, 8, 12)))
    export(other, metadata(other.config), tmp_path / "other.safetensors")
    network = IncludedScene(SMALL)
    fitting, given = scene.warm(network, tmp_path / "other.safetensors")
    assert 0 < fitting < given
    assert torch.equal(network.stem[0].weight, other.stem[0].weight.half().float())


def test_a_pool_may_begin_with_many_shards(data: Path) -> None:
    task = scene.SceneTask(ShardPool(data), shards=2, first=2)
    task.prepare(0)
    assert task.pool.views == 16


def test_in_half_precision_the_same_is_learnt(plan: Plan, data: Path) -> None:
    task = scene.SceneTask(ShardPool(data), shards=2, half=True)
    run = scene.start(replace(plan, steps=30, chunk=6), task, SMALL)
    run.train()
    losses = [loss for _, loss in run.curve]
    assert losses[-1] < 0.7 * losses[0]
    assert {value.dtype for value in run.network.parameters()} == {torch.float32}


class _Middle:
    """Draws as a generator that is never in favour of a change: whole pictures, in the middle, not mirrored."""

    def random(self, *_: object) -> float:
        return 0.9

    def uniform(self, low: float, high: float, size: int | None = None) -> float | np.ndarray:
        return (low + high) / 2 if size is None else np.full(size, (low + high) / 2)


def seen_through(height: int, width: int, fov: float) -> np.void:
    shard = np.zeros(1, view_type(height, width))
    shard["fov"], shard["inverse_depth"] = fov, np.linspace(0.1, 1, width)
    shard["normal"][..., 0], shard["image"][..., 0] = 127, np.linspace(0, 255, width)
    return shard[0]


def test_a_crop_of_half_the_width_has_half_the_tangent_of_the_lens() -> None:
    view = seen_through(60, 120, 90.0)
    assert float(crop(view, 48, 96, _Middle()).log_focal) == pytest.approx(0.0, abs=1e-6)
    assert float(crop(view, 48, 48, _Middle()).log_focal) == pytest.approx(np.log(2.0), abs=1e-6)


def test_what_is_mirrored_is_all_that_belongs_to_a_pixel() -> None:
    class Mirrored(_Middle):
        calls = 0

        def random(self, *_: object) -> float:
            self.calls += 1
            return 0.9 if self.calls == 1 else 0.1  # a whole picture, mirrored

    plain, mirrored = (crop(seen_through(60, 120, 90.0), 48, 96, rng) for rng in (_Middle(), Mirrored()))
    torch.testing.assert_close(mirrored.image.flip(-1), plain.image)
    torch.testing.assert_close(mirrored.inverse.flip(-1), plain.inverse)
    torch.testing.assert_close(mirrored.normal[0], -plain.normal[0])


def test_a_truth_of_half_the_size_lies_where_the_picture_says() -> None:
    one = crop(seen_through(64, 128, 90.0), 64, 128, _Middle())
    brightness = one.image[0].unfold(0, 2, 2).unfold(1, 2, 2).mean((2, 3))
    torch.testing.assert_close(one.inverse, 0.1 + 0.9 * brightness, atol=0.01, rtol=0)


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
