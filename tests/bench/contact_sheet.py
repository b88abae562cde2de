# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet to look at: each picture, and what the worker makes of it seen from its own place and beside it.

    python tests/bench/contact_sheet.py OUT.jpg PICTURE ... [--preset balanced] [--model NAME] [--yaws 0 12 25]
                                        [--set OPTION=VALUE ...] [--columns 1] [--meshes FOLDER] [--side 300]

Textured, then as clay, which shows what texture hides. Everything is left to the worker as it is for a user, and
nothing is taken from the cache. --meshes keeps the GLBs. A picture that fails is said on stderr; the exit is then 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
from image_to_3d.tests import render
from image_to_3d.worker.cli.parser import setting
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pipeline.generate import generate
from image_to_3d.worker.pipeline.request import Machine
from image_to_3d.worker.store import folders
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire.making import GenerateParams
from PIL import Image, ImageDraw
from scipy.spatial.transform import Rotation

PAPER, PIVOT = (255, 255, 255), 30  # per cent of the picture that is nearer than what one walks around


def made(path: Path, glb: Path, options: argparse.Namespace) -> dict:
    """What the worker says of its result, as JSON."""
    category = options.model if options.model in ("depth", "nerf", "diffusion", "hybrid") else None
    request = GenerateParams(
        (str(path),),
        str(glb),
        options.preset,
        category,
        None if category else options.model,
        dict(options.set),
        cached=False,
    )
    weights = WeightStore(folders.weights())
    with tempfile.TemporaryDirectory() as results:
        return generate(request, Machine(weights, Path(results), "auto"), Job(lambda *_: None))


def photographed(shape: render.Shape, camera: dict, side: int) -> tuple[render.View, np.ndarray]:
    """The view from the photo's own place, and what it is swung around: what is near of what it looks at."""
    scale = side / max(camera["width"], camera["height"])
    width, height = (round(camera[name] * scale) for name in ("width", "height"))
    focal = side / 2 / np.tan(np.radians(camera["fov_degrees"]) / 2)
    middle = width / 2 - camera["shift"][0] * side, height / 2 + camera["shift"][1] * side
    w, *axis = camera["rotation"]
    rotation, position = Rotation.from_quat([*axis, w]).as_matrix(), np.array(camera["position"])
    view = render.View(width, height, focal, focal, *middle, position, rotation)
    depth = render.render(shape, view).depth
    return view, position - rotation[:, 2] * np.nanpercentile(depth, PIVOT)


def row(path: Path, options: argparse.Namespace) -> Image.Image:
    """One picture's cells."""
    with tempfile.TemporaryDirectory() as folder:
        glb = (options.meshes or Path(folder)) / f"{path.stem}.glb"
        start = time.process_time()
        facts = made(path, glb, options)
        seconds = time.process_time() - start
        shape = render.load(glb)
    view, pivot = photographed(shape, facts["cameras"][0], options.side)
    views = [render.swung_view(view, pivot, yaw) for yaw in options.yaws]
    clay = render.Shape(shape.vertices, shape.faces)
    cells = [Image.open(path).convert("RGB").resize((view.width, view.height), Image.Resampling.LANCZOS)]
    for surface, shading in ((shape, 0.0), (clay, 1.0)):
        cells += [
            Image.fromarray(render.render(surface, view, PAPER, samples=2, shading=shading).colour) for view in views
        ]
    strip = Image.new("RGB", (len(cells) * options.side, view.height + 16), PAPER)
    for index, cell in enumerate(cells):
        strip.paste(cell, (index * options.side, 16))
    label = f"{path.name}: {facts['network']}, {len(shape.faces):,} faces, {seconds:.1f} s"
    ImageDraw.Draw(strip).text((4, 2), label, fill="black")
    return strip


def stacked(strips: list[Image.Image], columns: int) -> Image.Image:
    """The rows below each other, in so many columns."""
    rows = -(-len(strips) // columns)
    parts = [strips[first : first + rows] for first in range(0, len(strips), rows)]
    height = max(sum(strip.height for strip in part) for part in parts)
    sheet = Image.new("RGB", (strips[0].width * len(parts), height), PAPER)
    for column, part in enumerate(parts):
        top = 0
        for strip in part:
            sheet.paste(strip, (column * strips[0].width, top))
            top += strip.height
    return sheet


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--model")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--yaws", type=float, nargs="+", default=[0.0, 12.0, 25.0])
    parser.add_argument("--columns", type=int, default=1)
    parser.add_argument("--side", type=int, default=300)
    parser.add_argument("--meshes", type=Path, help="keep them there")
    options = parser.parse_args()
    strips, failed = [], False
    for path in options.pictures:
        try:
            strips.append(row(path, options))
        except Unable as error:
            failed = True
            sys.stderr.write(f"{path.name}: {error}\n")
    if strips:
        stacked(strips, options.columns).save(options.output, quality=88)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
