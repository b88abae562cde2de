# SPDX-License-Identifier: GPL-3.0-or-later
"""Single things by the thousand, as training data for the object network: packages, cans, bottles, cups, fruit, tools,
toys, animals, furniture and things that are nothing in particular.

Each family draws a Thing from random numbers alone. Knows shapes; not materials, light or rendering. z is up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from scipy.spatial import ConvexHull

from .shapes import Mesh, box, cylinder, displaced, ellipsoid, extrusion, star_outline, superquadric
from .solids import about_x, about_y, capped_tube, carved, joined, moved, prism, rounded_box, scaled, torus, turned
from .staging import any_rotation


@dataclass
class Thing:
    """Parts (mesh, kind of material, shaded smoothly or not, number of its material) as the thing stands, and how often
    it lies otherwise."""

    parts: list[tuple[Mesh, str, bool, int]] = field(default_factory=list)
    tumbles: float = 0.2

    def add(self, mesh: Mesh, kind: str = "any", smooth: bool = True, material: int = 0) -> None:
        """Parts with the same material number share one material."""
        self.parts.append((mesh, kind, smooth, material))


def _log(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _extents(rng: Generator, flattest: float = 0.12) -> np.ndarray:
    return np.array([_log(rng, flattest, 1.0), _log(rng, flattest, 1.0), _log(rng, flattest, 1.0)])


def package(rng: Generator) -> Thing:
    """Boxes, cartons, bricks, books: printed or plain, sharp or rounded edges; now and then two of them."""
    thing = Thing(tumbles=0.5)
    size = _extents(rng, 0.15)
    kind = str(rng.choice(["paper", "paper", "any", "gloss", "wood"]))
    if rng.random() < 0.55:
        thing.add(moved(box(*size), (0, 0, 0)), kind, smooth=False)
    else:
        radius = size.min() * rng.uniform(0.03, 0.5) * rng.choice([0.4, 1.0])
        thing.add(moved(rounded_box(size, radius), (0, 0, size[2] / 2)), kind)
    if rng.random() < 0.15:
        top = size * rng.uniform(0.3, 1.05, 3)
        thing.add(moved(box(*top), (*rng.uniform(-0.1, 0.1, 2), size[2])), kind, smooth=False, material=1)
    return thing


def can(rng: Generator) -> Thing:
    """Cylinders, frustums, cones and discs with rims, lying or upright."""
    thing = Thing(tumbles=0.35)
    radius, height = _log(rng, 0.15, 1.0) / 2, _log(rng, 0.12, 1.2)
    top = radius * (1.0 if rng.random() < 0.6 else rng.uniform(0.02, 1.2))
    rim = min(radius, height) * rng.uniform(0, 0.25)
    profile = [(0, rim * 0.5), (radius - rim, rim * rng.uniform(0, 0.5)), (radius - rim * 0.5, 0), (radius, rim)]
    profile += [(top, height - rim), (max(top - rim, 0), height), (0, height - rim * rng.uniform(0, 1))]
    thing.add(turned(np.array(profile), int(rng.choice([6, 8, 40, 40, 40, 40]))), str(rng.choice(["paper", "any"])))
    if rng.random() < 0.3:
        knob = cylinder(top * rng.uniform(0.3, 1.1), height * rng.uniform(0.05, 0.3), segments=32)
        thing.add(moved(knob, (0, 0, height - rim)), "gloss", material=1)
    return thing


def bottle(rng: Generator) -> Thing:
    """Bottles, jars, vases, tubes with caps: turned, with round to rectangular cross-sections."""
    thing = Thing(tumbles=0.2)
    count = int(rng.integers(4, 8))
    height = rng.uniform(0.7, 1.1)
    radii = rng.uniform(0.12, 0.42) * (1 + rng.uniform(-0.35, 0.35, count)) * np.linspace(1.15, 0.8, count)
    if rng.random() < 0.7:  # a neck
        radii[-1] = radii[0] * rng.uniform(0.15, 0.6)
        radii[-2] = radii[-1] if rng.random() < 0.5 else radii[-2]
    body = np.column_stack([radii, np.linspace(0, height, count)])
    fine = np.linspace(0, count - 1, 24)
    smooth = np.column_stack([np.interp(fine, np.arange(count), body[:, k]) for k in (0, 1)])
    if rng.random() < 0.7:
        kernel = np.array([1, 2, 3, 2, 1]) / 9
        smooth[2:-2, 0] = np.convolve(smooth[:, 0], kernel, "valid")
    profile = np.concatenate([[[0, 0]], smooth, [[0, height]]])
    corner = rng.choice([0.0, rng.uniform(0, 0.9)])
    aspect = rng.choice([1.0, rng.uniform(0.35, 1)], p=[0.5, 0.5])
    kind = str(rng.choice(["gloss", "gloss", "any", "paper"]))
    thing.add(turned(profile, 40, corner, aspect), kind)
    if rng.random() < 0.6:
        width = radii[-1] * rng.uniform(0.9, 1.4)
        cap = turned(_frustum(width, width * rng.uniform(0.4, 1.05), rng.uniform(0.04, 0.2)), 32)
        thing.add(moved(cap, (0, 0, height)), "gloss", material=1)
    if rng.random() < 0.35:  # a printed label
        part = smooth[6:15] * [1.01, 1.0]
        thing.add(turned(part, 40, corner, aspect), "paper", material=2)
    if rng.random() < 0.2:
        grip = torus(height * rng.uniform(0.12, 0.25), rng.uniform(0.04, 0.09))
        thing.add(moved(grip, (radii.mean(), 0, height * 0.55), about_x(np.pi / 2)), kind)
    return thing


def _frustum(low: float, high: float, height: float) -> np.ndarray:
    return np.array([[0, 0], [low, 0], [high, height], [0, height]])


def vessel(rng: Generator) -> Thing:
    """Hollow things seen with their opening: cups, mugs, bowls, plates, pots, boxes without a lid."""
    thing = Thing(tumbles=0.15)
    kind = str(rng.choice(["gloss", "gloss", "any", "wood"]))
    form = rng.random()
    if form < 0.15:
        size, wall = _extents(rng, 0.3) * [1, 1, 0.7], rng.uniform(0.02, 0.06)
        thing.add(_open_box(size, wall), kind, smooth=False)
        return thing
    radius = 0.5
    height = _log(rng, 0.04, 0.3) if form < 0.45 else rng.uniform(0.3, 1.3)
    low = radius * (rng.uniform(0.3, 0.8) if form < 0.6 else rng.uniform(0.7, 1.05))
    wall, bulge = rng.uniform(0.015, 0.06), rng.uniform(0.3, 2.5)
    t = np.linspace(0, 1, 14)
    outer = low + (radius - low) * t**bulge
    inside = outer - wall
    profile = [
        (0, 0),
        *zip(outer, t * height, strict=True),
        *zip(inside[::-1], (wall + t * (height - wall))[::-1], strict=True),
    ]
    profile.append((0, wall))
    corner = 0.0 if rng.random() < 0.85 else rng.uniform(0.3, 0.9)
    thing.add(turned(np.array(profile), 48, corner), kind)
    if height > 0.35 and rng.random() < 0.5:
        size = height * rng.uniform(0.2, 0.36)
        arc = torus(size, rng.uniform(0.05, 0.12), -np.pi * 0.6, np.pi * 0.6)
        arc = scaled(arc, (rng.uniform(0.7, 1.1), 1, 1))
        at = (np.interp(0.5, t, outer), 0, height * rng.uniform(0.45, 0.6))
        thing.add(moved(arc, at, about_x(np.pi / 2)), kind)
    return thing


def _open_box(size: np.ndarray, wall: float) -> Mesh:
    x, y, z = size
    sides = [moved(box(x, wall, z), (0, s * (y - wall) / 2, 0)) for s in (-1, 1)]
    sides += [moved(box(wall, y, z), (s * (x - wall) / 2, 0, 0)) for s in (-1, 1)]
    return joined([box(x, y, wall), *sides])


def fruit(rng: Generator) -> Thing:
    """Balls, fruit, eggs, stones: ellipsoids and soft superquadrics, smooth or a little bumpy; also pears, bananas."""
    thing = Thing(tumbles=0.8)
    kind = str(rng.choice(["skin", "gloss", "any", "stone"]))
    if rng.random() < 0.12:
        angle = np.linspace(-0.5, 0.5, 16) * rng.uniform(0.5, 2.2)
        path = np.stack([np.sin(angle), np.cos(angle), 0 * angle], -1) / np.ptp(np.sin(angle))
        radius = rng.uniform(0.06, 0.16) * (1 - 0.7 * np.abs(np.linspace(-1, 1, 16)) ** rng.uniform(2, 6))
        thing.add(capped_tube(path, radius), kind)
        return thing
    if rng.random() < 0.45:
        size = np.ones(3) * (1 + rng.uniform(-0.12, 0.12, 3))
    else:
        size = _extents(rng, 0.3)
    mesh = superquadric(size, tuple(rng.uniform(0.5, 1.15, 2)), 24) if rng.random() < 0.4 else ellipsoid(size, 24)
    if rng.random() < 0.3:  # narrower towards one end
        z = mesh.vertices[:, 2:] / size[2]
        mesh = Mesh(
            (mesh.vertices * np.concatenate([1 - rng.uniform(0.1, 0.6) * z, 1 - 0.5 * z, 0 * z + 1], 1)).astype(
                np.float32
            ),
            mesh.faces,
        )
    if rng.random() < 0.5:
        mesh = displaced(mesh, rng, rng.uniform(0.005, 0.04), 8, rng.uniform(2, 12))
    thing.add(mesh, kind)
    if rng.random() < 0.2:
        thing.add(moved(cylinder(0.02, rng.uniform(0.05, 0.2)), (0, 0, size[2] * 0.97)), "wood", material=1)
    return thing


def blob(rng: Generator) -> Thing:
    """Strongly displaced ellipsoids, and solids carved and blended out of primitives."""
    thing = Thing(tumbles=0.8)
    if rng.random() < 0.35:
        mesh = displaced(ellipsoid(_extents(rng, 0.4), 30), rng, rng.uniform(0.03, 0.1), 8, rng.uniform(2, 7))
        thing.add(mesh, "any")
    else:
        thing.add(carved(rng), "any", smooth=bool(rng.random() < 0.7))
    return thing


def plate_shape(rng: Generator) -> Thing:
    """Extrusions: flat to deep prisms of polygons and star outlines, rings, slabs with pegs."""
    thing = Thing(tumbles=0.4)
    height = _log(rng, 0.05, 0.8)
    if rng.random() < 0.5:
        corners = int(rng.integers(3, 9))
        angle = np.sort((np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners)
        outline = np.stack([np.cos(angle), np.sin(angle)], 1) * rng.uniform(0.6, 1, (corners, 1)) * 0.5
    else:
        outline = star_outline(rng, 48) * 0.4
    outline = outline * [1, _log(rng, 0.3, 1)]
    thing.add(prism(outline, height, rng.choice([0.0, rng.uniform(0.02, 0.2)])), "any", smooth=False)
    for _ in range(int(rng.choice([0, 0, 1, 3, 6]))):
        spot = outline[rng.integers(len(outline))] * rng.uniform(0, 0.7)
        peg = cylinder(rng.uniform(0.03, 0.1), rng.uniform(0.05, 0.4), segments=20)
        thing.add(moved(peg, (*spot, height)), "any", material=1)
    return thing


def tool(rng: Generator) -> Thing:
    """Long thin things, mostly lying: pens, knives, spoons, screwdrivers, wrenches, clamps, brushes."""
    thing = Thing(tumbles=0.85)
    parts = Thing()
    length, thick = rng.uniform(0.35, 0.7), _log(rng, 0.02, 0.09)
    x = np.linspace(-length, 0, 12)
    bend = rng.uniform(-0.25, 0.25) * (x / length) ** 2 if rng.random() < 0.3 else 0 * x
    widths = thick * (1 + rng.uniform(-0.3, 0.3) * np.sin(np.linspace(0, rng.uniform(1, 6), 12)))
    parts.add(capped_tube(np.stack([x, bend, 0 * x], -1), widths, flat=rng.uniform(0.3, 1)), "gloss")
    head, size, flat = rng.integers(6), rng.uniform(0.08, 0.3), rng.uniform(0.01, 0.05)
    if head == 0:  # blade or spatula
        corners = np.array([[0, -thick], [size, -thick * 2], [size * 3, -thick], [size * 3, thick], [0, thick]])
        parts.add(moved(extrusion(corners - [size, 0], flat), (size, 0, 0)), "gloss", smooth=False, material=1)
    elif head == 1:  # spoon
        bowl = ellipsoid(np.array([size * 1.6, size, size * 0.4]), 14)
        parts.add(moved(bowl, (size * 0.7, 0, -size * 0.2)), "gloss", material=1)
    elif head == 2:  # shaft
        rod = capped_tube(np.array([[0, 0, 0], [length * 0.6, 0, 0]]), np.full(2, thick * rng.uniform(0.2, 0.6)))
        parts.add(rod, "gloss", material=1)
    elif head == 3:  # open jaws
        jaw = torus(size * 0.5, size * rng.uniform(0.2, 0.5), 0.6, 2 * np.pi - 0.6)
        parts.add(moved(scaled(jaw, (1, 1, 0.6)), (size * 0.4, 0, 0)), "gloss", material=1)
    elif head == 4:  # crossbar
        parts.add(moved(box(thick * 3, size * 2, thick * 2), (0, 0, -thick)), "gloss", smooth=False, material=1)
    if head == 5 or rng.random() < 0.15:  # second arm: scissors, clamps, pliers
        arm = moved(parts.parts[0][0], (length * 0.4, 0, 0))
        c, s = np.cos(0.35), np.sin(0.35)
        parts.add(moved(arm, (-length * 0.3, rng.uniform(0, 0.15), 0), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])))
    for mesh, kind, smooth, material in parts.parts:
        thing.add(mesh, kind, smooth, material)
    return thing


def toy(rng: Generator) -> Thing:
    """Two to seven primitives put together, often mirrored: cars, planes, towers, building blocks with studs."""
    thing = Thing(tumbles=0.2)
    if rng.random() < 0.3:
        return _studded(rng, thing)
    size = _extents(rng, 0.3) * [1, 0.7, 0.6]
    thing.add(_piece(rng, size), str(rng.choice(["gloss", "any", "wood"])))
    for number in range(int(rng.integers(1, 6))):
        part, place = size * rng.uniform(0.15, 0.9, 3), rng.uniform(-0.6, 0.6, 3) * size
        mesh = _piece(rng, part)
        if rng.random() < 0.3:  # a wing or a fin
            mesh = moved(rounded_box(np.array([part[0], size.max() * 0.8, 0.05 * size.max()]), 0.02), (0, 0, 0))
            place = place * [1, 0, 1]
        kind = str(rng.choice(["gloss", "any", "wood"]))
        thing.add(moved(mesh, place), kind, material=number % 3)
        if rng.random() < 0.6:
            thing.add(moved(mesh, place * [1, -1, 1]), kind, material=number % 3)
    if rng.random() < 0.35:
        wheel = moved(cylinder(size[2] * 0.35, size[1] * 0.15, segments=28), (0, 0, 0), about_x(np.pi / 2))
        for x in (-0.35, 0.35):
            for y in (-0.55, 0.55):
                thing.add(moved(wheel, (x * size[0], y * size[1], -0.4 * size[2])), "gloss", material=4)
    return thing


def _piece(rng: Generator, size: np.ndarray) -> Mesh:
    """A box, rounded box, ellipsoid, cylinder or cone of extents `size`, centred."""
    kind = rng.integers(5)
    if kind == 0:
        return rounded_box(size, 0.02 * size.min())
    if kind == 1:
        return rounded_box(size, rng.uniform(0.1, 0.9) * size.min() / 2)
    if kind == 2:
        return moved(ellipsoid(size, 18), (0, 0, -size[2] / 2))
    stick = cylinder(0.5, 1.0, 0.5 if kind == 3 else rng.uniform(0, 0.5), 28)
    turn = (np.eye(3), about_x(np.pi / 2), about_y(np.pi / 2))[rng.integers(3)]
    return scaled(moved(moved(stick, (0, 0, -0.5)), (0, 0, 0), turn), size)


def _studded(rng: Generator, thing: Thing) -> Thing:
    rows, columns = rng.integers(1, 5, 2)
    height = rng.uniform(0.3, 1.2)
    thing.add(box(columns, rows, height), "gloss", smooth=False)
    if rng.random() < 0.4:
        thing.add(moved(box(max(1, columns // 2), rows, height), (0, 0, height + 0.01)), "gloss", False, 1)
    radius, tall = rng.uniform(0.2, 0.38), rng.uniform(0.12, 0.3)
    for x in np.arange(columns) - (columns - 1) / 2:
        for y in np.arange(rows) - (rows - 1) / 2:
            thing.add(moved(cylinder(radius, height + tall, segments=20), (x, y, 0)), "gloss", False, 0)
    return thing


def creature(rng: Generator) -> Thing:
    """Animals, dolls and busts out of ellipsoids and limbs, mirrored; as one blended-looking body of one material."""
    thing = Thing(tumbles=0.08)
    long, wide, tall = rng.uniform(0.5, 1.0), rng.uniform(0.25, 0.5), rng.uniform(0.25, 0.6)
    kind = str(rng.choice(["skin", "fabric", "any", "gloss"]))
    upright = rng.random() < 0.4
    body = np.array([wide, wide * 0.9, long]) if upright else np.array([long, wide, tall])
    legs = rng.uniform(0.1, 0.5)
    thing.add(displaced(moved(ellipsoid(body, 20), (0, 0, legs)), rng, 0.02), kind)
    head = rng.uniform(0.2, 0.45) * np.array([rng.uniform(0.8, 1.6), 1, rng.uniform(0.8, 1.3)])
    top = legs + body[2] * 0.9
    neck = np.array([0, 0, top]) if upright else np.array([long * 0.45, 0, top * rng.uniform(0.8, 1.3)])
    thing.add(_stick(np.array([neck[0] * 0.6, 0, legs + body[2] * 0.5]), neck, head[1] * rng.uniform(0.2, 0.35)), kind)
    thing.add(displaced(moved(ellipsoid(head, 18), neck + [head[0] * 0.15, 0, -head[2] * 0.2]), rng, 0.02), kind)
    for x, y in ((0.3, 0.3), (-0.3, 0.3)) if not upright else ((0.0, 0.3),):
        foot = np.array([x * body[0] + rng.uniform(-0.05, 0.05), y * body[1], 0])
        _limb(thing, foot, foot * [0.9, 0.8, 0] + [0, 0, legs + body[2] * 0.4], rng.uniform(0.04, 0.11), kind)
    if upright or rng.random() < 0.2:
        shoulder = np.array([0, body[1] * 0.4, legs + body[2] * 0.75])
        hand = shoulder + [rng.uniform(-0.1, 0.4), rng.uniform(0.05, 0.4), rng.uniform(-0.4, 0.3)]
        _limb(thing, hand, shoulder, rng.uniform(0.04, 0.09), kind)
    ear = neck + [0, head[1] * 0.3, head[2] * rng.uniform(0.5, 0.75)]
    if rng.random() < 0.6:
        _limb(thing, ear + [0, 0.05, rng.uniform(0.05, 0.35)], ear, rng.uniform(0.02, 0.06), kind)
    if rng.random() < 0.5 and not upright:
        start = np.array([-long * 0.45, 0, legs + body[2] * 0.6])
        thing.add(_stick(start, start + rng.uniform(-0.4, 0.1, 3) * [1, 0.3, 1], 0.04), kind)
    return thing


def _limb(thing: Thing, low: np.ndarray, high: np.ndarray, radius: float, kind: str) -> None:
    for side in (1, -1):
        thing.add(_stick(low * [1, side, 1], high * [1, side, 1], radius), kind)


def _stick(low: np.ndarray, high: np.ndarray, radius: float) -> Mesh:
    """A round-ended stick between two points (3,)."""
    along = high - low
    length = float(np.linalg.norm(along)) + 1e-6
    ahead = along / length
    side = np.cross(ahead, [0.3, 0.9, 0.1])
    side /= np.linalg.norm(side)
    turn = np.stack([ahead, side, np.cross(ahead, side)], 1)
    x = np.linspace(0, length, 4)
    return moved(capped_tube(np.stack([x, 0 * x, 0 * x], -1), np.linspace(radius, radius * 1.3, 4)), low, turn)


def furniture(rng: Generator) -> Thing:
    """Stools, chairs, tables, shelves, lamps: slabs on legs."""
    thing = Thing(tumbles=0.03)
    wide, deep, seat = rng.uniform(0.4, 1.0), rng.uniform(0.4, 0.8), rng.uniform(0.3, 0.8)
    slab, leg = rng.uniform(0.03, 0.2), rng.uniform(0.02, 0.08)
    kind = str(rng.choice(["wood", "fabric", "gloss"]))
    thing.add(moved(rounded_box(np.array([wide, deep, slab]), slab * 0.3), (0, 0, seat)), kind)
    inset = rng.uniform(0.7, 1)
    for x in (-1, 1):
        for y in (-1, 1):
            at = (x * (wide / 2 - leg) * inset, y * (deep / 2 - leg) * inset, 0)
            thing.add(moved(box(leg * 2, leg * 2, seat), at), "wood", False, 1)
    if rng.random() < 0.55:
        tall = rng.uniform(0.3, 0.7)
        thing.add(moved(rounded_box(np.array([wide, slab, tall]), 0.02), (0, deep / 2, seat + tall / 2)), kind)
        for x in (-1, 1) if rng.random() < 0.4 else ():
            arm = rounded_box(np.array([slab, deep, seat * 0.5]), 0.02)
            thing.add(moved(arm, (x * wide / 2, 0, seat + 0.1)), kind)
    return thing


FAMILIES: tuple[tuple[Callable[[Generator], Thing], float], ...] = (
    (package, 0.18), (can, 0.1), (bottle, 0.1), (vessel, 0.13), (fruit, 0.09), (blob, 0.06), (plate_shape, 0.06),
    (tool, 0.11), (toy, 0.09), (creature, 0.06), (furniture, 0.02),
)  # fmt: skip

_HELD = 0.1
"""Of things that do not stand as they are made, the share that are held or hang: nobody can tell what is up there."""


def resting(points: np.ndarray, rng: Generator) -> np.ndarray:
    """A rotation (3, 3) that lays a thing of these points (N, 3) down on a facet of its convex hull on which it does
    not topple, drawn by the solid angle under which the facet is seen from its middle (Goldberg et al. 1999)."""
    hull = ConvexHull(points)
    corners, normals = points[hull.simplices], hull.equations[:, :3]
    middle = points[hull.vertices].mean(0)
    facet = np.unique(np.rint(hull.equations * 500), axis=0, return_inverse=True)[1].ravel()
    toward = corners - middle
    length = np.linalg.norm(toward, axis=2)
    a, b, c = toward[:, 0], toward[:, 1], toward[:, 2]
    pairs = (a * b).sum(1) * length[:, 2] + (b * c).sum(1) * length[:, 0] + (c * a).sum(1) * length[:, 1]
    angle = 2 * np.arctan2(np.abs((a * np.cross(b, c)).sum(1)), length.prod(1) + pairs)
    inside = _above(middle, corners, normals, hull.equations[:, 3])
    share = np.bincount(facet, angle) * (np.bincount(facet, inside) > 0)
    chosen = int(rng.choice(len(share), p=share / share.sum())) if share.sum() > 0 else int(facet[0])
    return _turned_down(normals[np.flatnonzero(facet == chosen)[0]])


def _above(middle: np.ndarray, corners: np.ndarray, normals: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(F,) bool: whether the middle (3,) lies straight above a triangle (F, 3, 3) that is underneath."""
    foot = middle - (normals @ middle + offsets)[:, None] * normals
    edges = np.roll(corners, -1, axis=1) - corners
    sides = np.einsum("fkc,fc->fk", np.cross(edges, foot[:, None] - corners), normals)
    return (sides >= -1e-9).all(1) | (sides <= 1e-9).all(1)


def _turned_down(normal: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) on the shortest way that takes a unit vector to (0, 0, -1)."""
    axis = np.cross(normal, [0, 0, -1.0])
    sine, cosine = float(np.linalg.norm(axis)), -float(normal[2])
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    x, y, z = axis / sine
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + sine * cross + (1 - cosine) * cross @ cross


def draw_thing(rng: Generator) -> tuple[Thing, np.ndarray, np.ndarray, int, bool]:
    """A random thing whose longest side is about 1; the rotation (3, 3) and then the offset (3,) that lay it down,
    centred at 0; the number of its family; and whether it stands or lies, so that z is up for it."""
    weights = np.array([weight for _, weight in FAMILIES])
    number = int(rng.choice(len(FAMILIES), p=weights / weights.sum()))
    thing = FAMILIES[number][0](rng)
    stretch = np.exp(rng.normal(0, 0.12, 3))
    points = np.concatenate([part[0].vertices for part in thing.parts]) * stretch
    lies, held = rng.random() < thing.tumbles, rng.random() < _HELD
    turn = (any_rotation(rng) if held else resting(points, rng)) if lies else np.eye(3)
    points = points @ turn.T
    low, high = points.min(0), points.max(0)
    scale = 1 / max(float((high - low).max()), 1e-6)
    parts = [(scaled(mesh, stretch * scale), *others) for mesh, *others in thing.parts]
    return Thing(parts, thing.tumbles), turn, -(low + high) / 2 * scale, number, not (lies and held)
