# SPDX-License-Identifier: GPL-3.0-or-later
"""What `refine` does by a picture's own evidence, against the truth.

    python tests/bench/refine.py [--every N --first N --of THING ...] [--kinds KIND ...] [--normals WHOSE] [--other]
        [--meshes FOLDER] [--pairs]

YCB's scans, each photographed from the first view of objects.py. What is refined is the scan itself, smoothly deformed
(stretched by a quarter along an axis, bent, or with a bulge), a blob of its proportions, or what the included generator
makes of the picture. Told are, before and after: IoU of the outlines, with the camera that is found; normal, the mean
degrees between the result's normals and the true ones, each seen from its own camera; F and clay as in objects.py and
eye.py, by size and place alone. Before is the lower bar: the mesh as it came, from where it fits best.

--normals: `included` (what the included object network sees, as the product does), `none` (outlines alone), or so many
degrees by which the true ones are smoothly off: a stand-in for those of a large network. --other: deformations on which
nothing was set: shorter along an axis, bent to the other side across the third axis and less, a bulge elsewhere.

--pairs: each deformed mesh, with and without its texture, and the picture of each thing: how many right and how many
wrong pairs are refused.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import eye
import hybrid
import numpy as np
import objects
import trimesh
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish import refined
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.finish.refined import Found, opened
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.projection import silhouette_iou
from image_to_3d.worker.methods.matting import matte
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline.facing import facing
from image_to_3d.worker.pipeline.request import Machine
from objects import render
from scipy.ndimage import gaussian_filter
from trimesh.ray.ray_pyembree import RayMeshIntersector

JOB = Job(lambda *_: None)
MACHINE = Machine(hybrid.NOWHERE, Path("none"), "cpu")
SIDE, POINTS = 512, 20_000
STRETCH, BEND, BULGE = 1.25, 0.3, (0.3, 0.4)
"""Times as long along an axis; half sides by which ends are off to the side; half sides of a bulge, and how wide."""

SMOOTH_OVER = 12  # pixels over which a stand-in's normals are wrong alike


@dataclass(frozen=True, eq=False)
class Thing:
    """A scan and its picture. view: the camera that took it, with picture and mask; its axes are the scan's."""

    name: str
    scan: render.Shape
    view: View
    picture: Picture

    @classmethod
    def of(cls, path: Path, other: bool = False) -> Thing:
        scan = objects.load(path)
        seen = render.orbit_view(scan, *objects.VIEWS[0], objects.PIXELS, objects.FOV)
        picture = objects.pictured(scan, seen, path.stem)
        camera = picture.view(objects.FOV).camera
        alpha = matte.subject_alpha(picture, hybrid.NOWHERE, "")
        turn = np.diag([1.0, -1.0, -1.0]) @ seen.rotation.T
        return cls(path.stem, scan, View(camera, turn, seen.position, picture.rgb, alpha, path.stem), picture, other)

    other: bool = False

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self.name}{' other' * self.other}".encode()))

    def told(self, whose: str) -> Thing:
        """With the normals of a network, or with the true ones and an error."""
        if whose == "none":
            return self
        if whose == "included":
            return replace(self, view=facing(self.view, self.picture, MACHINE, JOB))
        true = np.nan_to_num(normals(self.scan.vertices, self.scan.faces, self.view))
        error = gaussian_filter(self.random.normal(size=true.shape), (SMOOTH_OVER, SMOOTH_OVER, 0))
        found = true + np.radians(float(whose)) * error / np.linalg.norm(error, axis=2).mean() * np.sqrt(1.5)
        found = np.where(true.any(axis=2, keepdims=True), found, 0.0)
        found /= np.maximum(np.linalg.norm(found, axis=2, keepdims=True), 1e-9)
        return replace(self, view=replace(self.view, normals=np.float32(found)))


def centred(thing: Thing) -> tuple[np.ndarray, np.ndarray, float]:
    """The scan's vertices in half sides about its middle; the middle, and half its longest side."""
    low, high = thing.scan.vertices.min(axis=0), thing.scan.vertices.max(axis=0)
    middle, half = (low + high) / 2.0, float((high - low).max()) / 2.0
    return (thing.scan.vertices - middle) / half, middle, half


def stretched(points: np.ndarray, thing: Thing) -> np.ndarray:
    factors = np.ones(3)
    factors[thing.random.integers(3)] = 1.0 / STRETCH if thing.other else STRETCH
    return points * factors


def bent(points: np.ndarray, thing: Thing) -> np.ndarray:
    along, second, third = np.argsort(-np.ptp(points, axis=0))
    found = points.copy()
    found[:, third if thing.other else second] += BEND * (-0.7 if thing.other else 1.0) * points[:, along] ** 2
    return found


def bulged(points: np.ndarray, thing: Thing) -> np.ndarray:
    random, (high, wide) = thing.random, BULGE
    there = points[random.integers(len(points))]
    near = np.exp(-((points - there) ** 2).sum(axis=1) / (2.0 * wide**2))
    return points + high * near[:, None] * there / max(float(np.linalg.norm(there)), 1e-6)


def blob(thing: Thing) -> Mesh:
    ball = trimesh.creation.icosphere(4)
    points, middle, half = centred(thing)
    return Mesh(np.float32(ball.vertices * np.ptp(points, axis=0) / 2.0 * half + middle), np.int32(ball.faces))


def made(thing: Thing) -> Mesh:
    """What the included generator makes of the picture, in the scan's axes."""
    camera = thing.view.camera
    case = objects.Case(thing.name, thing.picture, camera, np.zeros((0, 3)))
    mesh, _ = hybrid.timed(lambda: hybrid.made(hybrid.asked("included-generator", case)), case)
    turn = np.diag([1.0, -1.0, -1.0]) @ thing.view.rotation  # the mesh's camera looks along -z
    return Mesh(np.float32(mesh.vertices @ turn + thing.view.position), mesh.faces)


def deformed(thing: Thing, kind: str) -> Mesh:
    if kind in WHOLE:
        return WHOLE[kind](thing)
    points, middle, half = centred(thing)
    found = points if kind == "as it is" else SMOOTH[kind](points, thing)
    return Mesh(np.float32(found * half + middle), np.int32(thing.scan.faces))


SMOOTH = {"stretched": stretched, "bent": bent, "bulged": bulged}
WHOLE = {"blob": blob, "generated": made}
KINDS = (*SMOOTH, *WHOLE)


def opened_mesh(thing: Thing, mesh: Mesh, folder: Path, textured: bool = False) -> Found:
    """The mesh as it is read from a file."""
    path, scan = folder / "mesh.glb", thing.scan
    if textured:
        image = trimesh.visual.texture.SimpleMaterial(image=hybrid.Image.fromarray(scan.texture[..., :3]))
        uv = np.column_stack([scan.uv[:, 0], 1.0 - scan.uv[:, 1]])
        visual = trimesh.visual.TextureVisuals(uv, material=image)
        trimesh.Trimesh(mesh.vertices, mesh.faces, visual=visual, process=False).export(path)
    else:
        trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(path)
    return opened(path, 512)


def normals(vertices: np.ndarray, faces: np.ndarray, view: View) -> np.ndarray:
    """(H, W, 3) unit normals in the camera's axes, towards it; NaN where nothing is."""
    camera = view.camera
    rows, columns = np.indices((camera.height, camera.width)) + 0.5
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    rays = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
    solid = trimesh.Trimesh(vertices, faces, process=False)
    caster = RayMeshIntersector(solid)
    face = caster.intersects_first(np.tile(view.position, (len(rays), 1)), rays @ view.rotation)
    found = np.where(face[:, None] >= 0, solid.face_normals[face] @ view.rotation.T, np.nan)
    found *= -np.sign((found * rays).sum(axis=1, keepdims=True))
    return found.reshape(*rows.shape, 3)


def off(mesh: Mesh, view: View, thing: Thing) -> float:
    """Mean degrees between normals, where both things are."""
    own, true = normals(mesh.vertices, mesh.faces, view), normals(thing.scan.vertices, thing.scan.faces, thing.view)
    return float(np.nanmean(np.degrees(np.arccos(np.clip((own * true).sum(axis=2), -1.0, 1.0)))))


def told(mesh: Mesh, view: View, thing: Thing, clay: bool) -> list[float]:
    """IoU, normal, F@0.02, F@0.05, clay."""
    iou = silhouette_iou(mesh.vertices, mesh.faces, thing.view.mask >= 128, view, SIDE)
    scan = trimesh.Trimesh(thing.scan.vertices, thing.scan.faces, process=False)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    own, true = (np.asarray(trimesh.sample.sample_surface(each, POINTS, seed=1)[0]) for each in (solid, scan))
    target = objects.unit(true)
    place = objects.fitted(objects.unit(own), target)
    laid = trimesh.Trimesh(hybrid.like(solid.vertices, own, place), mesh.faces, process=False)
    unit = trimesh.Trimesh(hybrid.like(scan.vertices, true, target), scan.faces, process=False)
    tree, own_tree = objects.cKDTree(target), objects.cKDTree(place)
    there, back = tree.query(place)[0], own_tree.query(target)[0]
    f = [2.0 / (1.0 / max((there < d).mean(), 1e-9) + 1.0 / max((back < d).mean(), 1e-9)) for d in (0.02, 0.05)]
    return [iou, off(mesh, view, thing), *f, eye.clay(laid, unit) if clay else np.nan]


def measured(thing: Thing, kind: str, options: argparse.Namespace) -> list[float] | None:
    """Before, after, and seconds of a processor; None where it is refused."""
    folder = options.meshes
    found = opened_mesh(thing, deformed(thing, kind), folder)
    start = time.process_time()
    try:
        before, _ = refined.located(found, thing.view)
        mesh, view, _ = refined.shaped(found, thing.view, JOB)
    except Unable as error:
        print(f"{thing.name:24} {kind:10} refused: {error}", flush=True)
        return None
    seconds = time.process_time() - start
    for name, each in (("before", found.mesh), ("after", mesh)):
        write(Asset(each.with_normals(), (), False), folder / f"{thing.name} {kind} {name}.glb", thing.name)
    row = [*told(found.mesh, before, thing, options.clay), *told(mesh, view, thing, options.clay), seconds]
    print(f"{thing.name:24} {kind:10}", *(f"{value:7.3f}" for value in row), flush=True)
    return row


def table(rows: dict[str, list[list[float]]]) -> str:
    lines = ["| refined | things | IoU | normal | F@0.02 | F@0.05 | clay | CPU s |", "| --- " * 8 + "|"]
    for kind, each in rows.items():
        b = np.mean(each, axis=0)
        pairs = (f"{b[k]:.{d}f} > {b[k + 5]:.{d}f}" for k, d in enumerate((3, 1, 3, 3, 1)))
        lines.append(f"| {kind} | {len(each)} | {' | '.join(pairs)} | {b[-1]:.1f} |")
    return "\n".join(lines) + "\n"


def refused(things: list[Thing], options: argparse.Namespace) -> str:
    """How many right and wrong pairs are refused, by kind, without and with texture."""
    lines = ["| mesh | right pairs refused | wrong pairs refused |", "| --- | --- | --- |"]
    for kind, textured in itertools.product(options.kinds, (False, True)):
        if textured and kind in WHOLE:
            continue
        wrong, right = [], []
        for thing in things:
            found = opened_mesh(thing, deformed(thing, kind), options.meshes, textured)
            for other in things:
                no = is_refused(found, other.view)
                (right if other is thing else wrong).append(no)
                if no == (other is thing):
                    print(
                        f"{kind} {'with' if textured else 'without'} texture: {thing.name} as {other.name}", flush=True
                    )
        name = f"{kind}, {'with' if textured else 'without'} texture"
        lines.append(f"| {name} | {sum(right)} of {len(right)} | {sum(wrong)} of {len(wrong)} |")
    return "\n".join(lines) + "\n"


def is_refused(found: Found, view: View) -> bool:
    try:
        refined.located(found, view)
    except Unable:
        return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=5, help="only every n-th scan")
    parser.add_argument("--first", type=int, default=0, help="the scan to begin with")
    parser.add_argument("--of", nargs="*", default=[""], help="parts of the names of the scans that are wanted")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), help="what is refined")
    parser.add_argument("--normals", default="included", help="included, none, or degrees that true ones are off")
    parser.add_argument("--other", action="store_true", help="deformations on which nothing was set")
    parser.add_argument("--meshes", type=Path, required=True, help="a folder where the meshes are written")
    parser.add_argument("--clay", action="store_true", help="clay as well, which takes as long as all else")
    parser.add_argument("--pairs", action="store_true", help="right and wrong pairs alone")
    options = parser.parse_args()
    options.meshes.mkdir(parents=True, exist_ok=True)
    folder = objects.shared_folder() / "data" / "assets" / "ycb"
    paths = sorted(folder.glob("*.glb"))[options.first :: options.every]
    things = [Thing.of(path, options.other) for path in paths if any(part in path.name for part in options.of)]
    things = [thing.told(options.normals) for thing in things]
    if options.pairs:
        sys.stdout.write(refused(things, options))
        return
    rows: dict[str, list[list[float]]] = {}
    for kind, thing in itertools.product(options.kinds, things):
        if row := measured(thing, kind, options):
            rows.setdefault(kind, []).append(row)
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    main()
