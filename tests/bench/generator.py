# SPDX-License-Identifier: GPL-3.0-or-later
"""The included generator against the truth and against the object network, in one run and in the same way.

    python tests/bench/generator.py [--weights FILE --variety V --steps N] [--every N] [--table OUT.md --sheet OUT.png]

YCB's scans, two fixed views each, rendered with a transparent background; scores and data as in objects.py. Four seeds
make four meshes of a view. "One sample" is the mean of the four, "best of four" the one with the highest F at 0.05, and
"apart" the mean distance between the surfaces of two seeds, in longest sides: how much seeds differ.

--fronts measures what a front that is known beforehand is worth: one seed is told the true one; the true one up to its
shift, and to shift and scale; and ones that are smoothly off by 1 % and 3 % of the distance, up to shift and scale.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
import objects
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.methods.layers import GENERATOR, REGRESSION, regression, sampling
from image_to_3d.worker.methods.layers.generator_network import Known
from image_to_3d.worker.methods.layers.sampling import Imagination
from objects import Case, Score
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree
from trimesh import Trimesh
from trimesh.sample import sample_surface

SEEDS = range(4)
FRONTS = {
    "nothing": None,
    "true": (1, 1, 0.0),
    "true up to shift": (0, 1, 0.0),
    "true up to shift and scale": (0, 0, 0.0),
    "off by 1 %": (0, 0, 0.03),
    "off by 3 %": (0, 0, 0.1),
}
"""What the network is told of the front: whether shift and scale are sure, and by how many half sides it is off. A
thing that fills the picture is about three and a half half sides away."""
FEW = 2000


def apart(meshes: list[Mesh]) -> float:
    """The mean distance between the surfaces of two of the meshes, in the first one's longest side."""
    clouds = [np.asarray(sample_surface(Trimesh(m.vertices, m.faces, process=False), FEW, seed=1)[0]) for m in meshes]
    longest = np.ptp(clouds[0], axis=0).max()
    return float(np.mean([cKDTree(a).query(b)[0].mean() for a, b in itertools.permutations(clouds, 2)]) / longest)


def timed(make: Callable[[], Layers], case: Case) -> tuple[Mesh, Score]:
    """The mesh of what is made, and how good it is."""
    start = time.perf_counter()
    mesh = objects.meshed(make(), case)
    return mesh, objects.scored(mesh, case.truth, time.perf_counter() - start)


def truth_of(case: Case, folder: Path) -> objects.render.Shape:
    """The scan itself, turned as the camera of the case sees it."""
    name, number = case.name.rsplit(" ", 1)
    shape = objects.load(folder / f"{name}.glb")
    yaw, pitch = objects.VIEWS[int(number)]
    view = objects.render.orbit_view(shape, yaw, pitch, objects.PIXELS, objects.FOV)
    return objects.render.Shape((shape.vertices - view.position) @ view.rotation, shape.faces, shape.uv, shape.texture)


def true_front(case: Case, shape: objects.render.Shape, size: int) -> np.ndarray:
    """(size, size) the first surface in half sides, zero at the mean mid-depth, as the network's layers are."""
    window, camera = objects.window_around(~case.picture.background), case.camera
    at = (np.arange(size) + 0.5) / size * window.side
    x, y = np.meshgrid((at + window.left - camera.cx) / camera.fx, (at + window.top - camera.cy) / camera.fy)
    ray = np.stack([x, -y, -np.ones_like(x)], -1).reshape(-1, 3)
    caster = objects.RayMeshIntersector(Trimesh(shape.vertices, shape.faces, process=False))
    far = 20 * float(np.abs(shape.vertices).max())
    first, last = (_hits(caster, start, way) for start, way in ((0 * ray, ray), (far * ray, -ray)))
    middle = float(np.nanmean(first) + np.nanmean(last)) / 2
    front = ((first - middle) / (window.side / 2 / camera.fx * middle)).reshape(size, size)
    nearest = distance_transform_edt(~np.isfinite(front), return_distances=False, return_indices=True)
    return front[tuple(nearest)].astype(np.float32)


def _hits(caster: objects.RayMeshIntersector, start: np.ndarray, way: np.ndarray) -> np.ndarray:
    """(N,) depth of what each ray meets first, NaN where it meets nothing."""
    unit = way / np.linalg.norm(way, axis=1, keepdims=True)
    place, ray, _ = caster.intersects_location(start, unit, multiple_hits=False)
    depth = np.full(len(way), np.nan)
    depth[ray] = -place[:, 2]
    return depth


def told(front: np.ndarray, sure: tuple[float, float, float], mask: np.ndarray, rng: np.random.Generator) -> Known:
    """The front (S, S), made as wrong as said; its arbitrary shift and scale are far off."""
    size = len(front)
    wrong = gaussian_filter(rng.normal(size=(size, size)), size / 6, mode="reflect")
    off = front + sure[2] * (wrong - wrong[mask].mean()) / wrong[mask].std()
    off = off * (1 if sure[1] else 1.7) + (0 if sure[0] else 2.0)
    layers = np.zeros((1, 5, size, size), np.float32)
    layers[0, 0] = off
    where = np.stack([np.float32(mask), np.zeros((size, size), np.float32)])[None]
    return Known(layers, where, np.float32([sure]))


def fronts(paths: list[Path], imagine: Imagination, steps: int, variety: float) -> str:
    """The table of what a known front is worth, one seed of every view."""
    job, rng, folder = Job(lambda *_: None), np.random.default_rng(0), paths[0].parent
    scores: dict[str, list[Score]] = {name: [] for name in FRONTS}
    for case in (case for path in paths for case in objects.cases_of(path)):
        picture, size = case.picture, imagine.network.config.size
        front = true_front(case, truth_of(case, folder), size)
        subject = ~picture.background
        mask = objects.cut_out(picture.rgb, subject, objects.window_around(subject), size)[1]
        for name, sure in FRONTS.items():
            known = sure and told(front, sure, mask, rng)
            make = partial(imagine, picture, picture, 0, steps, variety, job, known)
            scores[name].append(timed(make, case)[1])
    return table(scores)


def row(case: Case, shown: dict[str, Mesh | objects.render.Shape], scores: dict[str, float]) -> Image.Image:
    """The photo, then each mesh from the front, the side and behind."""
    cell = objects.CELL
    strip = Image.new("RGB", (cell * (1 + 3 * len(shown)), cell + 14), "white")
    photo = Image.fromarray(case.picture.rgb)
    photo = Image.composite(photo, Image.new("RGB", photo.size, "white"), Image.fromarray(case.picture.alpha))
    strip.paste(photo.resize((cell, cell), Image.Resampling.LANCZOS), (0, 14))
    draw = ImageDraw.Draw(strip)
    draw.text((2, 1), case.name[:24], fill="black")
    for number, (name, mesh) in enumerate(shown.items()):
        left = cell * (1 + 3 * number)
        draw.text((left + 2, 1), f"{name} {scores[name]:.2f}" if name in scores else name, fill="black")
        for place, image in enumerate(objects.portraits(mesh)):
            strip.paste(image, (left + place * cell, 14))
    return strip


def table(scores: dict[str, list[Score]]) -> str:
    lines = [
        f"{len(next(iter(scores.values())))} views.",
        "",
        "| method | Chamfer-L1 | F@0.05 | F@0.10 | closed | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in scores.items():
        s = objects.mean(found)
        lines.append(f"| {name} | {s.chamfer:.4f} | {s.f_005:.3f} | {s.f_010:.3f} | {s.closed:.2f} | {s.seconds:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=GENERATOR.file)
    parser.add_argument("--variety", type=float, default=0.3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--every", type=int, default=1, help="only every n-th object, for a first look")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--sheet", type=Path, help="every third case: the object network, three seeds, the truth")
    parser.add_argument("--fronts", action="store_true", help="what a known front is worth, instead of four seeds")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # which the networks obey
    folder = objects.shared_folder() / "data" / "assets" / "ycb"
    paths = sorted(folder.glob("*.glb"))[:: options.every]
    imagine = sampling.load(GENERATOR, options.weights, "cpu")
    if options.fronts:
        text = fronts(paths, imagine, options.steps, options.variety)
    else:
        text = seeds(paths, imagine, options)
    sys.stdout.write(text)
    if options.table:
        options.table.write_text(text, encoding="utf-8")


def seeds(paths: list[Path], imagine: Imagination, options: argparse.Namespace) -> str:
    """The table of four seeds beside the object network, and the contact sheet where asked for."""
    regress, folder = regression.load(REGRESSION, REGRESSION.file, "cpu"), paths[0].parent
    names = ("object network", "likeliest", "one sample", "best of four")
    scores: dict[str, list[Score]] = {name: [] for name in names}
    strips, distances = [], []
    for path in paths:
        for case in objects.cases_of(path):
            found = measured(case, regress, imagine, options.steps, options.variety)
            meshes, numbers = [mesh for mesh, _ in found], [score for _, score in found]
            samples = numbers[2:]
            best = max(samples, key=lambda score: score.f_005)
            for name, score in zip(names, (*numbers[:2], objects.mean(samples), best), strict=True):
                scores[name].append(score)
            distances.append(apart(meshes[2:]))
            if options.sheet and len(distances) % 3 == 1:
                shown = {"object network": meshes[0]} | {f"seed {i}": meshes[2 + i] for i in range(3)}
                figures = dict(zip(shown, (numbers[0].f_005, *(s.f_005 for s in samples[:3])), strict=True))
                strips.append(row(case, shown | {"truth": truth_of(case, folder)}, figures))
    if options.sheet:
        sheet = objects.stacked(strips)
        sheet.quantize(128, dither=Image.Dither.NONE).save(options.sheet, optimize=True)
    return f"{table(scores)}\nSeeds lie {np.mean(distances):.4f} apart.\n"


def measured(
    case: Case, regress: Callable, imagine: Imagination, steps: int, variety: float
) -> list[tuple[Mesh, Score]]:
    """Mesh and score of the object network, of the generator without noise, and of each seed."""
    job, picture = Job(lambda *_: None), case.picture  # which is cut out: the user's own is the thing's alone
    found = [timed(lambda: regress(picture, job.check), case)]
    found.append(timed(lambda: imagine(picture, picture, 0, steps, 0.0, job), case))
    seeds = [lambda seed=seed: imagine(picture, picture, seed, steps, variety, job) for seed in SEEDS]
    return found + [timed(make, case) for make in seeds]


if __name__ == "__main__":
    main()
