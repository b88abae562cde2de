# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data by seed: a shard is a file of views rendered from its number alone, so that it can be made again.

`python -m worker.training.shards --out DIR --first 0 --count 100` writes the shards that are missing.
"""

import argparse
import logging
import os
from functools import cache
from pathlib import Path

import numpy as np

from .photo import develop
from .render import Renderer
from .scenes import draw_camera, draw_scene
from .textures import PatternBank

VIEWS = 96
VIEWS_PER_SCENE = 6
SHAPES = ((144, 192), (144, 192), (144, 192), (192, 144), (168, 168), (120, 216))
BANKS = 16

log = logging.getLogger(__name__)


@cache
def _bank(seed: int) -> PatternBank:
    return PatternBank(seed)


def view_type(height: int, width: int) -> np.dtype:
    """One view as a record: image sRGB, inverse_depth in 1/m (0 = sky), family as an index into FAMILIES."""
    return np.dtype(
        [("image", np.uint8, (height, width, 3)), ("inverse_depth", np.float16, (height, width)), ("family", np.uint8)]
    )


def make_shard(
    number: int, views: int = VIEWS, shape: tuple[int, int] | None = None, per_scene: int = VIEWS_PER_SCENE
) -> np.ndarray:
    """Render shard `number`: a record array (views,) of view_type; a shape other than the shard's own is for tests."""
    rng = np.random.default_rng([2026, number])
    height, width = shape or SHAPES[number % len(SHAPES)]
    shard, done = np.zeros(views, view_type(height, width)), 0
    while done < views:
        family, scene, cameras = draw_scene(rng, _bank(number % BANKS))
        renderer = Renderer(scene)
        for _ in range(min(per_scene, views - done)):
            camera = draw_camera(renderer, cameras, rng, height > width)
            if camera is None:
                break
            view = renderer.view(camera, height, width, rng)
            photo = develop(view.colour, view.depth, scene.defocus, rng)
            shard[done] = (photo, 1 / np.maximum(view.depth, 1e-3), family)
            done += 1
    return shard


def write_shard(folder: Path, number: int) -> Path:
    """Make the shard unless it is there; the file appears whole or not at all."""
    path = folder / f"shard{number:05d}.npy"
    if not path.exists():
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        with unfinished.open("wb") as stream:
            np.save(stream, make_shard(number))
        unfinished.replace(path)
    return path


def main() -> None:
    """Write the missing shards of a range, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--step", type=int, default=1, help="write every n-th, for several processes side by side")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(options.first, options.first + options.count, options.step):
        log.info("wrote %s", write_shard(options.out, number))


if __name__ == "__main__":
    main()
