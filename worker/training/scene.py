# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the included depth network on rendered shards: `python -m worker.training.scene --data DIR --out DIR`.

Goes on from its last checkpoint with --resume, follows a schedule in minutes or in steps, and ends in depth.safetensors
and depth.md. More shards may appear in the data folder while it runs (worker.training.shards makes them). Several
processes share the work when started by `torchrun --nproc-per-node N -m worker.training.scene ...`.
"""

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
from safetensors.torch import save_file
from torch import Tensor, nn

from ..networks.included_depth import IncludedDepth, IncludedDepthConfig, metadata
from .batches import ShardPool, draw_batch
from .card import held_out_scores, write_card
from .losses import depth_loss
from .together import Together

log = logging.getLogger(__name__)

_WARMUP_STEPS = 100
_AGREE_EVERY = 20
_LOG_EVERY = 100


@dataclass(frozen=True)
class Plan:
    """What a run is: data, length (minutes on the clock, or steps when given), batch, rate, seed and device."""

    data: Path
    out: Path
    minutes: float = 60.0
    steps: int | None = None
    batch: int = 24
    rate: float = 1.5e-3
    seed: int = 0
    save_minutes: float = 2.0
    device: str = "cpu"
    config: IncludedDepthConfig = field(default_factory=IncludedDepthConfig)


class Run:
    """A training run that can be saved, restored and continued to the same end."""

    def __init__(self, plan: Plan):
        self.plan = plan
        torch.manual_seed(plan.seed)
        layout = torch.channels_last
        self.network = IncludedDepth(plan.config).to(plan.device, memory_format=layout)
        self.average = IncludedDepth(plan.config).to(plan.device, memory_format=layout).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=True)
        self.pool, self.together = ShardPool(plan.data), Together()
        self.step, self.seconds, self.curve = 0, 0.0, []

    def progress(self, step: int) -> float:
        """How far the run is at a step, 0 to 1: by its steps, or by the clock."""
        return step / self.plan.steps if self.plan.steps else self.seconds / (60 * self.plan.minutes)

    @property
    def samples(self) -> int:
        """How many pictures all processes have seen so far, counting repetitions."""
        return self.step * self.plan.batch * self.together.count

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images and targets of a step; safe to make ahead on another thread."""
        rng = np.random.default_rng([self.plan.seed, self.together.rank, step])
        return draw_batch(self.pool, self.plan.batch, self.progress(step), rng)

    def train_step(self, images: Tensor, targets: Tensor) -> float:
        """One update of the weights and of their moving average; returns the loss."""
        progress = self.progress(self.step)
        rate = self.plan.rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / _WARMUP_STEPS) + 1e-6
        images = images.to(self.plan.device).contiguous(memory_format=torch.channels_last)
        loss = depth_loss(self.network(images), targets.to(self.plan.device), edges=0.05 + 0.08 * progress)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimiser.step()
        self._update_average()
        self.step += 1
        return float(loss.detach())

    def _update_average(self) -> None:
        share = max(0.006, 1 / (self.step + 5))
        torch._foreach_lerp_(_numbers(self.average), _numbers(self.network), share)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        path = self.plan.out / "checkpoint.pt"
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
        state = torch.load(self.plan.out / "checkpoint.pt", map_location=self.plan.device, weights_only=True)
        if state["seed"] != self.plan.seed:
            raise ValueError(f"the checkpoint is of seed {state['seed']}, not {self.plan.seed}; use another folder")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]

    def train(self, until_step: int | None = None) -> None:
        """Run to the plan's end (looked for where the processes agree), or to a given step; saves as it goes."""
        with ThreadPoolExecutor(1) as ahead:
            self._train(until_step, ahead)
        self._agree()
        if self.together.leads:
            self.save()

    def _agree(self) -> None:
        self.together.average(_numbers(self.network))
        self.seconds = self.together.slowest(self.seconds)

    def _train(self, until_step: int | None, ahead: ThreadPoolExecutor) -> None:
        last = saved = time.monotonic()
        recent: list[float] = []
        waiting = ahead.submit(self.batch, self.step)
        while self.step != until_step and (self.step % _AGREE_EVERY or self.progress(self.step) < 1):
            images, targets = waiting.result()
            waiting = ahead.submit(self.batch, self.step + 1)
            recent.append(self.train_step(images, targets))
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            if self.step % _AGREE_EVERY == 0:
                self._agree()
            if self.step % _LOG_EVERY == 0:
                self.pool.refresh()
                self._note(float(np.mean(recent)))
                recent.clear()
            if self.together.leads and now - saved > 60 * self.plan.save_minutes:
                self.save()
                saved = now

    def _note(self, loss: float) -> None:
        samples = self.samples
        self.curve.append((samples, round(loss, 4)))
        pace, done = samples / max(self.seconds, 1e-9), 100 * self.progress(self.step)
        message = "step %d  samples %d  views %d  %.1f/s  loss %.4f  done %.1f %%"
        log.info(message, self.step, samples, self.pool.views, pace, loss, done)


def _numbers(network: nn.Module) -> list[Tensor]:
    return [value for value in network.state_dict().values() if value.is_floating_point()]


def export(network: IncludedDepth, path: Path) -> None:
    """Write float16 weights with the configuration in the header, whole or not at all."""
    tensors: dict[str, Tensor] = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    save_file(tensors, path.with_suffix(".part"), metadata(network.config))
    os.replace(path.with_suffix(".part"), path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of shards")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the weights and the card")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--rate", type=float, default=Plan.rate, help="learning rate at the start of the cosine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out if there is one")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        data=options.data,
        out=options.out,
        minutes=options.minutes,
        steps=options.steps,
        batch=options.batch,
        rate=options.rate,
        seed=options.seed,
        device=options.device,
    )
    run = Run(plan)
    if options.resume and (plan.out / "checkpoint.pt").exists():
        run.restore()
    run.train()
    if not run.together.leads:
        return
    export(run.average, plan.out / "depth.safetensors")
    write_card(plan.out / "depth.md", run, held_out_scores(run.average))


if __name__ == "__main__":
    main()
