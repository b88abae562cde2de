# SPDX-License-Identifier: GPL-3.0-or-later
"""What rounds of `improve` do to an asset, round by round, against the truth.

    python tests/bench/improve.py --rows ROWS.jsonl [--every N --first N] [--repainter NAME ...] [--rounds 3]

YCB's scans as in objects.py, without shading, so that there is one true texture. The asset of round 0 is Diffusion's or
Hybrid's, with its own finish. Repainters: `oracle0.1`, the true render with Gaussian noise of that deviation (sRGB of
1) in each pixel: what the loop is worth where the painting is good; `nothing`, which gives each render back: what the
loop alone does; `included`, the product's own.

F at 0.02 and 0.05 as in objects.py; clay and skin as in eye.py; texture: PSNR of eight views at 256 pixels, where
either thing is, before the colour that the loop chose, so that a pixel of outline costs much; inside: the same three
pixels inside of where both are, which is the texture alone. Photo: PSNR from its own place, at most 34, and the IoU of
outlines there. Seconds are those of a processor. Each round is one line of ROWS; a repainter whose rounds of a thing
all stand there is not run again, so a run that ended early goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import eye
import numpy as np
import objects
import rows
import trimesh
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish import improved
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.finish.dispatch import finished
from image_to_3d.worker.finish.options import TABLE
from image_to_3d.worker.finish.repainted import Patches
from image_to_3d.worker.geometry.around import looking
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.seen import Seen, pictured
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.method import Task
from image_to_3d.worker.methods.multiview_fit.outlined import outlined_field
from image_to_3d.worker.pictures.gather import Inputs
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline.rounds import Round, rounds
from image_to_3d.worker.store.weights import WeightStore
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

JOB = Job(lambda *_: None)
SIDE, RIM, EIGHT = 256, 3, [(45.0 * step, 15.0) for step in range(8)]


@dataclass(frozen=True, eq=False)
class Trial:
    """Views of one thing. start: the asset's mesh; photos: their views; truth: the scan in the asset's axes."""

    name: str
    start: Mesh
    photos: tuple[View, ...]
    truth: Mesh
    points: np.ndarray

    @classmethod
    def of(cls, path: Path, number: int, network: str) -> Trial:
        shape = objects.load(path)
        view = objects.render.orbit_view(shape, *objects.VIEWS[number], objects.PIXELS, objects.FOV)
        drawn = objects.render.render(shape, view, (0, 0, 0), samples=2).colour
        seen = np.isfinite(objects.render.render(shape, view).depth)
        picture = Picture(drawn, np.where(seen, 255, 0).astype(np.uint8), objects.FOV, "", path.stem)
        asset = made(picture, network)
        photo = placed(asset, picture)
        points = objects.outside_points(shape, 0)
        local = [(each - view.position) @ view.rotation for each in (shape.vertices, points)]
        here = Mesh(np.float32(local[0]), shape.faces.astype(np.int32))
        straight = View(photo.camera, np.diag([1.0, -1.0, -1.0]))
        ratio = np.median(Seen.of(asset.mesh, photo).depth) / np.median(Seen.of(here, straight).depth)
        turn = photo.rotation.T @ straight.rotation
        vertices, points = (ratio * each @ turn.T + photo.position for each in local)
        truth = Mesh(
            np.float32(vertices), here.faces, np.float32(shape.uv), None, np.ascontiguousarray(shape.texture[..., :3])
        )
        return cls(f"{path.stem} {number}", asset.mesh, (photo,), truth, points)


def made(picture: Picture, network: str) -> Asset:
    method, row = with_network(network)
    task = Task(Inputs((picture,)), row, method.options(), "cpu", WeightStore(Path("none")))
    options = TABLE[method.makes].options(texture=1024)
    return finished(method.run(task, JOB), options, JOB)


def placed(asset: Asset, picture: Picture) -> View:
    """The picture's view in the asset's axes."""
    [info] = asset.cameras
    w, *axis = info.rotation
    turn = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_quat([*axis, w]).as_matrix().T
    return View(picture.view(objects.FOV).camera, turn, np.array(info.position), picture.rgb, picture.alpha)


class Oracle:
    """Paints the truth, with noise in it."""

    draws = True

    def __init__(self, trial: Trial, noise: float) -> None:
        self.trial, self.noise, self.behind = trial, noise, improved.plain(trial.photos)
        self.asks: list[improved.Asked] = []
        self.watched = improved.asked

    def __enter__(self) -> Oracle:
        def spy(*arguments: object) -> list[improved.Asked]:
            self.asks = self.watched(*arguments)
            return self.asks

        improved.asked = spy
        return self

    def __exit__(self, *_: object) -> None:
        improved.asked = self.watched

    def repaint(self, picture, unknown, references, strength, seed, job) -> np.ndarray:
        [view] = [ask.view for ask in self.asks if ask.picture is picture]
        true = pictured(self.trial.truth, view, self.behind)[0] / 255.0
        noisy = true + self.noise * np.random.default_rng(seed).normal(size=true.shape)
        return np.rint(255.0 * np.clip(noisy, 0.0, 1.0)).astype(np.uint8)


class Nothing:
    """Gives back what it is given."""

    draws = True

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def repaint(self, picture, unknown, references, strength, seed, job) -> np.ndarray:
        return picture


class Included(Patches, Nothing):
    """The product's own."""


def repainter(name: str, trial: Trial):
    if name.startswith("oracle"):
        return Oracle(trial, float(name.removeprefix("oracle")))
    return {"nothing": Nothing, "included": Included}[name]()


@dataclass(frozen=True)
class Score:
    f_002: float
    f_005: float
    clay: float
    skin: float
    texture: float
    inside: float
    photo: float
    outline: float
    seconds: float


def scored(trial: Trial, mesh: Mesh, seconds: float) -> Score:
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    own = np.asarray(trimesh.sample.sample_surface(solid, objects.POINTS, seed=1)[0])
    target = objects.unit(trial.points)
    moved = objects.fitted(objects.unit(own), target)
    there, back = cKDTree(target).query(moved)[0], cKDTree(moved).query(target)[0]

    def f(limit: float) -> float:
        precision, recall = (there < limit).mean(), (back < limit).mean()
        return 2 * precision * recall / max(precision + recall, 1e-9)

    true = trimesh.Trimesh(trial.truth.vertices, trial.truth.faces, process=False)
    behind = improved.plain(trial.photos)
    photo = np.mean([improved.likeness(mesh, each) for each in trial.photos], axis=0)
    return Score(
        f(0.02),
        f(0.05),
        eye.clay(solid, true),
        eye.skin(solid),
        *texture(mesh, trial.truth, behind),
        float(photo[1]),
        float(photo[0]),
        seconds,
    )


def texture(mesh: Mesh, truth: Mesh, behind: np.ndarray, sides: Sequence[tuple] = EIGHT) -> tuple[float, float]:
    """Mean PSNR in dB over views from these sides: where either is, and RIM pixels inside of where both are."""
    found = []
    for yaw, pitch in sides:
        view = looking(truth, yaw, pitch, SIDE)
        (own, here), (true, there) = (pictured(each, view, behind) for each in (mesh, truth))
        either, both = (here >= 128) | (there >= 128), (here >= 128) & (there >= 128)
        inner = ndimage.binary_erosion(both, iterations=RIM)
        error = np.square(own / 255.0 - true / 255.0).mean(axis=2)
        parts = [error[where].mean() if where.any() else 1.0 for where in (either, inner)]
        found.append(-10.0 * np.log10(np.maximum(parts, 1e-9)))
    return tuple(map(float, np.mean(found, axis=0)))


def plans(options: argparse.Namespace) -> list[improved.Plan]:
    strengths = (1.0, 0.6, 0.35)
    return [
        improved.Plan(options.size * 2**n, options.views, strengths[n], 0.5, options.grid + 48 * n, 20_000, 1024)
        for n in range(options.rounds)
    ]


def measured(trial: Trial, name: str, plans: Sequence[improved.Plan], note: Callable[[int, Score, Mesh], None]) -> None:
    start = time.process_time()
    spent = 0.0

    def hear(made: Round) -> None:
        nonlocal spent
        seconds = time.process_time() - start - spent
        before = time.process_time()
        note(made.number, scored(trial, made.asset.mesh, seconds), made.asset.mesh)
        spent += time.process_time() - before

    with repainter(name, trial) as painter:
        shape = outlined_field if painter.draws else None
        last = rounds(Asset(trial.start, (), False), trial.photos, plans, painter, 0, JOB, shape, hear)
    if last.ended:
        sys.stderr.write(f"{trial.name} {name}: {last.ended}\n")


def table(rows: list[dict]) -> str:
    """The means of each round; one that was left out, or never came, leaves what was there."""
    names = [field.name for field in fields(Score)]
    lines = [f"| repainter, round | {' | '.join(names)} | of |", "|" + " --- |" * (len(names) + 2)]
    for name in dict.fromkeys(row["repainter"] for row in rows):
        own = [row for row in rows if row["repainter"] == name]
        for number in range(max(row["round"] for row in own) + 1):
            last = {row["case"]: row for row in sorted(own, key=lambda row: row["round"]) if row["round"] <= number}
            means = [np.mean([row[key] for row in last.values()]) for key in names]
            lines.append(f"| {name} {number} | {' | '.join(f'{mean:.3f}' for mean in means)} | {len(last)} |")
    return "\n".join(lines) + "\n"


def one(path: Path, number: int, start: str, options: argparse.Namespace, done: set[tuple]) -> Iterator[dict]:
    """The rows of a thing that are wanted and not yet done."""
    case = f"{path.stem} {number} {start}"
    wanted = [name for name in options.repainter if (case, name) not in done]
    if not wanted:
        return
    trial = Trial.of(path, number, start)
    before = vars(scored(trial, trial.start, 0.0))
    kept(options, trial.truth, f"{case} truth")
    kept(options, trial.start, f"{case} 0")
    for name in wanted:
        made = [{"case": case, "repainter": name, "round": 0, **before}]

        def note(round: int, score: Score, mesh: Mesh, name: str = name, made: list[dict] = made) -> None:
            made.append({"case": case, "repainter": name, "round": round, **vars(score)})
            sys.stderr.write(f"{json.dumps(made[-1])}\n")
            kept(options, mesh, f"{case} {name} {round}")

        measured(trial, name, plans(options), note)
        yield from made


def kept(options: argparse.Namespace, mesh: Mesh, name: str) -> None:
    if options.meshes:
        options.meshes.mkdir(parents=True, exist_ok=True)
        write(Asset(mesh, (), False), options.meshes / f"{name}.glb", "thing")


def main() -> None:
    """Measure what is asked for and missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="a line for each round: is read, and grows")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--angles", type=int, default=1, help="photos of each thing")
    parser.add_argument("--start", nargs="+", default=["included-generator"], help="networks that make round 0")
    parser.add_argument("--repainter", nargs="*", default=["oracle0.1"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--views", type=int, default=10)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--grid", type=int, default=96)
    parser.add_argument("--meshes", type=Path, help="where the mesh of each round is written")
    options = parser.parse_args()
    found = rows.read(options.rows)
    done = {(row["case"], row["repainter"]) for row in found}
    folder = objects.shared_folder() / "data" / "assets" / "ycb"
    for path in sorted(folder.glob("*.glb"))[options.first :: options.every]:
        for angle, start in itertools.product(range(options.angles), options.start):
            for row in one(path, angle, start, options, done):
                rows.add(found, row, options.rows)
    sys.stdout.write(table(found))


if __name__ == "__main__":
    main()
