# SPDX-License-Identifier: GPL-3.0-or-later
"""A training run that can be cut off anywhere and ends in the same weights as one run through.

A batch depends on the seed and the step, the schedule on the step, the data that are drawn from on the chunk of steps;
a checkpoint is written after every chunk. Knows torch; not what is learnt (that is a Task), nor how data come about.
"""

import logging
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.random import Generator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .together import Together

log = logging.getLogger(__name__)

Batch = tuple[Tensor, ...]

_WARMUP_STEPS = 200
_DECAYING = 0.25  # the share of the run in which the rate falls to nothing; before, it is constant
_AVERAGE_SHARE = 0.004  # how much of the moving average a step replaces
_AGREE_EVERY = 20
_LOG_EVERY = 10


class Task(Protocol):
    """What a network learns. `progress` is 0 at the run's start and 1 at its end."""

    def prepare(self, chunk: int) -> None:
        """See that the data of the chunk-th chunk of steps are there, making what is missing."""

    def batch(self, count: int, progress: float, rng: Generator) -> Batch:
        """Inputs and targets of one step; called on another thread, between prepare() and the end of its chunk."""

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> Tensor:
        """The scalar to minimise."""


@dataclass(frozen=True)
class Plan:
    """A run's length and recipe. Two runs of the same plan and task end in the same weights."""

    out: Path
    steps: int = 16_000
    batch: int = 24
    rate: float = 1.5e-3
    seed: int = 0
    chunk: int = 40  # steps between two checkpoints
    device: str = "cpu"

    def recipe(self, processes: int) -> dict[str, float]:
        """What a checkpoint must have been made with to be gone on with."""
        names = ("steps", "batch", "rate", "seed", "chunk")
        return {name: getattr(self, name) for name in names} | {"processes": processes}


class Run:
    """The network, its moving average, the optimiser, and how far they are."""

    def __init__(self, plan: Plan, network: nn.Module, average: nn.Module, task: Task):
        """Both networks are of the same kind; the average takes the network's weights over."""
        self.plan, self.task, self.together = plan, task, Together()
        self.network = network.to(plan.device, memory_format=torch.channels_last)
        self.average = average.to(plan.device, memory_format=torch.channels_last).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=True)
        self.step, self.seconds = 0, 0.0
        self.curve: list[tuple[int, float]] = []  # samples seen, mean loss of a chunk

    @property
    def samples(self) -> int:
        """How many pictures all processes have seen so far, counting repetitions."""
        return self.step * self.plan.batch * self.together.count

    def rate(self, step: int) -> float:
        """The learning rate of a step: warm-up, constant, then straight to nothing."""
        left = (1 - step / self.plan.steps) / _DECAYING
        return self.plan.rate * min(1.0, (step + 1) / _WARMUP_STEPS, left)

    def batch(self, step: int) -> Batch:
        """What a step learns from."""
        rng = np.random.default_rng([self.plan.seed, self.together.rank, step])
        return self.task.batch(self.plan.batch, step / self.plan.steps, rng)

    def train_step(self, batch: Batch) -> float:
        """One update of the weights and of their moving average; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step)
        images, *others = (part.to(self.plan.device) for part in batch)
        images = images.contiguous(memory_format=torch.channels_last)
        loss = self.task.loss(self.network, (images, *others), self.step / self.plan.steps)
        if not math.isfinite(value := float(loss.detach())):
            raise FloatingPointError(f"the loss of step {self.step} is {value}; try a lower rate")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimiser.step()
        self.step += 1
        share = max(_AVERAGE_SHARE, 1 / (self.step + 5))
        torch._foreach_lerp_(_numbers(self.average), _numbers(self.network), share)
        return value

    def train(self, minutes: float = math.inf) -> None:
        """Run to the plan's end, or to the first checkpoint after so many minutes."""
        started = time.monotonic()
        while self.step < self.plan.steps:
            self._chunk()
            if self.together.slowest(time.monotonic() - started) > 60 * minutes:
                break

    def _chunk(self) -> None:
        """The steps up to the next checkpoint, and the checkpoint."""
        started, chunk = time.monotonic(), self.step // self.plan.chunk
        self._prepare(chunk)
        end = min((chunk + 1) * self.plan.chunk, self.plan.steps)
        losses: list[float] = []
        for batch in self._batches(self.step, end):
            losses.append(self.train_step(batch))
            if self.step % _AGREE_EVERY == 0:
                self.together.average(_numbers(self.network))
            if self.step % _LOG_EVERY == 0 and self.together.leads:
                done, recent = 100 * self.step / self.plan.steps, np.mean(losses[-_LOG_EVERY:])
                log.info("step %d  samples %d  loss %.4f  done %.2f %%", self.step, self.samples, recent, done)
        self.together.average(_numbers(self.network) + self._moments())
        self.seconds += time.monotonic() - started
        self.curve.append((self.samples, round(float(np.mean(losses)), 4)))
        if self.together.leads:
            self.save()

    def _prepare(self, chunk: int) -> None:
        """The leading process makes what is missing, while the others wait for it."""
        if self.together.leads:
            self.task.prepare(chunk)
        self.together.wait()
        if not self.together.leads:
            self.task.prepare(chunk)

    def _batches(self, first: int, end: int) -> Iterator[Batch]:
        """The batches of the steps from first to end, each made while the one before is learnt from."""
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(self.batch, first)
            for step in range(first + 1, end):
                batch, waiting = waiting.result(), ahead.submit(self.batch, step)
                yield batch
            yield waiting.result()

    def _moments(self) -> list[Tensor]:
        return [state[name] for state in self.optimiser.state.values() for name in ("exp_avg", "exp_avg_sq")]

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "recipe": self.plan.recipe(self.together.count),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
        }
        unfinished = self._checkpoint.with_suffix(".part")
        torch.save(state, unfinished)
        os.replace(unfinished, self._checkpoint)

    def restore(self) -> bool:
        """Go back to the checkpoint if there is one, and say so. Raises ValueError if it is of another recipe."""
        if not self._checkpoint.exists():
            return False
        state = torch.load(self._checkpoint, map_location=self.plan.device, weights_only=True)
        for name, value in self.plan.recipe(self.together.count).items():
            if (found := state["recipe"].get(name)) != value:
                raise ValueError(f"the checkpoint was made with {name} {found}, not {value}; use another folder")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]
        return True

    @property
    def _checkpoint(self) -> Path:
        return self.plan.out / "checkpoint.pt"


def _numbers(network: nn.Module) -> list[Tensor]:
    return [value for value in network.state_dict().values() if value.is_floating_point()]


def warm(network: nn.Module, weights: Path) -> tuple[int, int]:
    """Take over the tensors of a file that have the network's names and shapes; how many did, of how many."""
    own, given = network.state_dict(), load_file(weights)
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict(fitting, strict=False)
    return len(fitting), len(given)


def export(network: nn.Module, metadata: dict[str, str], path: Path, without: str = "") -> None:
    """Write float16 weights with `metadata` in the header, whole or not at all. without: what the names of tensors
    begin with that are left out, "" for none."""
    tensors: dict[str, Tensor] = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
        if not (without and name.startswith(without))
    }
    save_file(tensors, path.with_suffix(".part"), metadata)
    os.replace(path.with_suffix(".part"), path)
