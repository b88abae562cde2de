# SPDX-License-Identifier: GPL-3.0-or-later
"""A small ray caster, so that anyone can look at a GLB without a graphics card or a window.

    python tests/render.py OUT.png IN.glb [--yaw 20 --pitch 10 --size 512]

Needs numpy, pillow, trimesh and embreex. Used by the tests and to make the pictures in the documents. Knows files,
meshes and cameras; must not know how a mesh was made. Axes are glTF's: +Y up, the front faces +Z, a camera looks along
its -Z.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from trimesh.ray.ray_pyembree import RayMeshIntersector

_ROWS_AT_ONCE = 1 << 20  # rays cast together


@dataclass(frozen=True, eq=False)
class Shape:
    """vertices (V, 3), faces (F, 3), uv (V, 2) with v down or None, texture (h, w, 3 or 4) uint8 or None."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    texture: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class View:
    """A pinhole camera: fx, fy, cx, cy in pixels; position (3,); rotation (3, 3) camera to world, looking along its
    -Z."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    position: np.ndarray
    rotation: np.ndarray


@dataclass(frozen=True, eq=False)
class Rendered:
    """colour (h, w, 3) uint8; depth (h, w) float64 along the optical axis, NaN where no surface was hit."""

    colour: np.ndarray
    depth: np.ndarray


def load(path: str | Path) -> Shape:
    """The first textured mesh of a GLB, in world coordinates."""
    scene = trimesh.load(path, process=False, force="scene")
    mesh = trimesh.util.concatenate(scene.dump()) if len(scene.geometry) > 1 else scene.dump()[0]
    uv, texture = None, None
    material = getattr(mesh.visual, "material", None)
    image = getattr(material, "baseColorTexture", None)
    if image is not None and mesh.visual.uv is not None:
        uv = np.column_stack([mesh.visual.uv[:, 0], 1.0 - mesh.visual.uv[:, 1]])  # trimesh turns v up
        texture = np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB"))
    return Shape(np.asarray(mesh.vertices), np.asarray(mesh.faces), uv, texture)


def photo_view(camera: object, position: np.ndarray = (0.0, 0.0, 0.0)) -> View:
    """The view of a PinholeCamera that stands at `position` and is not turned."""
    return View(
        camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, np.asarray(position, float), np.eye(3)
    )


def orbit_view(
    shape: Shape, yaw: float, pitch: float, size: int, fov: float = 35.0, pivot: np.ndarray | None = None
) -> View:
    """A view of the whole shape from the front, turned by yaw (to its right) and pitch (from above), in degrees."""
    low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
    pivot = (low + high) / 2.0 if pivot is None else pivot
    radius = max(float(np.linalg.norm(shape.vertices - pivot, axis=1).max()), 1e-9)
    focal = size / 2.0 / math.tan(math.radians(fov) / 2.0)
    rotation = _turn(1, math.radians(yaw)) @ _turn(0, -math.radians(pitch))
    position = pivot + rotation @ np.array([0.0, 0.0, radius / math.sin(math.radians(fov) / 2.0)])
    return View(size, size, focal, focal, size / 2.0, size / 2.0, position, rotation)


def swung_view(view: View, pivot: np.ndarray, yaw: float, pitch: float = 0.0) -> View:
    """A view carried around a point of the scene, still looking at it the same way."""
    turn = _turn(1, math.radians(yaw)) @ _turn(0, -math.radians(pitch))
    position = pivot + turn @ (view.position - pivot)
    return View(view.width, view.height, view.fx, view.fy, view.cx, view.cy, position, turn @ view.rotation)


def render(
    shape: Shape,
    view: View,
    background: tuple[int, int, int] = (255, 255, 255),
    samples: int = 1,
    shading: float = 0.0,
) -> Rendered:
    """The shape's picture. samples: rays per pixel side. shading: 0 shows the texture as it is, 1 lights it fully."""
    caster = RayMeshIntersector(trimesh.Trimesh(shape.vertices, shape.faces, process=False))
    height, width = view.height * samples, view.width * samples
    colour = np.empty((height * width, 3), np.float32)
    depth = np.full(height * width, np.nan)
    for start in range(0, height * width, _ROWS_AT_ONCE):
        index = np.arange(start, min(start + _ROWS_AT_ONCE, height * width))
        rays = _rays(view, (index % width + 0.5) / samples, (index // width + 0.5) / samples)
        colour[index], depth[index] = _cast(shape, caster, view, rays, background, shading)
    colour = colour.reshape(view.height, samples, view.width, samples, 3).mean(axis=(1, 3))
    middle = depth.reshape(view.height, samples, view.width, samples)[:, samples // 2, :, samples // 2]
    return Rendered(np.clip(np.rint(colour), 0, 255).astype(np.uint8), middle)


def _cast(
    shape: Shape,
    caster: RayMeshIntersector,
    view: View,
    rays: np.ndarray,
    background: tuple[int, int, int],
    shading: float,
) -> tuple[np.ndarray, np.ndarray]:
    colour = np.tile(np.float32(background), (len(rays), 1))
    depth = np.full(len(rays), np.nan)
    directions = rays @ view.rotation.T
    face = caster.intersects_first(np.tile(view.position, (len(rays), 1)), directions)
    hit = np.flatnonzero(face >= 0)
    if not len(hit):
        return colour, depth
    corners = shape.vertices[shape.faces[face[hit]]].astype(np.float64)
    along, weights, normal = _intersection(corners, view.position, directions[hit])
    depth[hit] = along  # rays reach depth 1 along the axis
    found = np.tile(np.float32([200, 200, 200]), (len(hit), 1))
    if shape.uv is not None and shape.texture is not None:
        uv = (shape.uv[shape.faces[face[hit]]] * weights[:, :, None]).sum(axis=1)
        found = bilinear(shape.texture[..., :3], uv)
    if shading:
        facing = np.abs((normal * (view.rotation @ np.array([0.3, 0.4, 0.86]))).sum(axis=1))[:, None]
        found = found * (1.0 - shading + shading * (0.25 + 0.75 * facing))
    colour[hit] = found
    return colour, depth


def bilinear(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(n, c) float32 colours of a texture (h, w, c) at uv (n, 2), clamped at its border."""
    height, width = texture.shape[:2]
    x = np.clip(uv[:, 0] * width - 0.5, 0.0, width - 1.0)
    y = np.clip(uv[:, 1] * height - 0.5, 0.0, height - 1.0)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    upper = texture[top, left] * (1 - fx) + texture[top, right] * fx
    lower = texture[below, left] * (1 - fx) + texture[below, right] * fx
    return upper * (1 - fy) + lower * fy


def _rays(view: View, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, 3) directions in camera axes through pixel positions; one unit along the optical axis each."""
    return np.column_stack([(x - view.cx) / view.fx, -(y - view.cy) / view.fy, -np.ones(len(x))])


def _intersection(
    corners: np.ndarray, origin: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far along each ray its triangle (n, 3, 3) lies, barycentric weights (n, 3) there and unit normals (n, 3)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    along = ((a - origin) * normal).sum(axis=1) / (directions * normal).sum(axis=1)
    point = origin + directions * along[:, None]
    square = np.maximum((normal * normal).sum(axis=1), 1e-300)
    weight_b = (np.cross(c - a, a - point) * normal).sum(axis=1) / square
    weight_c = (np.cross(a - b, b - point) * normal).sum(axis=1) / square  # signs as for counter-clockwise corners
    weight_b, weight_c = np.abs(weight_b), np.abs(weight_c)
    weights = np.column_stack([1.0 - weight_b - weight_c, weight_b, weight_c])
    return along, np.clip(weights, 0.0, 1.0), normal / np.sqrt(square)[:, None]


def _turn(axis: int, angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    if axis == 0:
        return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def main() -> None:
    parser = argparse.ArgumentParser(description="renders a GLB to a picture")
    parser.add_argument("output", type=Path)
    parser.add_argument("input", type=Path)
    parser.add_argument("--yaw", type=float, default=20.0, help="degrees to the right of the front")
    parser.add_argument("--pitch", type=float, default=10.0, help="degrees from above")
    parser.add_argument("--size", type=int, default=512, help="pixels on a side")
    parser.add_argument("--samples", type=int, default=2, help="rays per pixel side")
    parser.add_argument("--shading", type=float, default=0.0, help="0 shows the texture as it is, 1 lights it")
    arguments = parser.parse_args()
    shape = load(arguments.input)
    view = orbit_view(shape, arguments.yaw, arguments.pitch, arguments.size)
    Image.fromarray(render(shape, view, samples=arguments.samples, shading=arguments.shading).colour).save(
        arguments.output
    )


if __name__ == "__main__":
    main()
