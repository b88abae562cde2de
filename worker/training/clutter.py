# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things: cups, books, fruit, screens, heaps of shapes, and ways to scatter them on tables, floors and walls.

Every function takes a Group, an origin on some surface, and leaves parts in its scene.
"""

import numpy as np

from .shapes import Mesh, box, cylinder, displaced, ellipsoid, extrusion, lathe, plane, star_outline, superquadric, tube
from .staging import Group, any_rotation


def screen(group: Group, width: float, stand: bool = True) -> None:
    """A monitor or television: dark or lit panel in a frame."""
    rng, frame = group.rng, group.scene.material("gloss", surprise=0)
    lit = group.scene.material("paper", emission=rng.uniform(0.3, 1.5)) if rng.random() < 0.5 else frame
    height, base = width * rng.uniform(0.55, 0.75), rng.uniform(0.05, 0.15) if stand else 0.0
    group.add(box(width, 0.03, height), frame, (0, 0, base))
    group.add(box(width * 0.95, 0.01, height * 0.92), lit, (0, -0.015, base + height * 0.04))
    if stand:
        group.add(box(0.05, 0.03, base + 0.1), frame, (0, 0.03, 0))
        group.add(box(width * 0.4, 0.2, 0.015), frame)


def vessel(group: Group, radius: float, height: float) -> Mesh:
    """An open lathe: cup, bowl, vase or bottle depending on its proportions, with an inner wall."""
    rng = group.rng
    z = np.linspace(0, 1, 8)
    swell = 1 + rng.uniform(-0.35, 0.35) * np.sin(z * np.pi * rng.uniform(0.7, 1.8)) + rng.uniform(-0.3, 0.3) * z
    outer = np.stack([radius * np.maximum(swell, 0.15), z * height], 1)
    if rng.random() < 0.3:
        neck = radius * rng.uniform(0.2, 0.45)
        outer = np.concatenate([outer, [[neck, height * 1.2], [neck, height * 1.5]]])
    inner = outer[::-1] * [0.88, 1.0]
    inner[-1, 1] += height * 0.05
    return lathe(np.concatenate([[[0, 0]], outer, inner, [[0, inner[-1, 1]]]]), 22)


def _cup(group: Group, size: float, yaw: float) -> None:
    rng = group.rng
    radius = size * rng.uniform(0.25, 0.5)
    gloss = group.scene.material("gloss")
    group.add(vessel(group, radius, size * rng.uniform(0.5, 1.1)), gloss, smooth=True)
    angle = np.linspace(-1.6, 1.6, 8)
    path = np.stack([radius * (1 + 0.5 * np.cos(angle)), 0 * angle, size * (0.4 + 0.25 * np.sin(angle))], 1)
    group.add(tube(path, size * 0.04, 6), gloss, yaw=yaw, smooth=True)


def _bottle(group: Group, size: float, yaw: float) -> None:
    shape = vessel(group, size * 0.22, size * group.rng.uniform(0.9, 1.5))
    group.add(shape, group.scene.material("gloss"), smooth=True)


def _books(group: Group, size: float, yaw: float) -> None:
    rng, z = group.rng, 0.0
    for _ in range(int(rng.integers(1, 6))):
        w, d, h = size * rng.uniform([0.8, 1.1, 0.08], [1.2, 1.6, 0.3])
        cover = group.scene.material("paper" if rng.random() < 0.6 else "gloss")
        group.add(box(w, d, h), cover, (0, 0, z), yaw=yaw + rng.normal() * 0.2)
        z += h


def _carton(group: Group, size: float, yaw: float) -> None:
    w, d, h = size * group.rng.uniform(0.4, 1.5, 3)
    group.add(box(w, d, h), group.scene.material("paper" if group.rng.random() < 0.5 else "gloss"), yaw=yaw)


def _sheet(group: Group, size: float, yaw: float) -> None:
    group.add(box(size * 1.2, size * 1.7, 0.002), group.scene.material("paper", surprise=0), yaw=yaw)


def _fruit(group: Group, size: float, yaw: float) -> None:
    rng = group.rng
    for _ in range(int(rng.integers(1, 6))):
        spot = rng.normal(size=2) * size * 0.6
        piece = displaced(ellipsoid(size * rng.uniform(0.35, 0.6, 3)), rng, 0.03)
        group.add(piece, group.scene.material("skin"), (*spot, 0), smooth=True)


def _blob(group: Group, size: float, yaw: float) -> None:
    rng = group.rng
    shape = superquadric(size * rng.uniform(0.5, 1.3, 3), tuple(rng.uniform(0.2, 1.8, 2)))
    group.add(displaced(shape, rng, rng.uniform(0, 0.1)), group.scene.material("any"), yaw=yaw, smooth=True)


def _figurine(group: Group, size: float, yaw: float) -> None:
    group.add(vessel(group, size * 0.3, size * 0.6), group.scene.material("any"), smooth=True)
    top = ellipsoid(size * group.rng.uniform(0.4, 0.7, 3))
    group.add(top, group.scene.material("any"), (0, 0, size * 0.6), smooth=True)


def _plate(group: Group, size: float, yaw: float) -> None:
    rng = group.rng
    profile = np.array([[0, 0], [0.5, 0], [0.9, 0.1], [0.9, 0.14], [0.5, 0.05], [0, 0.04]]) * size
    group.add(lathe(profile, 24), group.scene.material("gloss"), smooth=True)
    for _ in range(int(rng.integers(0, 7))):
        spot = (*(rng.normal(size=2) * size * 0.25), size * 0.05)
        piece = superquadric(size * rng.uniform(0.15, 0.5, 3), tuple(rng.uniform(0.2, 1.2, 2)))
        group.add(displaced(piece, rng, 0.06), group.scene.material("skin"), spot, yaw=rng.uniform(0, 6), smooth=True)


def _computer(group: Group, size: float, yaw: float) -> None:
    group.add(box(size * 2, size * 0.7, 0.02), group.scene.material("gloss"), yaw=yaw)
    screen(Group(group.scene, group.world((0, size * 0.4, 0)), group.yaw + yaw), size * 1.8)


def _cutout(group: Group, size: float, yaw: float) -> None:
    shape = extrusion(star_outline(group.rng) * size * 0.5, size * group.rng.uniform(0.1, 1))
    group.add(shape, group.scene.material("any"), yaw=yaw)


def _tool(group: Group, size: float, yaw: float) -> None:
    rng = group.rng
    path = np.array([[-1, 0, 0], [-0.2, rng.normal() * 0.2, 0.03], [1, rng.normal() * 0.3, 0]]) * size
    shape = tube(path + [0, 0, size * 0.05], size * rng.uniform(0.03, 0.1))
    group.add(shape, group.scene.material("gloss"), yaw=yaw, smooth=True)


# what stands about, and how often: functions of a group, a size in metres and a heading in radians
_THINGS = {
    _cup: 0.14,
    _bottle: 0.10,
    _books: 0.12,
    _carton: 0.12,
    _sheet: 0.10,
    _fruit: 0.08,
    _blob: 0.08,
    _figurine: 0.06,
    _plate: 0.06,
    _computer: 0.05,
    _cutout: 0.04,
    _tool: 0.05,
}


def thing(group: Group, size: float) -> None:
    """One random object of about that size standing on the group's origin."""
    yaw = group.rng.uniform(0, 6.28)
    kind = list(_THINGS)[group.rng.choice(len(_THINGS), p=list(_THINGS.values()))]
    kind(group, size, yaw)


def clutter(
    group: Group, width: float, depth: float, height: float, count: int, size: tuple[float, float] = (0.05, 0.25)
) -> None:
    """Random things scattered over a rectangle at the given height."""
    for _ in range(count):
        spot = group.rng.uniform([-width / 2, -depth / 2], [width / 2, depth / 2])
        thing(
            Group(group.scene, group.world((*spot, height)), group.yaw), float(np.exp(group.rng.uniform(*np.log(size))))
        )


def wall_things(group: Group, width: float, low: float, high: float, count: int) -> None:
    """Pictures, notes, switches and small shelves on a wall in the group's xz plane, facing -y."""
    rng = group.rng
    for _ in range(count):
        w, h = np.exp(rng.uniform(np.log(0.08), np.log(0.9), 2))
        at = (rng.uniform(-0.5, 0.5) * max(width - w, 0.1), -0.01, rng.uniform(low, max(high - h, low + 0.05)))
        if rng.random() < 0.12:
            group.add(box(w + 0.3, 0.2, 0.025), group.scene.material("wood"), (at[0], -0.1, at[2]))
            clutter(
                Group(group.scene, group.world((at[0], -0.1, at[2] + 0.025)), group.yaw),
                w,
                0.12,
                0,
                int(rng.integers(1, 6)),
            )
            continue
        thick = rng.choice([0.004, 0.03])
        if thick > 0.01:
            group.add(box(w + 0.06, 0.02, h + 0.06), group.scene.material("wood"), (at[0], 0, at[2] - 0.03))
        group.add(box(w, thick, h), group.scene.material("paper"), at)


def heap(group: Group, width: float, count: int, size: tuple[float, float]) -> None:
    """Shapes of every kind lying over and in each other in a heap."""
    rng = group.rng
    for index in range(count):
        extent = np.exp(rng.uniform(*np.log(size))) * rng.uniform(0.4, 1.2, 3)
        shapes = (
            box(*extent),
            superquadric(extent, tuple(rng.uniform(0.15, 1.8, 2))),
            displaced(ellipsoid(extent, 14), rng, rng.uniform(0.02, 0.2)),
            vessel(group, extent[0] / 2, extent[2]),
            extrusion(star_outline(rng) * extent[0] / 2, extent[2]),
            cylinder(extent[0] / 2, extent[2], extent[1] / 2 * rng.integers(0, 2)),
            plane(extent[0], extent[1]),
        )
        pick = int(rng.integers(len(shapes)))
        turn = any_rotation(rng) if rng.random() < 0.6 else np.eye(3)
        lift = rng.uniform(0, 0.6) * extent[2] * (index / count)
        at = (*(rng.normal(size=2) * width / 4), lift)
        group.add(
            shapes[pick], group.scene.material("any"), at, yaw=rng.uniform(0, 6), turn=turn, smooth=pick in (1, 2, 3)
        )
