# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the example pictures of this folder with Cycles, so that the project has photos of its own.

    pip install bpy==4.5.15 pillow        (Python 3.11)
    python docs/examples/render.py OUT_FOLDER [--samples 32] [--scene room.jpg|table.jpg|street.jpg|robot.png|robot]

The scene robot is a folder: 24 photos all around the thing, as a hand would take them.

Everything is made here: shapes, textures and light. Nothing of it is used for training or measuring.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable
from pathlib import Path

import bpy
from mathutils import Vector

Colour = tuple[float, float, float]
SIZE = (1024, 768)


# ---- materials ---------------------------------------------------------------------------------------------------


def material(name: str, colour: Colour, rough: float = 0.6, metal: float = 0.0, other: Colour | None = None,
             pattern: str = "", scale: float = 5.0, bump: float = 0.0) -> bpy.types.Material:  # fmt: skip
    """A Principled material; `pattern` (noise, wave, brick, checker, voronoi) mixes `colour` with `other`."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    nodes, links = made.node_tree.nodes, made.node_tree.links
    surface = nodes["Principled BSDF"]
    surface.inputs["Roughness"].default_value = rough
    surface.inputs["Metallic"].default_value = metal
    surface.inputs["Base Color"].default_value = (*colour, 1.0)
    if not pattern:
        return made
    texture = nodes.new({"noise": "ShaderNodeTexNoise", "wave": "ShaderNodeTexWave", "brick": "ShaderNodeTexBrick",
                         "checker": "ShaderNodeTexChecker", "voronoi": "ShaderNodeTexVoronoi"}[pattern])  # fmt: skip
    place = nodes.new("ShaderNodeTexCoord")
    texture.inputs["Scale"].default_value = scale
    links.new(place.outputs["Object"], texture.inputs["Vector"])
    if pattern == "wave":
        texture.inputs["Distortion"].default_value = 6.0
        texture.inputs["Detail"].default_value = 4.0
    mix = nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    mix.inputs[6].default_value, mix.inputs[7].default_value = (*colour, 1.0), (*(other or colour), 1.0)
    value = texture.outputs["Distance" if pattern == "voronoi" else "Fac"]
    links.new(value, mix.inputs[0])
    links.new(mix.outputs[2], surface.inputs["Base Color"])
    if bump:
        relief = nodes.new("ShaderNodeBump")
        relief.inputs["Strength"].default_value = bump
        links.new(value, relief.inputs["Height"])
        links.new(relief.outputs["Normal"], surface.inputs["Normal"])
    return made


# ---- shapes ------------------------------------------------------------------------------------------------------


def _finish(paint: bpy.types.Material, smooth: bool = False, bevel: float = 0.0) -> bpy.types.Object:
    made = bpy.context.object
    made.data.materials.append(paint)
    if smooth:
        bpy.ops.object.shade_smooth()
    if bevel:
        modifier = made.modifiers.new("bevel", "BEVEL")
        modifier.width, modifier.segments = bevel, 3
    return made


def box(low: tuple, high: tuple, paint: bpy.types.Material, bevel: float = 0.006, turn: float = 0.0):
    centre = [(a + b) / 2 for a, b in zip(low, high)]
    bpy.ops.mesh.primitive_cube_add(size=1, location=centre, rotation=(0, 0, turn))
    bpy.context.object.scale = [b - a for a, b in zip(low, high)]
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    return _finish(paint, bevel=bevel)


def ball(centre: tuple, radius: float, paint: bpy.types.Material, squash: float = 1.0):
    bpy.ops.mesh.primitive_uv_sphere_add(radius=radius, location=centre, segments=48, ring_count=24)
    bpy.context.object.scale[2] = squash
    return _finish(paint, smooth=True)


def lathe(centre: tuple, profile: list[tuple[float, float]], paint: bpy.types.Material, steps: int = 64):
    """A turned body: `profile` is a list of (radius, height)."""
    vertices, faces = [], []
    for radius, height in profile:
        for step in range(steps):
            angle = 2 * math.pi * step / steps
            vertices.append((radius * math.cos(angle), radius * math.sin(angle), height))
    for ring in range(len(profile) - 1):
        for step in range(steps):
            a, b = ring * steps + step, ring * steps + (step + 1) % steps
            faces.append((a, b, b + steps, a + steps))
    mesh = bpy.data.meshes.new("lathe")
    mesh.from_pydata(vertices, [], faces)
    made = bpy.data.objects.new("lathe", mesh)
    made.location = centre
    bpy.context.collection.objects.link(made)
    bpy.ops.object.select_all(action="DESELECT")
    bpy.context.view_layer.objects.active = made
    made.select_set(True)
    modifier = _finish(paint, smooth=True).modifiers.new("round", "SUBSURF")
    modifier.render_levels = 2


def leaves(centre: Vector, count: int, size: float, paint: bpy.types.Material, chance: random.Random):
    """A plant: long bent leaves that grow from one point."""
    vertices, faces = [], []
    for _ in range(count):
        turn, lean, length = chance.uniform(0, 6.283), chance.uniform(0.2, 1.1), size * chance.uniform(0.6, 1.0)
        side = Vector((-math.sin(turn), math.cos(turn), 0))
        for step in range(7):
            t = step / 6
            out = length * math.sin(lean * t * 1.3) * 0.9
            middle = centre + Vector((math.cos(turn) * out, math.sin(turn) * out, length * t * (1.15 - 0.6 * lean * t)))
            width = 0.11 * size * math.sin(math.pi * (0.1 + 0.88 * t))
            vertices += [middle - side * width, middle + side * width]
            if step:
                last = len(vertices)
                faces.append((last - 4, last - 3, last - 1, last - 2))
    mesh = bpy.data.meshes.new("leaves")
    mesh.from_pydata(vertices, [], faces)
    made = bpy.data.objects.new("leaves", mesh)
    bpy.context.collection.objects.link(made)
    mesh.materials.append(paint)


# ---- scenes ------------------------------------------------------------------------------------------------------


def room() -> None:
    """A living room with a window on the left."""
    chance = random.Random(4)
    wall = material("wall", (0.72, 0.66, 0.56), 0.9, other=(0.68, 0.62, 0.53), pattern="noise", scale=3, bump=0.03)
    wood = material("wood", (0.30, 0.15, 0.07), 0.4, other=(0.45, 0.25, 0.12), pattern="wave", scale=1.6)
    cloth = material("cloth", (0.08, 0.17, 0.22), 0.95, other=(0.11, 0.22, 0.28), pattern="noise", scale=120, bump=0.3)
    rug = material("rug", (0.55, 0.14, 0.10), 1.0, other=(0.80, 0.68, 0.50), pattern="checker", scale=5.5)
    white, green = material("white", (0.85, 0.84, 0.80), 0.5), material("leaf", (0.06, 0.22, 0.05), 0.5)
    terracotta = material("terracotta", (0.55, 0.22, 0.11), 0.8)
    box((-2.6, -3, -0.1), (2.6, 3, 0), wood, 0)
    box((-2.6, 3, 0), (2.6, 3.1, 2.7), wall, 0)
    box((2.6, -3, 0), (2.7, 3.1, 2.7), wall, 0)
    box((-2.6, -3, 2.7), (2.7, 3.1, 2.8), white, 0)
    for low, high in (((-2.7, -3, 0), (-2.6, 0.4, 2.7)), ((-2.7, 2.2, 0), (-2.6, 3.1, 2.7)),
                      ((-2.7, 0.4, 0), (-2.6, 2.2, 0.9)), ((-2.7, 0.4, 2.2), (-2.6, 2.2, 2.7))):  # fmt: skip
        box(low, high, wall, 0)
    box((-1.5, 0.1, 0.001), (1.3, 2.0, 0.012), rug, 0)
    box((-1.2, 2.05, 0.12), (1.0, 2.9, 0.42), cloth, 0.05)  # sofa
    box((-1.2, 2.7, 0.4), (1.0, 2.95, 0.85), cloth, 0.07)
    for x in (-1.35, 0.98):
        box((x, 2.05, 0.1), (x + 0.2, 2.95, 0.62), cloth, 0.06)
    box((-0.9, 2.5, 0.45), (-0.5, 2.66, 0.8), material("pillow", (0.8, 0.45, 0.08), 0.95), 0.06, turn=0.15)
    box((-0.55, 0.75, 0.38), (0.55, 1.35, 0.42), wood)  # table
    for x in (-0.5, 0.45):
        for y in (0.8, 1.25):
            box((x, y, 0), (x + 0.05, y + 0.05, 0.38), wood, 0.004)
    lathe((0.15, 1.05, 0.42), [(0.0, 0), (0.06, 0), (0.075, 0.05), (0.05, 0.14), (0.025, 0.19), (0.03, 0.22)],
          material("vase", (0.75, 0.78, 0.82), 0.15))  # fmt: skip
    box((-0.35, 0.9, 0.42), (-0.1, 1.1, 0.45), material("book", (0.6, 0.1, 0.1)), 0.003, turn=0.4)
    box((1.75, 2.6, 0), (2.55, 2.95, 1.9), wood)  # shelf
    for level in range(4):
        x, z = 1.8, 0.1 + 0.45 * level
        box((1.78, 2.55, z - 0.02), (2.52, 2.6, z), white, 0)
        while x < 2.42:
            width = chance.uniform(0.025, 0.06)
            tint = tuple(chance.uniform(0.05, 0.7) for _ in range(3))
            box((x, 2.45, z), (x + width, 2.6, z + chance.uniform(0.2, 0.33)), material("spine", tint), 0.002)
            x += width + 0.004
    lathe((1.6, 1.5, 0), [(0.0, 0), (0.14, 0), (0.18, 0.3), (0.17, 0.3), (0.0, 0.27)], terracotta)
    leaves(Vector((1.6, 1.5, 0.27)), 26, 0.75, green, chance)
    box((-0.7, 2.97, 1.35), (0.4, 2.999, 2.05), white, 0.01)
    box((-0.62, 2.96, 1.42), (0.32, 2.975, 1.98),
        material("painting", (0.1, 0.25, 0.5), other=(0.9, 0.6, 0.25), pattern="voronoi", scale=6), 0)  # fmt: skip
    lathe((-2.0, 2.5, 0), [(0.0, 0), (0.15, 0), (0.15, 0.02), (0.015, 0.03), (0.015, 1.5)], white)
    lathe((-2.0, 2.5, 1.4), [(0.2, 0), (0.12, 0.28)], material("shade", (0.9, 0.8, 0.6), 0.9))
    sun((math.radians(62), 0, math.radians(-62)), 6.0, (1.0, 0.9, 0.75))
    area((0.3, -1.0, 2.6), (0, 0, 0), 2.0, 60)
    camera((0.35, -2.7, 1.45), (-0.05, 1.6, 0.72), 62)


def table() -> None:
    """A still life on a table."""
    chance = random.Random(2)
    wood = material("wood", (0.42, 0.24, 0.11), 0.45, other=(0.55, 0.34, 0.18), pattern="wave", scale=7)
    plaster = material("plaster", (0.30, 0.36, 0.36), 0.9, other=(0.24, 0.29, 0.30), pattern="noise", scale=9, bump=0.1)
    glaze = material("glaze", (0.10, 0.22, 0.40), 0.12, other=(0.16, 0.34, 0.52), pattern="noise", scale=20)
    box((-1.2, -0.7, -0.05), (1.2, 0.6, 0), wood, 0.01)
    box((-3, 1.2, -1), (3, 1.3, 2), plaster, 0)
    lathe((-0.32, 0.22, 0), [(0, 0), (0.08, 0), (0.14, 0.1), (0.15, 0.18), (0.11, 0.28), (0.05, 0.34), (0.05, 0.39),
                             (0.065, 0.42), (0.055, 0.42), (0.04, 0.37)], glaze)  # fmt: skip
    leaves(Vector((-0.32, 0.22, 0.36)), 16, 0.34, material("leaf", (0.12, 0.25, 0.05), 0.5), chance)
    mug = material("mug", (0.8, 0.76, 0.68), 0.25)
    lathe((0.12, -0.12, 0), [(0, 0.004), (0.042, 0), (0.046, 0.1), (0.043, 0.1), (0.04, 0.012), (0, 0.012)], mug)
    bpy.ops.mesh.primitive_torus_add(major_radius=0.028, minor_radius=0.006, location=(0.172, -0.12, 0.052),
                                     rotation=(math.pi / 2, 0, 0))  # fmt: skip
    _finish(mug, smooth=True)
    for x, y, tint in (
        (0.36, 0.05, (0.62, 0.07, 0.03)),
        (0.46, 0.14, (0.60, 0.26, 0.03)),
        (0.40, 0.22, (0.45, 0.5, 0.06)),
    ):
        ball((x, y, 0.045), 0.045, material("fruit", tint, 0.3), 0.92)
    ball((-0.06, -0.28, 0.04), 0.04, material("lemon", (0.85, 0.65, 0.05), 0.4), 0.85)
    for level, (turn, tint) in enumerate(
        ((0.1, (0.45, 0.07, 0.06)), (-0.12, (0.05, 0.18, 0.2)), (0.3, (0.7, 0.55, 0.3)))
    ):
        z = 0.03 * level
        box((-0.72, -0.18, z), (-0.48, 0.0, z + 0.028), material("book", tint, 0.7), 0.003, turn)
    lathe((-0.6, -0.09, 0.088), [(0, 0), (0.045, 0), (0.045, 0.01), (0.012, 0.015), (0.012, 0.16), (0, 0.16)],
          material("candle", (0.85, 0.8, 0.68), 0.5))  # fmt: skip
    area((-1.6, -0.6, 1.5), (0.75, 0, -1.15), 0.8, 45)
    area((1.5, -1.2, 1.0), (1.0, 0, 0.9), 1.5, 12)
    camera((0.10, -1.42, 0.62), (-0.07, 0.12, 0.12), 46)


def street() -> None:
    """A narrow street with an arch of sky at its end."""
    chance = random.Random(7)
    stone = material("stone", (0.30, 0.28, 0.26), 0.9, other=(0.18, 0.17, 0.16), pattern="voronoi", scale=9, bump=0.4)
    dark, glass = material("frame", (0.10, 0.07, 0.05), 0.6), material("glass", (0.03, 0.05, 0.07), 0.05)
    green = material("leaf", (0.09, 0.24, 0.05), 0.6, other=(0.05, 0.14, 0.03), pattern="noise", scale=6, bump=1.0)
    box((-3, -6, -0.1), (3, 40, 0), stone, 0)
    for side in (-1, 1):
        box(
            (min(side * 2.1, side * 3), -6, 0),
            (max(side * 2.1, side * 3), 40, 0.12),
            material("kerb", (0.4, 0.39, 0.37), 0.9),
        )
        y = -6.0
        while y < 34:
            depth, height = chance.uniform(4, 7), chance.uniform(5, 9)
            tint = tuple(chance.uniform(low, 0.75) for low in (0.45, 0.3, 0.2))
            face = material("face", tint, 0.9, other=tuple(c * 0.85 for c in tint), pattern="noise", scale=2, bump=0.1)
            inner = side * (3 + chance.uniform(-0.15, 0.25))
            box((min(inner, side * 9), y, 0), (max(inner, side * 9), y + depth, height), face, 0.02)
            for floor in range(1 if y < -2 else 0, int(height / 2.4)):
                for place in range(int(depth / 1.6)):
                    wy, wz = y + 0.6 + place * 1.6, 0.9 + floor * 2.4
                    for out, grow, paint in ((0.04, 0.08, dark), (0.06, 0.0, glass)):
                        low = (inner - out, wy - grow, wz - grow)
                        box(low, (inner + out, wy + 0.8 + grow, wz + 1.3 + grow), paint, 0.005)
            y += depth + 0.05
        for y in (1.5, 7.5, 15):
            lathe((side * 2.5, y + side, 0), [(0, 0), (0.28, 0), (0.36, 0.5), (0.33, 0.5), (0, 0.45)],
                  material("pot", (0.5, 0.22, 0.12), 0.8))  # fmt: skip
            ball((side * 2.5, y + side, 0.95), 0.55, green)
    for y in (5.0, 11.0, 18.0):
        lathe((-1.9, y, 0), [(0.08, 0), (0.05, 0.3), (0.035, 3.0), (0.0, 3.0)], dark)
        ball((-1.9, y, 3.1), 0.16, material("lamp", (0.9, 0.85, 0.7), 0.3))
    box((0.9, 6.0, 0.28), (2.3, 9.4, 0.85), material("car", (0.55, 0.05, 0.05), 0.25), 0.18)
    box((1.0, 6.9, 0.8), (2.2, 8.9, 1.35), glass, 0.2)
    for y in (6.7, 8.7):
        for x in (0.88, 2.14):
            bpy.ops.mesh.primitive_cylinder_add(radius=0.31, depth=0.18, location=(x + 0.09, y, 0.31),
                                                rotation=(0, math.pi / 2, 0))  # fmt: skip
            _finish(material("tyre", (0.02, 0.02, 0.02), 0.8))
    sun((math.radians(38), 0, math.radians(35)), 4.5, (1.0, 0.93, 0.82))
    camera((-0.6, -4.5, 1.65), (0.1, 6, 1.75), 64)


def robot() -> None:
    """A tin toy by itself, cut out: its picture is transparent around it."""
    tin = material("tin", (0.75, 0.20, 0.05), 0.35, other=(0.60, 0.13, 0.03), pattern="noise", scale=3)
    steel = material("steel", (0.42, 0.46, 0.50), 0.35, 0.4)
    cream, dark = material("cream", (0.85, 0.78, 0.60), 0.5), material("dark", (0.03, 0.03, 0.04), 0.4)
    box((-0.26, -0.17, 0.32), (0.26, 0.17, 0.86), tin, 0.05)
    box((-0.19, -0.15, 0.92), (0.19, 0.15, 1.22), cream, 0.05)
    box((-0.07, -0.07, 0.84), (0.07, 0.07, 0.94), steel, 0.01)
    box((-0.16, -0.19, 0.46), (0.16, -0.15, 0.74), cream, 0.02)
    for x, tint in ((-0.09, (0.05, 0.25, 0.55)), (0.0, (0.85, 0.6, 0.05)), (0.09, (0.1, 0.45, 0.15))):
        ball((x, -0.19, 0.66), 0.03, material("button", tint, 0.2))
    box((-0.1, -0.2, 0.51), (0.1, -0.18, 0.57), dark, 0.008)
    for side in (-1, 1):
        ball((side * 0.085, -0.14, 1.1), 0.055, steel)
        ball((side * 0.085, -0.18, 1.1), 0.032, dark)
        box((side * 0.14 - 0.085, -0.11, 0.06), (side * 0.14 + 0.085, 0.09, 0.34), steel, 0.03)
        box((side * 0.14 - 0.11, -0.24, 0.0), (side * 0.14 + 0.11, 0.12, 0.1), tin, 0.03)
        box((side * 0.33 - 0.06, -0.08, 0.42), (side * 0.33 + 0.06, 0.08, 0.8), steel, 0.04)
        ball((side * 0.33, -0.02, 0.38), 0.085, tin)
    lathe((0, 0, 1.2), [(0.05, 0), (0.05, 0.03), (0.014, 0.04), (0.012, 0.17)], steel)
    ball((0, 0, 1.39), 0.045, tin)
    area((-1.6, -1.8, 2.4), (0.75, 0, -0.7), 1.5, 110)
    area((1.8, -1.2, 1.0), (1.3, 0, 0.95), 1.5, 25)
    camera((1.25, -2.65, 1.35), (0.0, 0.0, 0.68), 48)


def robot_on_a_mat() -> None:
    """The toy on a mat whose print tells where each photo was taken: tin has none."""
    robot()
    print_of_it = material("print", (0.9, 0.88, 0.8), 0.7, other=(0.05, 0.12, 0.2), pattern="voronoi", scale=14)
    box((-0.55, -0.45, -0.02), (0.55, 0.45, 0.0), print_of_it, 0.004)


# ---- light, camera, picture --------------------------------------------------------------------------------------


def sun(rotation: tuple, strength: float, colour: Colour) -> None:
    bpy.ops.object.light_add(type="SUN", rotation=rotation)
    light = bpy.context.object.data
    light.energy, light.color, light.angle = strength, colour, math.radians(1.5)


def area(place: tuple, rotation: tuple, size: float, watts: float) -> None:
    bpy.ops.object.light_add(type="AREA", location=place, rotation=rotation)
    bpy.context.object.data.size, bpy.context.object.data.energy = size, watts


def camera(place: tuple, target: tuple, fov_degrees: float) -> None:
    bpy.ops.object.camera_add(location=place)
    made = bpy.context.object
    made.rotation_euler = (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()
    made.data.angle = math.radians(fov_degrees)
    bpy.context.scene.camera = made


def render(build: Callable[[], None], path: Path, samples: int, size: tuple[int, int] = SIZE) -> None:
    """A JPEG with a sky, or, to a path that ends in .png, a picture that is transparent where nothing stands."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("sky")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.50, 0.65, 0.90, 1.0)
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.8
    build()
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = samples, True
    scene.render.resolution_x, scene.render.resolution_y = size
    cut_out = path.suffix == ".png"
    scene.render.film_transparent = cut_out
    scene.render.image_settings.file_format = "PNG" if cut_out else "JPEG"
    scene.render.image_settings.color_mode, scene.render.image_settings.quality = "RGBA" if cut_out else "RGB", 90
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def photos(build: Callable[[], None], folder: Path, samples: int) -> None:
    """24 pictures from around what stands there, from between 10 degrees below and 60 above its middle."""
    chance, turn = random.Random(0), math.pi * (3.0 - math.sqrt(5.0))

    def around(number: int) -> None:
        build()
        height, away = math.radians(-10.0 + 70.0 * number / 23), 3.2 * chance.uniform(0.95, 1.05)
        across, aim = away * math.cos(height), [chance.uniform(-0.05, 0.05) for _ in range(3)]
        place = across * math.cos(turn * number), across * math.sin(turn * number), 0.7 + away * math.sin(height)
        camera(place, (aim[0], aim[1], 0.7 + aim[2]), 36)

    for number in range(24):
        render(lambda number=number: around(number), folder / f"{number:03}.png", samples, (640, 640))


SCENES = {"room.jpg": room, "table.jpg": table, "street.jpg": street, "robot.png": robot, "robot": robot_on_a_mat}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--scene", choices=SCENES, action="append")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.scene or SCENES:
        path = (options.folder / name).absolute()
        (render if path.suffix else photos)(SCENES[name], path, options.samples)


if __name__ == "__main__":
    main()
