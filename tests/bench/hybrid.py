# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid against the truth, with fronts of every kind, beside Diffusion and the object network, in one run.

    python tests/bench/hybrid.py [--every N] [--only NAME ...] [--table OUT.md] [--meshes FOLDER]

YCB's scans, two fixed views each; scores and data as in objects.py, meshes without a texture, seconds of a processor.
What a depth network would say is made from the scan: the true depth; the same, smoothly off by 3 % of the distance (0.1
half sides; what a metric network is off by on whole scenes), by 5 % of the thing's size (about what MoGe's papers tell
of single things) with a focal length 7 % too long, and with noise of 3 % in each pixel; the true one up to scale and
shift of its inverse, without and with an error; what the included scene network really says; the object network's own
front; and a lie: the front bulging where it recedes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
import objects
from generator import table, truth_of
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap, Layers
from image_to_3d.worker.finish import field, layers
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.finish.options import FieldOptions
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.hybrid import completed as hybrid
from image_to_3d.worker.methods.method import Task
from image_to_3d.worker.pictures.gather import Inputs
from image_to_3d.worker.store.weights import WeightStore
from objects import Case, Score
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter

JOB = Job(lambda *_: None)
NOWHERE = WeightStore(Path("none"))
FACTOR, OFFSET = 2.3, 0.4  # of an inverse depth that is known up to scale and shift
TRUST, GRID = 0.5, 96


def asked(network: str, case: Case, **options: object) -> Task:
    """The task of a method on the case's picture."""
    method, row = with_network(network)
    return Task(Inputs((case.picture,)), row, method.options(**options), "cpu", NOWHERE)


def made(task: Task) -> Layers:
    return with_network(task.network.name)[0].run(task, JOB)


class Fronts:
    """What depth networks might say of a case; half: half a side of the thing's window at its distance."""

    def __init__(self, case: Case, folder: Path, guess: Layers) -> None:
        self.case, self.guess, self.view = case, guess, case.picture.view(objects.FOV)
        depth = objects.render.render(truth_of(case, folder), objects.render.photo_view(case.camera)).depth
        self.rng, self.valid = np.random.default_rng(len(case.name)), np.isfinite(depth)
        nearest = distance_transform_edt(~self.valid, return_distances=False, return_indices=True)
        self.depth = depth[tuple(nearest)]
        self.half = guess.window.side / 2 / case.camera.fx * float(np.median(depth[self.valid]))

    def metric(self, depth: np.ndarray, longer: float = 1.0) -> DepthMap:
        camera = replace(self.case.camera, fx=self.case.camera.fx * longer, fy=self.case.camera.fy * longer)
        return DepthMap((1.0 / depth).astype(np.float32), True, self.valid, replace(self.view, camera=camera))

    def relative(self, depth: np.ndarray) -> DepthMap:
        inverse = FACTOR / depth * np.median(depth[self.valid]) + OFFSET
        return DepthMap(inverse.astype(np.float32), False, self.valid, self.view)

    def wrong(self, off: float) -> np.ndarray:
        """The depth, smoothly off by so many half sides."""
        field = gaussian_filter(self.rng.normal(size=self.depth.shape), self.guess.window.side / 6, mode="reflect")
        field = (field - field[self.valid].mean()) / field[self.valid].std()
        return self.depth + off * self.half * field

    def noisy(self) -> np.ndarray:
        return self.depth + 0.1 * self.half * self.rng.normal(size=self.depth.shape)

    def inside_out(self) -> np.ndarray:
        return 2 * np.median(self.depth[self.valid]) - self.depth

    def scene(self) -> DepthMap:
        return made(asked("included", self.case))

    def regressed(self) -> DepthMap:
        """The object network's own front, in metres."""
        layers, window = made(asked("included-object", self.case)), self.guess.window
        front = np.asarray(Image.fromarray(layers.front).resize((window.side, window.side), Image.Resampling.BICUBIC))
        whole, top, left = self.depth * 0 + 1.0, window.top, window.left
        for row in range(max(top, 0), min(top + window.side, len(whole))):
            columns = slice(max(left, 0), min(left + window.side, whole.shape[1]))
            unit = window.side / 2 / self.case.camera.fx
            whole[row, columns] = 1 + unit * front[row - top, columns.start - left : columns.stop - left]
        return self.metric(whole)


FRONTS: dict[str, Callable[[Fronts], DepthMap]] = {
    "(a) true": lambda fronts: fronts.metric(fronts.depth),
    "(b) off by 3 % of the distance": lambda fronts: fronts.metric(fronts.wrong(0.1)),
    "(b) off by 5 % of the thing, 7 % of the focal length": lambda fronts: fronts.metric(fronts.wrong(0.1 / 2), 1.07),
    "(b) noise of 3 % in each pixel": lambda fronts: fronts.metric(fronts.noisy()),
    "(c) up to scale and shift": lambda fronts: fronts.relative(fronts.depth),
    "(c) the same, off by 3 %": lambda fronts: fronts.relative(fronts.wrong(0.1)),
    "(d) the included scene network's": Fronts.scene,
    "(e) the object network's own": Fronts.regressed,
    "inside out": lambda fronts: fronts.metric(fronts.inside_out()),
}


def told(case: Case, depth: DepthMap) -> Layers:
    """Hybrid's layers, where a depth network says that."""
    task = asked("hybrid-included", case, trust=TRUST)
    guess = hybrid.guessed(task, case.picture, JOB)
    return hybrid.completed(task, case.picture, guess, depth, JOB)


def timed(make: Callable[[], Layers], case: Case) -> tuple[Mesh, Score]:
    """The mesh of what is made, in the camera's axes and without a texture, and how good it is."""
    start = time.process_time()
    found = make()
    solid = layers.solid(replace(found, view=replace(found.view, camera=case.camera)), 0.0, GRID)
    mesh = field.surface(solid, FieldOptions(faces=15_000, smooth=layers.SMOOTH), JOB.span(0.0, 1.0))
    return mesh, objects.scored(mesh, case.truth, time.process_time() - start)


def methods_of(case: Case, folder: Path, only: list[str]) -> dict[str, Callable[[], Layers]]:
    """By their names, what makes layers of the case."""
    found = {
        "Diffusion included": lambda: made(asked("included-generator", case)),
        "Depth included-object": lambda: made(asked("included-object", case)),
    }
    fronts = Fronts(case, folder, hybrid.guessed(asked("hybrid-included", case), case.picture, JOB))
    for name, front in FRONTS.items():
        found[f"Hybrid {name}"] = lambda front=front: told(case, front(fronts))
    return {name: make for name, make in found.items() if not only or any(part in name for part in only)}


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="only every n-th object, for a first look")
    parser.add_argument("--first", type=int, default=0, help="the object to begin with")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of what is wanted")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--meshes", type=Path, help="where the mesh of each is written")
    options = parser.parse_args()
    folder = objects.shared_folder() / "data" / "assets" / "ycb"
    scores: dict[str, list[Score]] = {}
    for path in sorted(folder.glob("*.glb"))[options.first :: options.every]:
        for case in objects.cases_of(path):
            for name, make in methods_of(case, folder, options.only).items():
                mesh, score = timed(make, case)
                scores.setdefault(name, []).append(score)
                sys.stderr.write(f"{case.name} {name} {score.f_005:.3f} {score.f_010:.3f}\n")
                if options.meshes:
                    write(Asset(mesh, (), False), options.meshes / f"{case.name} {name[:10]}.glb", case.name)
    text = table(scores)
    sys.stdout.write(text)
    if options.table:
        options.table.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
