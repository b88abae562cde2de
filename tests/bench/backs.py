# SPDX-License-Identifier: GPL-3.0-or-later
"""Backs against the truth: what an object network's result shows where the photo does not, YCB's scans, two views each.

    python tests/bench/backs.py [--weights FILE] [--table OUT.md] [--sheet OUT.png]

Compared through the photo's own window, as if one looked through the front: the colour of the last surface along each
ray. Network: its blurred colours. Front: the photo's own pixel in that place. Mean: the photo's mean colour, the bar.
Made: what the result has, with detail synthesised. PSNR and SSIM (Wang et al. 2004) within the outline; both reward
what is blurred, so the sheet counts: photo, truth, network, front, made.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import checkout  # noqa: F401  first: it names the package
import numpy as np
import objects
import trimesh
from image_to_3d.tests import render
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.finish.behind import behind
from image_to_3d.worker.methods.layers import REGRESSION
from image_to_3d.worker.pictures.silhouette import seen_through
from PIL import Image
from scipy import ndimage
from skimage.metrics import structural_similarity
from trimesh.ray.ray_pyembree import RayMeshIntersector

SIDE = 192
NAMES = ("mean", "front", "network", "made")


def truly_behind(shape: render.Shape, view: render.View, layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """The true colours (SIDE, SIDE, 3) in [0, 1] of the last surface along each ray of the window, and where it is."""
    steps = (np.arange(SIDE) + 0.5) / SIDE * layers.window.side
    x, y = np.meshgrid(
        (steps + layers.window.left - view.cx) / view.fx, (steps + layers.window.top - view.cy) / view.fy
    )
    rays = np.stack([x, -y, -np.ones_like(x)], -1).reshape(-1, 3) @ view.rotation.T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    far = 4.0 * np.linalg.norm(shape.vertices - view.position, axis=1).max()
    mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
    places, ray, face = RayMeshIntersector(mesh).intersects_location(view.position + far * rays, -rays, False)
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[face], places)
    uv = (shape.uv[shape.faces[face]] * weights[:, :, None]).sum(axis=1)
    colour, found = np.zeros((SIDE * SIDE, 3)), np.zeros(SIDE * SIDE, bool)
    colour[ray], found[ray] = render.bilinear(shape.texture[..., :3], uv) / 255.0, True
    return colour.reshape(SIDE, SIDE, 3), found.reshape(SIDE, SIDE)


def guesses(layers: Layers, alpha: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Pictures of the back by name, the front, and where the thing is."""
    share = seen_through(layers.window, alpha, SIDE).astype(np.float32) / 255.0
    inside = share >= 0.5

    def sized(values: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(values).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / 255.0

    shown = layers.window.cropped(layers.view.rgb)
    front, network, made = sized(shown), sized(layers.back_colour), behind(layers.back_colour, shown, share)
    mean = np.broadcast_to(front[inside].mean(axis=0), front.shape)
    made = dict(zip(NAMES, (mean, front, network, made), strict=True))
    return made, front, inside


def scored(guess: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and SSIM within the outline, without two pixels along it."""
    core = ndimage.binary_erosion(inside, iterations=2)
    error = np.mean((guess[core] - truth[core]) ** 2)
    filled = np.where(inside[..., None], guess, truth)
    _, alike = structural_similarity(filled, truth, channel_axis=2, data_range=1.0, full=True)
    return -10.0 * float(np.log10(max(error, 1e-10))), float(alike[core].mean())


def main() -> None:
    """Print the table, and write the sheet where asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=REGRESSION.file)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--sheet", type=Path, help="of every second thing, one view each")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "2"  # which the networks obey
    network = objects.methods_of(options.weights)["included-object"]
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
    rows = []
    for number, path in enumerate(sorted((objects.shared_folder() / "data" / "assets" / "ycb").glob("*.glb"))):
        shape = objects.load(path)
        for yaw, pitch in objects.VIEWS:
            view = render.orbit_view(shape, yaw, pitch, objects.PIXELS, objects.FOV)
            picture = objects.pictured(shape, view, path.stem)
            layers = network(picture)
            truth, found = truly_behind(shape, view, layers)
            made, front, inside = guesses(layers, picture.alpha)
            for name, guess in made.items():
                scores[name].append(scored(guess, truth, inside & found))
            if number % 2 == 0 and (yaw, pitch) == objects.VIEWS[0]:
                shown = [front, truth, made["network"], made["front"], made["made"]]
                rows.append(np.hstack([np.where(inside[..., None], image, 1.0) for image in shown]))
    lines = [f"{len(scores['made'])} views.", "", "| back | PSNR, dB | SSIM |", "| --- | --- | --- |"]
    for name, found in scores.items():
        lines.append(f"| {name} | {np.mean([p for p, _ in found]):.1f} | {np.mean([s for _, s in found]):.3f} |")
    print("\n".join(lines))  # noqa: T201
    if options.table:
        options.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if options.sheet:
        half = -(-len(rows) // 2)
        rows += [np.ones_like(rows[0])] * (2 * half - len(rows))
        sheet = np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])
        Image.fromarray(np.uint8(np.clip(sheet, 0, 1) * 255)).save(options.sheet, optimize=True)


if __name__ == "__main__":
    main()
