# SPDX-License-Identifier: GPL-3.0-or-later
"""The included generator against the truth and against the object network, in one run and in the same way.

    python tests/bench/generator.py [--weights FILE --variety V --steps N] [--every N] [--table OUT.md --sheet OUT.png]

YCB's scans, two fixed views each, rendered with a transparent background; scores and data as in objects.py. Four seeds
make four meshes of a view. "One sample" is the mean of the four, "best of four" the one with the highest F at 0.05, and
"apart" the mean distance between the surfaces of two seeds, in longest sides: how much seeds differ.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
import objects
import torch
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.methods.layers import GENERATOR, REGRESSION, regression, sampling
from image_to_3d.worker.methods.layers.sampling import Imagination
from objects import Case, Score
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree
from trimesh import Trimesh
from trimesh.sample import sample_surface

SEEDS = range(4)
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


def table(scores: dict[str, list[Score]], distance: float) -> str:
    lines = [
        f"{len(next(iter(scores.values())))} views; seeds lie {distance:.4f} apart.",
        "",
        "| method | Chamfer-L1 | F@0.05 | F@0.10 | closed | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in scores.items():
        s = objects.mean(found)
        lines.append(f"| {name} | {s.chamfer:.4f} | {s.f_005:.3f} | {s.f_010:.3f} | {s.closed:.2f} | {s.seconds:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table, and the contact sheet where asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=GENERATOR.file)
    parser.add_argument("--variety", type=float, default=0.3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--every", type=int, default=1, help="only every n-th object, for a first look")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--sheet", type=Path, help="every third case: the object network, three seeds, the truth")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = objects.shared_folder() / "data" / "assets" / "ycb"
    regress = regression.load(REGRESSION, REGRESSION.file, "cpu")
    imagine = sampling.load(GENERATOR, options.weights, "cpu")
    names = ("object network", "likeliest", "one sample", "best of four")
    scores: dict[str, list[Score]] = {name: [] for name in names}
    strips, distances = [], []
    for path in sorted(folder.glob("*.glb"))[:: options.every]:
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
    text = table(scores, float(np.mean(distances)))
    sys.stdout.write(text)
    if options.table:
        options.table.write_text(text, encoding="utf-8")
    if options.sheet:
        sheet = objects.stacked(strips)
        sheet.quantize(128, dither=Image.Dither.NONE).save(options.sheet, optimize=True)


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
