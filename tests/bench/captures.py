# SPDX-License-Identifier: GPL-3.0-or-later
"""Photo sets as somebody takes them, through the worker's whole way: figures, and pictures beside the photos.

    python tests/bench/captures.py PHOTOS ... [--subject auto] [--preset balanced] [--weights FOLDER] [--out FOLDER]
                                   [--kept FOLDER] [--threads 1]

PHOTOS: a folder of them, or a list of cameras. Every eighth photo is held out; PSNR of these, of what was learned
(field) and of the textured mesh, where that covers the photo, and how much of it that is. Folders that room.py made
have the truth: F within 1 and 2 % of the thing's longest side, skin and clay of the thing alone as in photos.py, with
the hull beside it; of a place, precision and recall within .5, 1 and 2 cm of what two photos or more see in the
result's box, with the lower bar beside it: the points that the cameras were found by. OUT: meshes, and sheets of
photo, mesh with texture, and mesh in clay from the photo's own camera. KEPT: where found cameras are kept for the next
run.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import eye
import grid_field
import held_out
import numpy as np
import photos
import torch
import trimesh
from image_to_3d.worker.cameras.capture import TO_GLTF, Capture
from image_to_3d.worker.cameras.estimate import capture_of, registered
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.methods.multiview_fit import grid_result, grid_training
from image_to_3d.worker.methods.multiview_fit.grid_space import tensors_of
from image_to_3d.worker.methods.multiview_fit.mattes import cut_out
from image_to_3d.worker.pictures.gather import gather
from image_to_3d.worker.store.weights import WeightStore
from PIL import Image
from poses import job, similarity
from scipy.spatial import cKDTree

SHOWN, SIDE = 4, 640  # photos on a sheet, and the pixels of their longer side
NEAR = (0.005, 0.01, 0.02)  # metres
POINTS = 20_000
LENS = 35.0, 4 / 3  # of room.py's camera: millimetres on 36, and its picture's width over its height
REACH = 18.0 / LENS[0], 18.0 / LENS[0] / LENS[1]  # tangents of half of what it sees, across and up


def captured(chosen: Path, kept: Path | None) -> Capture:
    """The photos with their cameras, which are found only where they are not kept."""
    inputs, file = gather([chosen], job()), kept and kept / f"{chosen.parent.name}-{chosen.name}.npz"
    if file and file.exists():
        registration = Registration.from_arrays(np.load(file))
    else:
        registration = registered(inputs, job())
        if file:
            kept.mkdir(parents=True, exist_ok=True)
            np.savez(file, **registration.to_arrays())
    return capture_of(inputs, registration, job())


@dataclass(frozen=True, eq=False)
class Made:
    """asset: the mesh. learnt: what it was made of. field: PSNR of each held out view of what was learned. seconds: of
    the processor."""

    asset: Asset
    learnt: Capture
    held: tuple[View, ...]
    field: list[float]
    seconds: float


def made(capture: Capture, preset: str) -> Made:
    start, plan = time.process_time(), grid_training.PRESETS[preset]
    held = capture.views[:: held_out.HELD_OUT]
    views = tuple(view for number, view in enumerate(capture.views) if number % held_out.HELD_OUT)
    learnt = replace(capture, views=views)
    result = grid_training.train(learnt, plan, job(), held_out.CPU)
    asset = photos.meshed(learnt, result, preset)
    seconds, scores = time.process_time() - start, []
    for view, tensors in zip(held, tensors_of(held, plan.pixels, held_out.CPU)):
        seen = grid_result.picture(result.model, View(tensors.camera, view.rotation, view.position))
        scores.append(held_out.psnr(seen, held_out.on_white(tensors)))
    return Made(asset, learnt, held, scores, seconds)


def shown(made: Made, view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The photo (white where it is cut away), the mesh with texture and in clay (h, w, 3) uint8 from its camera, and
    where the mesh is (h, w)."""
    camera = view.camera.at_most(SIDE)
    size = camera.width, camera.height
    photo = np.asarray(Image.fromarray(view.rgb).resize(size, Image.Resampling.BOX))
    if view.mask is not None:
        share = np.asarray(Image.fromarray(view.mask).resize(size, Image.Resampling.BOX))[..., None] / 255.0
        photo = np.rint(photo * share + 255.0 * (1.0 - share)).astype(np.uint8)
    small = View(camera, view.rotation, view.position)
    shift = np.asarray(made.asset.cameras[0].position) - TO_GLTF @ made.learnt.views[0].position
    texture, clay = (grid_field.mesh_seen(made.asset, small, shift, textured) for textured in (True, False))
    return photo, texture, clay, (clay != 255).any(2)


def of_mesh(made: Made) -> str:
    """PSNR of held out photos where the mesh is or the photo shows the thing, and how much of the photos it covers."""
    scores, covers = [], []
    for view in made.held:
        photo, texture, _, there = shown(made, view)
        asked = there if view.mask is None else there | (photo != 255).any(2)
        scores.append(-10.0 * np.log10(np.square((photo[asked] / 255.0) - texture[asked] / 255.0).mean()))
        covers.append(there[asked if view.mask is not None else slice(None)].mean())
    return f"mesh {np.mean(scores):.2f} dB ({min(scores):.1f} to {max(scores):.1f}) over {100 * np.mean(covers):.0f} %"


def sheet(made: Made, path: Path) -> None:
    """Some photos, each above the mesh from its own camera with texture and in clay."""
    views = made.learnt.views[:: max(len(made.learnt.views) // SHOWN, 1)][:SHOWN]
    columns = [np.concatenate(shown(made, view)[:3]) for view in views]
    Image.fromarray(np.concatenate(columns, axis=1)).save(path)


def against_truth(made: Made, folder: Path) -> list[str]:
    """Lines of the mesh and of its lower bar against the truth."""
    truth = photos.Truth.of(folder)
    if not made.learnt.unbounded:
        meshes = photos.of_capture(made.asset, made.learnt), photos.hull(made.learnt)
        laid = [photos.laid(mesh, made.learnt, truth) for mesh in meshes]
        return [f"{name} F, skin, clay: {photos.told(mesh, truth)}" for name, mesh in zip(("thing", "hull"), laid)]
    found = photos.laid(photos.of_capture(made.asset, made.learnt), made.learnt, truth)
    seen = seen_twice(trimesh.load(folder / "room.glb", force="mesh"), truth, found.bounds)
    own = trimesh.sample.sample_surface(found, POINTS, seed=1)[0]
    names = [int(view.name) for view in made.learnt.views]
    right = truth.positions[names] @ photos.FROM_BLENDER.T
    lay = similarity(np.stack([TO_GLTF @ view.position for view in made.learnt.views]), right)
    sparse = lay(made.learnt.points @ TO_GLTF.T)
    sparse = sparse[((sparse > found.bounds[0]) & (sparse < found.bounds[1])).all(1)]
    told = [f"place, {scores(own, seen)}; skin {eye.skin(found):.1f}"]
    return told + ([f"points, {scores(sparse, seen)}"] if len(sparse) else [])


def seen_twice(room: trimesh.Trimesh, truth: photos.Truth, box: np.ndarray) -> np.ndarray:
    """Points on all that there is in a box (2, 3) which two cameras see."""
    points, faces = trimesh.sample.sample_surface(room, 100 * POINTS, seed=0)
    there = np.flatnonzero(((points > box[0] - NEAR[0]) & (points < box[1] + NEAR[0])).all(1))[: 4 * POINTS]
    points, faces = points[there], faces[there]
    caster, seen = trimesh.ray.ray_pyembree.RayMeshIntersector(room), np.zeros(len(points), int)
    for position, rotation in zip(truth.positions @ photos.FROM_BLENDER.T, truth.rotations @ photos.FROM_BLENDER.T):
        away = points - position
        x, y, z = rotation @ away.T
        inside = np.flatnonzero((z > 0.0) & (np.abs(x) < REACH[0] * z) & (np.abs(y) < REACH[1] * z))
        hit = caster.intersects_first(np.tile(position, (len(inside), 1)), away[inside])
        seen[inside] += hit == faces[inside]
    return points[seen >= 2]


def scores(own: np.ndarray, true: np.ndarray) -> str:
    there, back = cKDTree(true).query(own)[0], cKDTree(own).query(true)[0]
    said = [f"{(there < near).mean():.3f} / {(back < near).mean():.3f}" for near in NEAR]
    return f"precision / recall within .5, 1, 2 cm: {', '.join(said)}"


def main() -> None:
    """Some lines for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--subject", default="auto", choices=("auto", "object", "scene"))
    parser.add_argument("--preset", default="balanced", choices=tuple(grid_training.PRESETS))
    parser.add_argument("--weights", type=Path, default=Path("nowhere"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for chosen in options.photos:
        name = f"{(chosen if chosen.is_dir() else chosen.parent).name}-{options.subject}-{options.preset}"
        try:
            capture = captured(chosen, options.kept)
            capture = cut_out(capture, options.subject, WeightStore(options.weights), "photos")
            photos.tell(f"{name}: {'; '.join(capture.notes)}")
            whole = made(capture, options.preset)
        except Unable as error:
            photos.tell(f"{name}: {error}")
            continue
        worst, best = min(whole.field), max(whole.field)
        photos.tell(f"    {len(whole.held)} held out: field {np.mean(whole.field):.2f} dB ({worst:.1f} to {best:.1f})")
        photos.tell(f"    {of_mesh(whole)}; {len(whole.asset.mesh.faces)} faces; {whole.seconds:.0f} CPU s")
        folder = chosen if chosen.is_dir() else chosen.parent
        for line in against_truth(whole, folder) if (folder / "truth.glb").exists() else ():
            photos.tell(f"    {line}")
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            write(whole.asset, options.out / f"{name}.glb", name)
            sheet(whole, options.out / f"{name}.png")


if __name__ == "__main__":
    main()
