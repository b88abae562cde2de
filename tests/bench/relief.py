# SPDX-License-Identifier: GPL-3.0-or-later
"""Reliefs measured: against the truth, and in seconds and memory per stage.

    python tests/bench/relief.py [--side 1024] [--runs 3]

First table: scenes with exact depth through the Balanced preset. Second: everything between a network's depth map and
the file on the disk, for each preset, each in a process of its own; memory is the process's peak so far.
"""

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
from image_to_3d.tests.geometry import scenes
from image_to_3d.tests.render import Shape, photo_view, render
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.glb import write_glb
from image_to_3d.worker.geometry.place import place
from image_to_3d.worker.geometry.relief.relief import ReliefOptions, relief
from image_to_3d.worker.geometry.relief.upsample import refined
from image_to_3d.worker.methods.depth import METHODS
from PIL import Image

PRESETS = METHODS[0].presets
_NETWORK_SIDE = 518  # of the simulated network, whose map is the exact one made small


def options_of(preset: str) -> ReliefOptions:
    values = PRESETS[preset]
    return ReliefOptions(grid=values["grid"], faces=values["faces"], texture=values["texture"])


def against_truth(side: int) -> None:
    camera = PinholeCamera.from_fov(side, side, 60.0)
    print("scene     surface within 1 %   mesh astray   PSNR from the photo's camera   faces")
    for name in scenes.SCENES:
        truth = scenes.photograph(name, camera)
        mesh = relief(truth.depth, camera, truth.photo, options_of("balanced"))
        within = scenes.visible_within(truth, mesh.vertices, mesh.faces, 0.01 * truth.size)
        astray = scenes.astray(truth, mesh.vertices, mesh.faces, 0.01 * truth.size)
        shape = Shape(mesh.vertices, mesh.faces, mesh.uv, mesh.texture)
        seen = render(shape, photo_view(camera), background=(255, 0, 255))
        quality = scenes.psnr(seen.colour, truth.photo)
        print(f"{name:8} {100 * within:16.2f} % {100 * astray:12.3f} % {quality:25.1f} dB {len(mesh.faces):12}")


class _Clock:
    """Wall seconds, processor seconds and peak memory between calls."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, float, float]] = []
        self._stage, self._start = "", self._now()

    def __call__(self, fraction: float, stage: str) -> None:
        now = self._now()
        if self._stage:
            peak = _peak_memory()
            self.rows.append((self._stage, now[0] - self._start[0], now[1] - self._start[1], peak))
        self._stage, self._start = stage, now

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def _peak_memory() -> float:
    """MiB. Not getrusage, which passes a parent's peak on to its children. Linux only."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM:")).split()[1]) / 1024.0


def cost(preset: str, photo: np.ndarray, inverse: np.ndarray, runs: int) -> None:
    """Prints the quickest of the runs."""
    camera = PinholeCamera.from_fov(photo.shape[1], photo.shape[0], 60.0)
    best: list[tuple[str, float, float, float]] = []
    for _ in range(runs):
        clock = _Clock()
        clock(0.0, "refining depth")
        fine = refined(inverse, np.ones(inverse.shape, bool), photo, options_of(preset).grid)
        depth = DepthMap(fine[0], True, fine[1], View(camera, rgb=photo)).depth(0.1, 1000.0)
        mesh = relief(depth, camera, photo, options_of(preset), report=clock)
        clock(1.0, "writing the GLB")
        with tempfile.TemporaryDirectory() as folder:
            write_glb(place(mesh).mesh, Path(folder, "a.glb"), "a")
        clock(1.0, "")
        if not best or sum(row[1] for row in clock.rows) < sum(row[1] for row in best):
            best = clock.rows
    for stage, wall, processor, peak in best:
        print(f"{preset:9} {stage:26} {wall:7.3f} s {processor:7.3f} s {peak:8.0f} MiB")
    wall, processor = (sum(row[column] for row in best) for column in (1, 2))
    row = f"{preset:9} {'everything':26} {wall:7.3f} s {processor:7.3f} s {best[-1][3]:8.0f} MiB"
    print(row, f"  {len(mesh.faces)} faces")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1024, help="pixels of the photo's sides")
    parser.add_argument("--runs", type=int, default=3, help="of which the quickest counts")
    arguments = parser.parse_args()
    against_truth(arguments.side)
    truth = scenes.photograph("room", PinholeCamera.from_fov(arguments.side, arguments.side, 60.0))
    small = Image.fromarray(1.0 / truth.depth).resize((_NETWORK_SIDE, _NETWORK_SIDE), Image.Resampling.BILINEAR)
    noise = np.random.default_rng(0).integers(-8, 9, truth.photo.shape)  # as costly to encode as a real photo
    photo = np.clip(truth.photo + noise, 0, 255).astype(np.uint8)
    print("\npreset    stage                         wall  processor  peak memory")
    for preset in PRESETS:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=cost, args=(preset, photo, np.asarray(small), arguments.runs))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
