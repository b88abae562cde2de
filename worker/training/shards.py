# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data by seed: a shard is a file of views rendered from its number alone, so that it can be made again.

`python -m worker.training.shards --out DIR --first 0 --count 100` writes the shards that are missing.
"""

from functools import cache
from pathlib import Path

import numpy as np

from .photo import develop
from .render import Renderer
from .scenes import draw_camera, draw_scene
from .shard_files import write_once, write_range
from .textures import PatternBank

VIEWS = 96
VIEWS_PER_SCENE = 6
SHAPES = ((144, 192), (144, 192), (144, 192), (192, 144), (168, 168), (120, 216))
BANKS = 16


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
    return write_once(folder / f"shard{number:05d}.npy", lambda: make_shard(number))


if __name__ == "__main__":
    write_range(__doc__, write_shard)
