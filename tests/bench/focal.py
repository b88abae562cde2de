# SPDX-License-Identifier: GPL-3.0-or-later
"""What cameras are found of pictures that say nothing of theirs: how many, how wrong, and whether that is told.

    python tests/bench/focal.py [--sets FOLDER_OF_SETS] [--only plane mustard ...]

SETS holds folders as photograph.py makes them, here 004_sugar_box, 006_mustard_bottle, 010_can, 065-a_cups and
072-b_airplane; cameras are hidden. Also boxes that are painted by chance, of several fields of view, and parts of
temple, dino and Sceaux castle (see poses.py), and of lego. One line for each: how many pictures were placed, the true
field of view and the one found in degrees, the focal length's error, by how much the reprojection error grows with
other focal lengths, whether a doubt of the field of view was told, and one that sides look alike; median and largest
error of the rotations between the cameras, in degrees.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import checkout  # noqa: F401  first: it names the package
import numpy as np
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.readers import middlebury
from image_to_3d.worker.cameras.sfm import focal, reconstruct
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures.gather import gather
from image_to_3d.worker.pictures.load import Picture, load
from poses import data, turned

Taken = tuple[list[Picture], float, np.ndarray | None]
"""Pictures, their true focal length in longer sides, and their rotations (N, 3, 3) as in View, where they are known."""

QUIET = Job(lambda *_: None)


def listed(folder: Path, count: int = 0, heading: float = 0.0, height: float = 0.0) -> Taken:
    """All pictures of a transforms.json, or the `count` that were taken from nearest to a direction, in degrees."""
    content = json.loads((folder / "transforms.json").read_text())
    frames = content["frames"]
    places = np.array([frame["transform_matrix"] for frame in frames])[:, :3, 3]
    yaw, pitch = math.radians(heading), math.radians(height)
    towards = np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    near = np.argsort(-(places / np.linalg.norm(places, axis=1, keepdims=True)) @ towards)
    chosen = sorted(near[: count or len(frames)].tolist())
    pictures = [load((folder / frames[k]["file_path"]).with_suffix(".png")) for k in chosen]
    matrices = np.array([frames[k]["transform_matrix"] for k in chosen])[:, :3, :3]
    rotations = (matrices * (1.0, -1.0, -1.0)).transpose(0, 2, 1)
    return pictures, 0.5 / math.tan(content["camera_angle_x"] / 2.0), rotations


def box(fov: float, count: int = 12, degrees: float = 360.0, seed: int = 0, size: int = 480) -> Taken:
    away = 2.6 * math.tan(math.radians(20.0)) / math.tan(math.radians(fov / 2.0))  # as large in the picture each time
    views, shape = scene.ring(count, degrees, 25.0, size, fov, away), scene.painted_box(seed)
    pictures = [scene.photo(shape, view, f"{k}", True) for k, view in enumerate(views)]
    return pictures, 0.5 / math.tan(math.radians(fov / 2.0)), np.stack([view.rotation for view in views])


def calibrated(folder: str, truth: str, files: str, some: slice = slice(None)) -> Taken:
    pictures = [load(path) for path in sorted((data() / folder).glob(files))]
    cameras = {Path(name).stem: camera for name, camera in middlebury.cameras(data() / folder / truth).items()}
    rotations = np.stack([cameras[picture.name][1] for picture in pictures])
    lens = next(iter(cameras.values()))[0]
    return pictures[some], float(np.asarray(lens)[0, 0]) / max(pictures[0].rgb.shape[:2]), rotations[some]


def sceaux(some: slice = slice(None)) -> Taken:
    files = sorted((data() / "sceaux_castle").glob("*.JPG"))
    focal_length = float(np.loadtxt(data() / "sceaux_castle/K.txt")[0, 0]) / 2832
    return list(gather(files, QUIET).pictures)[some], focal_length, None


def cases(sets: Path) -> dict[str, Callable[[], Taken]]:
    """By name, what reads or renders a set."""
    names = {"sugar": "004_sugar_box", "mustard": "006_mustard_bottle", "can": "010_can"}
    names |= {"cups": "065-a_cups", "plane": "072-b_airplane"}
    parts = (
        "sugar mustard can plane cups; sugar 10 0 20; sugar 10 180 0; sugar 6 0 20; mustard 10 0 20; mustard 8 90 30;"
    )
    parts += (
        "mustard 8 180 10; mustard 6 0 20; can 10 90 20; can 10 270 40; can 6 90 20; plane 10 0 40; plane 10 90 30;"
    )
    parts += "plane 10 180 20; plane 6 0 40; cups 10 0 30"
    whole, *some = [part.split() for part in parts.split(";")]
    found = {name: lambda name=name: listed(sets / names[name]) for name in whole}
    for name, *where in some:
        found[" ".join([name, *where])] = lambda name=name, where=where: listed(
            sets / names[name], int(where[0]), *map(float, where[1:])
        )
    boxes = [(20,), (40,), (70,), (10,), (40, 6, 60), (20, 6, 60), (70, 6, 60), (40, 5, 30), (60, 8, 200)]
    boxes += [(8, 6, 40, 1, 320), (5, 8, 90, 2, 320), (12, 5, 25, 3, 320), (30, 4, 20, 4, 240)]
    found |= {f"box {' '.join(map(str, each))}": lambda each=each: box(*each) for each in boxes}
    for name, some in (("temple", slice(None)), ("temple first 8", slice(8)), ("temple 5 to 10", slice(5, 10))):
        found[name] = lambda some=some: calibrated("temple_ring_19", "templeR_par.txt", "*.png", some)
    for name, some in (("dino", slice(None)), ("dino first 8", slice(8))):
        found[name] = lambda some=some: calibrated("dino_sparse_ring", "dinoSR_par.txt", "*.png", some)
    found |= {"sceaux": sceaux, "sceaux 3 to 8": lambda: sceaux(slice(3, 8))}
    found["lego"] = lambda: (lambda taken: (taken[0][:48:2], taken[1], taken[2][:48:2]))(listed(data() / "lego"))
    return found


def line(name: str, pictures: Sequence[Picture], true: float, rotations: np.ndarray | None) -> str:
    grown = []
    usual = focal.growth
    focal.growth = lambda *asked: grown.append(usual(*asked)) or grown[-1]
    try:
        found = reconstruct.registered(pictures, False, QUIET, 1)
    except Unable as error:
        return f"| {name} | none of {len(pictures)} | | | | {error} |"
    finally:
        focal.growth = usual
    told = [any(words in note for note in found.notes) for words in ("field of view", "looks alike")]
    turns = "" if rotations is None else turned(found.rotations, rotations[list(found.pictures)])
    degrees = [math.degrees(2.0 * math.atan(0.5 / each)) for each in (true, found.focal)]
    error = 100.0 * (found.focal / true - 1.0)
    placed = f"{len(found.pictures)} of {len(pictures)}"
    fields = name, placed, *(f"{each:.1f}" for each in degrees), f"{error:+.1f} %", f"{grown[0]:.3f}", *told, turns
    return f"| {' | '.join(map(str, fields))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, default=Path("sets"))
    parser.add_argument("--only", nargs="+", default=[""], help="words with which names begin")
    wanted = parser.parse_args()
    for name, take in cases(wanted.sets).items():
        if name.startswith(tuple(wanted.only)):
            print(line(name, *take()), flush=True)


if __name__ == "__main__":
    main()
