# SPDX-License-Identifier: GPL-3.0-or-later
"""TripoSR at full size on this machine: our way beside that of its published pipeline, same random weights, one run.

    python tests/bench/triposr.py [--grid 256] [--threads N] [--cpu-time] [--skip-reference] [--json OUT]

Weights: random, 419 M parameters in the published layout, with the planes, the upsampling and the first neurons of the
perceptron set by hand so that the field is a ball with bumps (tests/methods/triposr/tiny.py says how). Written to a
temporary folder and loaded as a downloaded checkpoint would be. The shape says nothing about quality; the number of
multiplications is that of the real weights, and a ball of radius 0.4 in a cube of 0.87 is about as large as an object.

The reference does what the published pipeline is described to do: float32, attention as softmax(q k) v with the whole
matrix in memory, the field asked at every point of the grid in portions of 8192, density after the exponential,
marching cubes of the density less its threshold, colours asked at the vertices.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import checkout  # noqa: F401 (first: it names the package)
import numpy as np
import torch
from image_to_3d.tests.methods import asked
from image_to_3d.tests.methods.triposr import tiny
from image_to_3d.worker.geometry.surface.isosurface import isosurface
from image_to_3d.worker.methods.triposr import network as triposr
from image_to_3d.worker.methods.triposr import reconstructor
from image_to_3d.worker.pictures.crop import square_crop
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.weights import WeightStore
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes
from torch import Tensor

THRESHOLD, PORTION = 25.0, 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=int, default=256)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--skip-reference", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="count this process' work, for a busy machine")
    parser.add_argument("--tiny", action="store_true", help="a tiny network: only whether this script runs")
    parser.add_argument("--json", type=Path)
    wishes = parser.parse_args()
    torch.set_num_threads(wishes.threads)
    with tempfile.TemporaryDirectory() as folder:
        tiny.write(Path(folder), tiny.TINY if wishes.tiny else triposr.TripoSRConfig())
        report = {
            "threads": wishes.threads,
            "grid": wishes.grid,
            "ours": ours(Path(folder), wishes.grid, wishes.cpu_time),
        }
        if not wishes.skip_reference:
            report["reference"] = reference(Path(folder), wishes.grid, wishes.cpu_time)
            report |= compared(report["ours"], report["reference"])
    for side in ("ours", "reference"):
        for large in ("vertices", "code"):
            report.get(side, {}).pop(large, None)
    report["peak_memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    text = json.dumps(report, indent=1)
    print(text)
    if wishes.json:
        wishes.json.write_text(text)


class Clock:
    """Seconds per stage; of this process' work with `cpu`, which does not count what others do on a busy machine."""

    def __init__(self, cpu: bool) -> None:
        self.seconds: dict[str, float] = {}
        self._now = time.process_time if cpu else time.perf_counter

    def __call__(self, name: str, work: Callable[[], object]) -> object:
        start = self._now()
        result = work()
        self.seconds[name] = round(self._now() - start, 2)
        print(f"{name}: {self.seconds[name]} s", file=sys.stderr, flush=True)
        return result


def picture() -> Picture:
    """A shaded disc, cut out."""
    rows, columns = np.indices((600, 600))
    distance = np.hypot(rows - 300, columns - 300)
    shade = np.clip(255 - distance, 0, 255)
    rgb = np.stack([shade, shade * 0.6, columns * 0.4], -1).astype(np.uint8)
    return Picture(rgb, np.where(distance < 250, 255, 0).astype(np.uint8), None, "", "disc")


def ours(folder: Path, grid: int, cpu: bool) -> dict:
    """What the method does, and its finish up to the coloured surface."""
    clock = Clock(cpu)
    task = asked.task("triposr", WeightStore(folder), picture(), threshold=THRESHOLD, fill=triposr.FILL)
    loaded = clock("load", lambda: reconstructor.load(task.network, folder, "cpu"))
    field = clock("network", lambda: reconstructor.run(task, loaded, asked.silent()))
    surface = clock("extraction", lambda: isosurface(field.value, field.bounds, grid, lambda *_: None))
    clock("colours", lambda: field.colour(surface.vertices))
    facts = {"queries": surface.queries, "faces": len(surface.faces), "vertices": surface.vertices}
    return {
        "seconds": clock.seconds,
        "total": round(sum(clock.seconds.values()), 2),
        **facts,
        "code": field.to_arrays()["code"],
    }


def reference(folder: Path, grid: int, cpu: bool) -> dict:
    """The published pipeline's way, with the same weights."""
    clock = Clock(cpu)
    network = clock("load", lambda: triposr.load(folder))
    fused, triposr._attended = triposr._attended, _unfused
    try:
        with torch.inference_mode():
            crop = square_crop(picture().rgb, picture().alpha, triposr.FILL)
            image = triposr.prepared(torch.from_numpy(crop.on_grey(triposr.GREY)), network.config.image_size)
            scene = network.scene(clock("network", lambda: network(image)))
            vertices, faces = clock("extraction", lambda: _dense(scene, grid))
            clock("colours", lambda: [scene.colour(p) for p in torch.from_numpy(vertices).float().split(PORTION)])
    finally:
        triposr._attended = fused
    facts = {"queries": (grid + 1) ** 3, "faces": len(faces), "vertices": vertices, "code": scene.code.numpy()}
    return {"seconds": clock.seconds, "total": round(sum(clock.seconds.values()), 2), **facts}


def _unfused(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention with its whole matrix in memory."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def _dense(scene: triposr.Scene, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """The surface from the density at every point of the grid."""
    axis = torch.linspace(-scene.radius, scene.radius, grid + 1)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    density = torch.cat([(scene.log_density(part)).exp() for part in points.split(PORTION)])
    values = (density - THRESHOLD).reshape(grid + 1, grid + 1, grid + 1).numpy()
    vertices, faces, _, _ = marching_cubes(values, 0.0, gradient_direction="ascent")
    return vertices / grid * 2 * scene.radius - scene.radius, faces


def compared(ours: dict, reference: dict) -> dict:
    """How many times faster, and how far apart the results are (in cells of the grid)."""
    code, other = ours["code"], reference["code"]
    cell = 2 * 0.87 / round(reference["queries"] ** (1 / 3) - 1)
    apart = [cKDTree(a).query(b)[0].max() / cell for a, b in _both(ours["vertices"], reference["vertices"])]
    return {
        "faster_end_to_end": round(reference["total"] / ours["total"], 2),
        "faster_extraction": round(reference["seconds"]["extraction"] / ours["seconds"]["extraction"], 2),
        "share_of_queries": round(ours["queries"] / reference["queries"], 4),
        "code_difference": float(abs(code - other).max() / abs(other).max()),
        "vertices_apart_in_cells": [round(float(distance), 3) for distance in apart],
    }


def _both(a: np.ndarray, b: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    return (a, b), (b, a)


if __name__ == "__main__":
    main()
