# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data by seed: a shard is a file of views rendered from its number alone, so that it can be made again.

`python -m worker.training.shards --out DIR --first 0 --count 100` writes the shards that are missing.
"""

from functools import cache
from pathlib import Path

import numpy as np

from .photo import develop
from .render import Renderer, View
from .scenes import draw_camera, draw_scene
from .shard_files import write_once, write_range
from .staging import Scene
from .textures import PatternBank

VIEWS = 96
VIEWS_PER_SCENE = 6
SHAPES = ((192, 256), (192, 256), (192, 256), (256, 192), (224, 224), (160, 288))
BANKS = 16
UNKNOWN = 2


@cache
def _bank(seed: int) -> PatternBank:
    return PatternBank(seed)


def view_type(height: int, width: int) -> np.dtype:
    """One view as a record.

    image: sRGB; inverse_depth: 1/m, 0 is sky; normal: towards the camera in its own axes, 127 is 1, zero for sky;
    salient: 1 where the picture is of it, 0 where not, UNKNOWN where nobody can tell; fov: degrees across the longer
    side; family: an index into FAMILIES.
    """
    size = (height, width)
    return np.dtype(
        [
            ("image", np.uint8, (*size, 3)),
            ("inverse_depth", np.float16, size),
            ("normal", np.int8, (*size, 3)),
            ("salient", np.uint8, size),
            ("fov", np.float32),
            ("family", np.uint8),
        ]
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
            inverse, normal = 1 / np.maximum(view.depth, 1e-3), np.rint(view.normal * 127)
            shard[done] = (photo, inverse, normal, _salient(view, scene), camera.fov_degrees, family)
            done += 1
    return shard


def _salient(view: View, scene: Scene) -> np.ndarray:
    if scene.salient is None:
        return np.full(view.part.shape, UNKNOWN)
    return np.isin(view.part, list(scene.salient))


def write_shard(folder: Path, number: int) -> Path:
    """Make the shard unless it is there; the file appears whole or not at all."""
    return write_once(folder / f"shard{number:05d}.npy", lambda: make_shard(number))


if __name__ == "__main__":
    write_range(__doc__, write_shard)
