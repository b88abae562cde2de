# SPDX-License-Identifier: GPL-3.0-or-later
"""Many photos of a scanned thing to a mesh, against the scan: with its true cameras, and with none.

    python tests/bench/photograph.py THING.glb SETS/THING        (with bpy, once per thing)
    python tests/bench/photos.py SETS [--only THING ...] [--preset balanced] [--cameras given hidden shape]
                                      [--threads 2] [--out FOLDER]

shape: the true cameras of all pictures, the mesh as the product makes it, but no colours, which take many times longer;
beside it the same of the product's hull, and how near the scan comes to itself with other points. given: every eighth
picture is held out, and its PSNR is that of the field; the mesh is made of the others. hidden: the worker's whole way
from nothing but pictures; rotations are compared between all pairs of cameras. F is the harmonic mean of precision and
recall within .5, 1 and 2 % of the scan's longest side, of 20,000 points on each surface; the mesh is laid on the scan
by the cameras alone (Umeyama 1991), never by its own shape: by size, what is hollow would shrink to lie between a
scan's two sides. Skin in degrees and clay in dB as `eye` says. Deep: how far below its top the surface lies in the
middle, of the height, and how far it truly does. Processor seconds. "hull" is the same of the visual hull of the same
pictures and cameras: what silhouettes alone tell, which all that is learned must be better than.
OUT: meshes, and photos beside the meshes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import eye
import grid_field
import held_out
import numpy as np
import poses
import torch
import trimesh
from image_to_3d.worker.cameras.capture import TO_GLTF, Capture
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.finish.field import surface
from image_to_3d.worker.geometry.surface.isosurface import isosurface
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.multiview_fit import grid_result, grid_training, outlined
from image_to_3d.worker.methods.multiview_fit.grid_model import from_distance
from image_to_3d.worker.methods.multiview_fit.grid_result import rounded
from image_to_3d.worker.methods.multiview_fit.grid_space import Lattice, tensors_of
from image_to_3d.worker.methods.multiview_fit.training import Trained
from image_to_3d.worker.pipeline.select import settings
from PIL import Image
from scipy.ndimage import distance_transform_edt, map_coordinates

HULL_CELLS = 192  # along its longest side, a third of the limit each: finer changes nothing
SHOWN, SIDE = 4, 320  # photos on a sheet, and their pixels
MIDDLE = 0.2  # of the width, where it is asked how deep things are
FROM_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Blender's axes, in which the cameras are written down, to glTF's, which the scan has."""


@dataclass(frozen=True, eq=False)
class Truth:
    """rotations: (N, 3, 3) world to camera, OpenCV. positions: (N, 3), both in Blender's axes. scan: in glTF's."""

    rotations: np.ndarray
    positions: np.ndarray
    scan: trimesh.Trimesh

    @classmethod
    def of(cls, folder: Path) -> Truth:
        frames = json.loads((folder / "transforms.json").read_text())["frames"]
        poses = np.array([frame["transform_matrix"] for frame in frames])
        rotations = np.swapaxes(poses[:, :3, :3] @ np.diag([1.0, -1.0, -1.0]), 1, 2)
        return cls(rotations, poses[:, :3, 3], trimesh.load(folder / "truth.glb", force="mesh"))


def turned(capture: Capture, truth: Truth) -> str:
    """Median and largest error in degrees of the rotations between pairs of cameras."""
    right = truth.rotations[[int(view.name) for view in capture.views]]
    return poses.turned(np.stack([view.rotation for view in capture.views]), right)


def of_capture(asset: Asset, capture: Capture) -> trimesh.Trimesh:
    """The asset's mesh, which was moved but not scaled since the capture, where the capture has it, in glTF's axes."""
    moved = asset.cameras[0].position - TO_GLTF @ capture.views[0].position
    return trimesh.Trimesh(asset.mesh.vertices - moved, asset.mesh.faces)


def hull(capture: Capture) -> trimesh.Trimesh:
    """The visual hull of the capture's masks, in glTF's axes: the lower bar of all that is learned from them."""
    masks = [view.mask >= 128 for view in capture.views]
    distances = [distance_transform_edt(mask) - distance_transform_edt(~mask) for mask in masks]

    def inside(points: np.ndarray) -> np.ndarray:
        least = np.full(len(points), 1.0, np.float32)
        for view, distance in zip(capture.views, distances):
            x, y, z = view.rotation @ (points - view.position).T
            row, column = (y / z * view.camera.fy + view.camera.cy, x / z * view.camera.fx + view.camera.cx)
            seen = map_coordinates(distance, [row - 0.5, column - 0.5], np.float32, order=1, mode="nearest")
            least = np.minimum(least, seen * z.astype(np.float32) / np.float32(view.camera.fx))
        return least

    found = isosurface(inside, capture.bounds, HULL_CELLS, lambda *_: None)
    return trimesh.Trimesh(found.vertices @ TO_GLTF.T, found.faces)


def laid(mesh: trimesh.Trimesh, capture: Capture, truth: Truth) -> trimesh.Trimesh:
    """A mesh in the capture's world and glTF's axes on the scan, by the cameras alone."""
    found = np.stack([TO_GLTF @ view.position for view in capture.views])
    right = truth.positions[[int(view.name) for view in capture.views]] @ FROM_BLENDER.T
    return trimesh.Trimesh(poses.similarity(found, right)(mesh.vertices), mesh.faces, process=False)


def told(mesh: trimesh.Trimesh, truth: Truth) -> str:
    """The columns of a mesh that lies on the scan."""
    near = " ".join(f"{score:.3f}" for score in eye.near(mesh, truth.scan))
    deep = " ".join(f"{deep_in_the_middle(each, truth.scan):.2f}" for each in (mesh, truth.scan))
    return f"{near} | {eye.skin(mesh):.1f} | {eye.clay(mesh, truth.scan):.1f} | {deep}"


def deep_in_the_middle(mesh: trimesh.Trimesh, scan: trimesh.Trimesh) -> float:
    """How far below the scan's top a mesh's surface lies in its middle, of its height: the median of rays down."""
    low, high = scan.bounds
    steps = np.linspace(-0.5, 0.5, 21) * MIDDLE
    across = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) * (high - low)[[0, 2]] + (low + high)[[0, 2]] / 2.0
    starts = np.insert(across, 1, high[1] + (high - low)[1], axis=1)
    caster = trimesh.ray.ray_pyembree.RayMeshIntersector(mesh)
    hits, _, _ = caster.intersects_location(starts, np.tile((0.0, -1.0, 0.0), (len(starts), 1)), multiple_hits=False)
    return float(np.median(high[1] - hits[:, 1]) / (high - low)[1]) if len(hits) else np.nan


def shaped(folder: Path, preset: str, out: Path | None) -> str:
    """Lines of the shape and of the hull of all pictures with their true cameras, as the product makes them meshes."""
    start, truth, capture = time.process_time(), Truth.of(folder), held_out.captured(folder / "transforms.json")
    plan = grid_training.PRESETS[preset]
    lattice = Lattice.over(capture.bounds, plan.outlined.cells)
    hull, shape = outlined.outlined_shape(capture, plan.pixels, lattice, poses.job())
    seconds, rows = f"{time.process_time() - start:.0f}", []
    options = settings(with_network("photos")[0], preset, {"size": 0.0}).finish
    for name, distance, said in (("shape", shape, seconds), ("hull", hull, "")):
        field = grid_result.field(rounded(from_distance(distance, lattice, held_out.CPU)), capture.views)
        made = surface(field, options, poses.job().span(0.0, 1.0))
        mesh = laid(trimesh.Trimesh(made.vertices, made.faces, process=False), capture, truth)
        rows.append(f"| {folder.name} | {name} | {told(mesh, truth)} | {len(mesh.faces)} faces | {said} |")
        if out:
            mesh.export(out / f"{folder.name}-{name}.glb")
    limit = " ".join(f"{score:.3f}" for score in eye.near(truth.scan, truth.scan))
    return "\n".join((*rows, f"| {folder.name} | scan | {limit} | {eye.skin(truth.scan):.1f} | | | | |"))


def meshed(capture: Capture, result: Trained, preset: str) -> Asset:
    """The textured mesh, as the product makes it with this preset, of the capture's size."""
    options = settings(with_network("photos")[0], preset, {"size": 0.0}).finish
    return grid_field.asset_of(capture, result, options)


def given(folder: Path, preset: str) -> tuple[Asset, Capture, str]:
    """The mesh of seven of eight pictures with their true cameras, and the PSNR of the eighth."""
    whole = held_out.captured(folder / "transforms.json")
    views = tuple(view for number, view in enumerate(whole.views) if number % held_out.HELD_OUT)
    capture, held = replace(whole, views=views), whole.views[:: held_out.HELD_OUT]
    plan = grid_training.PRESETS[preset]
    result = grid_training.train(capture, plan, poses.job(), held_out.CPU)
    scores = []
    for view, tensors in zip(held, tensors_of(held, plan.pixels, held_out.CPU)):
        seen = grid_result.picture(result.model, View(tensors.camera, view.rotation, view.position))
        scores.append(held_out.psnr(seen, held_out.on_white(tensors)))
    return (
        meshed(capture, result, preset),
        capture,
        f"held out {np.mean(scores):.2f} dB ({min(scores):.1f} to {max(scores):.1f})",
    )


def hidden(folder: Path, preset: str, truth: Truth) -> tuple[Asset, Capture, str]:
    """The mesh of pictures whose cameras nobody tells. Raises Unable where they cannot be found."""
    pictures = sorted(folder.glob("*.png"))
    capture = held_out.captured(*pictures)
    said = f"{len(capture.views)} of {len(pictures)} placed, {turned(capture, truth)} degrees"
    tell(f"    {'; '.join(capture.notes)}")
    result = grid_training.train(capture, grid_training.PRESETS[preset], poses.job(), held_out.CPU)
    return meshed(capture, result, preset), capture, said


def sheet(asset: Asset, capture: Capture, path: Path) -> None:
    """Some of the photos above the mesh from the same places, with its texture and without."""
    shift = np.asarray(asset.cameras[0].position) - TO_GLTF @ capture.views[0].position
    columns = []
    for view in capture.views[:: max(len(capture.views) // SHOWN, 1)][:SHOWN]:
        photo = np.asarray(Image.fromarray(view.rgb).resize((SIDE, SIDE)))
        if view.mask is not None:
            photo = np.where(np.asarray(Image.fromarray(view.mask).resize((SIDE, SIDE)))[..., None] < 128, 255, photo)
        view = View(view.camera.scaled(SIDE, SIDE), view.rotation, view.position)
        seen = (grid_field.mesh_seen(asset, view, shift, textured) for textured in (True, False))
        columns.append(np.concatenate([photo.astype(np.uint8), *seen]))
    Image.fromarray(np.concatenate(columns, axis=1)).save(path)


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """One line for each thing and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--preset", default="balanced", choices=tuple(grid_training.PRESETS))
    parser.add_argument("--cameras", nargs="+", default=["given", "hidden"], choices=["given", "hidden", "shape"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    tell("| thing | cameras | F, .5, 1, 2 % | skin | clay | deep, truly | | CPU s |")
    tell("|---" * 8 + "|")
    names = options.only or sorted(path.parent.name for path in options.sets.glob("*/transforms.json"))
    for name in names:
        folder = options.sets / name
        truth = Truth.of(folder)
        for way in options.cameras:
            start = time.process_time()
            if way == "shape":
                tell(shaped(folder, options.preset, options.out))
                continue
            try:
                made = given(folder, options.preset) if way == "given" else hidden(folder, options.preset, truth)
            except Unable as error:
                tell(f"| {name} | {way} | {error} |")
                continue
            asset, capture, said = made
            seconds, faces = time.process_time() - start, len(asset.mesh.faces)
            found, bar = (laid(mesh, capture, truth) for mesh in (of_capture(asset, capture), hull(capture)))
            tell(f"| {name} | {way} | {told(found, truth)} | {said}; {faces} faces | {seconds:.0f} |")
            tell(f"| {name} | hull | {told(bar, truth)} | | |")
            if options.out:
                write(asset, options.out / f"{name}-{way}.glb", name)
                sheet(asset, capture, options.out / f"{name}-{way}.png")


if __name__ == "__main__":
    main()
