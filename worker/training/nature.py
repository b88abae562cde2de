# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees, rocks, people, animals and cars as clusters of simple shapes. Each takes a Group standing on the ground."""

import numpy as np

from .shapes import Mesh, box, cylinder, displaced, ellipsoid, fractal, leaves, superquadric, tube
from .staging import Group


def tree(group: Group, height: float) -> None:
    """A leafy tree, a conifer, a palm-like or a bare one."""
    rng = group.rng
    bark, green = group.scene.material("wood"), group.scene.material("foliage", surprise=0.05)
    trunk = height * rng.uniform(0.25, 0.5)
    bend = rng.normal(size=2) * height * 0.04
    path = np.array([[0, 0, 0], [bend[0], bend[1], trunk * 0.6], [*bend * 2, height * 0.75]])
    group.add(tube(path, height * np.array([0.03, 0.022, 0.008]) * rng.uniform(0.6, 1.5)), bark, smooth=True)
    kind = rng.random()
    if kind < 0.2:
        for z in np.linspace(0.25, 0.8, int(rng.integers(3, 7))):
            cone = displaced(cylinder(height * 0.26 * (1.05 - z), height * 0.3, 0.01, 12), rng, 0.03)
            group.add(cone, green, (0, 0, z * height))
        return
    crown = np.array([rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.9), 1 - trunk / height]) * height
    if kind < 0.75:
        group.add(
            leaves(rng, crown, int(rng.integers(150, 600)), height * rng.uniform(0.02, 0.05)), green, (*bend * 2, trunk)
        )
    if kind > 0.5:
        for _ in range(int(rng.integers(3, 9))):
            size = crown * rng.uniform(0.3, 0.6)
            at = rng.normal(size=3) * crown * 0.22 + [*bend * 2, trunk + crown[2] * 0.35]
            group.add(displaced(ellipsoid(size, 12), rng, 0.12, 10, 9), green, at, smooth=rng.random() < 0.5)


def bush(group: Group, size: float) -> None:
    """A low cluster of leaves or grass blades."""
    rng = group.rng
    green = group.scene.material("foliage", surprise=0.05)
    extent = np.array([size, size, size * rng.uniform(0.3, 1.0)])
    group.add(leaves(rng, extent, int(rng.integers(60, 250)), size * rng.uniform(0.03, 0.1)), green)
    if rng.random() < 0.5:
        group.add(displaced(ellipsoid(extent * 0.8, 12), rng, 0.1, 10, 8), green)


def rock(group: Group, size: float) -> None:
    """A boulder, partly sunk into the ground."""
    rng = group.rng
    shape = superquadric(size * rng.uniform(0.5, 1.2, 3), tuple(rng.uniform(0.4, 1.3, 2)))
    group.add(
        displaced(shape, rng, 0.12, 8, 5), group.scene.material("stone"), (0, 0, -0.2 * size), smooth=rng.random() < 0.4
    )


def _limb(group: Group, material: int, joints: list, radius: float, thinner: float = 0.6) -> None:
    radii = np.linspace(radius, radius * thinner, len(joints))
    group.add(tube(np.array(joints, float), radii, 9), material, smooth=True)
    group.add(_ball(2 * radii[-1] * 1.1), material, np.array(joints[-1]) - [0, 0, radii[-1]], smooth=True)


def _ball(size: float) -> Mesh:
    return ellipsoid(np.full(3, size), 8)


def person(group: Group, height: float = 1.75) -> None:
    """A standing, striding or reaching person facing -y, made of limbs, a trunk and a head."""
    rng, h = group.rng, height
    skin, shirt, trousers, hair = (group.scene.material(kind) for kind in ("skin", "fabric", "fabric", "gloss"))
    stride, width = rng.normal() * 0.12 * h, rng.uniform(0.9, 1.3)
    for side in (-1, 1):
        foot = np.array([side * 0.06 * h, side * stride, 0.03 * h])
        knee = np.array([side * 0.055 * h, side * stride * 0.4 - 0.03 * h, 0.27 * h])
        _limb(group, trousers, [(side * 0.05 * h, 0, 0.52 * h), knee, foot], 0.055 * h * width)
        group.add(
            superquadric(np.array([0.06, 0.15, 0.05]) * h, (0.6, 0.6)),
            hair,
            foot + [0, -0.03 * h, -0.03 * h],
            smooth=True,
        )
        hand = np.array([side * rng.uniform(0.1, 0.3) * h, rng.uniform(-0.35, 0.1) * h, rng.uniform(0.4, 0.85) * h])
        elbow = (hand + [side * 0.13 * h, 0, 0.8 * h]) / 2 + [side * 0.05 * h, 0.04 * h, -0.05 * h]
        _limb(group, shirt, [(side * 0.12 * h, 0, 0.81 * h), elbow, hand], 0.036 * h * width)
        group.add(_ball(0.06 * h), skin, hand - [0, 0, 0.03 * h], smooth=True)
    trunk = superquadric(np.array([0.28 * width, 0.16 * width, 0.4]) * h, (0.7, 0.8))
    group.add(displaced(trunk, rng, 0.03), shirt, (0, 0, 0.46 * h), smooth=True)
    _limb(group, skin, [(0, 0, 0.82 * h), (0, -0.01 * h, 0.9 * h)], 0.03 * h, 1)
    head(
        Group(group.scene, group.world((0, -0.01 * h, 0.865 * h)), group.yaw + rng.normal() * 0.4),
        0.135 * h,
        skin,
        hair,
    )


def head(group: Group, size: float, skin: int, hair: int) -> None:
    """A human head facing -y: skull, hair, nose, eyes, ears."""
    rng = group.rng
    group.add(displaced(ellipsoid(np.array([0.78, 0.95, 1.1]) * size, 16), rng, 0.015), skin, smooth=True)
    if rng.random() < 0.85:
        back = displaced(ellipsoid(np.array([0.9, 0.95, 0.9]) * size * rng.uniform(1, 1.15), 14), rng, 0.05)
        group.add(back, hair, (0, 0.12 * size, 0.33 * size), smooth=True)
    group.add(ellipsoid(np.array([0.16, 0.25, 0.25]) * size), skin, (0, -0.47 * size, 0.38 * size), smooth=True)
    for side in (-1, 1):
        group.add(_ball(0.1 * size), hair, (side * 0.17 * size, -0.42 * size, 0.55 * size), smooth=True)
        group.add(ellipsoid(np.array([0.08, 0.2, 0.28]) * size), skin, (side * 0.4 * size, 0, 0.4 * size), smooth=True)


def animal(group: Group, height: float) -> None:
    """A four-legged animal facing -y: barrel, neck, head with snout and ears, legs, tail. Height is at the shoulder."""
    rng, h = group.rng, height
    coat = group.scene.material("skin", surprise=0.2)
    other = coat if rng.random() < 0.6 else group.scene.material("skin")
    length, girth, leg = h * rng.uniform(0.8, 1.5), h * rng.uniform(0.3, 0.6), h * rng.uniform(0.3, 0.62)
    barrel = displaced(superquadric(np.array([girth, length, h - leg]), (0.9, 0.9)), rng, 0.04)
    group.add(barrel, coat, (0, 0, leg), smooth=True)
    for x in (-1, 1):
        for y in (-1, 1):
            hip = np.array([x * girth * 0.28, y * length * 0.36, leg * 1.25])
            foot = hip * [1, 1, 0] + [0, rng.normal() * 0.15 * h, h * 0.03]
            knee = (hip + foot) / 2 + [0, y * 0.05 * h, 0]
            _limb(group, coat, [hip, knee, foot], girth * rng.uniform(0.13, 0.25), 0.55)
    raised = rng.uniform(-0.1, 0.8) * h
    shoulder = np.array([0, -length * 0.42, h * 0.88])
    skull = shoulder + [rng.normal() * 0.1 * h, -rng.uniform(0.1, 0.4) * h, raised]
    _limb(group, coat, [shoulder, (shoulder + skull) / 2 + [0, -0.05 * h, 0], skull], girth * 0.33, 0.6)
    muzzle(
        Group(group.scene, group.world(skull - [0, 0, h * 0.12]), group.yaw + rng.normal() * 0.6),
        h * rng.uniform(0.25, 0.4),
        coat,
        other,
    )
    rump = np.array([0, length * 0.47, h * 0.9])
    tail = rump + rng.normal(size=3) * 0.15 * h + [0, 0.2 * h, -0.25 * h]
    _limb(group, other, [rump, (rump + tail) / 2 + [0, 0.06 * h, 0.04 * h], tail], girth * 0.08, 0.6)


def muzzle(group: Group, size: float, coat: int, other: int) -> None:
    """An animal's head facing -y: skull, snout, nose, eyes and ears."""
    rng = group.rng
    snout, ear = rng.uniform(0.3, 1.0) * size, rng.uniform(0.2, 0.7) * size
    group.add(displaced(ellipsoid(np.array([0.9, 1.0, 0.95]) * size, 14), rng, 0.03), coat, smooth=True)
    group.add(
        superquadric(np.array([0.5 * size, snout * 1.4, 0.45 * size]), (0.8, 0.8)),
        other,
        (0, -0.4 * size - snout * 0.3, 0.12 * size),
        smooth=True,
    )
    dark = group.scene.material("gloss", surprise=0)
    group.add(_ball(0.16 * size), dark, (0, -0.4 * size - snout * 0.95, 0.3 * size), smooth=True)
    for side in (-1, 1):
        group.add(_ball(0.17 * size), dark, (side * 0.25 * size, -0.42 * size, 0.55 * size), smooth=True)
        group.add(
            ellipsoid(np.array([0.35 * ear, 0.15 * ear, ear])),
            other,
            (side * 0.32 * size, 0, 0.75 * size),
            yaw=side * 0.4,
            smooth=True,
        )


def bird(group: Group, height: float) -> None:
    """A bird facing -y on thin legs."""
    rng, h = group.rng, height
    feather, beak = group.scene.material("any"), group.scene.material("gloss")
    leg = h * rng.uniform(0.1, 0.5)
    group.add(displaced(ellipsoid(np.array([0.35, 0.7, 0.4]) * h, 14), rng, 0.04), feather, (0, 0, leg), smooth=True)
    top = np.array([0, -0.3 * h - rng.uniform(0, 0.1) * h, max(leg + 0.4 * h, h * 0.85)])
    _limb(group, feather, [(0, -0.25 * h, leg + 0.2 * h), top], 0.09 * h, 0.7)
    group.add(_ball(0.22 * h), feather, top - [0, 0, 0.1 * h], smooth=True)
    group.add(
        tube(np.stack([top + [0, -0.08 * h, 0], top + [0, -0.28 * h, -0.02 * h]]), np.array([0.04, 0.005]) * h), beak
    )
    for side in (-1, 1):
        _limb(group, beak, [(side * 0.07 * h, 0, leg + 0.08 * h), (side * 0.07 * h, 0, 0)], 0.015 * h, 1)


def car(group: Group, length: float = 4.4) -> None:
    """A car, van or bus facing -y, with wheels and dark windows."""
    rng = group.rng
    paint, dark, tyre = (
        group.scene.material("gloss"),
        group.scene.material("gloss", surprise=0),
        group.scene.material("road", surprise=0),
    )
    tall = rng.random() < 0.25
    width, body = length * 0.41, length * (0.42 if tall else rng.uniform(0.16, 0.2))
    soft = (rng.uniform(0.15, 0.5), rng.uniform(0.15, 0.45))
    group.add(superquadric(np.array([width, length, body * 1.1]), soft), paint, (0, 0, length * 0.05), smooth=True)
    if not tall:
        cabin = np.array([width * 0.88, length * rng.uniform(0.45, 0.65), length * 0.2])
        group.add(superquadric(cabin, (rng.uniform(0.4, 0.9), 0.3)), dark, (0, length * 0.05, body * 0.75), smooth=True)
        group.add(
            superquadric(cabin * [0.9, 0.7, 0.3], (0.4, 0.3)),
            paint,
            (0, length * 0.05, body * 0.75 + cabin[2] * 0.75),
            smooth=True,
        )
    else:
        for side in (-1, 1):
            group.add(box(0.03, length * 0.85, body * 0.35), dark, (side * width * 0.5, 0, body * 0.55))
        group.add(box(width * 0.85, 0.03, body * 0.35), dark, (0, -length * 0.5, body * 0.55))
    wheel, flat = length * 0.075, np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]])
    for x in (-1, 1):
        for y in (-1, 1):
            at = np.array([x * width * 0.42 - 0.1, y * length * 0.32, wheel])
            group.add(cylinder(wheel, 0.2), tyre, at, turn=flat)
            group.add(cylinder(wheel * 0.6, 0.22), paint, at - [0.01, 0, 0], turn=flat)
        lights = group.scene.material("gloss", emission=rng.uniform(0, 2))
        group.add(_ball(length * 0.04), lights, (x * width * 0.35, -length * 0.485, body * 0.6), smooth=True)


def wheeled(group: Group, height: float) -> None:
    """A bicycle or motorcycle seen as two wheels, a frame of tubes, a saddle and a handlebar; it faces -x."""
    rng, h = group.rng, height
    paint, black = group.scene.material("gloss"), group.scene.material("gloss", surprise=0)
    radius, thick = 0.33 * h, rng.uniform(0.015, 0.06) * h
    angle = np.linspace(0, 2 * np.pi, 20)
    for x in (-0.5, 0.5):
        rim = np.stack([x * h + radius * np.cos(angle), 0 * angle, radius + thick + radius * np.sin(angle)], 1)
        group.add(tube(rim, thick), black, smooth=True)
        for turn in angle[:: int(rng.integers(2, 6))]:
            spoke = np.array([[x, 0, 0.33], [x + 0.33 * np.cos(turn), 0, 0.33 + 0.33 * np.sin(turn)]]) * h
            group.add(tube(spoke, 0.006 * h, 5), paint)
    nodes = np.array([[-0.5, 0, 0.33], [-0.38, 0, 0.85], [0.12, 0, 0.75], [0.0, 0, 0.33], [0.5, 0, 0.33]]) * h
    for a, b in ((0, 1), (1, 2), (1, 3), (2, 3), (3, 4), (2, 4)):
        group.add(tube(nodes[[a, b]], rng.uniform(0.015, 0.04) * h), paint, smooth=True)
    group.add(superquadric(np.array([0.3, 0.14, 0.08]) * h, (0.7, 0.7)), black, nodes[2], smooth=True)
    group.add(
        tube(nodes[1] + np.array([[0.05, -0.25, 0.08], [0, 0, 0], [0.05, 0.25, 0.08]]) * h, 0.015 * h),
        black,
        smooth=True,
    )
    if rng.random() < 0.5:
        group.add(superquadric(np.array([0.35, 0.22, 0.25]) * h, (0.5, 0.6)), black, (0, 0, 0.35 * h), smooth=True)
        group.add(superquadric(np.array([0.4, 0.2, 0.2]) * h, (0.8, 0.8)), paint, (-0.15 * h, 0, 0.65 * h), smooth=True)


def hills(rng: np.random.Generator, size: int, slope: float) -> np.ndarray:
    """A fractal height field (size, size) with deviation 1, ridged now and then."""
    field = fractal(rng, size, slope)
    return -np.abs(field) * 1.5 if rng.random() < 0.4 else field
