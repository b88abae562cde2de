# SPDX-License-Identifier: GPL-3.0-or-later
"""TripoSG at full size on this machine: seconds per stage and memory, with random weights in the published layout.

    python tests/bench/triposg.py [--steps 2] [--grid 128] [--shards 2] [--folder KEPT] [--device cpu] [--cpu-time]
                                  [--refine triposg|detailgen3d --strength 0.5 --looks 2]

With --refine a coarse cube, of which a camera saw the front, is refined instead of a picture being followed alone.

The weights are written to a folder of 8 GB and read from there as downloaded ones would be. The field is a ball with
bumps (tests/methods/triposg/tiny.py says how): it says nothing about quality, but the number of multiplications is
that of the real weights. Memory is the process' largest, in which pages of the mapped files count that the system
could take back.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401 (first: it names the package)
import numpy as np
import torch
from image_to_3d.tests.methods import asked
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.geometry.surface.isosurface import isosurface
from image_to_3d.worker.methods.triposg import detail_network as detail
from image_to_3d.worker.methods.triposg import generator, observed, refiner
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.methods.triposg.files import DETAILGEN3D, TRIPOSG, TripoSGConfig
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.weights import WeightStore
from scipy.spatial import ConvexHull

LAYOUTS = {"triposg": TRIPOSG, "detailgen3d": DETAILGEN3D}
FULL = TripoSGConfig(
    triposg.EncoderConfig(),
    triposg.FlowConfig(),
    triposg.ShapeConfig(),
    replace(tiny.TINY.preparation, resize=256, crop=224),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--grid", type=int, default=128)
    parser.add_argument("--shards", type=int, default=2, help="files that the transformer's weights are spread over")
    parser.add_argument("--folder", type=Path, help="where the weights are kept for the next time")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="count this process' work, for a busy machine")
    parser.add_argument("--tiny", action="store_true", help="tiny networks: only whether this script runs")
    parser.add_argument("--refine", choices=LAYOUTS)
    parser.add_argument("--strength", type=float, default=0.5)
    parser.add_argument("--guidance", type=float, help="1: one velocity a step, not two")
    parser.add_argument("--looks", type=int, default=2, help="decodings that guide; 0: none")
    parser.add_argument("--json", type=Path)
    wishes = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = wishes.folder or Path(temporary)
        config = tiny.TINY if wishes.tiny else FULL
        if wishes.refine == "detailgen3d":
            config = replace(config, flow=config.flow if wishes.tiny else detail.DEFAULTS, layout=DETAILGEN3D)
        written = _written(folder, config, wishes.shards)
        report = {"write": written, **_run(folder, config, wishes)}
    text = json.dumps(report, indent=1)
    print(text)
    if wishes.json:
        wishes.json.write_text(text)


def _written(folder: Path, config: TripoSGConfig, shards: int) -> float:
    start = time.perf_counter()
    if not (folder / "scheduler" / "scheduler_config.json").is_file():
        tiny.write(folder, config, shards=shards)
    return round(time.perf_counter() - start, 1)


class Stages:
    """A job's stages with their seconds, in the order in which they began."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.seconds: dict[str, float] = {}
        self._now, self._stage, self._since = now, "", now()

    def __call__(self, progress: float, stage: str, message: str = "", remaining: float | None = None) -> None:
        now = self._now()
        if self._stage:
            self.seconds[self._stage] = round(self.seconds.get(self._stage, 0.0) + now - self._since, 2)
        if stage != self._stage:
            print(f"{progress:.3f} {stage} ({_gigabytes()} GB)", file=sys.stderr, flush=True)
        self._stage, self._since = stage, now


def _run(folder: Path, config: TripoSGConfig, wishes: argparse.Namespace) -> dict:
    stages, device = Stages(time.process_time if wishes.cpu_time else time.perf_counter), wishes.device
    stages(0.0, "loading")
    if wishes.refine:
        loaded, field = _refined(folder, config, wishes, Job(stages))
    else:
        task = replace(asked.task("triposg", WeightStore(folder), picture(), steps=wishes.steps), device=device)
        loaded = generator.load(task.network, folder, device)
        field = generator.run(task, loaded, Job(stages))
    stages(1.0, "surface")
    surface = isosurface(field.value, field.bounds, wishes.grid, lambda *_: stages(1.0, "surface"))
    stages(1.0, "done")
    radii = np.linalg.norm(surface.vertices, axis=1)
    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "seconds": stages.seconds,
        "of": "this process' work" if wishes.cpu_time else "time passed",
        "grid": wishes.grid,
        "queries": surface.queries,
        "faces": len(surface.faces),
        "radius": [round(float(radii.min()), 3), round(float(radii.max()), 3)],
        "needed_gb": round(loaded.needed() / 1e9, 2),
        "peak_memory_gb": _gigabytes(),
        "arrays_mb": round(sum(values.nbytes for values in field.to_arrays().values()) / 1e6, 1),
    }


def _refined(folder: Path, config: TripoSGConfig, wishes: argparse.Namespace, job: Job) -> tuple:
    observed.DECODINGS = wishes.looks
    loaded = refiner.load(folder, wishes.device, config.layout)
    corners = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    cube = refiner.Coarse(corners, ConvexHull(corners).simplices)
    points = np.column_stack([np.random.default_rng(0).uniform(-1.0, 1.0, (4000, 2)), np.ones(4000)])
    seen = refiner.Seen(points, np.array([0.0, 0.0, 5.0])) if wishes.looks else None
    asked_for = refiner.Wishes(0, wishes.steps, wishes.strength, wishes.guidance)
    return loaded, refiner.field(loaded(cube, picture().rgb, asked_for, seen, job), wishes.device)


def picture() -> Picture:
    """A shaded disc, cut out."""
    rows, columns = np.indices((600, 600))
    distance = np.hypot(rows - 300, columns - 300)
    shade = np.clip(255 - distance, 0, 255)
    rgb = np.stack([shade, shade * 0.6, columns * 0.4], -1).astype(np.uint8)
    return Picture(rgb, np.where(distance < 250, 255, 0).astype(np.uint8), None, "", "disc")


def _gigabytes() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)


if __name__ == "__main__":
    main()
