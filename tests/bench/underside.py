# SPDX-License-Identifier: GPL-3.0-or-later
"""What rounds of `improve` do to a thing of which eight photos show no underside, round by round, against the truth.

    python tests/bench/underside.py FOLDER THING.glb ... [--photos 8] [--pitch 25] [--preset fast] [--rounds 2]
                                                         [--repainter included oracle0.1]

Photos of YCB's scans (or others) are rendered without shading, from all around and `pitch` degrees above, with their
cameras beside them; round 0 is the program's own mesh of them (`generate --model photos --preset fast`), with the
texture that `improve` begins with. The photos' places before it are found as `improve` finds them (cameras_off: how far
from the true ones, of the distance of the ring; beside it as outlines alone tell); by these cameras the scan is laid on
it. Scores as in improve.py; below: PSNR of five views from below, where either thing is, and inside;
imagined: the share of the surface that is marked as seen by no photo. Prints a line of JSON for each round. FOLDER
keeps photos and meshes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import checkout
import improve
import numpy as np
import objects
import poses
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish import improved
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.finish.refined import Found, located, located_among, opened, painted
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.pictures.load import load
from image_to_3d.worker.pipeline.refine import seen
from image_to_3d.worker.pipeline.request import Machine
from image_to_3d.worker.store.weights import WeightStore
from PIL import Image

BELOW = [(yaw, -50.0) for yaw in (0.0, 90.0, 180.0, 270.0)] + [(0.0, -88.0)]
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""glTF's axes to those of transforms.json, in which +Z is up."""

TEXTURE = 1024


def photographed(shape: objects.render.Shape, folder: Path, count: int, pitch: float) -> np.ndarray:
    """Writes the photos and their cameras; the cameras' positions (count, 3) in the scan's axes."""
    folder.mkdir(parents=True, exist_ok=True)
    frames, found = [], []
    for number in range(count):
        view = objects.render.orbit_view(shape, 360.0 * number / count, pitch, objects.PIXELS, objects.FOV)
        colour = objects.render.render(shape, view, (0, 0, 0), samples=2).colour
        alpha = np.where(np.isfinite(objects.render.render(shape, view).depth), 255, 0).astype(np.uint8)
        Image.fromarray(np.dstack([colour, alpha])).save(folder / f"{number:03}.png")
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = UPRIGHT @ view.rotation, UPRIGHT @ view.position
        frames.append({"file_path": f"{number:03}.png", "transform_matrix": pose.tolist()})
        found.append(view.position)
    angle = float(np.radians(objects.FOV))
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": angle, "frames": frames}))
    return np.array(found)


def began(folder: Path, photos: Path) -> Path:
    """The program's own mesh of the photos, made once."""
    path = folder / "start.glb"
    if not path.exists():
        command = [sys.executable, "-m", "worker", "generate", photos, "-o", path, "--model", "photos"]
        subprocess.run([*command, "--preset", "fast", "--included", "--no-cache"], cwd=checkout.ROOT, check=True)
    return path


def seen_in(photos: Path) -> list[View]:
    machine = Machine(WeightStore(Path("none")), Path("none"), "cpu")
    return [seen(load(path, lambda: None), machine) for path in sorted(photos.glob("*.png"))]


def by_outline(found: Found, view: View) -> np.ndarray:
    """Where a photo was taken as its outline alone tells: the lower bar; nowhere where that is refused."""
    try:
        return located(found, view)[0].position
    except Unable:
        return np.full(3, np.nan)


def trial(path: Path, folder: Path, options: argparse.Namespace) -> improve.Trial:
    shape = objects.load(path)
    positions = photographed(shape, folder / "photos", options.photos, options.pitch)
    found = opened(began(folder, folder / "photos"), TEXTURE)
    views = seen_in(folder / "photos")
    photos = tuple(located_among(found, view) for view in views)
    there = np.stack([photo.position for photo in photos])
    move = poses.similarity(positions, there)
    alone = np.stack([by_outline(found, view) for view in views])
    away = np.linalg.norm(there - there.mean(axis=0), axis=1).mean()
    off, off_alone = (np.linalg.norm(move(positions) - each, axis=1) / away for each in (there, alone))
    row = {"cameras_off": off.round(3).tolist(), "by_outline_alone": off_alone.round(3).tolist()}
    print(json.dumps({"thing": path.stem, **row}), flush=True)
    truth = Mesh(
        np.float32(move(shape.vertices)),
        shape.faces.astype(np.int32),
        np.float32(shape.uv),
        None,
        np.ascontiguousarray(shape.texture[..., :3]),
    )
    start = painted(found.mesh.with_normals(), found, photos[0], TEXTURE, improve.JOB.span(0.0, 1.0))
    return improve.Trial(path.stem, start, photos, truth, move(objects.outside_points(shape, 0)))


def told(case: improve.Trial, name: str, number: int, score: improve.Score, mesh: Mesh, folder: Path) -> None:
    behind, marked = improved.plain(case.photos), improved.finished(mesh, case.photos).mesh
    below = improve.texture(mesh, case.truth, behind, BELOW)
    imagined = float(marked.unseen[marked.faces].mean(axis=1) @ marked.face_areas() / marked.face_areas().sum())
    row = {**asdict(score), "below": below[0], "below_inside": below[1], "imagined": imagined}
    rounded = {key: round(float(value), 3) for key, value in row.items()}
    print(json.dumps({"thing": case.name, "repainter": name, "round": number, **rounded}), flush=True)
    write(Asset(marked, (), False), folder / f"{name}-{number}.glb", case.name)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("things", type=Path, nargs="+")
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--pitch", type=float, default=25.0)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repainter", nargs="*", default=["included", "oracle0.1"])
    options = parser.parse_args()
    for path in options.things:
        one(path, options.folder.absolute() / path.stem, options)


def one(path: Path, folder: Path, options: argparse.Namespace) -> None:
    case = trial(path, folder, options)
    write(Asset(case.truth, (), False), folder / "truth.glb", path.stem)
    told(case, "none", 0, improve.scored(case, case.start, 0.0), case.start, folder)
    for name in options.repainter:
        plans = improved.plans(options.preset, options.rounds)
        improve.measured(case, name, plans, lambda n, score, mesh, name=name: told(case, name, n, score, mesh, folder))


if __name__ == "__main__":
    main()
