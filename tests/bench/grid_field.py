# SPDX-License-Identifier: GPL-3.0-or-later
"""The grid field of many photos, measured: PSNR against seconds, and the mesh beside a photo.

    python tests/bench/grid_field.py [--set lego] [--preset fast] [--threads 2] [--sheet OUT.png] [--glb OUT.glb]

Every eighth picture is held out. The data are looked up in the folder that IMAGE_TO_3D_SHARED names, else in `shared`
beside the checkout; a set is a folder of `data/multiview` with a transforms.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401  first: it names the package
import numpy as np
import torch
from held_out import CPU, HELD_OUT, named, on_white, psnr
from image_to_3d.tests import render
from image_to_3d.worker.cameras.capture import TO_GLTF, Capture
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.finish.field import finished
from image_to_3d.worker.finish.options import FieldOptions
from image_to_3d.worker.methods.multiview_fit import grid_result, grid_training
from image_to_3d.worker.methods.multiview_fit.grid_space import tensors_of
from image_to_3d.worker.methods.multiview_fit.training import Trained
from PIL import Image

MESH = FieldOptions(grid=192, faces=50_000, texture=1024, smooth=5, photo=True, size=0.0, origin="centre")
TOLD = 15.0  # seconds between lines of the curve


def learned(capture: Capture, preset: str) -> tuple[Trained, float]:
    """The result and the seconds that it took; the curve is written as it goes."""
    start, last = time.perf_counter(), [-TOLD]

    def tell(progress: float, stage: str, message: str, seconds: float | None) -> None:
        now = time.perf_counter() - start
        if now - last[0] >= TOLD:
            last[0] = now
            sys.stdout.write(f"| {now:.0f} s | {stage} | {message} |\n")
            sys.stdout.flush()

    result = grid_training.train(capture, grid_training.PRESETS[preset], Job(tell), CPU)
    return result, time.perf_counter() - start


def asset_of(capture: Capture, result: Trained, options: FieldOptions = MESH) -> Asset:
    """The textured mesh, as the product makes it."""
    return finished(grid_result.field(result.model, capture.views), options, Job(lambda *_: None))


def mesh_seen(asset: Asset, view: View, shift: np.ndarray, textured: bool) -> np.ndarray:
    """(H, W, 3) uint8: the mesh from a camera of the capture. shift: what was added to its points, in glTF's axes."""
    mesh = asset.mesh
    shape = render.Shape(mesh.vertices, mesh.faces, mesh.uv, mesh.texture) if textured else None
    shape = shape or render.Shape(mesh.vertices, mesh.faces)
    camera, position = view.camera, TO_GLTF @ view.position + shift
    turn = TO_GLTF @ view.rotation.T @ np.diag([1.0, -1.0, -1.0])
    numbers = camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
    return render.render(shape, render.View(*numbers, position, turn), shading=0.0 if textured else 1.0).colour


def main() -> None:
    """Write the curve and the numbers, and the sheet and the mesh where asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="lego")
    parser.add_argument("--preset", default="fast", choices=tuple(grid_training.PRESETS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--glb", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    whole = named(options.set)
    learnt = replace(whole, views=tuple(view for i, view in enumerate(whole.views) if i % HELD_OUT))
    held = whole.views[::HELD_OUT]
    result, seconds = learned(learnt, options.preset)
    small = tensors_of(held, grid_training.PRESETS[options.preset].pixels, CPU)
    rows, scores = [], []
    for held_view, tensors in zip(held, small):
        view = View(tensors.camera, held_view.rotation, held_view.position)
        found, true = grid_result.picture(result.model, view), on_white(tensors)
        scores.append(psnr(found, true))
        rows.append((view, found, np.uint8(np.rint(true * 255.0))))
    start = time.perf_counter()
    asset = asset_of(learnt, result)
    meshing = time.perf_counter() - start
    sys.stdout.write(
        f"{options.set}, {options.preset}: {len(learnt.views)} pictures learned in {seconds:.0f} s with "
        f"{options.threads} threads, {result.steps} steps, {result.psnr:.2f} dB on these; held out {len(held)}: "
        f"{np.mean(scores):.2f} dB ({min(scores):.1f} to {max(scores):.1f}); {len(asset.mesh.faces)} triangles with "
        f"texture in {meshing:.0f} s more\n"
    )
    if options.glb:
        write(asset, options.glb, options.set)
    if options.sheet:
        shift = np.asarray(asset.cameras[0].position) - TO_GLTF @ learnt.views[0].position
        columns = [
            np.concatenate([true, found, mesh_seen(asset, view, shift, True), mesh_seen(asset, view, shift, False)])
            for view, found, true in rows[:5]
        ]
        Image.fromarray(np.concatenate(columns, axis=1)).save(options.sheet)


if __name__ == "__main__":
    main()
