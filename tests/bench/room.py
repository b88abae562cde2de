# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs a scanned thing on a cluttered table in a room with Cycles, as somebody with a phone would.

    python tests/bench/room.py THING.glb OUT_FOLDER [--beside OTHER.glb ...] [--views 32] [--pixels 640] [--samples 16]

With bpy (see photograph.py), and scans of true size in metres. Makes 000.png ..., `transforms.json` (OpenGL camera to
world, Blender's axes, +Z up), `truth.glb`, the thing alone, and `room.glb`, all that there is, both as they stand in
that world. The table is of wood, the floor of boards, pictures hang on painted walls. The cameras go around the thing
twice, an arm's length away, at two heights, each aimed a little beside it. Whatever is drawn comes from a seed.
"""

from __future__ import annotations

import argparse
import math
import random
from pathlib import Path

import bpy
import numpy as np
import photograph
from mathutils import Matrix, Vector

HALF, WALL, TABLE = 2.2, 2.8, (1.3, 0.9, 0.74)  # of the room's side, the walls' height, and the table's size, metres
TOP, LEG = 0.03, 0.06  # thickness of the table's top and of its legs
LENS, ACROSS = 35.0, 4 / 3  # millimetres on 36, and a picture's width over its height
AWAY, HEIGHTS = (0.56, 0.68), (math.radians(22.0), math.radians(46.0))  # of the cameras, from the thing's middle
LIGHT = 0.55  # of the sky: the room has no ceiling
NEAREST, APART = 0.2, 0.13  # of what is beside the thing, from it and from each other


def noise(dice: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """(H, W) smooth noise of about unit strength, with so many cells along each side."""
    few = dice.standard_normal((cells[0] + 1, cells[1] + 1))
    row, column = (np.linspace(0.0, n, side, endpoint=False) for n, side in zip(cells, shape))
    y, x = row.astype(int), column.astype(int)
    v, u = (row - y)[:, None], (column - x)[None]
    rows = few[y] * (1.0 - v) + few[y + 1] * v
    return rows[:, x] * (1.0 - u) + rows[:, x + 1] * u


def wood(dice: np.random.Generator, boards: int, tint: tuple[float, float, float]) -> np.ndarray:
    """(512, 512, 3) boards side by side, with their grain."""
    parts = []
    for _ in range(boards):
        shape = (512, 512 // boards)
        cells = ((4, 40 // boards + 8), (12, 100 // boards + 12), (60, 256 // boards))
        grain = sum(noise(dice, shape, each) for each in cells)
        part = np.clip(0.5 + 0.05 * grain + 0.07 * dice.standard_normal(), 0.0, 1.0)
        part[:, :1] *= 0.5
        parts.append(part)
    return 2.0 * np.concatenate(parts, 1)[..., None] * np.array(tint)


def painting(dice: np.random.Generator) -> np.ndarray:
    """(192, 256, 3) rectangles and discs of many colours in a dark frame."""
    y, x = np.mgrid[:192, :256]
    whole = np.ones((192, 256, 3)) * dice.uniform(0.5, 1.0, 3)
    for _ in range(40):
        middle, size = dice.uniform((0, 0), (192, 256)), dice.uniform(5, 40, 2)
        away = np.abs(np.stack([y - middle[0], x - middle[1]]) / size[:, None, None])
        inside = away.max(0) < 1.0 if dice.random() < 0.5 else np.square(away).sum(0) < 1.0
        whole[inside] = dice.uniform(0.0, 1.0, 3)
    frame = np.minimum.reduce([y, x, 191 - y, 255 - x]) < 10
    whole[frame] = (0.12, 0.08, 0.05)
    return whole


def material(name: str, rgb: np.ndarray) -> bpy.types.Material:
    """One that shows a picture (H, W, 3) of sRGB in [0, 1]."""
    height, width = rgb.shape[:2]
    image = bpy.data.images.new(name, width, height)
    image.pixels.foreach_set(np.dstack([np.clip(rgb, 0.0, 1.0), np.ones((height, width))])[::-1].astype("f").ravel())
    image.pack()
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = 0.8
    texture = made.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    made.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return made


def box(name: str, low: Vector, high: Vector, shown: bpy.types.Material) -> bpy.types.Object:
    """A box that shows the whole picture on each side."""
    bpy.ops.mesh.primitive_cube_add(size=1.0, location=(low + high) / 2.0, calc_uvs=True)
    thing = bpy.context.object
    thing.name, thing.scale = name, high - low
    for polygon in thing.data.polygons:
        for loop, corner in zip(polygon.loop_indices, ((0, 0), (1, 0), (1, 1), (0, 1))):
            thing.data.uv_layers[0].data[loop].uv = corner
    thing.data.materials.append(shown)
    return thing


def furnished(dice: np.random.Generator) -> None:
    """The floor, walls with pictures, and the table."""
    box(
        "floor",
        Vector((-HALF, -HALF, -0.1)),
        Vector((HALF, HALF, 0.0)),
        material("floor", wood(dice, 16, (0.55, 0.42, 0.3))),
    )
    plaster = 0.75 + 0.02 * noise(dice, (512, 512), (120, 120))[..., None] * np.ones(3)
    paint = material("paint", plaster * np.array((1.0, 0.97, 0.9)))
    for number in range(4):
        turn = Matrix.Rotation(number * math.pi / 2.0, 4, "Z")
        wall = box(f"wall {number}", Vector((HALF, -HALF, 0.0)), Vector((HALF + 0.1, HALF, WALL)), paint)
        wall.matrix_world = turn @ wall.matrix_world
        for across in (-1.3, -0.1, 1.2):
            wide, low = dice.uniform(0.5, 0.9), dice.uniform(0.7, 1.2)
            corner = Vector((HALF - 0.03, across - wide / 2.0, low))
            end = corner + Vector((0.03, wide, 0.75 * wide))
            hung = box("picture", corner, end, material("picture", painting(dice)))
            hung.matrix_world = turn @ hung.matrix_world
    x, y, z = TABLE
    board = material("table", wood(dice, 6, (0.62, 0.45, 0.28)))
    box("table", Vector((-x / 2.0, -y / 2.0, z - TOP)), Vector((x / 2.0, y / 2.0, z)), board)
    for i in (-1, 1):
        for j in (-1, 1):
            foot = Vector((i * (x / 2.0 - LEG), j * (y / 2.0 - LEG), 0.0))
            half = Vector((LEG / 2.0, LEG / 2.0, 0.0))
            box("leg", foot - half, foot + half + Vector((0.0, 0.0, z - TOP)), board)


def stood(path: Path, place: tuple[float, float], heading: float) -> bpy.types.Object:
    """A scan, upright on the table."""
    before = set(bpy.context.scene.objects)
    bpy.ops.import_scene.gltf(filepath=str(path))
    new = [thing for thing in bpy.context.scene.objects if thing not in before]
    thing = next(each for each in new if each.type == "MESH")
    thing.data.transform(thing.matrix_world)
    thing.parent, thing.matrix_world = None, Matrix.Identity(4)
    corners = np.array([vertex.co for vertex in thing.data.vertices])
    low, high = corners.min(0), corners.max(0)
    foot = Vector(((low[0] + high[0]) / 2.0, (low[1] + high[1]) / 2.0, low[2]))
    turn = Matrix.Rotation(heading, 4, "Z") @ Matrix.Translation(-foot)
    thing.data.transform(Matrix.Translation((*place, TABLE[2])) @ turn)
    for other in new:
        if other != thing:
            bpy.data.objects.remove(other)
    thing.name = path.stem
    return thing


def cluttered(others: list[Path], dice: random.Random) -> None:
    """What is beside the thing, anywhere on the table where there is room."""
    taken: list[tuple[float, float]] = []
    for path in others:
        for _ in range(200):
            place = tuple(dice.uniform(-side / 2.0 + 0.1, side / 2.0 - 0.1) for side in TABLE[:2])
            if math.hypot(*place) > NEAREST and all(math.dist(place, other) > APART for other in taken):
                taken.append(place)
                stood(path, place, dice.uniform(0.0, 2.0 * math.pi))
                break


def camera(number: int, views: int, middle: Vector, dice: random.Random) -> Matrix:
    """Camera to world of one view; looks along its -Z with +Y up."""
    ring, rings = number * len(HEIGHTS) // views, len(HEIGHTS)
    heading = 2.0 * math.pi * ((number * rings % views) / views + 0.5 * ring / views) + dice.uniform(-0.05, 0.05)
    height = HEIGHTS[ring] + dice.uniform(-0.08, 0.08)
    towards = Vector((math.cos(height) * math.cos(heading), math.cos(height) * math.sin(heading), math.sin(height)))
    aim = middle + Vector([dice.uniform(-0.02, 0.02) for _ in range(3)])
    turn = (-towards).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    return Matrix.Translation(aim + towards * dice.uniform(*AWAY)) @ turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("thing", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--beside", type=Path, nargs="*", default=[])
    parser.add_argument("--views", type=int, default=32)
    parser.add_argument("--pixels", type=int, default=640)
    parser.add_argument("--samples", type=int, default=16)
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    dice = random.Random(wanted.thing.stem)
    thing = stood(wanted.thing, (0.0, 0.0), dice.uniform(0.0, 2.0 * math.pi))
    middle = Vector((0.0, 0.0, (TABLE[2] + max(vertex.co.z for vertex in thing.data.vertices)) / 2.0))
    bpy.ops.export_scene.gltf(filepath=str(wanted.out / "truth.glb"))
    cluttered(wanted.beside, dice)
    furnished(np.random.default_rng(0))
    bpy.ops.export_scene.gltf(filepath=str(wanted.out / "room.glb"))
    photograph.lit(wanted.pixels, wanted.samples)
    render, world = bpy.context.scene.render, bpy.context.scene.world.node_tree.nodes["Background"]
    render.film_transparent, render.image_settings.color_mode = False, "RGB"
    render.resolution_y = round(wanted.pixels / ACROSS)
    bpy.context.scene.cycles.max_bounces, world.inputs[1].default_value = 1, LIGHT
    photograph.shot(wanted.out, LENS, [camera(number, wanted.views, middle, dice) for number in range(wanted.views)])


if __name__ == "__main__":
    main()
