# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms and corridors, furnished, lit and with ways to look at them.

Each builder returns the scene and a function that draws random cameras for it.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from . import clutter, furniture
from .render import Camera, look_at
from .shapes import box, cylinder, ellipsoid, plane
from .staging import Air, Group, Light, Scene, colour
from .textures import PatternBank

Cameras = Callable[[Generator], Camera]

_TIPPED_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # a floor plane becomes a wall facing -y


def room(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """A furnished room of a flat, office, kitchen or shop, seen by someone standing or sitting in it."""
    scene = Scene(rng, bank)
    width, length, height = rng.uniform([2.6, 2.6, 2.3], [7.0, 8.0, 3.3])
    _shell(scene, width, length, height)
    _indoor_light(scene, width, length, height)
    spots = _along_walls(scene, width, length, height)
    spots += _middle(scene, width, length)

    def camera(draw: Generator) -> Camera:
        eye = draw.uniform([-0.45, -0.45, 0], [0.45, 0.45, 0]) * [width, length, 1] + [0, 0, draw.uniform(0.9, 2.0)]
        target = spots[draw.integers(len(spots))] + draw.normal(size=3) * [0.4, 0.4, 0.3]
        if draw.random() < 0.25:
            target = np.array([*draw.uniform(-0.5, 0.5, 2) * [width, length], draw.uniform(0.3, 1.6)])
        if draw.random() < 0.4:  # step back, as people do to get everything into the picture
            away = (eye - target)[:2] / (np.linalg.norm((eye - target)[:2]) + 1e-6)
            eye[:2] = np.clip(eye[:2] + away * 3, [-0.47 * width, -0.47 * length], [0.47 * width, 0.47 * length])
        return look_at(eye, target, draw.normal() * 0.07, draw.uniform(48, 88))

    return scene, camera


def corridor(rng: Generator, bank: PatternBank) -> tuple[Scene, Cameras]:
    """A long passage with doors, lamps, pillars or shelves at its sides, looked along."""
    scene = Scene(rng, bank)
    width, length, height = rng.uniform([1.3, 7, 2.3], [5, 30, 4.5])
    _shell(scene, width, length, height)
    _indoor_light(scene, width, length, height)
    style, step = rng.random(), rng.uniform(1.2, 4)
    wood = scene.material("gloss")
    for y in np.arange(-length / 2 + 1, length / 2 - 0.5, step):
        for side in (-1, 1):
            wall = Group(scene, (side * width / 2, y, 0), -side * np.pi / 2)
            if style < 0.4:
                _door(wall)
            elif style < 0.6:
                scene.add(box(0.3, 0.3, height), wood, (side * (width / 2 - 0.2), y, 0))
            elif style < 0.8:
                furniture.shelf(
                    Group(scene, (side * (width / 2 - 0.2), y, 0), -side * np.pi / 2), step * 0.9, height * 0.75
                )
            else:
                clutter.wall_things(wall, step, 1, 2, 3)
    if rng.random() < 0.4:
        _stairs(Group(scene, (0, length / 4, 0)), width, length / 4)

    def camera(draw: Generator) -> Camera:
        eye = np.array([draw.uniform(-0.35, 0.35) * width, draw.uniform(-0.45, 0.1) * length, draw.uniform(0.8, 1.9)])
        target = np.array(
            [draw.normal() * width * 0.25, eye[1] + draw.uniform(2, 8), eye[2] + draw.normal() * 0.5 - 0.3]
        )
        return look_at(eye, target, draw.normal() * 0.05, draw.uniform(45, 90))

    return scene, camera


def _shell(scene: Scene, width: float, length: float, height: float) -> None:
    rng = scene.rng
    scene.add(plane(width, length), scene.material(str(rng.choice(["carpet", "wood", "tiles", "road"]))))
    scene.add(plane(width, length), scene.material("wall", surprise=0.03), (0, 0, height), turn=np.diag([1.0, -1, -1]))
    wall, other = scene.material("wall"), scene.material("wall")
    skirting = scene.material("wood")
    for index, (x, y, yaw, span) in enumerate(
        ((0, 0.5, 0, width), (0, -0.5, np.pi, width), (0.5, 0, -np.pi / 2, length), (-0.5, 0, np.pi / 2, length))
    ):
        side = Group(scene, (x * width, y * length, 0), yaw)
        _wall(side, span, height, other if index == 2 else wall)
        side.add(box(span, 0.03, rng.uniform(0.05, 0.15)), skirting)
        if rng.random() < 0.7:
            clutter.wall_things(side, span, 0.8, min(height, 2.3), int(rng.integers(0, 12)))


def _wall(side: Group, span: float, height: float, material: int) -> None:
    """A wall with perhaps a door, and perhaps a window as a hole to the outside, or a lit pane."""
    rng = side.rng
    upright = _TIPPED_UP
    if rng.random() < 0.4:
        w, h, low = min(rng.uniform(0.8, 2.5), span * 0.8), rng.uniform(0.8, 1.6), rng.uniform(0.3, 1.0)
        h = min(h, height - low - 0.1)
        x = rng.uniform(-0.5, 0.5) * (span - w)
        left, right = x - w / 2 + span / 2, span / 2 - x - w / 2
        side.add(plane(left, height), material, ((-span + left) / 2, 0, height / 2), turn=upright)
        side.add(plane(right, height), material, ((span - right) / 2, 0, height / 2), turn=upright)
        side.add(plane(w, low), material, (x, 0, low / 2), turn=upright)
        side.add(plane(w, height - low - h), material, (x, 0, (height + low + h) / 2), turn=upright)
        frame = side.scene.material("wood")
        for fx in np.linspace(-0.5, 0.5, int(rng.integers(2, 5))):
            side.add(box(0.05, 0.08, h), frame, (x + fx * w, 0, low))
        for fz in (0, 1):
            side.add(box(w, 0.1 + 0.1 * (fz == 0), 0.05), frame, (x, 0, low + fz * h))
        if rng.random() < 0.4:
            side.add(plane(w, h), side.scene.material("wall", emission=2.0), (x, 0.05, low + h / 2), turn=upright)
        elif rng.random() < 0.6:
            side.add(
                plane(60, 30),
                side.scene.material("foliage", emission=rng.uniform(0, 1.5)),
                (x, rng.uniform(5, 25), 0),
                turn=upright,
            )
        return
    side.add(plane(span, height), material, (0, 0, height / 2), turn=upright)
    if rng.random() < 0.35:
        _door(Group(side.scene, side.world((rng.uniform(-0.5, 0.5) * (span - 1), 0, 0)), side.yaw))


def _door(wall: Group) -> None:
    frame = wall.scene.material("wood", surprise=0.3)
    wall.add(box(1.0, 0.06, 2.1), frame)
    wall.add(box(0.86, 0.09, 2.03), wall.scene.material("wood", surprise=0.4))
    wall.add(ellipsoid(np.full(3, 0.07)), wall.scene.material("gloss"), (0.35, -0.07, 1.0), smooth=True)


def _stairs(group: Group, width: float, length: float) -> None:
    rise, run = group.rng.uniform(0.15, 0.2), group.rng.uniform(0.25, 0.35)
    stone = group.scene.material("stone")
    for step in range(int(min(12, length / run))):
        group.add(box(width * 0.7, run, rise * (step + 1)), stone, (0, step * run, 0))


def _indoor_light(scene: Scene, width: float, length: float, height: float) -> None:
    rng = scene.rng
    tint = colour(rng, float(rng.choice([0.1, 0.6])), (0.0, 0.3), (0.9, 1.0))
    strength = rng.uniform(0.2, 1.0)
    sky = colour(rng, 0.58, (0.0, 0.4), (0.8, 1.0)) * rng.uniform(0.8, 3)
    scene.air = Air(sky, sky * rng.uniform(0.4, 1), tint * strength)
    bulb = scene.material("wall", emission=6.0, surprise=0)
    for _ in range(int(rng.integers(1, 4))):
        spot = np.array([*rng.uniform(-0.4, 0.4, 2) * [width, length], height - rng.uniform(0.02, 0.6)])
        scene.lights.append(Light(spot - [0, 0, 0.15], tint * rng.uniform(0.5, 4), rng.uniform(0.02, 0.15)))
        if rng.random() < 0.5:
            scene.add(box(*rng.uniform([0.1, 0.3, 0.03], [0.6, 1.4, 0.08])), bulb, (spot[0], spot[1], height - 0.08))
        else:
            scene.add(ellipsoid(np.full(3, rng.uniform(0.1, 0.4))), bulb, spot, smooth=True)
            scene.add(cylinder(0.01, height - spot[2]), bulb, spot)
    if rng.random() < 0.4:
        sun = rng.normal(size=3) * [1, 1, 0] + [0, 0, rng.uniform(0.4, 1.2)]
        scene.lights.append(
            Light(sun / np.linalg.norm(sun), np.array([1.0, 0.9, 0.75]) * rng.uniform(1, 4), 0.02, sun=True)
        )


def _along_walls(scene: Scene, width: float, length: float, height: float) -> list[np.ndarray]:
    """Furniture with its back to the walls; returns points worth looking at."""
    rng, spots = scene.rng, []
    kitchen = rng.random() < 0.35
    for x, y, yaw, span in (
        (0, 0.5, 0, width), (0, -0.5, np.pi, width), (0.5, 0, -np.pi / 2, length), (-0.5, 0, np.pi / 2, length)
    ):  # fmt: skip
        along = -span / 2 + 0.7
        while along < span / 2 - 1.0 and rng.random() < 0.85:
            share = min(rng.uniform(0.6, 2.5), span / 2 - along)
            side = Group(scene, (x * width, y * length, 0), yaw)
            place = Group(scene, side.world((along + share / 2, -0.5, 0)), yaw)
            _wall_piece(place, share, height, kitchen)
            spots.append(place.world((0, 0, rng.uniform(0.4, 1.3))))
            along += share + abs(rng.normal()) * 0.4
    return spots


def _wall_piece(place: Group, share: float, height: float, kitchen: bool) -> None:
    rng, scene = place.rng, place.scene
    back = Group(scene, place.world((0, 0.3, 0)), place.yaw)
    pick = rng.random()
    if kitchen and pick < 0.8:
        furniture.counter(Group(scene, place.world((0, 0.2, 0)), place.yaw), share, rng.random() < 0.5)
    elif pick < 0.25:
        furniture.shelf(back, share * 0.9, rng.uniform(0.7, height * 0.9))
    elif pick < 0.4:
        furniture.sofa(place)
    elif pick < 0.6:
        furniture.table(place, share * 0.95, 0.7, 0.74)
        clutter.clutter(place, share * 0.8, 0.5, 0.74, int(rng.integers(1, 9)))
        if rng.random() < 0.6:
            clutter.screen(
                Group(scene, place.world((0, 0.15, 0.74)), place.yaw + rng.normal() * 0.2), rng.uniform(0.4, 0.7)
            )
        furniture.chair(
            Group(scene, place.world((rng.normal() * 0.2, -0.6, 0)), place.yaw + np.pi + rng.normal() * 0.4)
        )
    elif pick < 0.75:
        scene_box = rng.uniform([0.4, 0.35, 0.4], [share, 0.6, 2.1])
        back.add(box(*scene_box), scene.material("wood", surprise=0.4))
        clutter.clutter(back, scene_box[0], scene_box[1], scene_box[2], int(rng.integers(0, 5)))
    elif pick < 0.85:
        furniture.potted_plant(back, rng.uniform(0.5, 1.7))
    elif pick < 0.92:
        furniture.lamp(back, rng.uniform(1.2, 1.8))
    else:
        furniture.bed(Group(scene, place.world((0, -0.7, 0)), place.yaw))


def _middle(scene: Scene, width: float, length: float) -> list[np.ndarray]:
    """Tables with chairs and things on them, rugs and stray things on the floor; returns points worth looking at."""
    rng, spots = scene.rng, []
    if rng.random() < 0.4:
        scene.add(box(*rng.uniform([1, 1, 0.005], [2.5, 3, 0.02])), scene.material("carpet"), yaw=rng.normal() * 0.2)
    for _ in range(int(rng.integers(0, 3 if width * length < 25 else 5))):
        at = (*rng.uniform(-0.32, 0.32, 2) * [width, length], 0)
        group = Group(scene, at, rng.choice([0, np.pi / 2, rng.uniform(0, 6)]))
        w, d, h = rng.uniform([0.6, 0.5, 0.4], [2.0, 1.1, 0.8])
        furniture.table(group, w, d, h)
        clutter.clutter(group, w * 0.85, d * 0.85, h, int(rng.integers(0, 10)), (0.06, 0.28))
        for x, y, turn in ((0, -0.5, np.pi), (0, 0.5, 0), (0.5, 0, -np.pi / 2), (-0.5, 0, np.pi / 2)):
            if h > 0.6 and rng.random() < 0.6:
                gap = rng.uniform(0, 0.4)
                place = group.world((x * (w + gap * 2), y * (d + gap * 2), 0))
                furniture.chair(Group(scene, place, group.yaw + turn + rng.normal() * 0.4))
        spots += [group.world((0, 0, h))] * 3
    clutter.clutter(Group(scene, (0, 0, 0)), width * 0.8, length * 0.8, 0, int(rng.integers(0, 6)), (0.1, 0.5))
    return spots or [np.array([0, 0, 0.5])]
