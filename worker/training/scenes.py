# SPDX-License-Identifier: GPL-3.0-or-later
"""The families of scenes, how often each is drawn, and the choice of cameras from which a scene is worth a picture."""

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from .interiors import Cameras, corridor, room
from .outdoors import landscape, meadow, street
from .render import Camera, Renderer
from .staging import Scene
from .stills import close_up, heap, indoor_creature, portrait, studio, tabletop
from .textures import PatternBank

FAMILIES = {
    room: 0.28,
    corridor: 0.04,
    street: 0.12,
    landscape: 0.07,
    meadow: 0.12,
    tabletop: 0.10,
    studio: 0.08,
    portrait: 0.05,
    heap: 0.03,
    close_up: 0.07,
    indoor_creature: 0.04,
}
_STRAYS = 0.2  # the share of cameras with a lens that the scene does not ask for
_LENSES = (20.0, 112.0)  # degrees across the longer side of such lenses
_NEAREST = 0.12  # a scene's own near limit, as a share of its median depth


def draw_scene(rng: Generator, bank: PatternBank) -> tuple[int, Scene, Cameras]:
    """A random scene: its family as an index into FAMILIES, the scene, and a function that draws cameras."""
    families = list(FAMILIES)
    weights = np.array(list(FAMILIES.values()))
    index = int(rng.choice(len(families), p=weights / weights.sum()))
    return index, *families[index](rng, bank)


def draw_camera(
    renderer: Renderer, cameras: Cameras, rng: Generator, portrait_shape: bool, tries: int = 12
) -> Camera | None:
    """A camera whose view is neither inside a thing, nor of one bare surface, nor of sky; None when none is found."""
    shape = (20, 15) if portrait_shape else (15, 20)
    for _ in range(tries):
        camera = cameras(rng)
        if rng.random() < _STRAYS:
            camera = replace(camera, fov_degrees=float(np.exp(rng.uniform(*np.log(_LENSES)))))
        depth, part = renderer.glance(camera, *shape)
        solid = depth[np.isfinite(depth)]
        if len(solid) < 0.15 * depth.size or np.unique(part, return_counts=True)[1].max() > 0.8 * depth.size:
            continue
        near, middle, far = np.quantile(solid, [0.01, 0.5, 0.98])
        if near > _NEAREST * middle and far > 1.15 * near:
            return camera
    return None
