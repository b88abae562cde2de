# SPDX-License-Identifier: GPL-3.0-or-later
"""Still lifes, product shots, portraits and heaps. Each builder returns the scene and a function that draws cameras."""

import numpy as np
from numpy.random import Generator

from . import clutter, furniture, nature
from .interiors import Cameras, room
from .outdoors import daylight
from .render import Camera, look_at
from .shapes import box, displaced, ellipsoid, grid, leaves, plane
from .staging import Air, Group, Light, Scene, colour
from .textures import PatternBank

_UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def _lamps(scene: Scene, reach: float, bright: float = 1.0) -> None:
    rng = scene.rng
    tint = colour(rng, float(rng.choice([0.1, 0.6])), (0, 0.25), (0.9, 1))
    sky = tint * rng.uniform(0.3, 1.2) * bright
    scene.air = Air(sky, sky, tint * rng.uniform(0.2, 0.9) * bright)
    for _ in range(int(rng.integers(1, 4))):
        at = rng.normal(size=3) * [1, 1, 0.3] + [0, -0.3, 1.2]
        distance = reach * rng.uniform(1.5, 4)
        scene.lights.append(
            Light(at * distance, tint * rng.uniform(0.3, 1.2) * (0.2 + distance**2), distance * rng.uniform(0.02, 0.3))
        )


def _around(
    target: np.ndarray, reach: tuple[float, float], pitch: tuple[float, float], fov: tuple[float, float], turn: float
) -> Cameras:
    def camera(draw: Generator) -> Camera:
        angle, tilt, away = draw.normal() * turn - np.pi / 2, draw.uniform(*pitch), draw.uniform(*reach)
        offset = np.array([np.cos(angle) * np.cos(tilt), np.sin(angle) * np.cos(tilt), np.sin(tilt)]) * away
        goal = target + draw.normal(size=3) * away * 0.08
        return look_at(goal + offset, goal, draw.normal() * 0.06, draw.uniform(*fov))

    return camera


def tabletop(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """Things on a table or worktop from close by, with a room or a wall behind."""
    scene = Scene(rng, bank)
    _lamps(scene, 1.0)
    scene.defocus = rng.uniform(0.2, 1.0) * (rng.random() < 0.35)
    width, depth = rng.uniform([0.5, 0.5], [2.5, 1.5])
    scene.add(
        box(width, depth, 0.04),
        scene.material(str(rng.choice(["wood", "wood", "gloss", "stone", "fabric"]))),
        (0, 0, -0.04),
    )
    scene.add(plane(12, 12), scene.material("carpet"), (0, 0, -0.75))
    scene.add(plane(12, 4), scene.material("wall"), (0, depth / 2 + rng.uniform(0.05, 3), 0.5), turn=_UPRIGHT)
    scene.add(
        plane(12, 4),
        scene.material("wall"),
        (rng.choice([-1, 1]) * rng.uniform(1.5, 4), 0, 0.5),
        yaw=np.pi / 2,
        turn=_UPRIGHT,
    )
    behind = Group(scene, (0, depth / 2 + 0.6, -0.75))
    if rng.random() < 0.5:
        clutter.clutter(behind, 4, 1.0, 0, 10, (0.2, 1.2))
    size = rng.uniform(0.08, 0.2)
    clutter.clutter(
        Group(scene, (0, 0, 0)), width * 0.85, depth * 0.85, 0, int(rng.integers(2, 22)), (size * 0.5, size * 1.6)
    )
    hero, scene.salient = Group(scene, (0, 0, 0)), None
    if rng.random() < 0.3:
        scene.add(
            box(*rng.uniform([0.2, 0.15, 0.01], [0.5, 0.35, 0.03])), scene.material("wood"), yaw=rng.normal() * 0.5
        )
    for _ in range(int(rng.integers(1, 4))):
        clutter.thing(Group(scene, hero.world((*(rng.normal(size=2) * size), 0.02)), rng.uniform(0, 6)), size)
    return scene, _around(np.array([0, 0, size * 0.3]), (size * 1.8, size * 8), (0.12, 1.45), (32, 70), 0.9)


def close_up(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """One thing or a few, seen near on a table, a shelf or the floor of a room, which is often blurred."""
    scene, cameras = room(rng, bank)
    scene.defocus = rng.uniform(0.4, 1.2) * (rng.random() < 0.6)
    size, top = float(np.exp(rng.uniform(np.log(0.08), np.log(0.5)))), rng.uniform(0.3, 1.0) * (rng.random() < 0.7)
    place = Group(scene, (*rng.uniform(-1.0, 1.0, 2), top), rng.uniform(0, 6.28))
    if top:
        kind = str(rng.choice(["wood", "wood", "gloss", "stone", "fabric"]))
        place.add(box(*rng.uniform([0.5, 0.4], [2.0, 1.2]), 0.04), scene.material(kind), (0, 0, -0.04))
    first = len(scene.parts)
    if rng.random() < 0.35:
        _subject(Group(scene, place.at, place.yaw), size)
    else:
        for index in range(int(rng.integers(1, 4))):
            spot = (*(rng.normal(size=2) * size * 0.7 * min(index, 1)), 0)
            clutter.thing(Group(scene, place.world(spot), rng.uniform(0, 6)), size * rng.uniform(0.6, 1))
    scene.feature(first)
    goal = place.world((0, 0, size * 0.4))
    return scene, _around(goal, (size * 1.5, size * 4.5), (0.0, 0.9), (32, 75), 3.0)


def indoor_creature(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """A person, an animal or a bird in a furnished room."""
    scene, _ = room(rng, bank)
    scene.defocus = rng.uniform(0.3, 1.0) * (rng.random() < 0.3)
    tall = rng.random() < 0.5
    size, first = rng.uniform(1.0, 1.9) if tall else rng.uniform(0.25, 0.8), len(scene.parts)
    at = Group(scene, (*rng.uniform(-1.0, 1.0, 2), 0), rng.uniform(0, 6.28))
    draw = nature.person if tall else nature.animal if rng.random() < 0.85 else nature.bird
    draw(at, size)
    scene.feature(first)
    return scene, _around(at.world((0, 0, size * 0.55)), (size * 1.1, size * 2.6), (-0.1, 0.6), (38, 75), 3.0)


def _sweep(scene: Scene, width: float, back: float) -> None:
    """A studio background: floor running up into a wall."""
    angle = np.linspace(0, np.pi / 2, 8)
    bend = back * 0.5
    y = np.concatenate([[-width * 2], back - bend + bend * np.sin(angle), [back]])
    z = np.concatenate([[0.0], bend - bend * np.cos(angle), [width * 3]])
    x = np.array([-width * 3, width * 3])
    points = np.stack([np.broadcast_to(x, (len(y), 2)), np.stack([y, y], 1), np.stack([z, z], 1)], -1)
    scene.add(grid(points), scene.material("wall", surprise=0.05), smooth=True)


def studio(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """One object, creature or piece of furniture in a studio, on a floor before a wall, or cut out on plain colour."""
    scene = Scene(rng, bank)
    size = float(np.exp(rng.uniform(np.log(0.15), np.log(2.0))))
    _lamps(scene, size, 1.2)
    _subject(Group(scene, (0, 0, 0), rng.uniform(0, 6.28)), size)
    scene.feature(0)
    backdrop = rng.random()
    if backdrop < 0.35:
        _sweep(scene, size * 3, size * rng.uniform(1.0, 3))
    elif backdrop < 0.6:
        scene.add(
            plane(size * 40, size * 40), scene.material(str(rng.choice(["carpet", "wood", "tiles", "ground", "wall"])))
        )
        scene.add(
            plane(size * 40, size * 20), scene.material("wall"), (0, size * rng.uniform(0.7, 6), 0), turn=_UPRIGHT
        )
    elif rng.random() < 0.5:
        scene.add(
            plane(size * 60, size * 60),
            scene.material("gloss", surprise=0.1),
            (0, size * rng.uniform(1.2, 4), 0),
            turn=_UPRIGHT,
        )
    else:
        white = np.full(3, rng.uniform(0.3, 2.5)) if rng.random() < 0.7 else colour(rng, None, (0, 0.8), (0.1, 0.9))
        scene.air = Air(white, white, scene.air.ambient)
    return scene, _around(np.array([0, 0, size * 0.45]), (size * 1.4, size * 3.2), (-0.1, 0.8), (28, 60), 0.9)


def _subject(group: Group, size: float) -> None:
    rng, scene = group.rng, group.scene
    pick = int(rng.integers(11))
    if pick == 0:
        furniture.chair(group)
    elif pick == 1:
        furniture.potted_plant(group, size)
    elif pick == 2:
        furniture.lamp(group, size)
    elif pick == 3:
        nature.animal(group, size * 0.8)
    elif pick == 4:
        nature.bird(group, size)
    elif pick == 5:
        nature.person(group, size)
    elif pick == 6:
        nature.wheeled(group, size)
    elif pick == 7:
        furniture.sofa(group)
    elif pick == 8:
        nature.car(group, size * 2)
    elif pick == 9:
        skin = scene.material("skin")
        nature.muzzle(group, size, skin, skin)
    else:
        for _ in range(int(rng.integers(1, 5))):
            clutter.thing(
                Group(scene, group.world((*(rng.normal(size=2) * size * 0.3), 0)), rng.uniform(0, 6)),
                size * rng.uniform(0.5, 1),
            )


def portrait(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """Head and shoulders of a person or an animal, with a blurred garden, a wall, a flag or furniture behind."""
    scene = Scene(rng, bank)
    outside = rng.random() < 0.5
    if outside:
        daylight(scene)
        scene.add(plane(500, 500), scene.material("grass"), (0, 0, -1))
        for _ in range(int(rng.integers(3, 25))):
            nature.tree(Group(scene, (rng.normal() * 8, rng.uniform(2, 30), -1)), rng.uniform(2, 9))
    else:
        _lamps(scene, 0.6)
        scene.add(plane(14, 8), scene.material("wall"), (0, rng.uniform(0.3, 3), 0), turn=_UPRIGHT)
        clutter.wall_things(Group(scene, (0, 0.8, -1)), 4, 0, 2, int(rng.integers(0, 8)))
    scene.defocus = rng.uniform(0.3, 1.0) * (rng.random() < 0.6)
    skin, other, cloth = scene.material("skin"), scene.material("skin"), scene.material("fabric")
    size = rng.uniform(0.2, 0.3)
    face, first = Group(scene, (0, 0, 0), rng.normal() * 0.5), len(scene.parts)
    body = np.array([size * rng.uniform(1.4, 2.6), size * rng.uniform(0.8, 1.6), size * 4])
    if rng.random() < 0.5:
        nature.head(face, size, skin, other)
        scene.add(displaced(ellipsoid(body, 16), rng, 0.04), cloth, (0, 0.05, -size * 4.1), smooth=True)
        scene.add(ellipsoid(np.array([0.5, 0.5, 1]) * size), skin, (0, 0.02, -size * 0.5), smooth=True)
    else:
        nature.muzzle(face, size, skin, other)
        scene.add(
            displaced(ellipsoid(body * [0.8, 1.5, 1], 16), rng, 0.05), skin, (0, size * 0.6, -size * 3.6), smooth=True
        )
        if rng.random() < 0.5:
            scene.add(
                leaves(rng, np.array([1.15, 1.2, 1.2]) * size, 500, size * 0.05), skin, (0, 0.15 * size, -0.1 * size)
            )
    scene.feature(first)
    return scene, _around(np.array([0, 0, size * 0.2]), (size * 1.7, size * 6), (-0.25, 0.4), (28, 60), 0.5)


def heap(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """Shapes of every kind in a heap, close enough to fill the picture."""
    scene = Scene(rng, bank)
    size = float(np.exp(rng.uniform(np.log(0.1), np.log(3))))
    _lamps(scene, size * 2)
    scene.add(plane(size * 40, size * 40), scene.material("any"))
    if rng.random() < 0.7:
        scene.add(
            plane(size * 40, size * 40),
            scene.material("any"),
            (0, size * rng.uniform(1.5, 6), 0),
            yaw=rng.normal() * 0.5,
            turn=_UPRIGHT,
        )
    clutter.heap(Group(scene, (0, 0, 0)), size * rng.uniform(2, 6), int(rng.integers(5, 40)), (size * 0.2, size * 1.2))
    scene.salient = None
    return scene, _around(np.array([0, 0, size * 0.4]), (size * 1.5, size * 6), (0.05, 1.4), (35, 80), 2.0)
