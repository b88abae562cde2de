# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data of the object network, by seed: a shard is a file of views rendered from its number alone.

A view is one thing cut out and fitted into a square: its picture, its first and last surface along each ray, and the
colour of the last one, lit as the front is. `python -m worker.training.layers --out DIR --count 100` writes shards.

Depths are in half sides of the square at the thing's own distance, zero at its mean mid-depth, larger is farther; so
half a side of depth is as long as half a side of width.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from scipy.ndimage import distance_transform_edt

from ..pictures.silhouette import FILL, inflated
from .objects import draw_thing
from .photo import develop
from .render import Camera, Renderer, look_at
from .shard_files import write_once, write_range
from .staging import Air, Light, Scene, colour
from .textures import Material, PatternBank

SIDE = 96
"""Pixels of a view's square."""

VIEWS, VIEWS_PER_THING, BANKS = 240, 4, 16
FAR_AWAY = 30.0

VIEW = np.dtype(
    [
        ("image", np.uint8, (SIDE, SIDE, 3)),  # sRGB, only meaningful within the mask
        ("back_colour", np.uint8, (SIDE, SIDE, 3)),
        ("front", np.float16, (SIDE, SIDE)),
        ("back", np.float16, (SIDE, SIDE)),
        ("height", np.float16, (SIDE, SIDE)),  # the outline inflated, in the depths' unit
        ("mask", np.bool_, (SIDE, SIDE)),
        ("up", np.float16, (3,)),  # against gravity, in the camera's axes (right, down, forward); zero: nobody knows
        ("family", np.uint8),
    ]
)


class LayerRenderer(Renderer):
    """Renders first and last surfaces through a square window that fits the scene."""

    def layers(self, camera: Camera, rng: Generator) -> np.ndarray | None:
        """One record of VIEW without its family and what is up, or None where hardly anything is seen."""
        rays, unit = self._window(camera)
        origins = np.broadcast_to(camera.position.astype(np.float32), rays.shape).copy()
        hit = self._embree.run(origins, rays, output=True)
        mask = hit["primID"] >= 0
        if mask.sum() < 60:
            return None
        behind = self._embree.run(origins + FAR_AWAY * rays, -rays, output=True)
        mask &= behind["primID"] >= 0
        front, back = hit["tfar"], FAR_AWAY - behind["tfar"]
        middle = float((front[mask] + back[mask]).mean() / 2)
        view = np.zeros((), VIEW)
        square = mask.reshape(SIDE, SIDE)
        for name, depth in (("front", front), ("back", back)):
            view[name] = np.where(mask, (depth - middle) / (middle * unit), 0).reshape(SIDE, SIDE)
        view["mask"] = square
        view["height"] = inflated(square) * (2 / SIDE)
        seen = np.flatnonzero(mask)
        faces = self._colours(origins, rays, hit, seen, unit, square, rng)
        lamps, self.scene.lights = self.scene.lights, [_mirrored(lamp, camera) for lamp in self.scene.lights]
        backs = self._colours(origins + FAR_AWAY * rays, -rays, behind, seen, unit / FAR_AWAY, square, rng)
        self.scene.lights = lamps
        photo = develop(np.concatenate([faces, backs], 1), np.ones((SIDE, 2 * SIDE)), 0.0, rng)
        if rng.random() < 0.5:  # dark things are dark, though a camera would expose them longer
            photo = (255 * (photo / 255.0) ** rng.uniform(1.0, 3.0)).astype(np.uint8)
        view["image"], view["back_colour"] = photo[:, :SIDE], photo[:, SIDE:]
        return view

    def _window(self, camera: Camera) -> tuple[np.ndarray, float]:
        """Rays (SIDE * SIDE, 3) through a square around the scene, and half the square's side at depth 1."""
        points = np.concatenate([part[0].vertices for part in self.scene.parts])
        local = (points - camera.position) @ camera.axes.T
        flat = local[:, :2] / local[:, 2:]
        low, high = flat.min(0), flat.max(0)
        unit = float((high - low).max()) / 2 / FILL
        steps = (np.arange(SIDE) + 0.5) * (2 / SIDE) - 1
        x, y = np.meshgrid(steps * unit + (low[0] + high[0]) / 2, steps * unit + (low[1] + high[1]) / 2)
        rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ camera.axes
        return rays.astype(np.float32), unit

    def _colours(
        self, origins: np.ndarray, rays: np.ndarray, hit: dict, seen: np.ndarray, unit: float, mask: np.ndarray,
        rng: Generator,
    ) -> np.ndarray:  # fmt: skip
        """Linear RGB (SIDE, SIDE, 3), continued beyond the mask with what is nearest inside."""
        part = np.where(mask, 0, -1)
        shaded, _ = self._shade(origins[seen], rays[seen], hit, seen, 2 * unit / SIDE, part, rng)
        image = np.zeros((SIDE * SIDE, 3), np.float32)
        image[seen] = shaded
        row, column = distance_transform_edt(~mask, return_distances=False, return_indices=True)
        return image.reshape(SIDE, SIDE, 3)[row, column]


def _mirrored(lamp: Light, camera: Camera) -> Light:
    """The lamp as it would light the back as it lights the front."""
    forward = camera.axes[2]
    return Light(lamp.position - 2 * (lamp.position @ forward) * forward, lamp.colour, lamp.spread, lamp.sun)


def draw_scene(rng: Generator, bank: PatternBank) -> tuple[Scene, int, bool]:
    """A thing with materials in air, its family, and whether z is up for it."""
    thing, turn, offset, family, stands = draw_thing(rng)
    scene = Scene(rng, bank)
    bare = rng.random() < 0.22  # as clay: shape must also be read from shading alone
    numbers: dict[int, int] = {}
    for mesh, kind, smooth, material in thing.parts:
        key = 0 if bare else material
        if key not in numbers:
            numbers[key] = _clay(scene) if bare else _surface(scene, kind)
        scene.add(mesh, numbers[key], offset, turn=turn, smooth=smooth)
    scene.air = _air(rng)
    return scene, family, stands


def _surface(scene: Scene, kind: str) -> int:
    """A material of that kind, often printed all over in unrelated colours, whose edges are no edges of the shape."""
    rng = scene.rng
    number = scene.material(kind, surprise=0.2)
    if rng.random() < (0.75 if kind == "paper" else 0.25):
        pattern = str(rng.choice(["poster", "poster", "poster", "text", "stripes", "spots", "noise"]))
        inks = np.stack([colour(rng, None, (0.0, 1.0), (0.03, 0.98)) for _ in range(4)])
        printed = {"pattern": scene.bank.index(pattern, rng), "palette": inks, "scale": float(rng.uniform(0.6, 2.2))}
        scene.materials[number] = replace(scene.materials[number], **printed)
    return number


def _clay(scene: Scene) -> int:
    rng = scene.rng
    tone = colour(rng, None, (0.0, 0.4), (0.3, 0.95))
    plain = scene.bank.index("plain", rng)
    scene.materials.append(Material(plain, np.tile(tone, (4, 1)), 1.0, 0.0, (0.0, 0.0), float(rng.uniform(0, 0.2))))
    return len(scene.materials) - 1


def _air(rng: Generator) -> Air:
    tint = colour(rng, None, (0.0, 0.25), (0.6, 1.0))
    ambient = tint * rng.uniform(0.15, 1.0)
    return Air(horizon=tint * rng.uniform(0.3, 1.2), zenith=tint * rng.uniform(0.3, 1.5), ambient=ambient)


def _light(scene: Scene, camera: Camera) -> None:
    """One to three lamps anywhere before or above the thing, as seen from the camera; or none, in flat light."""
    rng = scene.rng
    scene.lights = []
    for _ in range(int(rng.choice([0, 1, 1, 2, 3]))):
        toward = rng.normal(size=3) + [0, 0, 0.8] - 0.8 * camera.axes[2]
        position = toward / np.linalg.norm(toward) * rng.uniform(1.5, 5)
        strength = (0.2 + position @ position) * rng.uniform(0.2, 1.6)
        tint = colour(rng, None, (0.0, 0.25), (0.8, 1.0))
        scene.lights.append(Light(position, tint * strength, spread=float(rng.choice([0.0, 0.15, 0.6]))))


def draw_camera(rng: Generator) -> Camera:
    """A camera at a random place around the origin, mostly somewhat above, looking at it from far enough away."""
    elevation = np.radians(np.clip(rng.normal(22, 20), -25, 85))
    azimuth = rng.uniform(0, 2 * np.pi)
    fov = float(np.exp(rng.uniform(np.log(12), np.log(58))))
    distance = 0.75 / np.sin(np.radians(fov) / 2)
    direction = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    return look_at(np.array(direction) * distance, np.zeros(3), float(rng.normal(0, 0.07)), fov)


@cache
def _bank(seed: int) -> PatternBank:
    return PatternBank(seed)


def make_shard(number: int, views: int = VIEWS) -> np.ndarray:
    """Render shard `number`: a record array (views,) of VIEW."""
    rng = np.random.default_rng([2029, number])
    shard, done = np.zeros(views, VIEW), 0
    while done < views:
        scene, family, stands = draw_scene(rng, _bank(number % BANKS))
        renderer = LayerRenderer(scene)
        for _ in range(min(VIEWS_PER_THING, views - done)):
            camera = draw_camera(rng)
            _light(scene, camera)
            view = renderer.layers(camera, rng)
            if view is not None:
                shard[done] = view
                shard[done]["family"] = family
                shard[done]["up"] = camera.axes[:, 2] * stands
                done += 1
    return shard


def write_shard(folder: Path, number: int) -> Path:
    """Make the shard unless it is there; the file appears whole or not at all."""
    return write_once(folder / f"things{number:05d}.npy", lambda: make_shard(number))


if __name__ == "__main__":
    write_range(__doc__, write_shard)
