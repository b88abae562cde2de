# SPDX-License-Identifier: GPL-3.0-or-later
"""Furniture and clutter, each piece built from simple shapes with random proportions and materials.

Every function takes a Group (an origin on the floor or on a surface) and leaves parts in its scene. Pieces face -y.
"""

import numpy as np

from .clutter import clutter, vessel
from .shapes import box, cylinder, displaced, ellipsoid, lathe, leaves, superquadric, tube
from .staging import Group


def table(group: Group, width: float, depth: float, height: float) -> None:
    """A table with four legs, a pedestal or panel sides, and a top of some thickness."""
    rng, wood = group.rng, group.scene.material("wood", surprise=0.3)
    thick = rng.uniform(0.02, 0.07)
    if rng.random() < 0.2:
        group.add(cylinder(width / 2, thick, segments=28), wood, (0, 0, height - thick))
    else:
        group.add(box(width, depth, thick), wood, (0, 0, height - thick))
    legs = wood if rng.random() < 0.6 else group.scene.material("gloss")
    style = rng.random()
    if style < 0.15:
        group.add(cylinder(0.05, height - thick), legs)
        group.add(cylinder(min(width, depth) * 0.3, 0.03), legs)
    elif style < 0.3:
        for side in (-1, 1):
            group.add(box(0.03, depth * 0.95, height - thick), legs, (side * width * 0.47, 0, 0))
    else:
        stout = rng.uniform(0.03, 0.1)
        for x in (-1, 1):
            for y in (-1, 1):
                group.add(
                    box(stout, stout, height - thick), legs, (x * (width / 2 - stout), y * (depth / 2 - stout), 0)
                )


def chair(group: Group) -> None:
    """A chair: seat, legs, a back of slats, bars or one panel; sometimes arms or an office pedestal."""
    rng = group.rng
    frame, seat = group.scene.material("wood", surprise=0.3), group.scene.material("fabric")
    width, depth, height, back = rng.uniform([0.38, 0.38, 0.4, 0.35], [0.55, 0.52, 0.5, 0.65])
    leg = rng.uniform(0.018, 0.05)
    group.add(
        superquadric(np.array([width, depth, rng.uniform(0.03, 0.1)]), (0.3, 0.3)),
        seat,
        (0, 0, height - 0.03),
        smooth=True,
    )
    if rng.random() < 0.2:
        group.add(cylinder(0.03, height), frame)
        for angle in np.arange(5) * 1.2566:
            group.add(box(0.6, 0.04, 0.05), frame, (0, 0, 0.03), yaw=angle)
    else:
        for x in (-1, 1):
            group.add(box(leg, leg, height), frame, (x * (width - leg) / 2, -(depth - leg) / 2, 0))
            group.add(box(leg, leg, height + back), frame, (x * (width - leg) / 2, (depth - leg) / 2, 0))
    y = (depth - leg) / 2
    if rng.random() < 0.4:
        group.add(box(width, 0.03, back * 0.7), seat, (0, y, height + back * 0.3))
    elif rng.random() < 0.5:
        for z in np.linspace(0.25, 0.95, int(rng.integers(2, 6))):
            group.add(box(width - leg, 0.02, 0.05), frame, (0, y, height + back * z))
    else:
        group.add(box(width, 0.03, 0.08), frame, (0, y, height + back - 0.08))
        for x in np.linspace(-0.4, 0.4, int(rng.integers(3, 7))):
            group.add(box(0.02, 0.02, back), frame, (x * width, y, height))
    if rng.random() < 0.25:
        for x in (-1, 1):
            group.add(box(0.05, depth, 0.03), frame, (x * width / 2, 0, height + 0.2))
            group.add(box(0.03, 0.03, 0.22), frame, (x * width / 2, -depth / 2 + 0.03, height))


def sofa(group: Group) -> None:
    """A sofa or armchair with cushions."""
    rng, cloth = group.rng, group.scene.material("fabric")
    seats = int(rng.integers(1, 4))
    width, depth, height = seats * rng.uniform(0.55, 0.75) + 0.3, rng.uniform(0.75, 1.0), rng.uniform(0.35, 0.45)
    soft = (rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.4))
    group.add(superquadric(np.array([width, depth, height]), soft), cloth, smooth=True)
    group.add(superquadric(np.array([width, 0.25, height + 0.45]), soft), cloth, (0, depth / 2 - 0.12, 0), smooth=True)
    for x in (-1, 1):
        group.add(superquadric(np.array([0.2, depth, height + 0.22]), soft), cloth, (x * width / 2, 0, 0), smooth=True)
    for x in (np.arange(seats) - (seats - 1) / 2) * (width - 0.3) / seats:
        group.add(
            superquadric(np.array([(width - 0.3) / seats, depth * 0.8, 0.18]), soft),
            cloth,
            (x, -0.05, height - 0.06),
            smooth=True,
        )
        if rng.random() < 0.5:
            pillow = superquadric(np.array([0.42, 0.16, 0.42]), (0.7, 0.5))
            group.add(
                pillow,
                group.scene.material("fabric"),
                (x, depth * 0.2, height + 0.08),
                yaw=rng.normal() * 0.3,
                smooth=True,
            )


def bed(group: Group) -> None:
    """A bed with mattress, cover and pillows; its head is at +y."""
    rng, frame = group.rng, group.scene.material("wood")
    width, length = rng.uniform(0.9, 1.9), rng.uniform(1.9, 2.2)
    group.add(box(width, length, 0.3), frame)
    group.add(
        superquadric(np.array([width, length, 0.3]), (0.2, 0.15)),
        group.scene.material("fabric"),
        (0, 0, 0.25),
        smooth=True,
    )
    cover = displaced(
        superquadric(np.array([width * 1.06, length * 0.65, 0.3]), (0.3, 0.2), 20), rng, 0.006, frequency=9
    )
    group.add(cover, group.scene.material("fabric"), (0, -length * 0.17, 0.3), smooth=True)
    group.add(box(width, 0.05, rng.uniform(0.6, 1.2)), frame, (0, length / 2, 0))
    for x in (-0.25, 0.25) if width > 1.3 else (0,):
        group.add(
            superquadric(np.array([0.6, 0.4, 0.18]), (0.6, 0.4)),
            group.scene.material("fabric"),
            (x * width, length * 0.36, 0.5),
            smooth=True,
        )


def shelf(group: Group, width: float, height: float, depth: float = 0.32) -> None:
    """An open shelf with books, boxes and things on its boards."""
    rng, wood = group.rng, group.scene.material("wood", surprise=0.4)
    for x in (-1, 1):
        group.add(box(0.03, depth, height), wood, (x * width / 2, 0, 0))
    if rng.random() < 0.8:
        group.add(box(width, 0.02, height), wood, (0, depth / 2, 0))
    boards = np.linspace(0.05, height, int(max(2, height / rng.uniform(0.28, 0.5))) + 1)
    books = [group.scene.material("paper" if rng.random() < 0.2 else "gloss") for _ in range(8)]
    for low, high in zip(boards[:-1], boards[1:], strict=True):
        group.add(box(width, depth, 0.025), wood, (0, 0, low - 0.025))
        x = -width / 2 + 0.03
        while x < width / 2 - 0.08:
            if rng.random() < 0.12:
                x += rng.uniform(0.05, 0.3)
                continue
            thick = rng.uniform(0.015, 0.06) if rng.random() < 0.85 else rng.uniform(0.1, 0.25)
            tall, deep = (high - low) * rng.uniform(0.5, 0.92), depth * rng.uniform(0.5, 0.9)
            if x + thick < width / 2 - 0.02:
                group.add(
                    box(thick * 0.96, deep, tall),
                    int(rng.choice(books)),
                    (x + thick / 2, depth / 2 - deep / 2 - 0.03, low),
                )
            x += thick
    group.add(box(width, depth, 0.025), wood, (0, 0, height - 0.025))


def counter(group: Group, width: float, upper: bool, depth: float = 0.6) -> None:
    """A run of kitchen cupboards or drawers with a worktop, clutter on it and maybe upper cupboards."""
    rng, front = group.rng, group.scene.material("gloss", surprise=0.3)
    height = rng.uniform(0.75, 0.95)
    handle = group.scene.material("gloss")
    group.add(box(width, depth - 0.04, height - 0.14), front, (0, 0.02, 0.1))
    group.add(box(width, depth, 0.04), group.scene.material("stone", surprise=0.4), (0, 0, height - 0.04))
    rows = int(rng.integers(1, 4))
    for x in np.arange(-width / 2, width / 2 - 0.3, rng.uniform(0.4, 0.8)):
        for row in range(rows):
            z = 0.1 + (height - 0.14) * (row + 0.8) / rows
            group.add(box(0.14, 0.03, 0.015), handle, (x + 0.25, -depth / 2 + 0.02, z - 0.04))
        group.add(box(0.008, 0.01, height - 0.14), handle, (x, -depth / 2 + 0.04, 0.1))
    clutter(group, width * 0.9, depth * 0.7, height, int(width * rng.uniform(2, 7)))
    if upper:
        low = rng.uniform(1.35, 1.6)
        group.add(box(width, 0.35, rng.uniform(0.4, 0.8)), front, (0, depth / 2 - 0.175, low))


def potted_plant(group: Group, height: float) -> None:
    """A pot with leaves or with stalks and blossoms."""
    rng = group.rng
    pot = height * rng.uniform(0.2, 0.4)
    radius = pot * rng.uniform(0.35, 0.6)
    group.add(vessel(group, radius, pot), group.scene.material("gloss"), smooth=True)
    green = group.scene.material("foliage", surprise=0.05)
    if rng.random() < 0.6:
        size = np.array([height * rng.uniform(0.5, 0.9)] * 2 + [height - pot])
        group.add(
            leaves(rng, size, int(rng.integers(40, 250)), height * rng.uniform(0.03, 0.1)), green, (0, 0, pot * 0.9)
        )
        return
    bloom = group.scene.material("gloss")
    for _ in range(int(rng.integers(3, 9))):
        tip = np.array([*(rng.normal(size=2) * radius * 1.2), height * rng.uniform(0.7, 1.0)])
        stalk = np.linspace(0, 1, 6)[:, None] ** [[1.5, 1.5, 1]] * (tip - [0, 0, pot]) + [0, 0, pot * 0.9]
        group.add(tube(stalk, height * 0.01, 5), green, smooth=True)
        group.add(
            ellipsoid(np.array([1, 1, rng.uniform(0.6, 1.5)]) * height * 0.13),
            bloom,
            tip - [0, 0, height * 0.05],
            smooth=True,
        )


def lamp(group: Group, height: float) -> None:
    """A floor, table or desk lamp."""
    rng, metal = group.rng, group.scene.material("gloss")
    group.add(cylinder(height * 0.15, height * 0.02), metal)
    shade = group.scene.material("fabric", emission=rng.uniform(0, 1.0))
    if rng.random() < 0.5:
        group.add(cylinder(height * 0.012, height), metal)
        group.add(
            lathe(np.array([[0.2, 0], [rng.uniform(0.08, 0.2), 0.3]]) * height),
            shade,
            (0, 0, height * 0.75),
            smooth=True,
        )
        return
    elbow, head = np.array([-0.25, 0, 0.55]) * height, np.array([0.2, 0, 0.95]) * height
    group.add(tube(np.stack([np.zeros(3), elbow]), height * 0.015), metal)
    group.add(tube(np.stack([elbow, head]), height * 0.015), metal)
    group.add(
        lathe(np.array([[0.16, 0], [0.12, 0.1], [0.03, 0.17]]) * height),
        shade,
        head - [0, 0, height * 0.15],
        smooth=True,
    )
