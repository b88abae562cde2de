# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras of real pictures: how many are found, how well they fit, how far from the calibration they are, how long.

    python tests/bench/poses.py [--only temple sceaux dino known lego] [--threads 2]

temple (19 photos) and dino (16) are Middlebury's, whose calibration is the truth; sceaux (11) has none. `known` are
those with their calibration, lego (50 renders) comes with a transforms.json. Rotations are compared between all
pairs of found cameras, so that nothing is aligned; positions after the similarity that fits them best, in longest sides
of the thing's box. The data are looked up in the folder that IMAGE_TO_3D_SHARED names, else in `shared` beside the
checkout.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import checkout  # first: it names the package
import numpy as np
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.cameras.estimate import capture_of, registered
from image_to_3d.worker.cameras.readers import middlebury
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures.gather import Inputs, gather


@dataclass(frozen=True)
class Case:
    """A set of pictures: its folder, which files, and the calibration to compare with, if there is one."""

    name: str
    folder: str
    files: str
    truth: str | None = None


UNKNOWN = (
    Case("temple", "temple_ring_19", "*.png", "templeR_par.txt"),
    Case("sceaux", "sceaux_castle", "*.JPG"),
    Case("dino", "dino_sparse_ring", "*.png", "dinoSR_par.txt"),
)


def job() -> Job:
    return Job(lambda *_: None)


def data() -> Path:
    """The folder of the picture sets. Raises SystemExit with a reason when it is not here."""
    shared = Path(os.environ.get("IMAGE_TO_3D_SHARED", checkout.ROOT.parent / "shared"))
    if not (shared / "data" / "multiview").is_dir():
        raise SystemExit(f"no picture sets in {shared}: set IMAGE_TO_3D_SHARED to the folder that holds data")
    return shared / "data" / "multiview"


def errors(capture: Capture, truth: Path) -> str:
    """Median and largest error of the rotations between cameras in degrees, and of the positions in thing sizes."""
    true = {
        Path(name).stem: (rotation, position) for name, (_, rotation, position) in middlebury.cameras(truth).items()
    }
    found = np.stack([view.rotation for view in capture.views])
    right = np.stack([true[view.name][0] for view in capture.views])
    positions = np.stack([view.position for view in capture.views])
    calibrated = np.stack([true[view.name][1] for view in capture.views])
    miss = similarity(calibrated, positions)(calibrated) - positions
    distance = np.linalg.norm(miss, axis=1)
    return f"{turned(found, right)} degrees, {np.median(distance):.3f} / {distance.max():.3f} long sides"


def turned(found: np.ndarray, right: np.ndarray) -> str:
    """Median and largest error in degrees of the rotations (N, 3, 3) between pairs of cameras."""
    turn = np.einsum("iab,jcb->ijac", found, found) @ np.einsum("iab,jcb->ijca", right, right)
    angle = np.degrees(np.arccos(np.clip((np.trace(turn, axis1=2, axis2=3) - 1) / 2, -1, 1)))
    angle = angle[~np.eye(len(angle), dtype=bool)]
    return f"{np.median(angle):.2f} / {angle.max():.2f}"


def similarity(source: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Moves points (N, 3) as source (M, 3) must be moved to come nearest to target (M, 3) (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    left, sizes, right = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = (sizes * sign).sum() / (a**2).sum()
    return lambda points: scale * (points - source.mean(0)) @ (left * sign @ right).T + target.mean(0)


def captured(inputs: Inputs, threads: int) -> Capture:
    return capture_of(inputs, registered(inputs, job(), threads), job())


def told(name: str, make: Callable[[], Capture], truth: Path | None) -> None:
    """Prints what came of a set."""
    start = time.monotonic()
    try:
        capture = make()
    except Unable as error:
        print(f"{name}: {error} ({time.monotonic() - start:.0f} s)")
        return
    size = " x ".join(f"{side:.2f}" for side in np.ptp(capture.bounds, axis=0))
    print(f"{name}: {'; '.join(capture.notes)}; {time.monotonic() - start:.0f} s")
    kind = "with more around it" if capture.unbounded else "alone"
    focal = np.median([view.camera.fx for view in capture.views])
    print(f"    box {size}, {kind}; focal length {focal:.0f} px; up to 5 cameras at", end=" ")
    print(*(f"({x:.1f} {y:.1f} {z:.1f})" for x, y, z in (view.position for view in capture.views[:5])))
    if truth is not None:
        print(f"    from the calibration, median / largest: {errors(capture, truth)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="cameras of real pictures against their calibration")
    parser.add_argument("--only", nargs="+", default=["temple", "sceaux", "dino", "known", "lego"])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    folder = data()
    for case in UNKNOWN:
        if case.name in arguments.only:
            inputs = gather(sorted((folder / case.folder).glob(case.files)), job())
            truth = folder / case.folder / case.truth if case.truth else None
            told(case.name, lambda i=inputs: captured(i, arguments.threads), truth)
    for case in UNKNOWN:
        if case.truth and "known" in arguments.only:
            truth = folder / case.folder / case.truth
            told(
                f"{case.name}, cameras known", lambda t=truth: captured(Inputs((), cameras=t), arguments.threads), truth
            )
    if "lego" in arguments.only:
        lego = Inputs((), cameras=folder / "lego" / "transforms.json")
        told("lego", lambda: captured(lego, arguments.threads), None)


if __name__ == "__main__":
    main()
