# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the included object network: `python -m worker.training.object --out DIR [--data DIR --shards N --minutes M]`.

Makes the first N shards of its data unless they are there, goes on from the checkpoint in DIR if there is one, and ends
in object.safetensors and object.md. More shards may appear in the data folder while it runs (worker.training.layers
makes them).
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from numpy.random import Generator
from torch import Tensor

from ..methods.layers.network import IncludedObjectConfig
from .layers import write_shard
from .object_batches import Batch, ThingPool, draw_batch, layers_loss
from .object_card import held_out_scores, write_card
from .object_network import IncludedObject, Layers, metadata
from .run import Plan, Run, export, warm

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObjectTask:
    """Both layers of the things of a pool, larger as the run goes on. half: compute in bfloat16."""

    pool: ThingPool
    half: bool = False

    def prepare(self, chunk: int) -> None:
        """Look for new shards; they are made beside the run."""
        self.pool.refresh()

    def batch(self, count: int, progress: float, rng: Generator) -> Batch:
        return draw_batch(self.pool, count, progress, rng)

    def loss(self, network: IncludedObject, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        """Depths, their slopes, and the back's colours."""
        things = Batch(*batch)
        with torch.autocast(things.image.device.type, torch.bfloat16, enabled=self.half):
            found = network(things.image, things.mask, things.height)
        return layers_loss(Layers(*(values.float() for values in found)), things)


def start(plan: Plan, task: ObjectTask, config: IncludedObjectConfig, weights: Path | None = None) -> Run:
    """A run at its beginning: from random weights, or from those of a file where they fit."""
    torch.manual_seed(plan.seed)
    network = IncludedObject(config)
    if weights:
        log.info("%d of the weights' %d tensors fit", *warm(network, weights))
    return Run(plan, network.train(), IncludedObject(config), task)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the weights and the card")
    parser.add_argument("--data", type=Path, help="folder of shards; default: data in --out")
    parser.add_argument("--shards", type=int, default=1, help="make that many shards first, unless they are there")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="length of the whole run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end this call earlier, to be gone on with")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1.3e-3, help="learning rate before it falls")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--start", type=Path, help="weights to start from where they fit, instead of random ones")
    parser.add_argument("--half", action="store_true", help="compute in bfloat16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    data = options.data or options.out / "data"
    for folder in (options.out, data):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.shards):
        write_shard(data, number)
    plan = Plan(options.out, options.steps, options.batch, options.rate, options.seed, device=options.device)
    run = start(plan, ObjectTask(ThingPool(data), options.half), IncludedObjectConfig(), options.start)
    if run.restore():
        log.info("going on from step %d", run.step)
    run.train(options.minutes)
    export(run.average, metadata(run.average.config), plan.out / "object.safetensors")
    write_card(plan.out / "object.md", run, held_out_scores(run.average))


if __name__ == "__main__":
    main()
