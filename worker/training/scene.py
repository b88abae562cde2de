# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the included scene network on rendered pictures: `python -m worker.training.scene --out DIR`.

Renders what it needs, goes on from the checkpoint in DIR if there is one, and ends in depth.safetensors and depth.md.
`python -m worker.training.shards` beside it renders ahead on another core; several processes share the work when
started by `torchrun --nproc-per-node N -m worker.training.scene ...`.
"""

import argparse
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from numpy.random import Generator
from torch import Tensor, nn

from ..methods.depth.included import IncludedDepth, IncludedDepthConfig, load, metadata
from .batches import ShardPool, draw_batch
from .card import held_out_scores, write_card
from .losses import depth_loss
from .run import Batch, Plan, Run, export

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SceneTask:
    """Relative inverse depth from pictures of a pool that grows by a shard per chunk of steps, up to `shards`."""

    pool: ShardPool
    shards: int = 160

    def prepare(self, chunk: int) -> None:
        """Render the chunk's new shard unless it is there."""
        self.pool.grow(min(chunk + 1, self.shards))

    def batch(self, count: int, progress: float, rng: Generator) -> Batch:
        """Images (B, 3, H, W) in [0, 1] and inverse depths (B, H, W) with mean 1, larger as the run goes on."""
        return draw_batch(self.pool, count, progress, rng)

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> Tensor:
        """Depth's levels, and more and more its edges."""
        images, targets = batch
        return depth_loss(network(images), targets, edges=0.05 + 0.08 * progress)


def start(plan: Plan, task: SceneTask, config: IncludedDepthConfig, weights: Path | None = None) -> Run:
    """A run at its beginning: from random weights, or from those of a file."""
    torch.manual_seed(plan.seed)
    network, average = IncludedDepth(config), IncludedDepth(config)
    if weights:
        network.load_state_dict(load(weights).state_dict())
    return Run(plan, network.train(), average, task)


def finish(run: Run, task: SceneTask, unseen: int) -> None:
    """Write the averaged weights and their card, with scores on so many unseen renders."""
    export(run.average, metadata(run.average.config), run.plan.out / "depth.safetensors")
    write_card(run.plan.out / "depth.md", run, task.pool.views, held_out_scores(run.average, unseen))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the weights and the card")
    parser.add_argument("--data", type=Path, help="folder of shards (default: data in --out)")
    parser.add_argument("--shards", type=int, default=SceneTask.shards, help="how many shards to draw from in the end")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="length of the whole run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end this call earlier, to be gone on with")
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--rate", type=float, default=Plan.rate, help="learning rate before it falls")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--start", type=Path, help="weights to start from instead of random ones")
    parser.add_argument("--unseen", type=int, default=96, help="renders to score the weights on at the end")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    data = options.data or options.out / "data"
    data.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(options.out, options.steps, options.batch, options.rate, options.seed, device=options.device)
    task = SceneTask(ShardPool(data), options.shards)
    run = start(plan, task, IncludedDepthConfig(), options.start)
    if run.restore():
        log.info("going on from step %d", run.step)
    run.train(options.minutes)
    if run.together.leads:
        finish(run, task, options.unseen)


if __name__ == "__main__":
    main()
