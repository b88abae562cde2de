# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether refining works, and does not only run: the product's refiner with the small TripoSG of small_training.py.

    python tests/bench/refined.py FOLDER [--shapes 16] [--part strength|guidance]

Of shapes that the training has not seen, with their silhouette as the picture:

- strength: the coarse shape is the same one with ellipsoids in place of boxes and cylinders. Told are the distances of
  what comes out to the coarse shape's reconstruction, to the coarse shape and to the true one, and F to the true one.
- guidance: a camera before the shape saw its front. Told are the mean distance of the seen points to the surface, and F
  of what was not seen, without guidance and with it.

Distances are means over points of one surface to the nearest of the other, both ways where two shapes are compared, in
units of half the cube's side; F is at 0.05.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401 (first: it names the package)
import numpy as np
import torch
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.geometry.surface.isosurface import isosurface
from image_to_3d.worker.methods.runtime.configurations import Preparation
from image_to_3d.worker.methods.triposg import files, observed, refiner
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.methods.triposg.coarse import Box, Coarse, Seen, surface_points
from safetensors.torch import save_file
from scipy.spatial import cKDTree
from small_shapes import PIXELS, Shapes
from small_training import CANDIDATES, CODING, FLOWING, POINTS, SEEING, TOKENS, load
from torch import Generator

CELLS, SAMPLES, NEAR = 40, 4000, 0.05
CONFIG = files.TripoSGConfig(SEEING, FLOWING, CODING, Preparation(PIXELS, PIXELS, (0.5,) * 3, (0.5,) * 3))
CAMERA = np.array([0.0, 0.0, 60.0])  # so far that its rays are parallel, as the pictures are
STEPS = 25


def written(training: Path, folder: Path) -> None:
    """The trained networks in the published layout."""
    small = load(training)
    tiny.write(folder, CONFIG)
    save_file(small.encoder.state_dict(), folder / CONFIG.layout.encoder / "model.safetensors")
    save_file(small.flow.state_dict(), folder / files.FLOW / "diffusion_pytorch_model.safetensors")
    save_file(small.coder.state_dict(), folder / files.CODER / "diffusion_pytorch_model.safetensors")


class Trial:
    """One shape that the training has not seen."""

    def __init__(self, seed: int) -> None:
        self.shapes = Shapes.drawn(1, Generator().manual_seed(50_000 + seed))
        self.truth = mesh_of(self.shapes)
        self.rough = mesh_of(replace(self.shapes, kind=torch.ones_like(self.shapes.kind)))
        self.picture = np.ascontiguousarray(
            ((self.shapes.silhouettes()[0] + 1.0) * 127.5).byte().permute(1, 2, 0).numpy()
        )

    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Points of the true surface (N, 3) that the camera sees, and others (M, 3)."""
        points = sampled(self.truth)
        forward = torch.linspace(0.03, 2.0, 60)[None, :, None] * torch.tensor([0.0, 0.0, 1.0])
        ahead = torch.from_numpy(points)[:, None] + forward
        free = (self.shapes.distance(ahead.reshape(1, -1, 3)).reshape(len(points), -1) > 0.0).all(1).numpy()
        return points[free], points[~free]


def mesh_of(shapes: Shapes) -> Coarse:
    def value(points: np.ndarray) -> np.ndarray:
        return -shapes.distance(torch.from_numpy(points)[None])[0].numpy()

    return meshed(value)


def meshed(value) -> Coarse:
    found = isosurface(value, np.array([[-1.0] * 3, [1.0] * 3]), CELLS, lambda *_: None, coarse=CELLS // 2)
    return Coarse(found.vertices, found.faces)


def sampled(mesh: Coarse) -> np.ndarray:
    return surface_points(mesh.vertices, mesh.faces, SAMPLES, np.random.default_rng(0))[:, :3]


def nearest(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return cKDTree(others).query(some)[0]


def apart(one: Coarse, other: Coarse) -> float:
    a, b = sampled(one), sampled(other)
    return float(nearest(a, b).mean() + nearest(b, a).mean()) / 2.0


def f_score(found: np.ndarray, true: np.ndarray, others: np.ndarray, other_true: np.ndarray) -> float:
    """Of points of what was found whose true counterparts are `true`: both are looked up among all of the other."""
    precision, recall = (nearest(found, other_true) < NEAR).mean(), (nearest(true, others) < NEAR).mean()
    return float(2.0 * precision * recall / max(precision + recall, 1e-9))


class Measured:
    """The refiner, with meshes of what it gives."""

    def __init__(self, folder: Path) -> None:
        self.loaded = refiner.load(folder, "cpu", files.TRIPOSG)

    def __call__(self, trial: Trial, coarse: Coarse, strength: float, seen: Seen | None = None, seed: int = 0):
        wishes = refiner.Wishes(seed, STEPS, strength, 3.0)
        arrays = self.loaded(coarse, trial.picture, wishes, seen, Job(lambda *_: None))
        try:
            return meshed(refiner.field(arrays, "cpu").value)
        except ValueError:
            return None


def of_strength(measured: Measured, trial: Trial) -> dict[str, list[float]]:
    found = {s: measured(trial, trial.rough, s) for s in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)}
    true, rows = sampled(trial.truth), {}
    for strength, mesh in found.items():
        if mesh is not None and found[0.0] is not None:
            own = sampled(mesh)
            score = f_score(own, true, own, true)
            away = apart(mesh, found[0.0]), apart(mesh, trial.rough), apart(mesh, trial.truth)
            rows[f"strength {strength}"] = [*away, score]
    if best := measured(trial, trial.truth, 0.0):
        own = sampled(best)
        away = apart(best, found[0.0]), apart(best, trial.rough), apart(best, trial.truth)
        rows["the true shape, encoded"] = [*away, f_score(own, true, own, true)]
    return rows


def of_guidance(measured: Measured, trial: Trial) -> dict[str, list[float]]:
    front, hidden = trial.seen()
    true, seen = np.concatenate([front, hidden]), {trust: Seen(front, CAMERA, trust) for trust in (0.0, 0.5, 1.0)}
    made = {"the coarse shape, encoded": measured(trial, trial.rough, 0.0)}
    made |= {
        f"strength {strength} trust {trust}": measured(trial, trial.rough, strength, seen[trust])
        for strength in (0.3, 0.6, 1.0)
        for trust in seen
    }
    made["the true shape, encoded"] = measured(trial, trial.truth, 0.0)
    rows = {}
    for name, mesh in made.items():
        if mesh is not None:
            own = sampled(mesh)
            elsewhere = own[cKDTree(true).query(own)[1] >= len(front)]  # nearer to what was not seen
            score = f_score(elsewhere, hidden, own, true) if len(elsewhere) else 0.0
            rows[name] = [float(nearest(front, own).mean()), score]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shapes", type=int, default=16)
    parser.add_argument("--part", choices=("strength", "guidance"))
    wishes = parser.parse_args()
    triposg.TOKENS, triposg.POINTS, triposg.CANDIDATES = TOKENS, POINTS, CANDIDATES // TOKENS
    refiner.in_box = lambda vertices: (vertices, Box(np.zeros(3), 1.0))  # the training's shapes are of all sizes
    written(wishes.folder, wishes.folder / "published")
    measured, trials = Measured(wishes.folder / "published"), [Trial(seed) for seed in range(wishes.shapes)]
    parts = {"strength": of_strength, "guidance": of_guidance}
    names = {"strength": ("to strength 0", "to the coarse", "to the true", "F"), "guidance": ("seen", "F elsewhere")}
    for part, measure in parts.items():
        if wishes.part not in (None, part):
            continue
        rows, start = {}, time.process_time()
        for trial in trials:
            for name, values in measure(measured, trial).items():
                rows.setdefault(name, []).append(values)
        print(f"{part}: means of {wishes.shapes} shapes, {time.process_time() - start:.0f} s of work")
        print(f"{'':24}" + "".join(f"{name:>16}" for name in names[part]))
        for name, values in rows.items():
            print(f"{name:24}" + "".join(f"{mean:16.4f}" for mean in np.mean(values, 0)) + f"   of {len(values)}")
    print(json.dumps({"decodings": observed.DECODINGS, "pace": observed.PACE, "below": observed.BELOW}))


if __name__ == "__main__":
    main()
