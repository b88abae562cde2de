# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing from sides that its one photo does not show, against the truth.

    python tests/bench/views.py --rows ROWS.jsonl [--every N] [--angles 1] [--only NAME ...] [--sheets FOLDER]

YCB's scans as in objects.py, without shading, so that there is one true texture. Views are those 45, 90, 135 and 180
degrees to either side of the photo's place, as high as that, before the colour that its photo has least of. Of each:
PSNR and SSIM where the thing or the scan is, IoU of the outlines, and how far the depth is off where both are, of the
scan's longest side. What is compared are renders of the finished asset of each network; the bar that knows no shape is
the photo itself, mirrored from behind. Each method of a case is one line of ROWS, with the mean of its views for each
turn; what stands there already is not measured again. SHEETS: a picture of each case, the truth on top.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
import objects
import rows
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish import improved
from image_to_3d.worker.geometry.around import looking
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.seen import Seen, pictured
from improve import Trial
from PIL import Image
from skimage.metrics import structural_similarity

TURNS = (45, -45, 90, -90, 135, -135, 180)
NETWORKS = ("included-generator", "included-object", "views-included")
PHOTO = "the photo, mirrored"
SIDE = 192

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Of a view: colours (H, W, 3) in [0, 1], where the thing is (H, W), and its depth (H, W), None where there is none."""


def in_world(trial: Trial, shape: Mesh) -> Mesh:
    """The trial's asset in the scan's own axes, in which +Y is up: the truth's corners tell the way there."""
    there = np.column_stack([trial.truth.vertices, np.ones(len(trial.truth.vertices))])
    way = np.linalg.lstsq(there, shape.vertices, rcond=None)[0]
    placed = np.column_stack([trial.start.vertices, np.ones(len(trial.start.vertices))]) @ way
    return replace(trial.start, vertices=np.float32(placed), normals=None)


def drawn(mesh: Mesh, view: View, behind: np.ndarray) -> Drawn:
    rgb, share = pictured(mesh, view, behind)
    return rgb / np.float32(255.0), share >= 128, Seen.of(mesh, view).depths


def mirrored(photo: Drawn, turn: int) -> Drawn:
    """What the photo shows, from behind mirrored."""
    return tuple(each if abs(turn) <= 90 else each[:, ::-1] for each in photo[:2]) + (None,)


def compared(own: Drawn, true: Drawn, size: float) -> dict[str, float]:
    either, both = own[1] | true[1], own[1] & true[1]
    error = np.square(own[0] - true[0]).mean(axis=2)[either].mean()
    alike = structural_similarity(own[0], true[0], channel_axis=2, data_range=1.0, full=True)[1].mean(axis=2)
    off = np.nan
    if own[2] is not None:
        there = both & np.isfinite(own[2]) & np.isfinite(true[2])
        off = float(np.abs(own[2][there] - true[2][there]).mean() / size) if there.any() else np.nan
    return {
        "psnr": float(-10.0 * np.log10(max(error, 1e-9))),
        "ssim": float(alike[either].mean()),
        "iou": float(both.sum() / max(either.sum(), 1)),
        "depth": off,
    }


def means(found: dict[int, dict[str, float]]) -> dict[str, float]:
    """By `psnr 45` and the like, of both sides."""
    names = next(iter(found.values()))
    sides = {side: [values for turn, values in found.items() if abs(turn) == side] for side in (45, 90, 135, 180)}
    return {f"{name} {side}": float(np.mean([v[name] for v in of])) for side, of in sides.items() for name in names}


def measured(path: Path, number: int, options: argparse.Namespace, done: set[tuple[str, str]]) -> Iterator[dict]:
    """The rows of a case that are wanted and not yet done."""
    case, pictures = f"{path.stem} {number}", {}
    yaw, pitch = objects.VIEWS[number]
    wanted = [name for name in (*NETWORKS, PHOTO) if name in options.only and (case, name) not in done]
    truth = None
    for network in wanted:
        start = time.process_time()
        trial = Trial.of(path, number, NETWORKS[0] if network == PHOTO else network)
        seconds = time.process_time() - start
        if truth is None:
            shape = objects.load(path)
            truth = replace(trial.truth, vertices=np.float32(shape.vertices))
            behind = improved.plain([trial.photo])
            places = {turn: looking(truth, yaw + turn, pitch, SIDE) for turn in (0, *TURNS)}
            true = {turn: drawn(truth, place, behind) for turn, place in places.items()}
            pictures["truth"] = true
        mesh = in_world(trial, shape)
        if network == PHOTO:
            own = {turn: mirrored(true[0], turn) for turn in TURNS}
        else:
            own = {turn: drawn(mesh, place, behind) for turn, place in places.items()}
        size = float(np.ptp(truth.vertices, axis=0).max())
        pictures[network] = own
        scores = means({turn: compared(own[turn], true[turn], size) for turn in TURNS})
        yield {"case": case, "method": network, "seconds": round(seconds, 1), **scores}
    if options.sheets and pictures:
        sheet(pictures, options.sheets / f"{case}.png")


def sheet(pictures: dict[str, dict[int, Drawn]], path: Path) -> None:
    """The rows of a case below each other, from -180 to 180 degrees."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turns, blank = sorted((0, *TURNS)), np.zeros((SIDE, SIDE, 3), np.float32)
    rows = [np.hstack([of[turn][0] if turn in of else blank for turn in turns]) for of in pictures.values()]
    Image.fromarray(np.uint8(np.rint(255.0 * np.clip(np.vstack(rows), 0.0, 1.0)))).save(path)


def table(rows: list[dict]) -> str:
    """Each method's means."""
    columns = [f"{name} {side}" for name in ("psnr", "ssim", "iou", "depth") for side in (45, 90, 135, 180)]
    lines = [f"| method | views | {' | '.join(columns)} | s |", "| --- " * (3 + len(columns)) + "|"]
    for name in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == name]
        told = (f"{np.mean([row[key] for row in own]):.{2 if 'psnr' in key else 3}f}" for key in columns)
        lines.append(f"| {name} | {len(own)} | {' | '.join(told)} | {np.mean([row['seconds'] for row in own]):.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is asked for and missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="a line for each method of a case: grows")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--angles", type=int, default=1, help="photos of each thing, 1 or 2")
    parser.add_argument("--only", nargs="+", default=[*NETWORKS, PHOTO], help="methods")
    parser.add_argument("--sheets", type=Path, help="a folder for a picture of each case")
    options = parser.parse_args()
    found = rows.read(options.rows)
    done = {(row["case"], row["method"]) for row in found}
    folder = objects.shared_folder() / "data" / "assets" / "ycb"
    for path in sorted(folder.glob("*.glb"))[options.first :: options.every]:
        for number in range(options.angles):
            for row in measured(path, number, options, done):
                rows.add(found, row, options.rows)
    sys.stdout.write(table(found))


if __name__ == "__main__":
    main()
