# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid against the truth, with fronts of every kind, beside Diffusion and the object network, in one run.

    python tests/bench/hybrid.py --rows ROWS.jsonl [--every N] [--of THING ...] [--only NAME ...] [--meshes FOLDER]

YCB's scans, two fixed views each; scores and data as in objects.py, clay and skin as in eye.py on the mesh that is
fitted so, meshes without a texture, seconds of a processor. Each mesh is one line of ROWS; what stands there already is
not measured again, so a run that ended early goes on. The table is made of all of ROWS.

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
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import eye
import numpy as np
import objects
import rows
import trimesh
from generator import truth_of
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
from objects import Case
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
        self.valid = np.isfinite(depth)
        nearest = distance_transform_edt(~self.valid, return_distances=False, return_indices=True)
        self.depth = depth[tuple(nearest)]
        self.half = guess.window.side / 2 / case.camera.fx * float(np.median(depth[self.valid]))

    @property
    def rng(self) -> np.random.Generator:
        """Of the case alone, so that it does not matter what was measured before."""
        return np.random.default_rng(zlib.crc32(self.case.name.encode()))

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


def timed(make: Callable[[], Layers], case: Case) -> tuple[Mesh, float]:
    """The mesh of what is made, in the camera's axes and without a texture, and how long that took."""
    start = time.process_time()
    found = make()
    solid = layers.solid(replace(found, view=replace(found.view, camera=case.camera)), 0.0, GRID)
    mesh = field.surface(solid, FieldOptions(faces=15_000, smooth=layers.SMOOTH), JOB.span(0.0, 1.0))
    return mesh, time.process_time() - start


@dataclass(frozen=True, eq=False)
class Truth:
    """points: (N, 3) of what can be seen of the scan; scan: all of it, both with longest side 1."""

    points: np.ndarray
    scan: trimesh.Trimesh

    @classmethod
    def of(cls, case: Case, folder: Path) -> Truth:
        shape, points = truth_of(case, folder), objects.unit(case.truth)
        scan = trimesh.Trimesh(like(shape.vertices, case.truth, points), shape.faces, process=False)
        return cls(points, scan)


def like(vertices: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) scaled and shifted as points (N, 3) were."""
    scale = np.ptp(after, axis=0).max() / np.ptp(before, axis=0).max()
    return (vertices - before.mean(0)) * scale + after.mean(0)


def row(mesh: Mesh, case: Case, truth: Truth, seconds: float) -> dict[str, float]:
    score = vars(objects.scored(mesh, case.truth, seconds))
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    points = np.asarray(trimesh.sample.sample_surface(solid, objects.POINTS, seed=1)[0])
    fitted = objects.fitted(objects.unit(points), truth.points)
    solid = trimesh.Trimesh(like(solid.vertices, points, fitted), mesh.faces, process=False)
    return {**score, "clay": eye.clay(solid, truth.scan), "skin": eye.skin(solid)}


def methods_of(case: Case, folder: Path) -> dict[str, Callable[[], Layers]]:
    """By their names, what makes layers of the case."""
    fronts = lru_cache(lambda: Fronts(case, folder, hybrid.guessed(asked("hybrid-included", case), case.picture, JOB)))
    return {
        "Diffusion included": lambda: made(asked("included-generator", case)),
        "Depth included-object": lambda: made(asked("included-object", case)),
        **{f"Hybrid {name}": lambda front=front: told(case, front(fronts())) for name, front in FRONTS.items()},
    }


def measured(path: Path, options: argparse.Namespace, done: set[tuple[str, str]]) -> Iterator[dict[str, object]]:
    """The rows of an object that are wanted and not yet done."""

    def wanted(case: Case, name: str) -> bool:
        only = not options.only or any(part in name for part in options.only)
        return only and not any(part in name for part in options.skip) and (case.name, name) not in done

    for case in objects.cases_of(path):
        truth = Truth.of(case, path.parent)
        for name, make in methods_of(case, path.parent).items():
            if wanted(case, name):
                mesh, seconds = timed(make, case)
                if options.meshes:
                    write(Asset(mesh, (), False), options.meshes / f"{case.name} {name[:10]}.glb", case.name)
                yield {"case": case.name, "method": name, **row(mesh, case, truth, seconds)}


COLUMNS = {"F@0.05": "f_005", "F@0.10": "f_010", "clay": "clay", "skin": "skin", "closed": "closed", "CPU s": "seconds"}
DIGITS = {"clay": 1, "skin": 1, "closed": 2, "seconds": 1}


def table(rows: list[dict]) -> str:
    """The means of each method, in the order in which they were measured first."""
    lines = [f"| method | views | {' | '.join(COLUMNS)} |", "| --- " * (2 + len(COLUMNS)) + "|"]
    for name in dict.fromkeys(each["method"] for each in rows):
        own = [each for each in rows if each["method"] == name]
        means = (f"{np.mean([each[key] for each in own]):.{DIGITS.get(key, 3)}f}" for key in COLUMNS.values())
        lines.append(f"| {name} | {len(own)} | {' | '.join(means)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is asked for and missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="one line for each mesh: is read, and grows")
    parser.add_argument("--every", type=int, default=1, help="only every n-th object, for a first look")
    parser.add_argument("--first", type=int, default=0, help="the object to begin with")
    parser.add_argument("--of", nargs="*", default=[""], help="parts of the names of the objects that are wanted")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of what is wanted")
    parser.add_argument("--skip", nargs="*", default=[], help="parts of the names of what is not")
    parser.add_argument("--meshes", type=Path, help="where the mesh of each is written")
    options = parser.parse_args()
    found = rows.read(options.rows)
    done = {(each["case"], each["method"]) for each in found}
    folder = objects.shared_folder() / "data" / "assets" / "ycb"
    paths = sorted(folder.glob("*.glb"))[options.first :: options.every]
    for path in (path for path in paths if any(part in path.name for part in options.of)):
        for each in measured(path, options, done):
            rows.add(found, each, options.rows)
    sys.stdout.write(table(found))


if __name__ == "__main__":
    main()
