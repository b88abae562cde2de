# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet to look at: each picture, its depth, and its mesh from the front and from the side.

    python tests/bench/contact_sheet.py OUT.jpg PICTURE ... [--preset balanced] [--yaw 20] [--columns 2]

A picture that fails is said on stderr, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
from image_to_3d.tests import render
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap, Representation
from image_to_3d.worker.finish.asset import Asset
from image_to_3d.worker.finish.dispatch import finished
from image_to_3d.worker.methods.method import Task
from image_to_3d.worker.pipeline.generate import read
from image_to_3d.worker.pipeline.select import Subject, select, settings
from image_to_3d.worker.store import folders
from image_to_3d.worker.store.weights import WeightStore
from PIL import Image, ImageDraw

CELL = 300


def nearness(found: Representation) -> np.ndarray:
    """(h, w) uint8, bright is near."""
    values = found.inverse_depth if isinstance(found, DepthMap) else -found.front
    low, high = np.percentile(values, (1, 99))
    return np.uint8(255 * np.clip((values - low) / max(high - low, 1e-9), 0, 1))


def fitted(image: Image.Image) -> Image.Image:
    cell = Image.new("RGB", (CELL, CELL), "white")
    small = image.convert("RGB")
    small.thumbnail((CELL - 6, CELL - 6), Image.Resampling.LANCZOS)
    cell.paste(small, ((CELL - small.width) // 2, (CELL - small.height) // 2))
    return cell


def made(path: Path, options: argparse.Namespace) -> tuple[Representation, Asset, float]:
    """As the pipeline does it, without its cache: the depth, the relief, and the seconds of both."""
    job, weights = Job(lambda *_: None), WeightStore(folders.weights())
    inputs = read([path], job)
    choice = select(Subject.of(inputs), "depth", options.model, {}, weights)
    values = settings(choice.method, options.preset, {})
    start = time.perf_counter()
    found = choice.method.run(Task(inputs, choice.network, values.method, "auto", weights), job)
    asset = finished(found, values.finish, job)
    return found, asset, time.perf_counter() - start


def row(path: Path, options: argparse.Namespace) -> Image.Image:
    """One picture's four cells."""
    found, asset, seconds = made(path, options)
    mesh, [camera] = asset.mesh, asset.cameras
    shape = render.Shape(mesh.vertices, mesh.faces, mesh.uv, mesh.texture)
    focal = CELL / 2 / np.tan(np.radians(camera.fov_degrees) / 2)
    front = render.View(CELL, CELL, focal, focal, CELL / 2, CELL / 2, np.array(camera.position), np.eye(3))
    distance = camera.position[2] - np.median(shape.vertices[:, 2])
    side = render.swung_view(front, np.array([*camera.position[:2], camera.position[2] - distance]), options.yaw, 8)
    photo = Image.fromarray(found.views[0].rgb)
    near = Image.fromarray(nearness(found))
    size = photo.size if isinstance(found, DepthMap) else (CELL, CELL)
    cells = [photo, near.resize(size, Image.Resampling.BICUBIC)]
    cells += [Image.fromarray(render.render(shape, view, samples=2).colour) for view in (front, side)]
    strip = Image.new("RGB", (4 * CELL, CELL + 16), "white")
    for index, cell in enumerate(cells):
        strip.paste(fitted(cell), (index * CELL, 16))
    label = f"{path.name}: {len(mesh.faces):,} faces, {seconds:.1f} s"
    ImageDraw.Draw(strip).text((4, 2), label, fill="black")
    return strip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--model")
    parser.add_argument("--yaw", type=float, default=20.0)
    parser.add_argument("--columns", type=int, default=1)
    options = parser.parse_args()
    strips, failed = [], False
    for path in options.pictures:
        try:
            strips.append(row(path, options))
        except Unable as error:
            failed = True
            sys.stderr.write(f"{path.name}: {error}\n")
    width, height = strips[0].size
    rows = -(-len(strips) // options.columns)
    sheet = Image.new("RGB", (width * options.columns, height * rows), "white")
    for index, strip in enumerate(strips):
        sheet.paste(strip, (index // rows * width, index % rows * height))
    sheet.save(options.output, quality=88)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
