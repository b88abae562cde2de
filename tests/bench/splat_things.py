# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats of many photos of scanned things beside the method `photos` on the same: held out pictures, and the mesh.

    python tests/bench/splat_things.py SETS [--only THING ...] [--preset fast] [--threads 2] [--out FOLDER]

SETS as for photos.py, whose figures these are: true cameras, every eighth picture held out and compared at the size at
which splats were learned, F within .5, 1 and 2 % of the scan, skin and clay. "hull" is the lower bar of both meshes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401  first: it names the package
import held_out
import numpy as np
import photos
import poses
import splats as bench
import torch
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish import splats as finish
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.multiview_fit import grid_result, grid_training
from image_to_3d.worker.methods.multiview_fit.grid_space import tensors_of
from image_to_3d.worker.methods.multiview_fit.splats import fit, learn
from image_to_3d.worker.pipeline.select import settings

Made = tuple[Asset, list[float], str]


def of_splats(capture: Capture, held: tuple[View, ...], preset: str) -> Made:
    """The mesh that is made of learned splats, the PSNR of each held out picture, and what there is to say."""
    plan = learn.PRESETS[preset]
    splats = learn.learn(capture, plan, poses.job(), held_out.CPU).splats
    scores = []
    for view in held:
        true = learn._Shot.of(view, plan.pixels[-1], held_out.CPU).on(torch.ones(3)).numpy()
        scores.append(held_out.psnr(np.uint8(np.rint(bench.seen(splats, view, plan.pixels[-1]) * 255.0)), true))
    options = settings(with_network("splats")[0], preset, {"size": 0.0}).finish
    asset = finish.finished(fit._with_views(splats, capture.views, held_out.CPU), options, poses.job())
    return asset, scores, f"{len(splats)} splats, {len(bench.spz.encode(splats)) / 1e6:.2f} MB"


def of_field(capture: Capture, held: tuple[View, ...], preset: str) -> Made:
    """The same of the method `photos`."""
    result = grid_training.train(capture, grid_training.PRESETS[preset], poses.job(), held_out.CPU)
    scores = []
    for view, tensors in zip(held, tensors_of(held, learn.PRESETS[preset].pixels[-1], held_out.CPU)):
        seen = grid_result.picture(result.model, View(tensors.camera, view.rotation, view.position))
        scores.append(held_out.psnr(seen, held_out.on_white(tensors)))
    return photos.meshed(capture, result, preset), scores, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--preset", default="fast", choices=tuple(learn.PRESETS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    photos.tell("| thing | | held out, dB | F, .5, 1, 2 % | skin | clay | CPU s | |")
    photos.tell("|---" * 8 + "|")
    for name in options.only or sorted(path.parent.name for path in options.sets.glob("*/transforms.json")):
        folder = options.sets / name
        truth, whole = photos.Truth.of(folder), held_out.captured(folder / "transforms.json")
        views = tuple(view for number, view in enumerate(whole.views) if number % held_out.HELD_OUT)
        capture, held = replace(whole, views=views), whole.views[:: held_out.HELD_OUT]
        for way, make in (("splats", of_splats), ("photos", of_field)):
            start = time.process_time()
            asset, scores, said = make(capture, held, options.preset)
            seconds = time.process_time() - start
            found = photos.told(photos.laid(photos.of_capture(asset, capture), capture, truth), truth)
            shown = f"{np.mean(scores):.1f} ({min(scores):.1f} to {max(scores):.1f})"
            photos.tell(f"| {name} | {way} | {shown} | {found} | {seconds:.0f} | {said} |")
            if options.out:
                options.out.mkdir(parents=True, exist_ok=True)
                write(asset, options.out / f"{name}-{way}.glb", name)
        bar = photos.told(photos.laid(photos.hull(capture), capture, truth), truth)
        photos.tell(f"| {name} | hull | | {bar} | | |")


if __name__ == "__main__":
    main()
