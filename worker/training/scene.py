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

from ..methods.depth.included import SceneConfig
from .batches import ShardPool, draw_batch
from .card import held_out_scores, write_card
from .losses import scene_loss
from .run import Batch, Plan, Run, export, warm
from .scene_network import IncludedScene, metadata

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SceneTask:
    """Scenes from pictures of a pool of `first` shards that grows by one per chunk of steps, up to `shards`.

    half: whether the network computes in bfloat16, for which newer processors need half the time.
    """

    pool: ShardPool
    shards: int = 160
    first: int = 1
    half: bool = False

    def prepare(self, chunk: int) -> None:
        """Render the chunk's new shard unless it is there."""
        self.pool.grow(min(chunk + self.first, self.shards))

    def batch(self, count: int, progress: float, rng: Generator) -> Batch:
        """As batches.Views, larger as the run goes on."""
        return draw_batch(self.pool, count, progress, rng)

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> Tensor:
        """All that is learnt, and depth's edges more and more."""
        images, *truth = batch
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.half):
            seen = network(images)
        return scene_loss(seen, *truth, edges=0.1 + 0.15 * progress)


def start(plan: Plan, task: SceneTask, config: SceneConfig, weights: Path | None = None) -> Run:
    """A run at its beginning: from random weights, or from those of a file where they fit."""
    torch.manual_seed(plan.seed)
    network, average = IncludedScene(config), IncludedScene(config)
    if weights:
        log.info("%d of the weights' %d tensors fit", *warm(network, weights))
    return Run(plan, network.train(), average, task)


def finish(run: Run, task: SceneTask, unseen: int) -> None:
    """Write the averaged weights and their card, with scores on so many unseen renders."""
    task.prepare(run.step // run.plan.chunk)  # a run that is gone on with at its end has drawn nothing yet
    export(run.average, metadata(run.average.config), run.plan.out / "depth.safetensors")
    write_card(run.plan.out / "depth.md", run, task.pool.views, held_out_scores(run.average, unseen))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the weights and the card")
    parser.add_argument("--data", type=Path, help="folder of shards (default: data in --out)")
    parser.add_argument("--shards", type=int, default=SceneTask.shards, help="how many shards to draw from in the end")
    parser.add_argument("--first", type=int, default=SceneTask.first, help="how many to draw from at the start")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="length of the whole run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end this call earlier, to be gone on with")
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--rate", type=float, default=Plan.rate, help="learning rate before it falls")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--start", type=Path, help="weights to start from where they fit, instead of random ones")
    parser.add_argument("--half", action="store_true", help="compute in bfloat16")
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
    task = SceneTask(ShardPool(data), options.shards, options.first, options.half)
    run = start(plan, task, SceneConfig(), options.start)
    if run.restore():
        log.info("going on from step %d", run.step)
    run.train(options.minutes)
    if run.together.leads:
        finish(run, task, options.unseen)


if __name__ == "__main__":
    main()
