# SPDX-License-Identifier: GPL-3.0-or-later
"""Ray casting of a scene with embree: linear colour, depth along the optical axis, normals, and what was hit.

Axes: world is metres with z up; a camera's own axes are OpenCV's (x right, y down, z forward), pixel centres at +0.5.
Knows scenes and textures; nothing of how a picture is spoiled into a photo (photo.py) or stored.
"""

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.random import Generator
from scipy.ndimage import uniform_filter

from .staging import Light, Scene
from .textures import SIZE


@dataclass(frozen=True)
class Camera:
    """A pinhole: position (3,), axes (3, 3) with rows right, down, forward, field of view across the longer side."""

    position: np.ndarray
    axes: np.ndarray
    fov_degrees: float


@dataclass(frozen=True)
class View:
    """One rendering: colour (H, W, 3) linear RGB; depth (H, W) metres along the optical axis; part (H, W).

    normal (H, W, 3): unit vectors towards the camera in its own axes, as the light falls on them. Sky has depth inf,
    part -1 and normal zero.
    """

    colour: np.ndarray
    depth: np.ndarray
    part: np.ndarray
    normal: np.ndarray


def look_at(position: np.ndarray, target: np.ndarray, roll: float, fov_degrees: float) -> Camera:
    """A camera at `position` looking at `target`, upright but for `roll` in radians."""
    forward = target - position
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right = right / (np.linalg.norm(right) + 1e-9)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return Camera(position, np.stack([c * right + s * down, c * down - s * right, forward]), fov_degrees)


class Renderer:
    """A scene with its acceleration structure, ready for many views."""

    def __init__(self, scene: Scene):
        self.scene = scene
        meshes = [part[0] for part in scene.parts]
        first = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, first, strict=True)]).astype(np.int32)
        counts = [len(mesh.faces) for mesh in meshes]
        self._faces = faces
        self._local = np.concatenate([part[1] for part in scene.parts])
        self._part = np.repeat(np.arange(len(meshes)), counts)
        self._material = np.array([part[2] for part in scene.parts])
        self._smooth = np.array([part[3] for part in scene.parts])
        self._normals = _vertex_normals(vertices, faces)
        self._local_axis = _flat_axis(self._local, faces)
        self._embree = EmbreeScene()
        TriangleMesh(self._embree, vertices.astype(np.float32), faces)
        self._stack_materials()

    def _stack_materials(self) -> None:
        materials = self.scene.materials
        self._pattern = np.array([m.pattern for m in materials])
        self._palette = np.stack([m.palette for m in materials]).astype(np.float32)
        rows = [
            (m.scale, np.cos(m.angle), np.sin(m.angle), *m.offset, m.specular, m.gloss, m.emission, m.coarser)
            for m in materials
        ]
        self._numbers = np.array(rows, np.float32)

    def glance(self, camera: Camera, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Depth (height, width) in metres along the optical axis, inf for sky, and the part's index, -1 for sky."""
        origins, directions = _rays(camera, height, width)
        hit = self._embree.run(origins, directions, output=True)
        face, shape = hit["primID"], (height, width)
        depth = np.where(face >= 0, hit["tfar"], np.inf)
        return depth.reshape(shape), np.where(face >= 0, self._part[face], -1).reshape(shape)

    def view(self, camera: Camera, height: int, width: int, rng: Generator) -> View:
        """Render one view; rng drives soft shadows and ambient occlusion."""
        origins, directions = _rays(camera, height, width)
        hit = self._embree.run(origins, directions, output=True)
        face = hit["primID"]
        seen = np.flatnonzero(face >= 0)
        colour = self._sky(directions)
        part, normal = np.full(len(face), -1), np.zeros((len(face), 3), np.float32)
        depth = np.where(face >= 0, hit["tfar"], np.inf)
        if len(seen):
            part[seen] = self._part[face[seen]]
            pixel = 2 * np.tan(np.radians(camera.fov_degrees) / 2) / max(height, width)
            image_part = part.reshape(height, width)
            colour[seen], upright = self._shade(origins[seen], directions[seen], hit, seen, pixel, image_part, rng)
            normal[seen] = upright @ camera.axes.T
        shape = (height, width)
        depth = depth.reshape(shape).astype(np.float32)
        return View(colour.reshape(*shape, 3), depth, part.reshape(shape), normal.reshape(*shape, 3))

    def _shade(
        self, origins: np.ndarray, directions: np.ndarray, hit: dict, seen: np.ndarray, pixel: float, part: np.ndarray,
        rng: Generator,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Light towards the camera and the normals that it falls on, each (N, 3) in the world's axes."""
        face, u, v = hit["primID"][seen], hit["u"][seen][:, None], hit["v"][seen][:, None]
        distance = hit["tfar"][seen][:, None]
        a, b, c = self._faces[face].T
        normal = hit["Ng"][seen]
        normal = normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)
        smooth = self._smooth[self._part[face]][:, None]
        blended = self._normals[a] * (1 - u - v) + self._normals[b] * u + self._normals[c] * v
        shading = np.where(smooth, blended / (np.linalg.norm(blended, axis=1, keepdims=True) + 1e-9), normal)
        toward = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
        facing = np.sign((normal * toward).sum(1, keepdims=True))
        normal, shading = normal * facing, shading * np.sign((shading * toward).sum(1, keepdims=True))
        point = origins + distance * directions + normal * (1e-4 + 1e-4 * distance)
        local = self._local[a] * (1 - u - v) + self._local[b] * u + self._local[c] * v
        material = self._material[self._part[face]]
        slope = np.maximum(np.abs((normal * toward).sum(1)), 0.15)
        albedo = self._albedo(material, local, self._local_axis[face], distance[:, 0] * pixel / np.sqrt(slope))
        light, shine = self._lighting(point, shading, toward, material, seen, part, rng)
        numbers = self._numbers[material]
        result = albedo * light + shine * numbers[:, 5:6] + albedo * numbers[:, 7:8]
        air = self.scene.air
        if air.haze:
            through = np.exp(-air.haze * distance)
            result = result * through + (0.7 * air.horizon + 0.3 * air.ambient) * (1 - through)
        return result, shading

    def _albedo(self, material: np.ndarray, local: np.ndarray, axis: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        scale, cos, sin, du, dv = self._numbers[material, :5].T
        x = np.where(axis == 0, local[:, 1], local[:, 0])
        y = np.where(axis == 2, local[:, 1], local[:, 2])
        u, v = (cos * x - sin * y) * scale + du, (sin * x + cos * y) * scale + dv
        texels, pattern, bank = footprint * scale * SIZE, self._pattern[material], self.scene.bank
        value = bank.sample(pattern, u, v, texels)
        mixed = np.flatnonzero(self._numbers[material, 8])
        if len(mixed):
            large = bank.sample(pattern[mixed], v[mixed] * 0.19, u[mixed] * 0.19, texels[mixed] * 0.19)
            value[mixed] += self._numbers[material[mixed], 8] * (large - value[mixed])
        value = np.clip(value, 0, 1) * 2.999
        low = value.astype(np.int64)
        share = (value - low)[:, None]
        return self._palette[material, low] * (1 - share) + self._palette[material, low + 1] * share

    def _lighting(
        self, point: np.ndarray, normal: np.ndarray, toward: np.ndarray, material: np.ndarray, seen: np.ndarray,
        part: np.ndarray, rng: Generator,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        air = self.scene.air
        open_share = self._openness(point, normal, seen, part, rng)[:, None]
        light = air.ambient * (0.75 + 0.25 * normal[:, 2:]) * open_share
        mirror = 2 * (normal * toward).sum(1, keepdims=True) * normal - toward
        shine = 0.5 * self._sky(mirror) * open_share**2
        gloss = self._numbers[material, 6:7]
        for lamp in self.scene.lights:
            to_lamp, strength = self._reach(lamp, point, rng)
            cosine = np.maximum((normal * to_lamp).sum(1, keepdims=True), 0) * strength
            light = light + cosine * lamp.colour
            highlight = np.maximum((mirror * to_lamp).sum(1, keepdims=True), 0) ** gloss
            shine = shine + highlight * lamp.colour * np.minimum(strength, 1) * 2
        return light, shine

    def _reach(self, lamp: Light, point: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors to the lamp (N, 3) and the share of its light that arrives (N, 1)."""
        jitter = rng.normal(size=point.shape).astype(np.float32) * lamp.spread
        if lamp.sun:
            offset = (lamp.position + jitter).astype(np.float32)
            limit = np.full(len(point), 1e6, np.float32)
            falloff = 1.0
        else:
            offset = (lamp.position + jitter - point).astype(np.float32)
            limit = np.full(len(point), 0.98, np.float32)
            falloff = 1 / (0.2 + (offset**2).sum(1, keepdims=True))
        blocked = self._embree.run(point.astype(np.float32), offset, dists=limit, query="OCCLUDED") == 0
        unit = offset / np.linalg.norm(offset, axis=1, keepdims=True)
        return unit, np.where(blocked[:, None], 0, falloff)

    def _openness(
        self, point: np.ndarray, normal: np.ndarray, seen: np.ndarray, part: np.ndarray, rng: Generator
    ) -> np.ndarray:
        """Ambient light that arrives (N,) in [0, 1]: two cosine-distributed rays each, averaged within each part."""
        arrived = np.zeros(len(point), np.float32)
        reach = rng.uniform(0.3, 1.5) * (5.0 if self.scene.air.haze else 1.0)
        for _ in range(2):
            sphere = rng.normal(size=point.shape).astype(np.float32)
            sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
            limit = np.full(len(point), reach, np.float32)
            blocked = self._embree.run(
                point.astype(np.float32), (sphere + normal * 1.01).astype(np.float32), dists=limit, query="OCCLUDED"
            )
            arrived += blocked != 0
        image = np.zeros(part.size, np.float32)
        image[seen] = 0.25 + 0.75 * arrived / 2
        image = image.reshape(part.shape)
        weight = (part >= 0).astype(np.float32)
        return (uniform_filter(image, 5) / np.maximum(uniform_filter(weight, 5), 1e-3)).reshape(-1)[seen]

    def _sky(self, directions: np.ndarray) -> np.ndarray:
        air = self.scene.air
        unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        up = np.clip(unit[:, 2:], 0, 1) ** 0.6
        sky = air.horizon * (1 - up) + air.zenith * up
        if air.clouds:
            height = np.maximum(unit[:, 2], 0.03)
            u, v = unit[:, 0] / height * 0.08, unit[:, 1] / height * 0.08
            pattern = np.full(len(u), self.scene.bank.per_kind)
            cover = self.scene.bank.sample(pattern, u, v, 0.6 / height)[:, None]
            sky = sky + (np.clip(cover * 2 - 0.8, 0, 1) * air.clouds) * (air.horizon.max() * 1.1 - sky)
        return sky.astype(np.float32)


def _rays(camera: Camera, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions (N, 3), scaled so that the distance along a ray is the depth along the optical axis."""
    pixel = 2 * np.tan(np.radians(camera.fov_degrees) / 2) / max(height, width)
    y, x = np.mgrid[:height, :width]
    across = np.stack([(x + 0.5 - width / 2) * pixel, (y + 0.5 - height / 2) * pixel, np.ones_like(x, float)], -1)
    directions = (across.reshape(-1, 3) @ camera.axes).astype(np.float32)
    return np.broadcast_to(camera.position.astype(np.float32), directions.shape).copy(), directions


def _vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    normal = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(faces.reshape(-1), np.repeat(normal[:, k], 3), minlength=len(vertices)) for k in range(3)], -1
    )
    return (total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-20)).astype(np.float32)


def _flat_axis(local: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Per face the axis (0, 1, 2) that its normal follows most in the part's own coordinates."""
    a, b, c = local[faces[:, 0]], local[faces[:, 1]], local[faces[:, 2]]
    return np.abs(np.cross(b - a, c - a)).argmax(1)
