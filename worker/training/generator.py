# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the included generator: `python -m worker.training.generator --out DIR --data DIR --start object.safetensors`.

Goes on from the checkpoint in DIR if there is one, and ends in generator.safetensors and generator.md. The shards are
made by worker.training.layers: best others than the object network learned from, as it misses less of those. Both the
regression and the U-Net start from its weights, or from those of a generator; the regression stays as it is, in a copy
of its file beside the generator's.
"""

import argparse
import hashlib
import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..methods.layers.generator_network import REGRESSION, REGRESSION_FILE, IncludedGeneratorConfig
from . import blocks, generator_network, object_network
from .generator_batches import GeneratorTask, coarse_residual, spectrum
from .generator_card import held_out_scores, write_card
from .generator_network import IncludedGenerator, metadata
from .object_batches import ThingPool, draw_batch
from .run import Plan, Run, export

log = logging.getLogger(__name__)

_MEASURED = 12  # batches from which the residuals' spectrum is measured


def start(plan: Plan, pool: ThingPool, weights: Path, half: bool = False) -> Run:
    """A run at its beginning, from the weights of the object network or of a generator that is to learn on."""
    torch.manual_seed(plan.seed)
    network = _begun(weights)
    _measure(network, pool, plan.seed)
    return Run(plan, network.train(), IncludedGenerator(network.config), GeneratorTask(pool, network, half))


def _begun(weights: Path) -> IncludedGenerator:
    """The network as it begins. Raises ValueError where the file is of neither network."""
    if blocks.name_in(weights) == IncludedGenerator.__name__:
        return generator_network.load(weights)
    theirs, digest = object_network.load(weights), hashlib.sha256(weights.read_bytes()).hexdigest()
    own = theirs.config
    config = IncludedGeneratorConfig(own, own.widths, own.blocks, own.size, digest)
    network = IncludedGenerator(config)
    network.regressor.load_state_dict(theirs.state_dict())
    network.flow.start_from(theirs)
    return network


def _measure(network: IncludedGenerator, pool: ThingPool, seed: int) -> None:
    """Give the noise the residuals' spectrum."""
    rng, found, outlines = np.random.default_rng([seed, 1]), [], []
    for _ in range(_MEASURED):
        things = draw_batch(pool, 32, 1.0, rng)
        regression, _ = network.regression(things.image, things.mask, things.height)
        _, outline = network.view(things.image, things.mask, things.height, regression)
        found.append(coarse_residual(things, regression, outline))
        outlines.append(outline)
    scale, mixing = spectrum(torch.cat(found), torch.cat(outlines))
    network.scale.copy_(scale)
    network.mixing.copy_(mixing)


def train(run: Run, minutes: float, every: float) -> None:
    """Run to the plan's end, or for so many minutes; every so often say how good it is on unseen things."""
    while run.step < run.plan.steps and minutes > 0:
        before = run.seconds
        run.train(min(every, minutes))
        minutes -= (run.seconds - before) / 60
        scores = held_out_scores(run.average, 64)["all"]
        log.info("samples %d  unseen %s", run.samples, scores)


def write(run: Run, weights: Path) -> None:
    """Write what was learnt, beside a copy of the regression that it goes with. weights: what the run began with."""
    beside = weights if blocks.name_in(weights) != IncludedGenerator.__name__ else weights.with_name(REGRESSION_FILE)
    if beside.resolve() != (copy := run.plan.out / REGRESSION_FILE).resolve():
        shutil.copyfile(beside, copy)
    export(run.average, metadata(run.average.config), run.plan.out / "generator.safetensors", REGRESSION)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the weights and the card")
    parser.add_argument("--data", type=Path, required=True, help="folder of shards")
    parser.add_argument("--start", type=Path, required=True, help="weights of the object network, or of a generator")
    parser.add_argument("--steps", type=int, default=8000, help="length of the whole run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end this call earlier, to be gone on with")
    parser.add_argument("--every", type=float, default=15.0, help="minutes between two scores on unseen things")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=6e-4, help="learning rate before it falls")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--half", action="store_true", help="compute in bfloat16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(options.out, options.steps, options.batch, options.rate, options.seed, device=options.device)
    run = start(plan, ThingPool(options.data), options.start, options.half)
    if run.restore():
        log.info("going on from step %d", run.step)
    train(run, options.minutes, options.every)
    write(run, options.start)
    write_card(run.plan.out / "generator.md", run, held_out_scores(run.average))


if __name__ == "__main__":
    main()
