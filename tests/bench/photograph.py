# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs a scanned thing from all around with Cycles, and writes down the true cameras.

    pip install bpy==4.5.15        (Python 3.11)
    python tests/bench/photograph.py THING.glb|THING.obj OUT_FOLDER [--views 32] [--pixels 640] [--samples 12]

Makes 000.png ... with transparency, `transforms.json` (OpenGL camera to world, Blender's axes, +Z up) and `truth.glb`,
the thing as it stands in that world. The cameras lie on a sunflower spiral between 15 degrees below and 65 degrees
above the thing's middle, each at a slightly different distance and aimed a little beside it, as a hand would hold them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path

import bpy
from mathutils import Matrix, Vector

LENS, SENSOR = 50.0, 36.0
LOWEST, HIGHEST = math.radians(-15.0), math.radians(65.0)


def placed(path: Path) -> bpy.types.Object:
    """The thing as one object with its middle at the origin and its longest side one."""
    if path.suffix == ".obj":
        bpy.ops.wm.obj_import(filepath=str(path))
    else:
        bpy.ops.import_scene.gltf(filepath=str(path))
    meshes = [thing for thing in bpy.context.scene.objects if thing.type == "MESH"]
    with bpy.context.temp_override(active_object=meshes[0], selected_editable_objects=meshes, object=meshes[0]):
        bpy.ops.object.join()
    thing = meshes[0]
    thing.parent = None
    thing.data.transform(thing.matrix_world)
    thing.matrix_world = Matrix.Identity(4)
    low, high = (Vector(map(which, zip(*(vertex.co for vertex in thing.data.vertices)))) for which in (min, max))
    thing.data.transform(Matrix.Scale(1.0 / max(high - low), 4) @ Matrix.Translation(-(low + high) / 2.0))
    for other in [other for other in bpy.context.scene.objects if other != thing]:
        bpy.data.objects.remove(other)
    return thing


def lit(pixels: int, samples: int) -> None:
    """Soft light from everywhere and a weak sun; transparent background; colours as the scan has them."""
    scene = bpy.context.scene
    world = scene.world or bpy.data.worlds.new("world")
    scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (1.0, 1.0, 1.0, 1.0)
    world.node_tree.nodes["Background"].inputs[1].default_value = 0.7
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.data.angle = 1.5, 0.5
    sun.rotation_euler = (math.radians(40.0), math.radians(15.0), 0.0)
    scene.collection.objects.link(sun)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = samples, False  # denoising takes longer than the rays
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.max_bounces = 1
    scene.render.use_persistent_data = True
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"
    scene.render.resolution_x = scene.render.resolution_y = pixels
    scene.render.threads_mode, scene.render.threads = "FIXED", 2


def camera(number: int, views: int, dice: random.Random) -> Matrix:
    """Camera to world of one view; looks along its -Z with +Y up."""
    height = math.sin(LOWEST) + (math.sin(HIGHEST) - math.sin(LOWEST)) * (number + 0.5) / views
    heading = number * math.pi * (3.0 - math.sqrt(5.0))
    wide = math.sqrt(1.0 - height * height)
    towards = Vector((wide * math.cos(heading), wide * math.sin(heading), height))
    aim = Vector([dice.uniform(-0.04, 0.04) for _ in range(3)])
    turn = (-towards).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    return Matrix.Translation(towards * dice.uniform(1.75, 2.05) + aim) @ turn


def shot(out: Path, lens: float, poses: list[Matrix]) -> None:
    """A picture from each place (camera to world), and the list of them. lens: millimetres on SENSOR."""
    eye = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    eye.data.lens, eye.data.sensor_width = lens, SENSOR
    scene, frames = bpy.context.scene, []
    scene.collection.objects.link(eye)
    scene.camera = eye
    for number, pose in enumerate(poses):
        eye.matrix_world = pose
        scene.render.filepath = str(out / f"{number:03}.png")
        bpy.ops.render.render(write_still=True)
        frames.append({"file_path": f"{number:03}.png", "transform_matrix": [list(row) for row in pose]})
    angle = 2.0 * math.atan(0.5 * SENSOR / lens)
    (out / "transforms.json").write_text(json.dumps({"camera_angle_x": angle, "frames": frames}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("thing", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--views", type=int, default=32)
    parser.add_argument("--pixels", type=int, default=640)
    parser.add_argument("--samples", type=int, default=12)
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    placed(wanted.thing)
    bpy.ops.export_scene.gltf(filepath=str(wanted.out / "truth.glb"))
    lit(wanted.pixels, wanted.samples)
    dice = random.Random(wanted.thing.stem)
    shot(wanted.out, LENS, [camera(number, wanted.views, dice) for number in range(wanted.views)])


if __name__ == "__main__":
    main()
