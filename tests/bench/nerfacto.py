# SPDX-License-Identifier: GPL-3.0-or-later
"""The grid field beside nerfstudio's engines: PSNR after the same time on the same processor.

    ENVIRONMENT/bin/python tests/bench/nerfacto.py [--set lego] [--seconds 200] [--threads 2] [--pixels 200]
        [--engines grid nerfacto] [--samples 256 96 48] [--rays 4096] [--views 7] [--sheet OUT.png]

To be run by the Python of the environment nerf. Each engine learns until so many seconds are over, made ready included;
the grid's plan may end sooner. The seconds are those that the processor spent, divided by the threads: wall time where
nothing else runs. Every eighth picture is held out. The data are found as in grid_field.py beside this.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401  first: it names the package
import numpy as np
import torch
from held_out import CPU, HELD_OUT, named, on_white, psnr
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View
from image_to_3d.worker.methods.multiview_fit import grid_result, grid_training, training
from image_to_3d.worker.methods.multiview_fit.grid_space import tensors_of
from image_to_3d.worker.methods.multiview_fit.nerfstudio_fields import Sizes
from image_to_3d.worker.methods.multiview_fit.nerfstudio_training import PLANS, Learner
from image_to_3d.worker.methods.multiview_fit.training import Teller
from PIL import Image

TOLD = 20.0  # seconds between lines of the curve
Picture = Callable[[View], np.ndarray]


class Told:
    """Writes a line of the curve now and then, and says when the time is over."""

    def __init__(self, seconds: float, threads: int) -> None:
        self._start, self._last, self._seconds, self._threads = time.process_time(), -TOLD, seconds, threads

    def __call__(self, progress: float, stage: str, message: str, seconds: float | None) -> None:
        if self.spent() - self._last >= TOLD:
            self._last = self.spent()
            sys.stdout.write(f"| {self.spent():.0f} s | {stage} | {message} |\n")
            sys.stdout.flush()

    def spent(self) -> float:
        return (time.process_time() - self._start) / self._threads

    def is_over(self) -> bool:
        return self.spent() > self._seconds


def learned_with_grid(capture: Capture, options: argparse.Namespace) -> tuple[Picture, int, float]:
    """What shows views of what the grid has learned, its steps and its seconds."""
    told = Told(options.seconds, options.threads)
    plan = replace(grid_training.PRESETS[options.preset], pixels=options.pixels)
    result = grid_training.train(capture, plan, Job(told), CPU, stop=told.is_over)
    return lambda view: grid_result.picture(result.model, view), result.steps, told.spent()


def learned_with_nerfstudio(capture: Capture, engine: str, options: argparse.Namespace) -> tuple[Picture, int, float]:
    """The same of one of nerfstudio's."""
    told = Told(options.seconds, options.threads)
    plan = replace(PLANS[options.preset], pixels=options.pixels, rays=options.rays, steps=options.steps)
    learner = Learner(capture, engine, replace(plan, sizes=replace(Sizes(), samples=tuple(options.samples))), CPU)
    teller = Teller(Job(told), plan.steps, lambda picture: None)
    learner.learn(teller, told.is_over, lambda: None)
    return learner.picture, teller.steps, told.spent()


def main() -> None:
    """Write the curves and the numbers, and the sheet where asked for: truth above what each engine shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="lego")
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pixels", type=int, default=200)
    parser.add_argument("--preset", default="fast", choices=tuple(PLANS))
    parser.add_argument("--engines", nargs="+", default=["grid", "nerfacto"])
    parser.add_argument("--samples", type=int, nargs=3, default=Sizes().samples)
    parser.add_argument("--rays", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=5000, help="after which nerfstudio's rates of learning end")
    parser.add_argument("--views", type=int, default=1000, help="how many of the held-out pictures are looked at")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    training.PREVIEW_SECONDS = math.inf
    whole = named(options.set)
    learnt = replace(whole, views=tuple(view for i, view in enumerate(whole.views) if i % HELD_OUT))
    held = whole.views[::HELD_OUT][: options.views]
    small = tensors_of(held, options.pixels, CPU)
    views = [View(tensors.camera, view.rotation, view.position) for view, tensors in zip(held, small)]
    true = [on_white(tensors) for tensors in small]
    rows = [np.concatenate([np.uint8(np.rint(each * 255.0)) for each in true], axis=1)]
    for engine in options.engines:
        if engine == "grid":
            picture, steps, seconds = learned_with_grid(learnt, options)
        else:
            picture, steps, seconds = learned_with_nerfstudio(learnt, engine, options)
        found = [picture(view) for view in views]
        scores = [psnr(mine, right) for mine, right in zip(found, true)]
        rows.append(np.concatenate(found, axis=1))
        sys.stdout.write(
            f"{options.set}, {engine}: {steps} steps in {seconds:.0f} s with {options.threads} threads; held out "
            f"{len(held)}: {np.mean(scores):.2f} dB ({min(scores):.1f} to {max(scores):.1f})\n"
        )
        sys.stdout.flush()
    if options.sheet:
        Image.fromarray(np.concatenate(rows)).save(options.sheet)


if __name__ == "__main__":
    main()
