# SPDX-License-Identifier: GPL-3.0-or-later
"""Single objects against the truth: YCB's scans and classic shapes, two fixed views each, every method in one run.

    python tests/bench/objects.py [--weights FILE] [--table OUT.md] [--sheet OUT.png] [--worst OUT.png]

Each object is rendered with a transparent background, and each method makes a closed mesh of that one picture. Scored
in the camera's axes: both surfaces are brought to longest side 1, the result is fitted to the truth by scale and shift,
20,000 points each way; the truth is what can be seen from outside. The data are looked up in the folder that
IMAGE_TO_3D_SHARED names, else in `shared` beside the checkout; nothing was trained on them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import checkout  # first: it names the package
import numpy as np
import trimesh
from image_to_3d.tests import render
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.finish.layers import finished
from image_to_3d.worker.finish.options import LayersOptions
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.solid import is_closed
from image_to_3d.worker.methods.layers import REGRESSION, regression
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pictures.silhouette import cut_out, inflated, window_around
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from trimesh.ray.ray_pyembree import RayMeshIntersector

VIEWS = ((35.0, 20.0), (-130.0, 35.0))  # degrees to the right of the front, and from above
ELEVATIONS, ASIDE = (5.0, 15.0, 25.0, 35.0), 60.0
"""From which the vertical is asked for, in degrees from above and to the right of the front."""
FOV, PIXELS, POINTS, SIZE = 35.0, 384, 20_000, 96
CELL = 150

Method = Callable[[Picture], Layers]


@dataclass(frozen=True)
class Case:
    """One view of one object: picture, camera, and points (N, 3) of the true surface in the camera's glTF axes."""

    name: str
    picture: Picture
    camera: PinholeCamera
    truth: np.ndarray


@dataclass(frozen=True)
class Score:
    """Mean of the two mean distances and F-scores, in longest sides of the truth; whether closed; seconds."""

    chamfer: float
    f_005: float
    f_010: float
    closed: float
    seconds: float


def shared_folder() -> Path:
    """Where the measuring data lie. Raises SystemExit with a reason when they do not."""
    folder = Path(os.environ.get("IMAGE_TO_3D_SHARED", checkout.ROOT.parent / "shared"))
    if not (folder / "data" / "assets").is_dir():
        raise SystemExit(f"no assets in {folder}: set IMAGE_TO_3D_SHARED to the folder that holds data")
    return folder


def load(path: Path) -> render.Shape:
    """A GLB with its texture, or an OBJ without one."""
    if path.suffix == ".glb":
        return render.load(path)
    mesh = trimesh.load(path, force="mesh", process=False)
    return render.Shape(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def outside_points(shape: render.Shape, seed: int) -> np.ndarray:
    """(POINTS, 3) on the surface, of which at least one of many rays gets away: what can be seen from outside."""
    mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
    points, face = trimesh.sample.sample_surface(mesh, 2 * POINTS, seed=seed)
    rng = np.random.default_rng(seed)
    caster, free = RayMeshIntersector(mesh), np.zeros(len(points), bool)
    normal = mesh.face_normals[face]
    step = 1e-4 * mesh.extents.max()
    for _ in range(24):
        left = np.flatnonzero(~free)
        ray = rng.normal(size=(len(left), 3))
        side = np.sign((ray * normal[left]).sum(1, keepdims=True))
        start = points[left] + side * normal[left] * step
        free[left] = ~caster.intersects_any(start, ray / np.linalg.norm(ray, axis=1, keepdims=True))
    return points[free][:POINTS]


def cases_of(path: Path) -> list[Case]:
    """Both views of an object."""
    shape = load(path)
    points = outside_points(shape, 0)
    cases = []
    for number, (yaw, pitch) in enumerate(VIEWS):
        view = render.orbit_view(shape, yaw, pitch, PIXELS, FOV)
        picture = pictured(shape, view, path.stem)
        camera = PinholeCamera(view.width, view.height, view.fx, view.fy, view.cx, view.cy)
        cases.append(Case(f"{path.stem} {number}", picture, camera, (points - view.position) @ view.rotation))
    return cases


def pictured(shape: render.Shape, view: render.View, name: str) -> Picture:
    """What the view shows of it, cut out."""
    colour = render.render(shape, view, (0, 0, 0), samples=2, shading=0.6).colour
    seen = np.isfinite(render.render(shape, view).depth)
    return Picture(colour, np.where(seen, 255, 0).astype(np.uint8), FOV, "", name)


def leaning(paths: list[Path], method: Method) -> list[float]:
    """Degrees between what the method takes for the vertical and what is, per object and elevation; its bar is a camera
    that is believed to be held level, which is wrong by the elevation."""
    errors = []
    for path in paths:
        shape = load(path)
        for pitch in ELEVATIONS:
            view = render.orbit_view(shape, ASIDE, pitch, PIXELS, FOV)
            up = method(pictured(shape, view, path.stem)).up
            cosine = float(np.array([0.0, 1.0, 0.0]) @ view.rotation @ (up * [1, -1, -1]))
            errors.append(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))
    return errors


def from_outline(half: Callable[[np.ndarray], np.ndarray]) -> Method:
    """A method that knows the silhouette only: half the thickness (S, S), in half sides, of a mask (S, S)."""

    def make(picture: Picture) -> Layers:
        subject = ~picture.background
        window = window_around(subject)
        colour, mask = cut_out(picture.rgb, subject, window, SIZE)
        height = half(mask).astype(np.float32)
        return Layers(-height, height, np.uint8(255 * colour), window, picture.view(FOV))

    return make


def slab(mask: np.ndarray) -> np.ndarray:
    """As thick as a third of the outline's shorter extent."""
    extent = min(np.ptp(np.flatnonzero(mask.any(0))), np.ptp(np.flatnonzero(mask.any(1)))) + 1
    return np.full(mask.shape, extent / SIZE / 3)


def ellipsoid(mask: np.ndarray) -> np.ndarray:
    """The ellipse with the outline's moments, as thick as it is narrow; thin beyond it."""
    row, column = np.nonzero(mask)
    places = np.stack([row, column], 1).astype(float)
    middle, moments = places.mean(0), np.cov(places.T) + 1e-6 * np.eye(2)
    offset = np.indices(mask.shape).reshape(2, -1).T - middle
    inside = 1 - np.einsum("ni,ij,nj->n", offset, np.linalg.inv(moments), offset) / 4
    semi = 2 * np.sqrt(np.linalg.eigvalsh(moments)[0]) * 2 / SIZE
    return (semi * np.sqrt(np.maximum(inside, 0))).reshape(mask.shape)


def inflation(mask: np.ndarray) -> np.ndarray:
    return inflated(mask) * (2 / SIZE)


def meshed(layers: Layers, case: Case) -> Mesh:
    """As the worker makes it, but for a coarser texture, in the camera's axes."""
    mask = np.uint8(255) * (~case.picture.background).astype(np.uint8)
    view = View(case.camera, rgb=case.picture.rgb, mask=mask)
    asset = finished(replace(layers, view=view), LayersOptions(texture=512), Job(lambda *_: None))
    [camera] = asset.cameras
    w, *axis = camera.rotation
    turn = Rotation.from_quat([*axis, w]).as_matrix()
    return replace(asset.mesh, vertices=np.float32((asset.mesh.vertices - np.float32(camera.position)) @ turn))


def scored(mesh: Mesh, truth: np.ndarray, seconds: float) -> Score:
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    points = np.asarray(trimesh.sample.sample_surface(solid, POINTS, seed=1)[0])
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    target = unit(truth)
    moved = fitted(unit(points), target)
    there, back = cKDTree(target).query(moved)[0], cKDTree(moved).query(target)[0]

    def f(limit: float) -> float:
        precision, recall = (there < limit).mean(), (back < limit).mean()
        return 2 * precision * recall / max(precision + recall, 1e-9)

    return Score((there.mean() + back.mean()) / 2, f(0.05), f(0.10), float(is_closed(solid.faces)), seconds)


def unit(points: np.ndarray) -> np.ndarray:
    low, high = points.min(0), points.max(0)
    return (points - (low + high) / 2) / max((high - low).max(), 1e-9)


def fitted(points: np.ndarray, target: np.ndarray, rounds: int = 30) -> np.ndarray:
    """Points fitted to the target by scale and shift alone, to nearest neighbours in both directions."""
    points_few, target_few = points[::8], target[::8]
    scale, shift = 1.0, np.zeros(3)
    tree = cKDTree(target_few)
    for _ in range(rounds):
        moved = points_few * scale + shift
        there = tree.query(moved)[1]
        back = cKDTree(moved).query(target_few)[1]
        a = np.concatenate([points_few, points_few[back]])
        b = np.concatenate([target_few[there], target_few])
        a_mean, b_mean = a.mean(0), b.mean(0)
        scale = float(((a - a_mean) * (b - b_mean)).sum() / ((a - a_mean) ** 2).sum())
        shift = b_mean - scale * a_mean
    return points * scale + shift


def portraits(mesh: Mesh) -> list[Image.Image]:
    """The mesh from the camera's side, from the right, and from behind."""
    shape = render.Shape(mesh.vertices, mesh.faces, mesh.uv, mesh.texture)
    views = [render.orbit_view(shape, yaw, 12, CELL, 30) for yaw in (0, 80, 180)]
    return [Image.fromarray(render.render(shape, view, samples=2, shading=0.5).colour) for view in views]


def strip(case: Case, meshes: dict[str, Mesh], scores: dict[str, Score]) -> Image.Image:
    """A row of the contact sheet: the picture, then each mesh from three sides."""
    shown = Image.new("RGB", (CELL * (1 + 3 * len(meshes)), CELL + 14), "white")
    photo = Image.fromarray(case.picture.rgb)
    photo = Image.composite(photo, Image.new("RGB", photo.size, "white"), Image.fromarray(case.picture.alpha))
    shown.paste(photo.resize((CELL, CELL), Image.Resampling.LANCZOS), (0, 14))
    draw = ImageDraw.Draw(shown)
    draw.text((2, 1), case.name[:24], fill="black")
    for number, (name, mesh) in enumerate(meshes.items()):
        left = CELL * (1 + 3 * number)
        draw.text((left + 2, 1), f"{name}: {scores[name].chamfer:.3f} {scores[name].f_005:.2f}", fill="black")
        for place, image in enumerate(portraits(mesh)):
            shown.paste(image, (left + place * CELL, 14))
    return shown


def stacked(strips: list[Image.Image], columns: int = 1) -> Image.Image:
    width, height = strips[0].size
    rows = -(-len(strips) // columns)
    sheet = Image.new("RGB", (width * columns, height * rows), "white")
    for index, image in enumerate(strips):
        sheet.paste(image, (index // rows * width, index % rows * height))
    return sheet


def mean(scores: list[Score]) -> Score:
    return Score(*np.mean([list(vars(score).values()) for score in scores], axis=0))


def methods_of(weights: Path) -> dict[str, Method]:
    network = regression.load(REGRESSION, weights, "cpu")
    return {
        "slab": from_outline(slab),
        "ellipsoid": from_outline(ellipsoid),
        "inflation": from_outline(inflation),
        "included-object": lambda picture: network(picture, lambda: None),
    }


def main() -> None:
    """Write the table, and the contact sheets where asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=REGRESSION.file)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--sheet", type=Path, help="every third case")
    parser.add_argument("--worst", type=Path, help="the ten cases with the lowest F at 0.05")
    parser.add_argument("--up", action="store_true", help="how well the vertical is found, too")
    parser.add_argument("--every", type=int, default=1, help="only every n-th object, for a first look")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "2"  # which the networks obey
    assets = shared_folder() / "data" / "assets"
    sets = {"YCB": sorted((assets / "ycb").glob("*.glb")), "classic": sorted((assets / "untextured").glob("*.obj"))}
    methods = methods_of(options.weights)
    scores: dict[str, dict[str, list[Score]]] = {name: {group: [] for group in sets} for name in methods}
    shown: list[tuple[float, Case]] = []
    for group, paths in sets.items():
        for path in paths[:: options.every]:
            for case in cases_of(path):
                for name, method in methods.items():
                    start = time.perf_counter()
                    mesh = meshed(method(case.picture), case)
                    seconds = time.perf_counter() - start
                    scores[name][group].append(scored(mesh, case.truth, seconds))
                shown.append((scores["included-object"][group][-1].f_005, case))
    lines = [
        f"{len(shown)} views; {' / '.join(sets)}: lower Chamfer and higher F are better.",
        "",
        "| method | Chamfer-L1 | F@0.05 | F@0.10 | closed | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, groups in scores.items():
        means = [mean(found) for found in groups.values()]
        cells = [
            " / ".join(f"{getattr(m, key):.{digits}f}" for m in means)
            for key, digits in (("chamfer", 4), ("f_005", 3), ("f_010", 3), ("closed", 2), ("seconds", 2))
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    won = [
        np.mean([a.f_005 > b.f_005 for a, b in zip(scores["included-object"][g], scores["inflation"][g], strict=True)])
        for g in sets
    ]
    lines += [
        "",
        "F@0.05 higher than inflation's: " + " / ".join(f"{100 * share:.0f} %" for share in won) + " of views.",
    ]
    if options.up:
        found = leaning(sets["YCB"][:: options.every], methods["included-object"])
        lines += [
            f"The vertical from {', '.join(f'{e:g}' for e in ELEVATIONS)} degrees above, YCB: median error "
            f"{np.median(found):.1f} degrees, nine tenths within {np.percentile(found, 90):.1f}; a level camera's "
            f"{np.median(ELEVATIONS):.1f}."
        ]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.table:
        options.table.write_text(text, encoding="utf-8")
    chosen = {name: methods[name] for name in ("inflation", "included-object")}
    for path, cases in ((options.sheet, [c for _, c in shown][::3]), (options.worst, worst(shown, 10))):
        if path:
            sheet = stacked([row(case, chosen) for case in cases], 1 if path == options.worst else 2)
            sheet.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def worst(shown: list[tuple[float, Case]], count: int) -> list[Case]:
    return [case for _, case in sorted(shown, key=lambda pair: pair[0])[:count]]


def row(case: Case, methods: dict[str, Method]) -> Image.Image:
    meshes = {name: meshed(method(case.picture), case) for name, method in methods.items()}
    return strip(case, meshes, {name: scored(mesh, case.truth, 0.0) for name, mesh in meshes.items()})


if __name__ == "__main__":
    main()
