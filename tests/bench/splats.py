# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats of many photos, measured: PSNR on pictures that were held out, their number, megabytes and seconds.

    python tests/bench/splats.py [--set lego] [--preset fast] [--threads 2] [--seconds 480]
                                 [--sheet OUT.png] [--out OUT.spz] [--mesh OUT.glb]

Every eighth picture is held out; data as in grid_field.py, whose figures are the ones to stand beside. After so many
seconds of the processor it has had enough.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401  first: it names the package
import numpy as np
import poses
import torch
from held_out import CPU, HELD_OUT, named, psnr
from image_to_3d.worker.cameras.capture import TO_GLTF
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Splats
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish import splats as finish
from image_to_3d.worker.finish.asset import write
from image_to_3d.worker.geometry.splats import spz
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.multiview_fit.splats import fit, learn, rasterise
from image_to_3d.worker.pipeline.select import settings
from PIL import Image


def seen(splats: Splats, view: View, pixels: int) -> np.ndarray:
    """(H, W, 3) in [0, 1] before white: the splats from a camera of the capture."""
    turned = replace(view, rotation=view.rotation @ TO_GLTF.T, position=TO_GLTF @ view.position, rgb=None, mask=None)
    values = (splats.centres, splats.scales, splats.rotations, splats.opacities, splats.harmonics)
    with torch.inference_mode():
        found = rasterise.render(rasterise.Camera.of(turned, pixels, CPU), *map(torch.from_numpy, values))
        return found.on(torch.ones(3)).clamp(0.0, 1.0).numpy()


def main() -> None:
    """Write the numbers, and the sheet and the splats where asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="lego")
    parser.add_argument("--preset", default="fast", choices=tuple(learn.PRESETS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=math.inf)
    for name in ("--sheet", "--out", "--mesh"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    whole, plan = named(options.set), learn.PRESETS[options.preset]
    learnt = replace(whole, views=tuple(view for i, view in enumerate(whole.views) if i % HELD_OUT))
    start, used = time.perf_counter(), time.process_time()
    enough = used + options.seconds
    result = learn.learn(learnt, plan, Job(lambda *_: None), CPU, stop=lambda: time.process_time() > enough)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    scores, rows = [], []
    for view in whole.views[::HELD_OUT]:
        shot = learn._Shot.of(view, plan.pixels[-1], CPU)
        true, found = shot.on(torch.ones(3)).numpy(), seen(result.splats, view, plan.pixels[-1])
        scores.append(psnr(np.uint8(np.rint(found * 255.0)), true))
        rows.append(np.concatenate([true, found]))
    content = spz.encode(result.splats)
    sys.stdout.write(
        f"{options.set}, {options.preset}: {len(learnt.views)} pictures of {plan.pixels[-1]} px, {result.steps} steps "
        f"in {seconds:.0f} s ({used:.0f} of the processor), {result.psnr:.2f} dB; held out {len(scores)}: "
        f"{np.mean(scores):.2f} dB ({min(scores):.1f} to {max(scores):.1f}); {len(result.splats)} splats, "
        f"{len(content) / 1e6:.2f} MB\n"
    )
    if options.out:
        options.out.write_bytes(content)
    if options.mesh:
        own = settings(with_network("splats")[0], options.preset, {}).finish
        write(
            finish.finished(fit._with_views(result.splats, learnt.views, CPU), own, poses.job()), options.mesh, "mesh"
        )
    if options.sheet:
        Image.fromarray(np.uint8(np.rint(np.concatenate(rows[:5], 1) * 255.0))).save(options.sheet)


if __name__ == "__main__":
    main()
