# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo as splats beside the same photo as a mesh, both of true depth, looked at from 12 degrees aside.

    python tests/bench/splat_walk.py [--only NAME ...] [--cache FOLDER] [--out FOLDER]

Scenes, pictures and similarity are walk.py's; the mesh is the lower bar. The splats are those that `-o OUT.spz` writes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
import torch
import walk
from image_to_3d.tests import render
from image_to_3d.worker.core.representations import Splats
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish.asset import splats_of
from image_to_3d.worker.geometry.splats import spz
from image_to_3d.worker.methods.multiview_fit.splats import rasterise
from PIL import Image


def seen(splats: Splats, view: render.View, camera) -> np.ndarray:
    """(H, W, 3) uint8 before magenta."""
    turned = View(camera, (view.rotation @ np.diag([1.0, -1.0, -1.0])).T, np.asarray(view.position))
    values = (splats.centres, splats.scales, splats.rotations, splats.opacities, splats.harmonics)
    with torch.inference_mode():
        camera = rasterise.Camera.of(turned, 10_000, torch.device("cpu"))
        found = rasterise.render(camera, *map(torch.from_numpy, values)).on(torch.tensor([1.0, 0.0, 1.0]))
    return np.rint(255.0 * found.clamp(0.0, 1.0).numpy()).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=walk.SCENES, default=list(walk.SCENES))
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    print("scene      at 0: mesh splats   at 12: mesh splats  SSIM 12: mesh splats   splats     MB seconds")
    for name in arguments.only:
        truth = walk.truths(name, arguments.cache)
        asset, _ = walk.made(walk.true_depth(truth), "balanced")
        start = time.process_time()
        splats = splats_of(asset)
        content, seconds = spz.encode(splats), time.process_time() - start
        walked, splats, rows, pictures = walk.Walk(asset, truth), spz.decode(content), [], []
        photo = np.asarray(Image.fromarray(truth.photos[0.0]).resize(walk.SEEN, Image.Resampling.BOX))
        for angle in (0.0, -12.0, 12.0):
            pivot = walked.start.position - (0.0, 0.0, walked.distance)
            both = walked.at(angle).colour, seen(splats, render.swung_view(walked.start, pivot, angle), walked.camera)
            field, saw = walk.in_field(truth, angle)
            true, saw = (truth.photos[angle], saw) if angle else (photo, np.ones(walk.SEEN[::-1], bool))
            rows.append(
                [(walk.psnr(one, true, saw), walk.ssim(one, true)[field if angle else saw].mean()) for one in both]
            )
            pictures.append(np.concatenate([true, *both])[::2, ::2])
        (front, _), (aside, alike) = np.array(rows[0]).T, np.mean(rows[1:], axis=0).T
        told = f"{name:10} {front[0]:10.1f} {front[1]:6.1f} {aside[0]:13.1f} {aside[1]:6.1f} "
        told += f"{alike[0]:15.3f} {alike[1]:6.3f} {len(splats):8} {len(content) / 1e6:6.1f} {seconds:7.1f}"
        print(told, flush=True)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.concatenate(pictures, axis=1)).save(arguments.out / f"{name.replace(' ', '-')}.jpg")


if __name__ == "__main__":
    main()
