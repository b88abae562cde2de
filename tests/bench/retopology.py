# SPDX-License-Identifier: GPL-3.0-or-later
"""What Retopologise loses: PSNR of eight views of the lighter mesh against the dense one's, beside two lower bars that
are decimated and keep the dense one's own texture: with as many faces, and with as many triangles.

    python tests/bench/retopology.py FOLDER GLB ... [--faces 4000] [--texture 2048] [--size 256] [--way QUADS]

Needs `bpy` and numpy in its Python. The views are 45 degrees apart, every second from 40 degrees above and the others
from 10 below. Printed are mean and least of the views: of the texture alone where both cover a pixel, with the pixels
at outlines too, and of white clay under a sun, with the normal map, where both cover it. Each lighter mesh is written
as GLB.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from enabled import bpy
from enabled import module as addon
from mathutils import Euler, Vector

VIEWS = [(45.0 * number, 40.0 if number % 2 else -10.0) for number in range(8)]
ANGLE = math.radians(40.0)


def studio(size: int) -> bpy.types.Scene:
    """A scene with a camera and a sun, for Cycles with one thread."""
    scene = bpy.data.scenes.new("studio")
    scene.render.engine, scene.cycles.samples, scene.cycles.device = "CYCLES", 4, "CPU"
    scene.cycles.max_bounces, scene.render.film_transparent = 0, True
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.view_settings.view_transform = "Standard"
    for name, data in (("camera", bpy.data.cameras.new("camera")), ("sun", bpy.data.lights.new("sun", "SUN"))):
        scene.collection.objects.link(bpy.data.objects.new(name, data))
    scene.camera = bpy.data.objects["camera"]
    scene.camera.data.angle, bpy.data.objects["sun"].data.energy = ANGLE, 3.0
    return scene


def views(scene: bpy.types.Scene, thing: bpy.types.Object, frame: bpy.types.Object) -> np.ndarray:
    """(8, size, size, 4) float32 of the thing, seen so that `frame` fills each view."""
    scene.collection.objects.link(thing)
    corners = [frame.matrix_world @ Vector(corner) for corner in frame.bound_box]
    middle = sum(corners, Vector()) / 8
    far = max((corner - middle).length for corner in corners) / math.sin(ANGLE / 2)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "view.png")
        for yaw, pitch in VIEWS:
            for item, place in ((scene.camera, (0, -1, 0)), (bpy.data.objects["sun"], (0.6, -1, 0.5))):
                away = Vector(place)
                away.rotate(Euler((math.radians(-pitch), 0.0, math.radians(yaw))))
                item.location, item.rotation_euler = middle + far * away, away.to_track_quat("Z", "Y").to_euler()
            bpy.ops.render.render(write_still=True, scene=scene.name)
            image = bpy.data.images.load(scene.render.filepath)
            found.append(np.float32(image.pixels[:]).reshape(image.size[1], image.size[0], 4))
            bpy.data.images.remove(image)
    scene.collection.objects.unlink(thing)
    return np.stack(found)


def psnr(picture: np.ndarray, truth: np.ndarray, least: float) -> list[float]:
    """Of each view in dB, before grey, where at least one of the two covers half of the pixel, or, with `least` 1, both
    cover all of it."""
    before_grey = [view[..., :3] * view[..., 3:] + 0.5 * (1.0 - view[..., 3:]) for view in (picture, truth)]
    squares = ((before_grey[0] - before_grey[1]) ** 2).mean(axis=-1)
    which = np.minimum if least == 1.0 else np.maximum
    covered = which(picture[..., 3], truth[..., 3]) >= least
    return [float(-10.0 * np.log10(of_view[where].mean() + 1e-9)) for of_view, where in zip(squares, covered)]


def clay(thing: bpy.types.Object) -> bpy.types.Object:
    """A copy in white, with the normal map of the thing's material where it has one."""
    copy = thing.copy()
    for slot in copy.material_slots:
        own = slot.material.copy()
        surface = next(node for node in own.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
        for link in surface.inputs["Base Color"].links:
            own.node_tree.links.remove(link)
        surface.inputs["Base Color"].default_value = (0.8, 0.8, 0.8, 1.0)
        surface.inputs["Roughness"].default_value = 1.0
        slot.link, slot.material = "OBJECT", own
    return copy


def seen(scene: bpy.types.Scene, thing: bpy.types.Object, frame: bpy.types.Object) -> list[np.ndarray]:
    """Its views with the texture alone, and lit."""
    with addon("ui.scene.bake")._glowing(thing) as glowing:
        texture = views(scene, glowing, frame)
    return [texture, views(scene, clay(thing), frame)]


def lighter(dense: bpy.types.Object, asked: argparse.Namespace) -> Iterator[tuple[str, object]]:
    """A name for each way, and the lighter object."""
    module, copies = addon("ui.scene.retopology"), addon("ui.scene.copies")
    dense.hide_set(False)
    wish = module.Wish(asked.way, asked.faces, asked.texture, True)
    yield asked.way.lower(), (made := module.retopologised(bpy.context, dense, wish))
    faces = len(made.data.polygons)
    triangles = sum(len(face.vertices) - 2 for face in made.data.polygons)
    dense.hide_set(False)
    for name, count in {f"decimated to {faces} faces": faces, f"decimated to {triangles} triangles": triangles}.items():
        copy = copies.copied(dense, name)
        module._decimated(bpy.context, copy, count)
        yield name, copy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("meshes", type=Path, nargs="+", metavar="GLB")
    parser.add_argument("--way", default="QUADS")
    for name, usual in (("--faces", 4000), ("--texture", 2048), ("--size", 256)):
        parser.add_argument(name, type=int, default=usual)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    scene = studio(asked.size)
    for path in asked.meshes:
        dense = addon("ui.scene").add_meshes(bpy.context, addon("session.glb").Reading(str(path)), path.stem)[0]
        truth = seen(scene, dense, dense)
        for name, light in lighter(dense, asked):
            texture, lit = seen(scene, light, dense)
            found = psnr(texture, truth[0], 1.0), psnr(texture, truth[0], 0.5), psnr(lit, truth[1], 1.0)
            figures = " | ".join(f"{np.mean(values):.1f} ({min(values):.1f})" for values in found)
            print(f"| {path.stem} | {name} | {len(light.data.polygons):,} | {figures} |", flush=True)
            addon("ui.scene.selection").select_only(bpy.context, light)
            written = asked.folder / f"{path.stem} {name}.glb".replace(" ", "-")
            bpy.ops.export_scene.gltf(filepath=str(written.resolve()), use_selection=True)


if __name__ == "__main__":
    main()
