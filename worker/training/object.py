# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the included object network: `python -m worker.training.object --out DIR [--data DIR --shards N --minutes M]`.

Makes the first N shards of its data unless they are there, trains for a time or a number of steps, goes on from its
last checkpoint with --resume, and ends in object.safetensors and object.md. More shards may appear in the data folder
while it runs (worker.training.layers makes them).
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..methods.layers.network import IncludedObject, IncludedObjectConfig, metadata
from .layers import write_shard
from .object_batches import Batch, ThingPool, draw_batch, layers_loss
from .object_card import held_out_scores, write_card
from .run import export

log = logging.getLogger(__name__)

_WARMUP_STEPS = 200
_LOG_EVERY = 25


@dataclass(frozen=True)
class Plan:
    """What a run is: data, length (minutes on the clock, or steps when given), batch, rate, seed and device."""

    data: Path
    out: Path
    minutes: float = 90.0
    steps: int | None = None
    batch: int = 32
    rate: float = 1.3e-3
    seed: int = 0
    save_minutes: float = 3.0
    device: str = "cpu"
    config: IncludedObjectConfig = field(default_factory=IncludedObjectConfig)


class Run:
    """A training run that can be saved, restored and continued to the same end."""

    def __init__(self, plan: Plan):
        self.plan = plan
        torch.manual_seed(plan.seed)
        layout = torch.channels_last
        self.network = IncludedObject(plan.config).to(plan.device, memory_format=layout)
        self.average = IncludedObject(plan.config).to(plan.device, memory_format=layout).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=True)
        self.pool = ThingPool(plan.data)
        self.step, self.seconds, self.curve = 0, 0.0, []

    @property
    def progress(self) -> float:
        """How far the run is, 0 to 1: by its steps, or by the clock."""
        return self.step / self.plan.steps if self.plan.steps else self.seconds / (60 * self.plan.minutes)

    @property
    def samples(self) -> int:
        """How many pictures were seen so far, counting repetitions."""
        return self.step * self.plan.batch

    def batch(self, step: int, progress: float) -> Batch:
        """What is trained on in a step; safe to make ahead on another thread."""
        rng = np.random.default_rng([self.plan.seed, step])
        return draw_batch(self.pool, self.plan.batch, progress, rng).to(self.plan.device)

    def train_step(self, batch: Batch) -> float:
        """One update of the weights and of their moving average; returns the mean depth error in half sides."""
        rate = self.plan.rate * 0.5 * (1 + math.cos(math.pi * min(self.progress, 1.0)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / _WARMUP_STEPS) + 1e-6
        image = batch.image.contiguous(memory_format=torch.channels_last)
        loss, error = layers_loss(self.network(image, batch.mask, batch.height), batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        share = max(0.004, 1 / (self.step + 5))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), share)
        self.step += 1
        return float(error.detach())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        path = self.plan.out / "object_checkpoint.pt"
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
            "seed": self.plan.seed,
        }
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    def restore(self) -> None:
        """Go back to the checkpoint. Raises ValueError if it is of another seed, FileNotFoundError without one."""
        path = self.plan.out / "object_checkpoint.pt"
        state = torch.load(path, map_location=self.plan.device, weights_only=True)
        if state["seed"] != self.plan.seed:
            raise ValueError(f"the checkpoint is of seed {state['seed']}, not {self.plan.seed}; use another folder")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]

    def train(self, until_step: int | None = None) -> None:
        """Run to the plan's end, or to a given step; saves as it goes."""
        with ThreadPoolExecutor(1) as ahead:
            self._train(until_step, ahead)
        self.save()

    def _train(self, until_step: int | None, ahead: ThreadPoolExecutor) -> None:
        last = saved = time.monotonic()
        errors: list[float] = []
        waiting = ahead.submit(self.batch, self.step, self.progress)
        while self.step != until_step and self.progress < 1:
            batch = waiting.result()
            waiting = ahead.submit(self.batch, self.step + 1, self._next_progress())
            errors.append(self.train_step(batch))
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            if self.step % _LOG_EVERY == 0:
                self.pool.refresh()
                self._note(float(np.mean(errors)))
                errors.clear()
            if now - saved > 60 * self.plan.save_minutes:
                self.save()
                saved = now

    def _next_progress(self) -> float:
        return (self.step + 1) / self.plan.steps if self.plan.steps else self.progress

    def _note(self, error: float) -> None:
        self.curve.append((self.samples, round(error, 4)))
        pace, done = self.samples / max(self.seconds, 1e-9), 100 * self.progress
        message = "step %d  samples %d  shards %d  %.1f/s  depth error %.4f  done %.1f %%"
        log.info(message, self.step, self.samples, self.pool.shards, pace, error, done)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the weights and the card")
    parser.add_argument("--data", type=Path, help="folder of shards; default: data in --out")
    parser.add_argument("--shards", type=int, default=1, help="make that many shards first, unless they are there")
    parser.add_argument("--minutes", type=float, default=Plan.minutes)
    parser.add_argument("--steps", type=int, help="length in steps instead of minutes; then a run can be repeated")
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--rate", type=float, default=Plan.rate, help="learning rate at the start of the cosine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out if there is one")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    data = options.data or options.out / "data"
    for folder in (options.out, data):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.shards):
        write_shard(data, number)
    plan = Plan(
        data=data,
        out=options.out,
        minutes=options.minutes,
        steps=options.steps,
        batch=options.batch,
        rate=options.rate,
        seed=options.seed,
        device=options.device,
    )
    run = Run(plan)
    if options.resume and (plan.out / "object_checkpoint.pt").exists():
        run.restore()
    run.train()
    export(run.average, metadata(run.average.config), plan.out / "object.safetensors")
    write_card(plan.out / "object.md", run, held_out_scores(run.average))


if __name__ == "__main__":
    main()
