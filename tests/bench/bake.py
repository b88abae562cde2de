# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures against the truth: YCB's scans unwrapped anew and painted again, seen from eight sides.

    python tests/bench/bake.py [--size 1024] [--only mustard] [--table OUT.md] [--sheet FOLDER] [--fifty]

Field: the colour of the scan's nearest surface point. Photo: one picture of the scan from the front, the rest from a
field that is blurred and a tenth too dark, as a network's would be. Alone: that picture and no field; the rest is like
what is beside it or, mirrored, like the picture's mirror images where the scan is symmetric. Halved: the same as field,
on a mesh simplified to half the faces. Pictures are unlit, PSNR is over the pixels of the thing, of all eight views
together and of the photo's own. --fifty times a mesh of 50,000 faces alone. The data are looked up in the folder that
IMAGE_TO_3D_SHARED names, else in `shared` beside the checkout.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import checkout  # first: it names the package
import fast_simplification
import numpy as np
import trimesh
from image_to_3d.tests import render
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.bake import baked
from image_to_3d.worker.geometry.texturing.mirrored import mirrored
from image_to_3d.worker.geometry.texturing.unwrap import unwrapped
from PIL import Image
from scipy.spatial import cKDTree

VIEWS = ((15, 15), (60, -20), (105, 35), (150, -10), (195, 20), (240, 60), (285, -45), (330, 10))
PIXELS, PHOTO, FOV = 320, 1024, 35.0


def scans() -> list[Path]:
    """The scans to measure with. Raises SystemExit with a reason when there are none."""
    folder = Path(os.environ.get("IMAGE_TO_3D_SHARED", checkout.ROOT.parent / "shared")) / "data" / "assets" / "ycb"
    if not folder.is_dir():
        raise SystemExit(f"no scans in {folder}: set IMAGE_TO_3D_SHARED to the folder that holds data")
    return sorted(folder.glob("*.glb"))


@dataclass(frozen=True)
class Row:
    """PSNR in dB and seconds of one object."""

    name: str
    field: float
    halved: float
    photo_front: float
    photo_all: float
    spread: float
    mirrored: float
    unwrap: float
    bake: float


class Truth:
    """The colour of the scan's nearest surface point, as a field."""

    def __init__(self, shape: render.Shape) -> None:
        self.shape = shape
        self.corners = shape.vertices[shape.faces]
        self.tree = cKDTree(self.corners.mean(axis=1))
        mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
        points, _ = trimesh.sample.sample_surface(mesh, 6000, seed=0)
        self.coarse = cKDTree(points), self(points.astype(np.float32))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        near = self.tree.query(points, k=6, workers=2)[1]
        best, face, closest = np.full(len(points), np.inf), np.zeros(len(points), int), np.array(points, float)
        for k in range(near.shape[1]):
            found = trimesh.triangles.closest_point(self.corners[near[:, k]], points)
            distance = ((found - points) ** 2).sum(axis=1)
            better = distance < best
            best[better], closest[better], face[better] = distance[better], found[better], near[better, k]
        weights = trimesh.triangles.points_to_barycentric(self.corners[face], closest, method="cross")
        uv = (self.shape.uv[self.shape.faces[face]] * np.nan_to_num(weights)[:, :, None]).sum(axis=1)
        return (render.bilinear(self.shape.texture[..., :3], uv) / 255.0).astype(np.float32)

    def blurred(self, points: np.ndarray) -> np.ndarray:
        tree, colours = self.coarse
        return (0.9 * colours[tree.query(points, k=8)[1]].mean(axis=1)).astype(np.float32)


def photographed(view: render.View, taken: render.Rendered) -> View:
    """The same camera with x right, y down, z forward, and what it has taken."""
    camera = PinholeCamera(view.width, view.height, view.fx, view.fy, view.cx, view.cy)
    mask = np.uint8(255) * np.isfinite(taken.depth).astype(np.uint8)
    return View(camera, (view.rotation * (1.0, -1.0, -1.0)).T, view.position, taken.colour, mask)


def welded(shape: render.Shape, faces: int | None = None) -> Mesh:
    mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    points, triangles = mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32)
    if faces is not None:
        points, triangles = fast_simplification.simplify(points, triangles, target_count=faces)
    return Mesh(points.astype(np.float32), triangles.astype(np.int32))


def shape_of(mesh: Mesh) -> render.Shape:
    return render.Shape(mesh.vertices, mesh.faces, mesh.uv, mesh.texture)


def squares(right: render.Rendered, mesh: Mesh, view: render.View) -> np.ndarray:
    """Squared errors of the pixels that the thing covers in both pictures."""
    ours = render.render(shape_of(mesh), view, samples=2)
    both = np.isfinite(right.depth) & np.isfinite(ours.depth)
    return ((right.colour[both].astype(float) - ours.colour[both]) ** 2).ravel()


def psnr(errors: list[np.ndarray]) -> float:
    return float(10.0 * np.log10(255.0**2 / max(np.concatenate(errors).mean(), 1e-9)))


def measured(path: Path, size: int, sheet: Path | None) -> Row:
    shape = render.load(path)
    views = [render.orbit_view(shape, *view, PIXELS, FOV) for view in VIEWS]
    truth = Truth(shape)
    start = time.perf_counter()
    flat = unwrapped(welded(shape), size)
    unwrap = time.perf_counter() - start
    field = baked(flat, size, truth, [])
    halved = baked(unwrapped(welded(shape, len(shape.faces) // 2), size), size, truth, [])
    front = render.orbit_view(shape, *VIEWS[0], PHOTO, FOV)
    taken = render.render(shape, front, samples=2)
    photo = photographed(front, taken)
    start = time.perf_counter()
    both = baked(flat, size, truth.blurred, [photo])
    bake = time.perf_counter() - start
    spread = baked(flat, size, None, [photo])
    mirrors = baked(flat, size, None, [photo], guesses=mirrored(flat, photo))
    if sheet is not None:
        shown = (field, both, spread, mirrors)
        save_sheet(sheet / f"{path.stem}.png", [shape, *map(shape_of, shown)], views)
        Image.fromarray(field.texture).save(sheet / f"{path.stem}_field.png")
        Image.fromarray(both.texture).save(sheet / f"{path.stem}_photo.png")
    right = [render.render(shape, view, samples=2) for view in views]
    errors = [
        [squares(each, mesh, view) for each, view in zip(right, views, strict=True)]
        for mesh in (field, halved, both, spread, mirrors)
    ]
    found = psnr(errors[0]), psnr(errors[1]), psnr(errors[2][:1]), psnr(errors[2]), psnr(errors[3]), psnr(errors[4])
    return Row(path.stem, *found, unwrap, bake)


def save_sheet(path: Path, shapes: list[render.Shape], views: list[render.View]) -> None:
    rows = [np.concatenate([render.render(shape, view).colour for view in views[::2]], 1) for shape in shapes]
    Image.fromarray(np.concatenate(rows)).save(path)


def timed_fifty(path: Path, size: int) -> str:
    """Seconds of each step for 50,000 faces, with a field that costs nothing and one photo."""
    shape = render.load(path)
    mesh = welded(shape)
    fine = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).subdivide()
    points, faces = fast_simplification.simplify(
        fine.vertices.astype(np.float32), fine.faces.astype(np.int32), target_count=50_000
    )
    mesh = Mesh(points.astype(np.float32), faces.astype(np.int32))
    front = render.orbit_view(shape, *VIEWS[0], PHOTO, FOV)
    taken = render.render(shape, front)
    photo = photographed(front, taken)
    lines = []
    for _ in range(2):
        begin = time.perf_counter()
        flat = unwrapped(mesh, size)
        laid = time.perf_counter()
        baked(flat, size, lambda p: np.full_like(p, 0.5), [])
        field = time.perf_counter()
        baked(flat, size, lambda p: np.full_like(p, 0.5), [photo])
        both = time.perf_counter()
        baked(flat, size, None, [photo])
        alone = time.perf_counter()
        lines.append(
            f"{len(mesh.faces)} faces at {size}: unwrap {laid - begin:.2f} s, bake field {field - laid:.2f} s, "
            f"field and photo {both - field:.2f} s, photo alone {alone - both:.2f} s\n"
        )
    return lines[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--only", default="", help="objects whose name contains this")
    parser.add_argument("--every", type=int, default=1, help="only each n-th object")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--fifty", action="store_true")
    options = parser.parse_args()
    paths = [path for path in scans() if options.only in path.stem][:: options.every]
    if options.fifty:
        sys.stdout.write(timed_fifty(paths[0], options.size))
        return
    lines = ["| object | field | halved | photo, front | photo, all | alone | alone, mirrored | unwrap s | bake s |"]
    lines.append("|---|" + "---:|" * 8)
    rows = []
    for path in paths:
        row = measured(path, options.size, options.sheet)
        rows.append(row)
        lines.append(line(row))
        sys.stdout.write(lines[-1] + "\n")
        sys.stdout.flush()
    values = np.array([list(vars(row).values())[1:] for row in rows], float)
    for name, each in (("mean", values.mean(axis=0)), ("least", values.min(axis=0)), ("most", values.max(axis=0))):
        lines.append(line(Row(name, *each)))
    sys.stdout.write("\n".join(lines[-3:]) + "\n")
    if options.table:
        options.table.write_text("\n".join(lines) + "\n", encoding="utf-8")


def line(row: Row) -> str:
    return f"| {row.name} | " + " | ".join(f"{value:.2f}" for value in list(vars(row).values())[1:]) + " |"


if __name__ == "__main__":
    main()
