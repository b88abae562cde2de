# SPDX-License-Identifier: GPL-3.0-or-later
"""Streets, landscapes and meadows under a sky. Each builder returns the scene and a function that draws cameras."""

import numpy as np
from numpy.random import Generator
from scipy.ndimage import map_coordinates

from . import nature
from .interiors import Cameras
from .render import Camera, look_at
from .shapes import box, cylinder, grid, plane, superquadric, terrain, tube
from .staging import Air, Group, Light, Scene, colour
from .textures import PatternBank


def daylight(scene: Scene, haze: tuple[float, float] = (0.0005, 0.01)) -> None:
    """Sun or overcast, dusk now and then, night or snow rarely, with haze growing with distance."""
    rng = scene.rng
    scene.snow = rng.random() < 0.1
    if rng.random() < 0.1:
        _night(scene)
        return
    overcast = rng.random() < 0.35
    zenith = colour(rng, 0.58, (0.0, 0.15) if overcast else (0.3, 0.75), (0.6, 0.95))
    warm = rng.random() < 0.25
    horizon = colour(rng, 0.09 if warm else 0.57, (0.0, 0.5 if warm else 0.2), (0.7, 1.0))
    dim = rng.uniform(0.3, 1.0)
    scene.air = Air(
        horizon * dim, zenith * dim, (zenith + horizon) * 0.35 * dim, rng.uniform(0, 1) * (rng.random() < 0.6),
        float(np.exp(rng.uniform(*np.log(haze)))),
    )  # fmt: skip
    if not overcast:
        sun = np.array([rng.normal(), rng.normal(), rng.uniform(0.15, 1.5)])
        scene.lights.append(
            Light(sun / np.linalg.norm(sun), np.array([1, 0.92, 0.8]) * rng.uniform(0.5, 2), 0.01, sun=True)
        )


def _night(scene: Scene) -> None:
    """A dark sky, and some lamps within twenty metres of the middle."""
    rng = scene.rng
    sky = colour(rng, 0.62, (0.1, 0.7), (0.1, 0.35))
    scene.air = Air(sky * rng.uniform(1, 2), sky, sky * rng.uniform(0.3, 2), 0.0, 0.001)
    for _ in range(int(rng.integers(1, 4))):
        at = np.array([*(rng.normal(size=2) * 7), rng.uniform(2.5, 7)])
        tint = colour(rng, float(rng.choice([0.1, 0.1, 0.55])), (0, 0.6), (0.9, 1))
        scene.lights.append(Light(at, tint * rng.uniform(3, 30), 0.2))


def street(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """A road between houses or gardens, with cars, people, trees and poles."""
    scene = Scene(rng, bank)
    daylight(scene)
    road, walk, far = rng.uniform(5, 14), rng.uniform(1.5, 5), rng.uniform(60, 200)
    scene.add(plane(600, 600), scene.material(str(rng.choice(["road", "grass", "ground"]))), (0, 0, -0.12))
    scene.add(plane(road, 2 * far), scene.material("road", surprise=0.03), (0, 0, -0.08))
    paint = scene.material("wall", surprise=0)
    if rng.random() < 0.6:
        for y in np.arange(-far / 3, far / 3, 6):
            scene.add(plane(0.15, 3), paint, (0, y, -0.07))
    pavement = scene.material("road")
    sparse = rng.random() < 0.35
    for side in (-1, 1):
        scene.add(box(walk, 2 * far, 0.15), pavement, (side * (road + walk) / 2, 0, -0.13))
        edge = side * (road / 2 + walk)
        y = -30.0
        while y < far:
            front = rng.uniform(6, 25)
            if rng.random() < (0.4 if sparse else 0.88):
                _house(Group(scene, (edge + side * rng.uniform(0, 4), y + front / 2, 0), -side * np.pi / 2), front)
            else:
                for _ in range(2):
                    nature.tree(
                        Group(scene, (edge + side * rng.uniform(2, 8), y + rng.uniform(0, front), 0)),
                        rng.uniform(4, 12),
                    )
            y += front + rng.uniform(0, 6) * (rng.random() < 0.4)
    _street_life(scene, road, walk, far)

    def camera(draw: Generator) -> Camera:
        eye = np.array([draw.uniform(-0.5, 0.5) * (road + walk), draw.uniform(-20, 10), draw.uniform(1.0, 2.2)])
        if draw.random() < 0.15:
            eye[2] = draw.uniform(3, 12)
        turn = draw.normal() * 0.35 + np.pi * (draw.random() < 0.1)
        target = eye + [np.sin(turn) * 10, np.cos(turn) * 10, draw.normal() * 1.2 - 0.12 * eye[2]]
        return look_at(eye, target, draw.normal() * 0.03, draw.uniform(38, 85))

    return scene, camera


def _house(group: Group, front: float) -> None:
    rng, scene = group.rng, group.scene
    height, depth = float(np.exp(rng.uniform(np.log(4), np.log(30)))), rng.uniform(8, 14)
    wall = scene.material("facade")
    group.add(box(front, depth, height), wall, (0, depth / 2, 0))
    glass, trim = scene.material("gloss"), scene.material("wall")
    if rng.random() < 0.45:
        step, storey = rng.uniform(1.8, 4), rng.uniform(2.8, 4)
        for x in np.arange(-front / 2 + step / 2, front / 2 - step / 3, step):
            for z in np.arange(1, min(height - 1.8, 15), storey):
                group.add(box(step * 0.5, 0.12, 1.7), glass, (x, 0, z))
                group.add(box(step * 0.6, 0.35, 0.12), trim, (x, 0, z - 0.12))
    if rng.random() < 0.4:
        group.add(box(front, 0.25, rng.uniform(2.5, 3.5)), glass, (0, 0, 0))
        group.add(box(front, rng.uniform(0.5, 1.8), 0.4), scene.material("paper"), (0, -0.3, rng.uniform(2.7, 3.6)))
    if height < 10:
        rise = rng.uniform(1.5, 4)
        x, y = np.array([-front / 2, front / 2]), np.array([[-0.4], [depth / 2], [depth + 0.4]])
        z = np.array([[0], [rise], [0]])
        ridge = np.stack(np.broadcast_arrays(x, y, z), -1)
        group.add(grid(ridge), scene.material("stone"), (0, 0, height))


def _street_life(scene: Scene, road: float, walk: float, far: float) -> None:
    rng = scene.rng
    for _ in range(int(rng.integers(0, 12))):
        side = rng.choice([-1, 1])
        lane = side * (road / 2 - 1.2) if rng.random() < 0.6 else side * road * 0.2
        nature.car(
            Group(scene, (lane, rng.uniform(-15, far * 0.5), -0.08), rng.normal() * 0.06 + np.pi * (side > 0)),
            rng.uniform(3.6, 6),
        )
    for _ in range(int(rng.integers(0, 10))):
        at = (rng.choice([-1, 1]) * (road / 2 + rng.uniform(-1, walk)), rng.uniform(-15, 30), 0)
        nature.person(Group(scene, at, rng.uniform(0, 6.28)), rng.uniform(1.5, 1.9))
    metal = scene.material("stone")
    side = rng.choice([-1, 1])
    for y in np.arange(-20, far * 0.6, rng.uniform(8, 30)):
        post = Group(scene, (side * (road / 2 + 0.4), y, 0))
        if rng.random() < 0.5:
            post.add(cylinder(0.08, 6), metal)
            post.add(tube(np.array([[0, 0, 6], [-side * 0.8, 0, 6.4], [-side * 2, 0, 6.4]]), 0.05), metal)
        elif rng.random() < 0.5:
            post.add(cylinder(0.04, 2.4), metal)
            post.add(box(0.6, 0.03, 0.6), scene.material("paper"), (0, 0, 2.2))
        else:
            nature.tree(post, rng.uniform(4, 9))


def landscape(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """Hills or mountains with woods, rocks and perhaps a lake, seen from the ground or a little above."""
    scene = Scene(rng, bank)
    daylight(scene, (0.0005, 0.006))
    width = float(np.exp(rng.uniform(np.log(150), np.log(3000))))
    size = 128
    heights = nature.hills(rng, size, rng.uniform(1.7, 2.6)) * width * rng.uniform(0.01, 0.09)
    centre = np.hypot(*np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size)))
    heights = heights * np.clip(centre * 1.6 + 0.1, 0, 1) + centre**2 * width * rng.uniform(0, 0.15)
    cover = scene.material(str(rng.choice(["grass", "ground", "stone", "foliage"])), surprise=0.05)
    scene.add(terrain(heights, width), cover, smooth=True)
    water = np.quantile(heights, 0.3) if rng.random() < 0.3 else -np.inf
    if np.isfinite(water):
        scene.add(plane(width * 3, width * 3), scene.material("gloss", surprise=0), (0, 0, water))

    def ground(x: float, y: float) -> float:
        at = (np.array([[y], [x]]) / width + 0.5) * (size - 1)
        return max(float(map_coordinates(heights, at, order=1, mode="nearest")[0]), water)

    _scatter(scene, ground, width)

    def camera(draw: Generator) -> Camera:
        x, y = draw.uniform(-0.12, 0.12, 2) * width
        turn = draw.uniform(0, 6.28)
        eye = np.array([x, y, ground(x, y) + np.exp(draw.uniform(np.log(1.2), np.log(0.04 * width)))])
        target = eye + [np.cos(turn), np.sin(turn), draw.normal() * 0.12 - 0.05]
        return look_at(eye, target, draw.normal() * 0.02, draw.uniform(38, 80))

    return scene, camera


def _scatter(scene: Scene, ground, width: float) -> None:
    rng = scene.rng
    woods = rng.random()
    centres = rng.normal(size=(6, 2)) * width * 0.12
    for index in range(int(rng.integers(5, 90))):
        reach = 0.4 * width * rng.uniform(0.02, 1) ** 1.5
        x, y = rng.normal(size=2) * reach if index % 2 else centres[index // 2 % 6] + rng.normal(size=2) * width * 0.02
        if abs(x) > width * 0.45 or abs(y) > width * 0.45:
            continue
        place = Group(scene, (x, y, ground(x, y)), rng.uniform(0, 6))
        if rng.random() < woods:
            nature.tree(place, rng.uniform(3, 15))
        else:
            nature.rock(place, float(np.exp(rng.uniform(-1, 1.8))))
    for _ in range(int(rng.integers(0, 25))):
        x, y = rng.normal(size=2) * 8
        place = Group(scene, (x, y, ground(x, y)), rng.uniform(0, 6))
        (nature.bush if rng.random() < 0.7 else nature.rock)(place, rng.uniform(0.3, 1.5))


def meadow(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """People, animals, cars or bicycles on open ground, with trees, a fence or houses behind, often blurred."""
    scene = Scene(rng, bank)
    daylight(scene)
    scene.defocus = rng.uniform(0.3, 1.0) * (rng.random() < 0.45)
    bumps = nature.hills(rng, 96, 2.0) * rng.uniform(0.02, 0.4)
    middle = np.hypot(*np.meshgrid(np.linspace(-1, 1, 96), np.linspace(-1, 1, 96)))
    scene.add(
        terrain(bumps * np.clip(middle * 4 - 0.2, 0, 1), 200),
        scene.material(str(rng.choice(["grass", "ground", "road"]))),
        smooth=True,
    )
    scene.add(plane(4000, 4000), scene.material(str(rng.choice(["grass", "ground"]))), (0, 0, -1))
    hero = float(np.exp(rng.uniform(np.log(0.3), np.log(3))))
    spots = []
    for _ in range(int(rng.integers(1, 4))):
        at = np.array([*(rng.normal(size=2) * hero * 1.2 * min(len(spots), 1)), 0])
        first = len(scene.parts)
        _hero(Group(scene, at, rng.uniform(0, 6.28)), hero)
        scene.feature(first)
        spots.append(at + [0, 0, hero * rng.uniform(0.3, 0.7)])
    _surroundings(scene, hero)

    def camera(draw: Generator) -> Camera:
        target = spots[draw.integers(len(spots))] + draw.normal(size=3) * hero * 0.2
        angle, reach = draw.uniform(0, 6.28), hero * draw.uniform(1.3, 4.5)
        eye = np.array(
            [target[0] + np.cos(angle) * reach, target[1] + np.sin(angle) * reach, hero * draw.uniform(0.25, 1.3)]
        )
        return look_at(eye, target, draw.normal() * 0.04, draw.uniform(28, 65))

    return scene, camera


def _surroundings(scene: Scene, hero: float) -> None:
    """Bushes, trees, a house or a fence around what stands in the middle, `hero` metres high."""
    rng = scene.rng
    for _ in range(int(rng.integers(0, 15))):
        nature.bush(Group(scene, (*(rng.normal(size=2) * hero * 4), 0)), hero * rng.uniform(0.1, 0.6))
    for _ in range(int(rng.integers(0, 25))):
        angle, reach = rng.uniform(0, 6.28), rng.uniform(4, 60) + hero * 3
        nature.tree(Group(scene, (np.cos(angle) * reach, np.sin(angle) * reach, 0)), rng.uniform(2, 12))
    if rng.random() < 0.35:
        angle = rng.uniform(0, 6.28)
        _house(Group(scene, (np.cos(angle) * 25, np.sin(angle) * 25, 0), angle - np.pi / 2), 20)
    if rng.random() < 0.2:
        wood = scene.material("wood")
        for x in np.arange(-20, 20, 0.3 + hero * 0.3):
            scene.add(box(0.12, 0.04, rng.uniform(1, 1.3)), wood, (x, hero * 2 + 2, 0))


def _hero(group: Group, size: float) -> None:
    """What the picture is of, about `size` metres high."""
    pick = group.rng.random()
    if pick < 0.35:
        nature.animal(group, size * 0.75)
    elif pick < 0.6:
        nature.person(group, size)
    elif pick < 0.75:
        nature.car(group, size * 2.8)
    elif pick < 0.85:
        nature.wheeled(group, size)
    elif pick < 0.92:
        nature.bird(group, size)
    else:
        shape = superquadric(size * group.rng.uniform(0.5, 1.2, 3), tuple(group.rng.uniform(0.2, 1.5, 2)))
        group.add(shape, group.scene.material("any"), smooth=True)
