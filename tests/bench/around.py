# SPDX-License-Identifier: GPL-3.0-or-later
"""A sheet of meshes from around, textured and below that as clay, which shows what texture hides.

    python tests/bench/around.py OUT.jpg GLB ... [--picture PICTURE] [--yaws 0 30 90 180] [--side 300]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
from image_to_3d.tests import render
from PIL import Image

PAPER = (255, 255, 255)


def row(shape: render.Shape, yaws: list[float], side: int, shading: float) -> np.ndarray:
    """(side, N side, 3) uint8 from N sides."""
    views = [render.orbit_view(shape, yaw, 10.0, side) for yaw in yaws]
    return np.hstack([render.render(shape, view, PAPER, samples=2, shading=shading).colour for view in views])


def sheet(path: Path, yaws: list[float], side: int) -> np.ndarray:
    """Both rows of a GLB."""
    shape = render.load(path)
    clay = render.Shape(shape.vertices, shape.faces)
    return np.vstack([row(shape, yaws, side, 0.0), row(clay, yaws, side, 1.0)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("meshes", type=Path, nargs="+", metavar="GLB")
    parser.add_argument("--picture", type=Path, help="shown to the left of the first")
    parser.add_argument("--yaws", type=float, nargs="+", default=[0.0, 30.0, 90.0, 180.0], help="degrees to the right")
    parser.add_argument("--side", type=int, default=300, help="pixels of each view")
    wishes = parser.parse_args()
    whole = np.vstack([sheet(path, wishes.yaws, wishes.side) for path in wishes.meshes])
    if wishes.picture:
        beside = Image.new("RGB", (wishes.side, len(whole)), PAPER)
        picture = Image.open(wishes.picture).convert("RGBA")
        picture.thumbnail((wishes.side, wishes.side))
        beside.paste(picture, (0, (wishes.side - picture.height) // 2), picture)
        whole = np.hstack([np.asarray(beside), whole])
    Image.fromarray(whole).save(wishes.out, quality=88)


if __name__ == "__main__":
    main()
